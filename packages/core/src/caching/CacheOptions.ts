/**
 * Which answers of an operation are remembered. The vendor's `ETag` is always used: an answer past its time is asked for
 * with `If-None-Match` (RFC 9110, section 13.1.2), and a 304 makes it fresh again.
 *
 * @example
 * ```ts
 * import { Operation, Vendor } from "@breakwater/core"
 * import { Schema } from "effect"
 * import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
 *
 * const Api = HttpApi.make("atlas").add(
 *   HttpApiGroup.make("countries", { topLevel: true }).add(
 *     HttpApiEndpoint.get("countries", "/countries", { success: Schema.Array(Schema.String) })
 *       .annotate(Operation.Policy, { cache: { fresh: "12 hours", staleIfError: "30 days" } })
 *   )
 * )
 * class Atlas extends Vendor.Service<Atlas>()({ name: "atlas", api: Api, baseUrl: "https://atlas.example" }) {}
 * console.log(Atlas.declaration.name) // => atlas
 * ```
 */
import type * as Duration from "effect/Duration"
import type { ResponseCacheOptions } from "./ResponseCache.ts"

export interface CacheOptions extends ResponseCacheOptions {
  /**
   * Whether the answer's own `Cache-Control`, `Expires` and `Age` (RFC 9111) say how long it is fresh, and `no-store` that
   * it is not kept. @default false: `fresh` and `life` say it
   */
  readonly obeyVendor?: boolean | undefined
  /**
   * How long an answer is fresh by what is in it: until the next one is published. `now` is Unix time in milliseconds;
   * `undefined` leaves it to the rest. @default nothing
   */
  readonly life?: ((value: never, now: number) => Duration.Input | undefined) | undefined
  /**
   * What is written to a `CacheStore` by another version is not read: to be raised when answers mean something else in the
   * same shape. What no longer fits the schema is not read either. @default "1"
   */
  readonly version?: string | undefined
  /** What an answer is about, to invalidate all of it at once. @default nothing */
  readonly tags?: ((value: never) => ReadonlyArray<string>) | undefined
}

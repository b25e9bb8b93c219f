/**
 * Cache options of an operation. The vendor's `ETag` is always used: a stale answer is requested with `If-None-Match`
 * (RFC 9110, section 13.1.2), and a 304 makes it fresh again.
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
   * Whether the response's own `Cache-Control`, `Expires` and `Age` (RFC 9111) set how long it is fresh, and `no-store`
   * prevents caching.
   * @default false: `fresh` and `life` set it
   */
  readonly obeyVendor?: boolean | undefined
  /**
   * How long an answer is fresh according to its content, such as until the next one is published. `now` is Unix time
   * in milliseconds; `undefined` falls back to the other options.
   * @default nothing
   */
  readonly life?: ((value: never, now: number) => Duration.Input | undefined) | undefined
  /**
   * Version of the answers in a `CacheStore`; entries of another version are ignored. Raise it when answers change
   * their meaning but not their shape. Entries that no longer fit the schema are ignored too.
   * @default "1"
   */
  readonly version?: string | undefined
  /** Tags of an answer, to invalidate all answers with a tag at once. @default nothing */
  readonly tags?: ((value: never) => ReadonlyArray<string>) | undefined
}

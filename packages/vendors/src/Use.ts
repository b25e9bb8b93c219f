/**
 * The largest age that one call accepts. It is an option of the call and holds for that call alone. A larger age that a page
 * accepts around it (`Provenance.acceptStale`) is not inherited: a price that is computed inside a display must not use a
 * stale rate by accident.
 *
 * @example
 * ```ts
 * import { Use } from "@breakwater/vendors"
 * import { Effect } from "effect"
 *
 * const { provenance, value } = await Effect.runPromise(Effect.succeed(1.0842).pipe(Use.sourced({ maxAge: "1 day" })))
 * console.log(value, provenance._tag) // => 1.0842 Fresh
 * ```
 */
import { Provenance } from "@breakwater/core"
import type * as Duration from "effect/Duration"

export interface UseOptions {
  /**
   * The largest age of an answer from a cache, fresh or stale; at least 0. Below the cache's own freshness it refreshes the
   * answer sooner. @default fresh answers only, no stale ones
   */
  readonly maxAge?: Duration.Input | undefined
}

/** The value with its provenance, no older than the call accepts. Throws when the age is out of range. */
export const sourced = ({ maxAge }: UseOptions = {}) =>
  maxAge === undefined ? Provenance.withProvenance : Provenance.acceptStale(maxAge)

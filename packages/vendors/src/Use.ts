/**
 * What a use of an answer accepts. How old is too old is said with the call and for this call alone: what a page accepts
 * around it (`Provenance.acceptStale`) is not taken over, or a price that is asked for within a display would be made of a
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
import * as Effect from "effect/Effect"

export interface UseOptions {
  /**
   * How old an answer from a cache may be, past its time or not; at least 0. Shorter than its time it makes the vendor be
   * asked sooner. @default what is within its time, and nothing past it (ours)
   */
  readonly maxAge?: Duration.Input | undefined
}

/** The value and where it comes from, as old as a use accepts. Throws when the age is out of its range. */
export const sourced = ({ maxAge }: UseOptions = {}) => {
  const told = maxAge === undefined ? Provenance.withProvenance : Provenance.acceptStale(maxAge)
  return <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<Provenance.Sourced<A>, E, R> => tellingOn(told(self))
}

/** Whoever asks outside for the provenance (`Provenance.withProvenance`) hears of it as well. */
export const tellingOn = <A extends { readonly provenance: Provenance.Provenance }, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const outside = fiber.getRef(Provenance.Acceptance)
    return outside === undefined ? self : Effect.map(self, (answer) => {
      outside.tell(answer.provenance)
      return answer
    })
  })

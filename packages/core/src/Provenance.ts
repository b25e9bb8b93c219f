/**
 * Where a value comes from, and how old it is: a degraded answer says so in its type. Nothing stale is ever given to a
 * caller who has not said how old is too old, and who says it gets the provenance with the value.
 *
 * @example
 * ```ts
 * import { Provenance } from "@breakwater/core"
 * import { Effect } from "effect"
 *
 * // For a display, yesterday's rate is better than none; for a price it is not.
 * const rate = Effect.succeed(1.0842)
 * const shown = await Effect.runPromise(rate.pipe(Provenance.acceptStale("1 day")))
 * console.log(shown.value, shown.provenance._tag) // => 1.0842 Fresh
 * ```
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Range from "./Range.ts"

/** Asked for just now. */
export interface Fresh {
  readonly _tag: "Fresh"
}

/** From a cache, within its time. */
export interface Cached {
  readonly _tag: "Cached"
  readonly age: Duration.Duration
}

/**
 * From a cache, past its time. `because` says why there was nothing better: the tag of the reason the call failed for,
 * `Slow` when it took too long, `Revalidating` when it is made in the background.
 */
export interface Stale {
  readonly _tag: "Stale"
  readonly age: Duration.Duration
  readonly because: string
}

/**
 * From another vendor than the first; `because` is the tag of the reason the first one failed for. `age` is there when the
 * answer was in that vendor's cache.
 */
export interface Fallback {
  readonly _tag: "Fallback"
  readonly from: string
  readonly because: string
  readonly age?: Duration.Duration | undefined
}

export type Provenance = Fresh | Cached | Stale | Fallback

export const fresh: Provenance = { _tag: "Fresh" }

/** A value, and where it comes from. */
export interface Sourced<A> {
  readonly value: A
  readonly provenance: Provenance
}

/** How old an answer from a cache may be, and who hears where it came from. */
export interface Acceptance {
  /** In milliseconds; `undefined` for all that is within its time. */
  readonly maxAgeMillis: number | undefined
  tell(provenance: Provenance): void
}

/** What the caller accepts; `undefined` when it has not said: then nothing that is past its time, and nobody is told. */
export const Acceptance: Context.Reference<Acceptance | undefined> = Context.Reference<Acceptance | undefined>(
  "breakwater/Provenance/Acceptance",
  { defaultValue: () => undefined }
)

/**
 * Takes an answer from a cache up to this age, past its time or not, and says where it came from. A shorter age than the
 * cache's own makes it ask the vendor sooner. It is for one call: of several within, the last to end is told of.
 */
export const acceptStale = (maxAge: Duration.Input) => {
  const maxAgeMillis = Range.durationOrZero("Provenance: maxAge", maxAge)
  return <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<Sourced<A>, E, R> => told(self, maxAgeMillis)
}

/** Says where a value came from, without taking any that is past its time. */
export const withProvenance = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<Sourced<A>, E, R> =>
  told(self, undefined)

const told = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  maxAgeMillis: number | undefined
): Effect.Effect<Sourced<A>, E, R> =>
  Effect.suspend(() => {
    let provenance: Provenance = fresh
    const acceptance: Acceptance = {
      maxAgeMillis,
      tell: (told) => {
        provenance = told
      }
    }
    return Effect.map(Effect.provideService(self, Acceptance, acceptance), (value) => ({ value, provenance }))
  })

/** How old a value from a cache is; zero for all others. */
export const age = (provenance: Provenance): Duration.Duration =>
  provenance._tag === "Fresh" ? Duration.zero : provenance.age ?? Duration.zero

/**
 * The provenance of a value: its origin and its age, so that a degraded answer shows in its type. A caller gets a stale
 * value only after it has said how old is too old, and it gets the provenance with the value.
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

/** Fetched from the vendor for this call. */
export interface Fresh {
  readonly _tag: "Fresh"
}

/** From a cache, and still fresh. */
export interface Cached {
  readonly _tag: "Cached"
  readonly age: Duration.Duration
}

/**
 * From a cache, and past expiry. `because` is the cause: the tag of the reason the vendor call failed for, `Slow` when
 * that call took too long, or `Revalidating` when it runs in the background.
 */
export interface Stale {
  readonly _tag: "Stale"
  readonly age: Duration.Duration
  readonly because: string
}

/**
 * From a fallback vendor. `because` is the tag of the reason the first vendor failed for. `age` is set when the answer
 * was in the fallback vendor's cache.
 */
export interface Fallback {
  readonly _tag: "Fallback"
  readonly from: string
  readonly because: string
  readonly age?: Duration.Duration | undefined
}

export type Provenance = Fresh | Cached | Stale | Fallback

export const fresh: Provenance = { _tag: "Fresh" }

/** A value and its provenance. */
export interface Sourced<A> {
  readonly value: A
  readonly provenance: Provenance
}

/** The maximum age of a cached answer, and the function that is told its provenance. */
export interface Acceptance {
  /** In milliseconds; `undefined` accepts fresh answers only. */
  readonly maxAgeMillis: number | undefined
  /** Reports the provenance of an answer, once for each answer. */
  tell(provenance: Provenance): void
}

/** The acceptance of the current caller; `undefined` accepts fresh answers only and reports no provenance. */
export const Acceptance: Context.Reference<Acceptance | undefined> = Context.Reference<Acceptance | undefined>(
  "breakwater/Provenance/Acceptance",
  { defaultValue: () => undefined }
)

/**
 * Accepts a cached answer up to this age, fresh or stale, and returns it with its provenance. An age below the cache's
 * own makes the cache call the vendor sooner. Around several calls the provenance is that of the {@link worse} one. It
 * is also reported to an enclosing `acceptStale` or `withProvenance`, whose own age does not hold in here.
 */
export const acceptStale = (maxAge: Duration.Input) => {
  const maxAgeMillis = Range.durationOrZero("Provenance: maxAge", maxAge)
  return <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<Sourced<A>, E, R> => told(self, maxAgeMillis)
}

/** Returns a value with its provenance as {@link acceptStale} does, and accepts no stale one. */
export const withProvenance = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<Sourced<A>, E, R> =>
  told(self, undefined)

const told = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  maxAgeMillis: number | undefined
): Effect.Effect<Sourced<A>, E, R> =>
  Effect.withFiber((fiber) => {
    const outside = fiber.getRef(Acceptance)
    let provenance: Provenance = fresh
    const acceptance: Acceptance = {
      maxAgeMillis,
      tell: (told) => {
        provenance = worse(provenance, told)
      }
    }
    return Effect.map(Effect.provideService(self, Acceptance, acceptance), (value) => {
      outside?.tell(provenance)
      return { value, provenance }
    })
  })

const ranks = { Fresh: 0, Cached: 1, Stale: 2, Fallback: 3 } as const

/**
 * The provenance of a value that comes from two others: the kind that is further from a fresh answer of the first
 * vendor (`Fresh`, `Cached`, `Stale`, `Fallback`), and the larger age.
 */
export const worse = (one: Provenance, other: Provenance): Provenance => {
  const isOther = ranks[other._tag] > ranks[one._tag] ||
    (other._tag === one._tag && Duration.isGreaterThan(age(other), age(one)))
  const [further, nearer] = isOther ? [other, one] : [one, other]
  return further._tag === "Fresh" || !Duration.isGreaterThan(age(nearer), age(further))
    ? further
    : { ...further, age: age(nearer) }
}

/** The age of a cached value; zero for all others. */
export const age = (provenance: Provenance): Duration.Duration =>
  provenance._tag === "Fresh" ? Duration.zero : provenance.age ?? Duration.zero

/**
 * Sends a call a second time while the first is still running, takes whichever answer comes first, and cancels the other:
 * against a vendor that is sometimes slow, not against one that is down. It is for `Idempotent` operations, and for
 * `Keyed` ones where the vendor is known to take two requests under one key at the same time. Hedges are paid from the
 * same budget as retries. (Dean and Barroso, "The Tail at Scale", Communications of the ACM 56(2), 2013.)
 *
 * @example
 * ```ts
 * import { Stack } from "@breakwater/core"
 * import { Effect } from "effect"
 *
 * let attempts = 0
 * const sometimesSlow = Effect.suspend(() => ++attempts === 1 ? Effect.never : Effect.succeed("ding"))
 * const stack = Stack.make({
 *   vendor: "acme",
 *   operation: "ring",
 *   safety: "Idempotent",
 *   policy: { hedge: { after: "20 millis" } }
 * })
 * console.log(await Effect.runPromise(stack.guard(sometimesSlow, () => undefined)), attempts) // => ding 2
 * ```
 */
import * as Duration from "effect/Duration"
import * as Range from "../Range.ts"
import { Latencies } from "./Hedge/Latencies.ts"

/** After the time that a share of the last answers took: 0.95 hedges about one call in twenty. */
export interface Quantile {
  /** The share of answers, more than 0, less than 1. @default 0.95 (Dean and Barroso) */
  readonly quantile?: number | undefined
  /** How many answers must have been seen; no call is hedged before. A whole number of at least 1. @default 50 (ours) */
  readonly minimumAnswers?: number | undefined
  /** What is remembered, longer than 0; the older half is forgotten at once. @default "1 minute" (ours) */
  readonly window?: Duration.Input | undefined
}

export interface HedgeOptions {
  /**
   * When the next attempt begins while those before it are running.
   *
   * - A duration: that long after the one before; 0 for all at once.
   * - A `Quantile` of how long answers took.
   * - `"OnFailure"`: never; only when those before have failed for a passing reason.
   * - A function of the number of the hedge, from 1: as it says.
   *
   * In every mode the next one begins at once when those before have failed.
   * @default a quantile of 0.95
   */
  readonly after?: Duration.Input | Quantile | "OnFailure" | ((hedge: number) => Duration.Input) | undefined
  /** Attempts besides the first; a whole number from 1 to 10. @default 1 (as Polly) */
  readonly hedges?: number | undefined
  /** Whether `Keyed` operations are hedged as well. @default false */
  readonly keyed?: boolean | undefined
}

export interface Hedge {
  /** Attempts besides the first. */
  readonly hedges: number
  readonly keyed: boolean
  /** Milliseconds from the begin of one attempt to that of the next; `Infinity` for never. */
  delay(hedge: number, now: number): number
  /** An attempt has been answered after so many milliseconds. */
  record(durationMillis: number, now: number): void
}

/** Makes the hedge of one operation. Throws when an option is out of its range. */
export const make = (options: HedgeOptions = {}): Hedge => {
  const { after = {}, keyed = false } = options
  const hedges = Range.whole("Hedge: hedges", options.hedges ?? 1, 1)
  Range.between("Hedge: hedges", hedges, 1, 10)
  const plain = (delay: (hedge: number) => number): Hedge => ({ hedges, keyed, delay, record() {} })
  if (after === "OnFailure") return plain(() => Infinity)
  if (typeof after === "function") return plain((hedge) => Range.durationOrZero("Hedge: after", after(hedge)))
  if (!isQuantile(after)) {
    const millis = Range.durationOrZero("Hedge: after", after)
    return plain(() => millis)
  }
  const quantile = Range.share("Hedge: quantile", after.quantile ?? 0.95)
  if (quantile === 1) throw new Error("Hedge: quantile must be less than 1, got 1")
  const minimumAnswers = Range.whole("Hedge: minimumAnswers", after.minimumAnswers ?? 50, 1)
  const latencies = new Latencies(Range.duration("Hedge: window", after.window ?? Duration.minutes(1)))
  return {
    hedges,
    keyed,
    delay: (_, now) => latencies.count(now) < minimumAnswers ? Infinity : latencies.quantile(quantile, now),
    record: (durationMillis, now) => latencies.record(durationMillis, now)
  }
}

const isQuantile = (after: Duration.Input | Quantile): after is Quantile =>
  typeof after === "object" && !Duration.isDuration(after) && !Array.isArray(after) &&
  (Object.keys(after).length === 0 || "quantile" in after || "minimumAnswers" in after || "window" in after)

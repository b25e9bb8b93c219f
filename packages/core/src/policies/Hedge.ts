/**
 * Sends a call a second time while the first is still running, takes the first answer, and cancels the other. It helps
 * against a vendor that is sometimes slow, not against one that is down. It is for `Idempotent` operations, and for
 * `Keyed` ones whose vendor accepts two concurrent requests under one key. Hedges draw on the same budget as retries.
 * (Dean and Barroso, "The Tail at Scale", Communications of the ACM 56(2), 2013.) Defaults without a source are our own
 * judgement.
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

/** Hedges after a quantile of recent answer times: 0.95 hedges about one call in twenty. */
export interface Quantile {
  /** The quantile, more than 0, less than 1. @default 0.95 (Dean and Barroso) */
  readonly quantile?: number | undefined
  /** Answers needed before any call is hedged; a whole number of at least 1. @default 50 */
  readonly minimumAnswers?: number | undefined
  /** Time span of the remembered answers; longer than 0. The older half expires at once. @default "1 minute" */
  readonly window?: Duration.Input | undefined
}

export interface HedgeOptions {
  /**
   * The time of the next attempt while the earlier ones are running.
   *
   * - A duration: that long after the vendor has the previous attempt; 0 starts all at once.
   * - A `Quantile` of answer times.
   * - `"OnFailure"`: never; the next attempt begins only after the earlier ones failed for a passing reason.
   * - A function of the number of the hedge, from 1, that returns the delay.
   *
   * In every mode the next attempt begins at once when the earlier ones have failed.
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
  /** Milliseconds from the start of one attempt to the start of the next; `Infinity` for never. */
  delay(hedge: number, now: number): number
  /** Records an answer that took this long. */
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

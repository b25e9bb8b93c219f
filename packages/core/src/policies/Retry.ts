/**
 * Repeats a call that failed for a passing reason. A Schedule decides how long to wait and how often to retry; the
 * call's `Safety` and its fate decide whether to retry at all. It never repeats a call that the vendor rejected, whose
 * response cannot be decoded, or that our own gates refused. It never retries before a `Retry-After` has passed, and
 * then after up to a quarter of it more, at most 5 seconds, because other callers were told the same time.
 *
 * @example
 * ```ts
 * import { Retry, Stack, Unavailable } from "@breakwater/core"
 * import { Effect } from "effect"
 *
 * let attempts = 0
 * const flaky = Effect.suspend(() => ++attempts < 3 ? Effect.fail("busy") : Effect.succeed("ding"))
 * const retry = Retry.backoff({ retries: 5, base: "1 millis" })
 * const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent", policy: { retry } })
 *
 * console.log(await Effect.runPromise(stack.guard(flaky, () => new Unavailable(503))), attempts) // => ding 3
 * ```
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Range from "../Range.ts"
import { Facts, type Reason } from "../Reason.ts"
import { type Fate, mayRepeat, type Safety } from "../Safety.ts"
import type { VendorError } from "../VendorError.ts"

/** A schedule of delays. It sees the failure, and ends when there should be no further attempt. */
export type RetrySchedule = Schedule.Schedule<unknown, VendorError>

export interface BackoffOptions {
  /** Retries after the first attempt; a whole number of at least 0. @default 3 (as Polly) */
  readonly retries?: number | undefined
  /** The upper bound of the first delay; at least 0. @default "500 millis" (as undici's RetryAgent) */
  readonly base?: Duration.Input | undefined
  /** Growth factor of the bound with each retry; at least 1. @default 2 (as the AWS SDK) */
  readonly factor?: number | undefined
  /** The largest value of the bound; at least 0. @default "20 seconds" (as the AWS SDK) */
  readonly cap?: Duration.Input | undefined
}

/**
 * Exponential backoff with full jitter: before retry `n` a uniformly random delay between 0 and `min(cap, base *
 * factor^(n - 1))` (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). Throws when an option is
 * out of its range.
 */
export const backoff = (options: BackoffOptions = {}): RetrySchedule => {
  const retries = Range.whole("Retry: retries", options.retries ?? 3, 0)
  const baseMillis = Range.durationOrZero("Retry: base", options.base ?? Duration.millis(500))
  const factor = Range.atLeast("Retry: factor", options.factor ?? 2, 1)
  const capMillis = Range.durationOrZero("Retry: cap", options.cap ?? Duration.seconds(20))
  return Schedule.exponential(Duration.millis(baseMillis), factor).pipe(
    Schedule.modifyDelay(({ duration }) =>
      Effect.map(Random.next, (random) => Duration.millis(random * Math.min(capMillis, Duration.toMillis(duration))))
    ),
    Schedule.upTo({ times: retries })
  )
}

/**
 * Whether a failed attempt may be followed by another. A refusal by our own gates is final, because the same gate would
 * refuse again at once. `worst` is the fate of the whole call, this attempt included: an `Unsafe` call whose first
 * attempt may have acted is never repeated, even if the second did not.
 */
export const isWorthwhile = (safety: Safety, reason: Reason, worst: Fate): boolean =>
  reason.isRetryable && !Facts.isOurs(reason) && mayRepeat(safety, worst)

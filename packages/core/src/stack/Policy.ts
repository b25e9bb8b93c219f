/**
 * How the calls of a vendor, or of one of its operations, are guarded: plain data with safe defaults. An operation's
 * policy is laid over its vendor's, setting by setting.
 *
 * @example
 * ```ts
 * import { Policy, Stack } from "@breakwater/core"
 *
 * const patient: Policy.Policy = { ...Policy.write, deadline: "1 minute", retry: { retries: 5, base: "1 second" } }
 * const stack = Stack.make({ vendor: "acme", operation: "order", safety: "Keyed", policy: patient })
 * console.log(stack.plan.deadlineMillis, stack.plan.attemptMillis) // => 60000 8000
 * ```
 */
import * as ByteSize from "effect/ByteSize"
import * as Duration from "effect/Duration"
import type { CacheOptions } from "../caching/CacheOptions.ts"
import type { Gate } from "../Gate.ts"
import type * as AdaptiveLimit from "../policies/AdaptiveLimit.ts"
import type * as Breaker from "../policies/Breaker.ts"
import type * as Bulkhead from "../policies/Bulkhead.ts"
import type * as Hedge from "../policies/Hedge.ts"
import type * as RateLimit from "../policies/RateLimit.ts"
import type * as Retry from "../policies/Retry.ts"
import type * as RetryBudget from "../policies/RetryBudget.ts"
import type * as Throttle from "../policies/Throttle.ts"
import * as Range from "../Range.ts"

/**
 * A gate made elsewhere can be given instead of its options, to share it or to look at it. `false` leaves it out. Every
 * time is longer than 0 and finite. Where a default names no source, it is ours.
 */
export interface Policy {
  /** The whole operation, with all its attempts and waits. @default "10 seconds" */
  readonly deadline?: Duration.Input | undefined
  /** One attempt, from its start to the end of the body; at most the deadline. @default "3 seconds" */
  readonly attemptTimeout?: Duration.Input | undefined
  /** Until there is a connection; at most the attempt's. @default "1 second" */
  readonly connectTimeout?: Duration.Input | undefined
  /** From the first byte sent to the first header received; at most the attempt's. @default the attempt's */
  readonly headersTimeout?: Duration.Input | undefined
  /** From the headers to the end of the body; at most the attempt's. @default the attempt's */
  readonly bodyTimeout?: Duration.Input | undefined
  /** Between two pieces of the body; at most the body's. @default the body's */
  readonly bodyIdleTimeout?: Duration.Input | undefined
  /** The largest body that is read, in bytes, at least 1; a larger one is an error. @default 8 MiB */
  readonly maxResponseSize?: ByteSize.Input | undefined
  /**
   * When a failed attempt is repeated; the range of each option is said where it is declared, here as in the gates.
   * @default 3 retries, exponential from 500 ms, full jitter, capped at 20 s
   */
  readonly retry?: Retry.RetrySchedule | Retry.BackoffOptions | false | undefined
  /** How much retries may add to the load, over all operations of the vendor. @default 10 % of the calls */
  readonly retryBudget?: RetryBudget.RetryBudget | RetryBudget.RetryBudgetOptions | false | undefined
  /**
   * When a slow attempt is joined by another; for `Idempotent` operations, and for `Keyed` ones where it says so.
   * @default never
   */
  readonly hedge?: Hedge.HedgeOptions | false | undefined
  /** When the vendor is left alone. @default half of at least 20 calls in 30 s failed or slow; slow is two thirds of the attempt's timeout */
  readonly breaker?: Breaker.Breaker | Breaker.BreakerOptions | false | undefined
  /** How often the vendor may be called. @default no limit of ours; a vendor declares its own */
  readonly rateLimit?: RateLimit.RateLimit | RateLimit.RateLimitOptions | false | undefined
  /** How many calls may run at once. @default 64, with a queue of 64; none beside an adaptive limit */
  readonly bulkhead?: Bulkhead.Bulkhead | Bulkhead.BulkheadOptions | false | undefined
  /** How many attempts may run at once, where that is to be learnt. @default none */
  readonly adaptiveLimit?: AdaptiveLimit.AdaptiveLimit | AdaptiveLimit.AdaptiveLimitOptions | false | undefined
  /** How much less is sent while the vendor turns much away. @default none */
  readonly throttle?: Throttle.Throttle | Throttle.ThrottleOptions | false | undefined
  /** Which answers are remembered; for `Idempotent` operations. @default none */
  readonly cache?: CacheOptions | false | undefined
  /** Gates of your own, asked after ours. @default none */
  readonly gates?: {
    /** Once for each operation, in this order. @default none */
    readonly operation?: ReadonlyArray<Gate> | undefined
    /** For each of its attempts, in this order. @default none */
    readonly attempt?: ReadonlyArray<Gate> | undefined
  } | undefined
}

/** Reads: the defaults, said aloud so that they can be laid over a vendor's policy for writes. */
export const read: Policy = { attemptTimeout: Duration.seconds(3), deadline: Duration.seconds(10) }

/** Writes, which vendors take longer over: 8 s an attempt, 20 s in all. */
export const write: Policy = { attemptTimeout: Duration.seconds(8), deadline: Duration.seconds(20) }

/** The limits of time and size of a policy, in the units the stack counts in. */
export interface Limits {
  readonly deadlineMillis: number
  readonly attemptMillis: number
  readonly connectMillis: number
  readonly headersMillis: number
  readonly bodyMillis: number
  readonly bodyIdleMillis: number
  readonly maxResponseBytes: number
}

/** Throws when the limits contradict each other. */
export const limits = (policy: Policy): Limits => {
  const deadlineMillis = Range.duration("Policy: deadline", policy.deadline ?? Duration.seconds(10))
  const attemptMillis = policy.attemptTimeout === undefined
    ? Math.min(3_000, deadlineMillis)
    : Range.duration("Policy: attemptTimeout", policy.attemptTimeout)
  const within = (
    name: string,
    input: Duration.Input | undefined,
    fallback: number,
    outer = "attemptTimeout",
    outerMillis = attemptMillis
  ): number => {
    const millis = input === undefined ? Math.min(fallback, outerMillis) : Range.duration(`Policy: ${name}`, input)
    if (millis > outerMillis) {
      throw new Error(`Policy: ${name} (${millis} ms) is longer than ${outer} (${outerMillis} ms)`)
    }
    return millis
  }
  if (attemptMillis > deadlineMillis) {
    throw new Error(`Policy: attemptTimeout (${attemptMillis} ms) is longer than deadline (${deadlineMillis} ms)`)
  }
  const bodyMillis = within("bodyTimeout", policy.bodyTimeout, attemptMillis)
  return {
    deadlineMillis,
    attemptMillis,
    connectMillis: within("connectTimeout", policy.connectTimeout, 1_000),
    headersMillis: within("headersTimeout", policy.headersTimeout, attemptMillis),
    bodyMillis,
    bodyIdleMillis: within("bodyIdleTimeout", policy.bodyIdleTimeout, bodyMillis, "bodyTimeout", bodyMillis),
    maxResponseBytes: policy.maxResponseSize === undefined
      ? 8 * 1024 * 1024
      : Range.whole(
        "Policy: maxResponseSize",
        ByteSize.toNumberUnsafe(ByteSize.fromInputUnsafe(policy.maxResponseSize)),
        1
      )
  }
}

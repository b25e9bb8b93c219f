/**
 * The policies around the calls of a vendor, or of one of its operations: plain data with safe defaults. An operation's
 * settings override its vendor's, one by one.
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
 * The settings of a policy. Pass a gate instead of its options to share or inspect it; `false` leaves it out. Every
 * time is longer than 0 and finite. Defaults without a source are our own judgement.
 */
export interface Policy {
  /** Time for the whole operation, with all its attempts and waits. @default "10 seconds" */
  readonly deadline?: Duration.Input | undefined
  /** Time for one attempt, from its start to the end of the body; at most the deadline. @default "3 seconds" */
  readonly attemptTimeout?: Duration.Input | undefined
  /** Time until there is a connection, and before that until there is a secret; at most the attempt's. @default "1 second" */
  readonly connectTimeout?: Duration.Input | undefined
  /** Time from the first byte sent to the first header received; at most the attempt's. @default the attempt's */
  readonly headersTimeout?: Duration.Input | undefined
  /** Time from the headers to the end of the body; at most the attempt's. @default the attempt's */
  readonly bodyTimeout?: Duration.Input | undefined
  /** Time between two pieces of the body; at most the body's. @default the body's */
  readonly bodyIdleTimeout?: Duration.Input | undefined
  /** The largest response body, in bytes, at least 1; a larger one is an error. @default 8 MiB */
  readonly maxResponseSize?: ByteSize.Input | undefined
  /**
   * Retries of failed attempts. The options document their ranges, here as in the gates.
   * @default 3 retries, exponential from 500 ms, full jitter, capped at 20 s
   */
  readonly retry?: Retry.RetrySchedule | Retry.BackoffOptions | false | undefined
  /** Bound on the load that retries add, over all operations of the vendor. @default 10 % of the calls */
  readonly retryBudget?: RetryBudget.RetryBudget | RetryBudget.RetryBudgetOptions | false | undefined
  /**
   * Hedging of slow attempts; for `Idempotent` operations, and for `Keyed` ones if the option says so.
   * @default never
   */
  readonly hedge?: Hedge.HedgeOptions | false | undefined
  /**
   * Circuit breaker.
   * @default half of at least 20 calls in 30 s failed or slow; slow is two thirds of the attempt's timeout
   */
  readonly breaker?: Breaker.Breaker | Breaker.BreakerOptions | false | undefined
  /**
   * Limit on the rate of calls. Without one of its own, it holds a key's calls while the vendor asks for that in a 429
   * or 503 with `Retry-After`; `false` switches that off too.
   * @default no limit; a vendor declares its own
   */
  readonly rateLimit?: RateLimit.RateLimit | RateLimit.RateLimitOptions | false | undefined
  /** Limit on concurrent calls. @default 64, with a queue of 64; none beside an adaptive limit */
  readonly bulkhead?: Bulkhead.Bulkhead | Bulkhead.BulkheadOptions | false | undefined
  /** Learnt limit on concurrent attempts. @default none */
  readonly adaptiveLimit?: AdaptiveLimit.AdaptiveLimit | AdaptiveLimit.AdaptiveLimitOptions | false | undefined
  /** Throttle that sends fewer calls while the vendor rejects a large share of them. @default none */
  readonly throttle?: Throttle.Throttle | Throttle.ThrottleOptions | false | undefined
  /** Caching of answers; for `Idempotent` operations. @default none */
  readonly cache?: CacheOptions | false | undefined
  /** Your own gates, which run after ours. @default none */
  readonly gates?: {
    /** Gates that run once per operation, in this order. @default none */
    readonly operation?: ReadonlyArray<Gate> | undefined
    /** Gates that run for each attempt, in this order. @default none */
    readonly attempt?: ReadonlyArray<Gate> | undefined
  } | undefined
}

/**
 * The share of an attempt's time from which an answer is slow, and from which an attempt that its caller gives up counts
 * against the vendor. Our own judgement.
 */
export const slowShare = 2 / 3

/** The defaults for reads, spelled out so they can override a vendor's write policy. */
export const read: Policy = { attemptTimeout: Duration.seconds(3), deadline: Duration.seconds(10) }

/** The defaults for writes, which take vendors longer: 8 s an attempt, 20 s in all. */
export const write: Policy = { attemptTimeout: Duration.seconds(8), deadline: Duration.seconds(20) }

/** The limits of time and size of a policy, in the units used internally. */
export interface Limits {
  readonly deadlineMillis: number
  readonly attemptMillis: number
  readonly connectMillis: number
  readonly headersMillis: number
  readonly bodyMillis: number
  readonly bodyIdleMillis: number
  readonly maxResponseBytes: number
}

/** Computes the limits of a policy. Throws when they contradict each other. */
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

/** A policy laid over another one, setting by setting. A setting that is `undefined` says nothing: the lower one stays. */
export const over = (lower: Policy, upper: Policy | undefined): Policy => {
  const said = Object.entries(upper ?? {}).filter(([, setting]) => setting !== undefined)
  return { ...lower, ...Object.fromEntries(said) }
}

import type { Gate } from "@breakwater/core/Gate"
import * as AdaptiveLimit from "@breakwater/core/policies/AdaptiveLimit"
import * as Breaker from "@breakwater/core/policies/Breaker"
import * as Bulkhead from "@breakwater/core/policies/Bulkhead"
import * as RateLimit from "@breakwater/core/policies/RateLimit"
import type * as Policy from "@breakwater/core/stack/Policy"
import * as Stack from "@breakwater/core/stack/Stack"
import { isVendorError, Unavailable } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { intBetween } from "../../../drivers/IntBetween.ts"
import { type Play, vendor } from "../../../drivers/PlayedVendor.ts"
import * as Effort from "../../../setup/Effort.ts"

const stack = (policy: Policy.Policy) =>
  Stack.make({
    vendor: "acme",
    operation: "rate",
    safety: "Idempotent",
    policy: { bulkhead: false, retryBudget: false, deadline: "10 minutes", attemptTimeout: "1 minute", ...policy }
  })

/** Makes calls together, and lets them end on virtual time. */
const together = <A, E>(count: number, call: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(
      Effect.all(Array.from({ length: count }, () => Effect.exit(call)), { concurrency: "unbounded" })
    )
    yield* TestClock.adjust("20 minutes")
    return yield* Fiber.join(fiber)
  })

/** The most attempts that began within any span of so many milliseconds. */
const mostWithin = (millis: number, seen: ReadonlyArray<{ readonly at: number }>): number => {
  const times = seen.map(({ at }) => at).toSorted((a, b) => a - b)
  return Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + millis).length))
}

describe("adaptive × rate limit", () => {
  it.effect("no more requests start in a second than the limit allows, although places become free in bursts", () =>
    Effect.gen(function*() {
      // The first ten hold all places for three seconds.
      const { leaf, seen } = vendor((index) => ({ after: index < 10 ? 3_000 : 10 }))
      const rateLimit = RateLimit.make({ limit: 10, maxWait: "5 minutes" })
      const adaptiveLimit = AdaptiveLimit.make({ initialLimit: 10, maxLimit: 10, maxWait: "5 minutes" })
      const exits = yield* together(60, stack({ rateLimit, adaptiveLimit }).call(leaf))
      assert.isTrue(exits.every(Exit.isSuccess))
      assert.isAtMost(mostWithin(1_000, seen), 10)
    }))

  it.effect("a call that waits for a permit holds no place", () =>
    Effect.gen(function*() {
      const { leaf } = vendor(() => ({ after: 10 }))
      const rateLimit = RateLimit.make({ limit: 1, window: "1 minute", maxWait: "5 minutes" })
      const adaptiveLimit = AdaptiveLimit.make({ initialLimit: 5, maxLimit: 5 })
      const call = stack({ rateLimit, adaptiveLimit }).call(leaf)
      const calls = yield* Effect.forkChild(Effect.all([call, call, call], { concurrency: "unbounded" }))
      yield* TestClock.adjust("20 millis")
      assert.deepStrictEqual([rateLimit.waitingIn("acme"), adaptiveLimit.running("acme")], [2, 0])
      yield* TestClock.adjust("5 minutes")
      yield* Fiber.join(calls)
      assert.strictEqual(adaptiveLimit.running("acme"), 0)
    }))

  it.effect.prop(
    "both hold for any limits and any times: never more than the permits, never more than the places, and all calls end",
    {
      permits: intBetween(1, 6),
      places: intBetween(1, 6),
      times: Schema.Array(intBetween(1, 2_000)).check(Schema.isMinLength(1)),
      count: intBetween(1, 30),
      failures: Schema.Array(Schema.Boolean)
    },
    ({ count, failures, permits, places, times }) =>
      Effect.gen(function*() {
        const play = (index: number): Play => ({
          after: times[index % times.length]!,
          ...(failures[index] === true ? { reason: new Unavailable(503) } : {})
        })
        const { leaf, seen } = vendor(play)
        let [running, most] = [0, 0]
        const counter: Gate = {
          name: "counter",
          admit() {
            most = Math.max(most, ++running)
            return { _tag: "Permit", settle: () => running--, cancel: () => running-- }
          }
        }
        const rateLimit = RateLimit.make({ limit: permits, maxWait: "10 minutes" })
        const adaptiveLimit = AdaptiveLimit.make({
          algorithm: { _tag: "Vegas" },
          initialLimit: places,
          minLimit: places,
          maxLimit: places,
          maxWait: "10 minutes"
        })
        const guarded = stack({
          rateLimit,
          adaptiveLimit,
          breaker: false,
          retry: { retries: 1 },
          gates: { attempt: [counter] }
        })
        const exits = yield* together(count, guarded.call(leaf))
        assert.strictEqual(exits.length, count)
        assert.isAtMost(mostWithin(1_000, seen), permits)
        assert.isAtMost(most, places)
        assert.deepStrictEqual([running, rateLimit.waitingIn("acme"), adaptiveLimit.running("acme")], [0, 0, 0])
      }).pipe(Effect.provide(TestClock.layer())),
    { arbitrary: { runs: Effort.runs(300) } }
  )
})

describe("an open circuit", () => {
  const open = Effect.gen(function*() {
    const breaker = Breaker.make({
      trip: { _tag: "Consecutive", failures: 1 },
      openFor: "1 hour",
      maxOpenFor: "1 hour"
    })
    const { leaf, seen } = vendor((index) => index === 0 ? { after: 10, reason: new Unavailable(503) } : { after: 10 })
    const failing = yield* Effect.forkChild(Effect.exit(stack({ breaker, retry: false }).call(leaf)))
    yield* TestClock.adjust(20)
    yield* Fiber.join(failing)
    return { breaker, leaf, seen }
  })

  /** The reason of a call, and how long it took to hear it. */
  const heard = (call: Effect.Effect<unknown, unknown>) =>
    Effect.gen(function*() {
      const now = Effect.clockWith((clock) => clock.currentTimeMillis)
      const from = yield* now
      const fiber = yield* Effect.forkChild(Effect.flatMap(Effect.flip(call), (error) =>
        Effect.map(now, (to) => [isVendorError(error) ? error.reason._tag : error, to - from])))
      yield* TestClock.adjust("2 minutes")
      return yield* Fiber.join(fiber)
    })

  it.effect("is heard at once, and not after the queue of a rate limit", () =>
    Effect.gen(function*() {
      const { breaker, leaf, seen } = yield* open
      const rateLimit = RateLimit.make({ limit: 1, window: "20 seconds", maxWait: "1 minute" })
      // Takes the only permit.
      yield* Effect.forkChild(stack({ breaker: false, rateLimit }).call(vendor(() => ({ after: 1 })).leaf))
      yield* TestClock.adjust(5)
      const call = stack({ breaker, rateLimit, retry: false }).call(leaf)
      assert.deepStrictEqual(yield* heard(call), ["CircuitOpen", 0])
      assert.deepStrictEqual([seen.length, rateLimit.waitingIn("acme")], [1, 0])
    }))

  it.effect("nor after that of a bulkhead or an adaptive limit", () =>
    Effect.gen(function*() {
      const { breaker, leaf } = yield* open
      const bulkhead = Bulkhead.make({ limit: 1, maxWait: "1 minute" })
      const adaptiveLimit = AdaptiveLimit.make({ initialLimit: 1, maxLimit: 1, maxWait: "1 minute" })
      for (const limit of [{ bulkhead }, { adaptiveLimit }]) {
        const busy = stack({ breaker: false, retry: false, ...limit }).call(vendor(() => "never").leaf)
        const holder = yield* Effect.forkChild(busy)
        yield* TestClock.adjust(5)
        const call = stack({ breaker, retry: false, ...limit }).call(leaf)
        assert.deepStrictEqual(yield* heard(call), ["CircuitOpen", 0])
        yield* Fiber.interrupt(holder)
      }
      assert.deepStrictEqual([bulkhead.inUse("acme"), adaptiveLimit.waiting("acme")], [{ running: 0, waiting: 0 }, 0])
    }))

  it.effect("that is probed by another call is heard at once as well", () =>
    Effect.gen(function*() {
      const { breaker } = yield* open
      yield* TestClock.adjust("2 hours")
      const rateLimit = RateLimit.make({ limit: 1, window: "20 seconds", maxWait: "1 minute" })
      const guarded = stack({ breaker, rateLimit, retry: false })
      const probe = yield* Effect.forkChild(guarded.call(vendor(() => "never").leaf))
      yield* TestClock.adjust(5)
      assert.deepStrictEqual(yield* heard(guarded.call(vendor(() => ({ after: 1 })).leaf)), ["CircuitOpen", 0])
      yield* Fiber.interrupt(probe)
    }))
})

/** The adaptive limit and the throttle in their places in the stack. */
import * as AdaptiveLimit from "@breakwater/core/policies/AdaptiveLimit"
import * as Throttle from "@breakwater/core/policies/Throttle"
import { withPriority } from "@breakwater/core/Priority"
import * as Order from "@breakwater/core/stack/Order"
import * as Policy from "@breakwater/core/stack/Policy"
import * as Stack from "@breakwater/core/stack/Stack"
import { Unavailable } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Random } from "effect"
import { TestClock } from "effect/testing"

const stack = (policy: Policy.Policy) =>
  Stack.make({
    vendor: "acme",
    operation: "rate",
    safety: "Idempotent",
    policy: { breaker: false, retryBudget: false, retry: false, ...policy }
  })

const failed = () => new Unavailable(503)

const reasonOf = (exit: Exit.Exit<unknown, unknown>) => {
  const error = Option.getOrUndefined(Exit.findErrorOption(exit))
  return typeof error === "object" && error !== null && "reason" in error
    ? (error.reason as { _tag: string })._tag
    : error
}

describe("a stack with an adaptive limit", () => {
  it.effect("runs no more attempts at once than the limit, retries included", () =>
    Effect.gen(function*() {
      let [running, most, attempts] = [0, 0, 0]
      const attempt = Effect.suspend(() => {
        attempts++
        most = Math.max(most, ++running)
        return Effect.ensuring(
          Effect.andThen(Effect.sleep(10), attempts % 2 === 0 ? Effect.fail("busy") : Effect.void),
          Effect.sync(() => running--)
        )
      })
      const guarded = stack({
        adaptiveLimit: { initialLimit: 5, maxLimit: 5, queue: 200, maxWait: "5 seconds" },
        retry: { retries: 3, base: "10 millis" }
      })
      const fiber = yield* Effect.forkChild(
        Effect.all(Array.from({ length: 100 }, () => Effect.exit(guarded.guard(attempt, failed))), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      assert.strictEqual(most, 5)
      assert.isAbove(attempts, 100)
    }))

  it.effect("holds no place while a call waits for its next attempt, and gives it back at any end of the call", () =>
    Effect.gen(function*() {
      const adaptiveLimit = AdaptiveLimit.make({ initialLimit: 1, queue: 5, maxWait: "1 second" })
      const guarded = stack({ adaptiveLimit, retry: { retries: 1, base: "1 second" } })
      const retrying = yield* Effect.forkChild(Effect.exit(guarded.guard(Effect.fail("busy"), failed)))
      yield* TestClock.adjust(1)
      assert.strictEqual(adaptiveLimit.running("acme"), 0)
      const endless = yield* Effect.forkChild(Effect.exit(guarded.guard(Effect.never, failed)))
      const waiting = yield* Effect.forkChild(Effect.exit(guarded.guard(Effect.void, failed)))
      yield* TestClock.adjust(1)
      assert.deepStrictEqual([adaptiveLimit.running("acme"), adaptiveLimit.waiting("acme")], [1, 1])
      yield* Fiber.interrupt(waiting)
      assert.strictEqual(adaptiveLimit.waiting("acme"), 0)
      yield* Fiber.interrupt(endless)
      assert.strictEqual(adaptiveLimit.running("acme"), 0)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(retrying)
      assert.deepStrictEqual([adaptiveLimit.running("acme"), adaptiveLimit.waiting("acme")], [0, 0])
    }))

  it.effect("lets a critical call take a place in a full queue, and refuses the one that loses it", () =>
    Effect.gen(function*() {
      const guarded = stack({ adaptiveLimit: { initialLimit: 1, queue: 1, maxWait: "5 seconds" } })
      const run = (name: string) =>
        Effect.forkChild(Effect.exit(Effect.as(guarded.guard(Effect.sleep(100), failed), name)))
      const first = yield* run("first")
      yield* TestClock.adjust(1)
      const normal = yield* run("normal")
      yield* TestClock.adjust(1)
      const critical = yield* run("critical").pipe(withPriority("Critical"))
      yield* TestClock.adjust(1)
      assert.strictEqual(reasonOf(yield* Fiber.join(normal)), "BulkheadFull")
      yield* TestClock.adjust(300)
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(first)))
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(critical)))
    }))

  it("has no bulkhead beside it, unless the policy asks for one", () => {
    assert.isDefined(Order.makeGates({}).bulkhead)
    assert.isUndefined(Order.makeGates({}).adaptiveLimit)
    assert.isUndefined(Order.makeGates({}).throttle)
    assert.isUndefined(Order.makeGates({ adaptiveLimit: {} }).bulkhead)
    assert.isDefined(Order.makeGates({ adaptiveLimit: {}, bulkhead: {} }).bulkhead)

    const shared = Order.makeGates({})
    assert.isUndefined(Order.overrideGates(shared, {}, { adaptiveLimit: {} }).bulkhead)
    assert.strictEqual(Order.overrideGates(shared, {}, { throttle: {} }).bulkhead, shared.bulkhead)
    const bounded = { bulkhead: {} }
    const own = Order.makeGates(bounded)
    assert.strictEqual(Order.overrideGates(own, bounded, { adaptiveLimit: {} }).bulkhead, own.bulkhead)
    const learning = { adaptiveLimit: {}, throttle: {} }
    const learnt = Order.makeGates(learning)
    assert.strictEqual(Order.overrideGates(learnt, learning, { deadline: 1 }).adaptiveLimit, learnt.adaptiveLimit)
    assert.strictEqual(Order.overrideGates(learnt, learning, { deadline: 1 }).throttle, learnt.throttle)
    const without = Order.overrideGates(learnt, learning, { adaptiveLimit: false, throttle: false })
    assert.isUndefined(without.adaptiveLimit)
    assert.isUndefined(without.throttle)
    assert.isDefined(without.bulkhead)
  })
})

describe("a stack with a throttle", () => {
  it.effect("sends a tenth of the calls to a vendor that rejects all, by the fibre's random numbers, and retries none", () =>
    Effect.gen(function*() {
      let attempts = 0
      const guarded = stack({ throttle: {}, retry: { retries: 3, base: 0 } })
      const attempt = Effect.suspend(() => {
        attempts++
        return Effect.fail("busy")
      })
      const thousand = Effect.forEach(Array.from({ length: 1_000 }), () => Effect.exit(guarded.guard(attempt, failed)))
      const warm = yield* Effect.forkChild(thousand)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(warm)
      attempts = 0
      const fiber = yield* Effect.forkChild(thousand)
      yield* TestClock.adjust("1 second")
      const exits = yield* Fiber.join(fiber)
      const throttled = exits.filter((exit) => reasonOf(exit) === "Throttled").length
      // A tenth passes; each failure is retried, and refused nine times of ten.
      assert.approximately(throttled / 1_000, 0.99, 0.02)
      assert.isAbove(attempts, 70)
      assert.isBelow(attempts, 160)
    }).pipe(Random.withSeed("throttle")))

  it.effect("refuses before the rate limit", () =>
    Effect.gen(function*() {
      const throttle = Throttle.make()
      const guarded = stack({ throttle, rateLimit: { limit: 100, window: "1 hour", queue: 0 } })
      const call = Effect.exit(guarded.guard(Effect.fail("busy"), failed))
      const ends: Array<unknown> = []
      for (let i = 0; i < 300; i++) ends.push(reasonOf(yield* call))
      // All of them would exceed the limit; those that pass do not.
      assert.notInclude(ends, "RateLimitExceeded")
      assert.include(ends, "Throttled")
    }).pipe(Random.withSeed("before")))
})

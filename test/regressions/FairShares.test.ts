/**
 * Attempts that their caller interrupts, as by `Effect.timeout` around the call: they never counted, and the breaker stayed
 * closed for ever on a vendor that hangs. Slow probes: they counted as failed ones, and `slowCallRate` was not asked.
 */
import * as Breaker from "@breakwater/core/policies/Breaker"
import * as Throttle from "@breakwater/core/policies/Throttle"
import { Unavailable } from "@breakwater/core/Reason"
import type * as Policy from "@breakwater/core/stack/Policy"
import * as Stack from "@breakwater/core/stack/Stack"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Random } from "effect"
import { TestClock } from "effect/testing"

/** Makes calls of a vendor, each of which its caller leaves after some milliseconds. */
const leave = (millis: number, policy: Policy.Policy, attempt: Effect.Effect<void> = Effect.never) =>
  Effect.gen(function*() {
    const stack = Stack.make({
      vendor: "acme",
      operation: "ring",
      safety: "Idempotent",
      policy: { attemptTimeout: "2 seconds", retry: false, bulkhead: false, ...policy }
    })
    const ring = stack.guard(attempt, () => undefined)
    for (let call = 0; call < 40; call++) {
      const fiber = yield* Effect.forkChild(Effect.timeoutOption(ring, millis))
      yield* TestClock.adjust(millis)
      yield* Effect.exit(Fiber.join(fiber))
    }
  })

const trip = { _tag: "Consecutive", failures: 5 } as const

describe("calls that their caller leaves", () => {
  it.effect.each<readonly [millis: number, state: Breaker.State]>([
    [10, "Closed"],
    [1_333, "Closed"],
    [1_334, "Open"],
    [1_999, "Open"]
  ])("after %d of 2000 ms leave a breaker %s", ([millis, state]) =>
    Effect.gen(function*() {
      const breaker = Breaker.make({ trip, openFor: "1 hour" })
      yield* leave(millis, { breaker })
      assert.strictEqual(breaker.state("acme/ring", 40 * millis), state)
    }))

  it.effect("open a breaker by its rate as well", () =>
    Effect.gen(function*() {
      const breaker = Breaker.make({ openFor: "1 hour" })
      yield* leave(1_400, { breaker })
      assert.strictEqual(breaker.state("acme/ring", 56_000), "Open")
    }))

  it.effect("are seen by a throttle", () =>
    Effect.gen(function*() {
      const throttle = Throttle.make()
      yield* leave(1_500, { throttle, breaker: false })
      assert.isAbove(throttle.worst("acme", 60_000), 0)
    }).pipe(Random.withSeed("shares")))

  it.effect("open a breaker although they are hedged, and an overtaken attempt is no evidence", () =>
    Effect.gen(function*() {
      const hedge = { after: 1_500, hedges: 1 } as const
      const interrupted = Breaker.make({ trip, openFor: "1 hour" })
      yield* leave(1_400, { breaker: interrupted, hedge })
      assert.strictEqual(interrupted.state("acme/ring", 56_000), "Open")
      const overtaken = Breaker.make({ trip: { _tag: "Consecutive", failures: 1 }, openFor: "1 hour" })
      let attempts = 0
      const every = Effect.suspend(() => attempts++ % 2 === 0 ? Effect.never : Effect.void)
      yield* leave(1_800, { breaker: overtaken, hedge, retryBudget: false }, every)
      assert.strictEqual(attempts, 80)
      assert.strictEqual(overtaken.state("acme/ring", 72_000), "Closed")
    }))
})

describe("a half-open breaker", () => {
  /** Opens a breaker by failures, and makes probes of which the first ones are slow. */
  const probe = (options: Breaker.BreakerOptions, slow: number) =>
    Effect.gen(function*() {
      const breaker = Breaker.make({ ...options, openFor: "30 seconds", slowCall: "500 millis", probes: [10] })
      const make = (attempt: Effect.Effect<void, string>) => {
        const policy = { breaker, retry: false, bulkhead: false } as const
        const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent", policy })
        return Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(Effect.exit(stack.guard(attempt, () => new Unavailable(503))))
          yield* TestClock.adjust("600 millis")
          yield* Fiber.join(fiber)
        })
      }
      for (let call = 0; call < 20; call++) yield* make(Effect.fail("busy"))
      yield* TestClock.adjust("30 seconds")
      for (let call = 0; call < 10; call++) yield* make(call < slow ? Effect.sleep(550) : Effect.void)
      const now = yield* Effect.clockWith((clock) => Effect.succeed(Number(clock.monotonicTimeNanosUnsafe()) / 1e6))
      return breaker.state("acme/ring", now)
    })
  const window = { _tag: "TimeWindow", window: "1 minute" } as const

  it.effect.each<readonly [Breaker.Trip, slow: number, isClosed: boolean]>([
    [{ ...window, slowCallRate: 1 }, 9, true],
    [{ ...window, slowCallRate: 1 }, 10, false],
    [{ ...window, slowCallRate: 0.8, failureRate: 0.2 }, 7, true],
    [{ ...window, slowCallRate: 0.3 }, 3, false],
    [window, 4, true],
    [{ _tag: "Consecutive" }, 5, false],
    [{ _tag: "Consecutive" }, 4, true]
  ])(
    "is no stricter about slow calls than a closed one: %j, %d of 10, closes: %s",
    ([trip, slow, isClosed]) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* probe({ trip }, slow)) === "Closed", isClosed)
      })
  )
})

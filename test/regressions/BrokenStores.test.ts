/**
 * The stores of a fleet that interrupt themselves, die, throw, or never return and resist their interruption: a circuit
 * stayed open for good, and a limit refused every call, because the question to the store never ended.
 */
import * as SharedState from "@breakwater/core/fleet/SharedState"
import * as Breaker from "@breakwater/core/policies/Breaker"
import * as RateLimit from "@breakwater/core/policies/RateLimit"
import { Unavailable } from "@breakwater/core/Reason"
import * as Stack from "@breakwater/core/stack/Stack"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer } from "effect"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"

type Broken = () => Effect.Effect<never>

const ways: ReadonlyArray<readonly [string, Broken]> = [
  ["interrupts itself", () => Effect.interrupt],
  ["interrupts itself later", () => Effect.delay(Effect.interrupt, 5)],
  ["dies", () => Effect.die("broken")],
  ["throws", () => {
    throw new RangeError("broken")
  }],
  ["never returns", () => Effect.never],
  ["never returns, and resists its interruption", () => Effect.uninterruptible(Effect.never)]
]

/** Runs an effect as a process of a fleet with such stores. */
const inFleet = (broken: Broken) =>
  Effect.provide(Layer.provide(
    SharedState.layer(),
    Layer.mergeAll(
      Layer.succeed(RateLimiter.RateLimiterStore, { fixedWindow: broken, tokenBucket: broken } as never),
      Layer.succeed(CircuitBreaker.CircuitBreakerStore, { admit: broken, record: broken, state: broken })
    )
  ))

const soon = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(Effect.exit(effect))
    yield* TestClock.adjust("1 second")
    return Exit.isSuccess(yield* Fiber.join(fiber))
  })

describe("a store that", () => {
  it.effect.each(ways)("%s leaves a shared limit to each process", ([, broken]) =>
    Effect.gen(function*() {
      const rateLimit = RateLimit.make({ limit: 2, window: "10 seconds", queue: 4 })
      yield* rateLimit.share("acme")
      const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent", policy: { rateLimit } })
      const ring = stack.guard(Effect.void, () => undefined)
      for (let round = 0; round < 3; round++) {
        assert.deepStrictEqual([yield* soon(ring), yield* soon(ring), yield* soon(ring)], [true, true, false])
        yield* TestClock.adjust("20 seconds")
      }
    }).pipe(inFleet(broken), Effect.scoped))

  it.effect.each(ways)("%s leaves a shared circuit to each process", ([, broken]) =>
    Effect.gen(function*() {
      const breaker = Breaker.make({ trip: { _tag: "Consecutive", failures: 1 }, probes: [1] })
      yield* breaker.share
      const policy = { breaker, retry: false } as const
      const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent", policy })
      const call = (isWell: boolean) =>
        soon(stack.guard(isWell ? Effect.void : Effect.fail("busy"), () => new Unavailable(503)))
      for (let round = 0; round < 3; round++) {
        yield* call(false)
        assert.isFalse(yield* call(true))
        yield* TestClock.adjust("10 seconds")
        assert.isTrue(yield* call(true))
      }
    }).pipe(inFleet(broken), Effect.scoped))
})

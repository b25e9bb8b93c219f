/**
 * Calls that could not get out although everything was ready for them: two that hand their turns to each other, one whose
 * place refuses its own further request, and one whose time to come back is no number.
 */
import * as Breaker from "@breakwater/core/policies/Breaker"
import * as RateLimit from "@breakwater/core/policies/RateLimit"
import type { Leaf } from "@breakwater/core/stack/Leaf"
import * as Stack from "@breakwater/core/stack/Stack"
import { Unavailable } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as SharedStores from "../fakes/SharedStores.ts"

const stack = (policy: Parameters<typeof Stack.make>[0]["policy"], operation = "a") =>
  Stack.make({ vendor: "acme", operation, safety: "Idempotent", policy: { retry: false, ...policy } })

describe("a call that has to wait for two gates", () => {
  it.effect.each([1, 2, 5])(
    "gets out, in a fleet whose limit is in use: %i at once",
    (count) =>
      Effect.gen(function*() {
        const stores = yield* SharedStores.make()
        const breaker = Breaker.make({ trip: { _tag: "Consecutive", failures: 1 }, openFor: "1 second" })
        yield* stores.join(breaker.share)
        const rateLimit = RateLimit.make({ limit: 4 })
        const down = stack({ breaker }).guard(Effect.fail("down"), () => new Unavailable(503))
        const call = stack({ breaker, rateLimit }).guard(Effect.succeed("up"), () => undefined)
        const other = stack({ breaker: false, rateLimit }, "b").guard(Effect.void, () => undefined)
        yield* Effect.exit(down)
        yield* TestClock.adjust("2 seconds")
        yield* Effect.all([other, other, other, other])
        const before = stores.asked
        const calls = yield* Effect.forkChild(
          Effect.all(Array.from({ length: count }, () => Effect.exit(call)), { concurrency: "unbounded" })
        )
        yield* TestClock.adjust("10 seconds")
        assert.isTrue((yield* Fiber.join(calls)).some(Exit.isSuccess))
        assert.isAtMost(stores.asked - before, 20)
      }).pipe(Effect.scoped)
  )
})

describe("a further request of a probe", () => {
  it.effect("waits for its permit, and is not refused by its own place", () =>
    Effect.gen(function*() {
      const breaker = Breaker.make({ trip: { _tag: "Consecutive", failures: 1 }, openFor: "1 second" })
      const rateLimit = RateLimit.make({ limit: 1, window: "500 millis" })
      yield* Effect.exit(stack({ breaker }).guard(Effect.fail("down"), () => new Unavailable(503)))
      yield* TestClock.adjust("2 seconds")
      const leaf: Leaf<string, never> = (attempt) => {
        attempt.again("Rejected", () => attempt.answer(Exit.succeed("up")))
        return () => {}
      }
      const fiber = yield* Effect.forkChild(Effect.exit(stack({ breaker, rateLimit }).call(leaf)))
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), Exit.succeed("up"))
    }))
})

describe("a time to come back that is no time", () => {
  it.effect.each([NaN, -5_000, -0])(
    "is as if the vendor had named none: %d",
    (retryAfterMillis) =>
      Effect.gen(function*() {
        const rateLimit = RateLimit.make({ limit: 1, window: "100 millis" })
        const policy = { deadline: "1 second", attemptTimeout: "500 millis", rateLimit } as const
        const failing = Stack.make({ vendor: "acme", operation: "a", safety: "Idempotent", policy })
        const call = failing.guard(Effect.fail("busy"), () => new Unavailable(503, { retryAfterMillis }))
        const well = stack(policy).guard(Effect.void, () => undefined)
        const fiber = yield* Effect.forkChild(Effect.andThen(Effect.exit(call), Effect.exit(well)))
        yield* TestClock.adjust("10 seconds")
        assert.isTrue(Exit.isSuccess(yield* Fiber.join(fiber)))
      })
  )
})

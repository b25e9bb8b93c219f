/** A listener of a breaker's transitions that throws harms its own call: the fleet hears what the circuit has found. */
import * as Breaker from "@breakwater/core/policies/Breaker"
import { Unavailable } from "@breakwater/core/Reason"
import * as Stack from "@breakwater/core/stack/Stack"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as SharedStores from "../fakes/SharedStores.ts"

describe("a listener that throws once, when the circuit becomes", () => {
  it.effect.each(["Open", "HalfOpen", "Closed"] as const)(
    "%s, leaves the fleet's circuit right",
    (moment) =>
      Effect.gen(function*() {
        const stores = yield* SharedStores.make()
        yield* Effect.gen(function*() {
          const breaker = Breaker.make({
            trip: { _tag: "Consecutive", failures: 1 },
            openFor: "5 seconds",
            probes: [1]
          })
          const heard: Array<Breaker.State> = []
          let isBroken = true
          breaker.onTransition(({ to }) => {
            if (to !== moment || !isBroken) return
            isBroken = false
            throw new Error("mine")
          })
          breaker.onTransition(({ to }) => void heard.push(to))
          yield* breaker.share
          let isDown = true
          const stack = Stack.make({
            vendor: "acme",
            operation: "ring",
            safety: "Idempotent",
            policy: { breaker, retry: false, bulkhead: false }
          })
          const call = Effect.gen(function*() {
            const attempt = Effect.suspend(() => isDown ? Effect.fail("down") : Effect.void)
            const fiber = yield* Effect.forkChild(Effect.exit(stack.guard(attempt, () => new Unavailable(503))))
            yield* TestClock.adjust("1 second")
            yield* Fiber.join(fiber)
          })
          for (const outage of [1, 2]) {
            isDown = true
            yield* call
            yield* TestClock.adjust("2 seconds")
            assert.strictEqual(yield* stores.stateOf("acme/ring"), "Open", `outage ${outage}`)
            isDown = false
            for (let second = 0; second < 20; second++) yield* call
            assert.strictEqual(yield* stores.stateOf("acme/ring"), "Closed", `after outage ${outage}`)
          }
          assert.deepStrictEqual(new Set(heard), new Set(["Open", "HalfOpen", "Closed"]))
        }).pipe(stores.join, Effect.scoped)
      })
  )
})

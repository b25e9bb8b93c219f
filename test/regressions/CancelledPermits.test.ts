/**
 * Permits of calls that were never sent: one given back raised the rest that the vendor had reported meanwhile, and one was
 * taken twice and lost when the fleet's store failed at once.
 */
import * as SharedState from "@breakwater/core/fleet/SharedState"
import type { Permit, Wait } from "@breakwater/core/Gate"
import * as Outcome from "@breakwater/core/Outcome"
import * as RateLimit from "@breakwater/core/policies/RateLimit"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer } from "effect"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import { fakeCall } from "../drivers/FakeCall.ts"

describe("a permit given back", () => {
  const reported = (remaining: number, resetMillis = 60_000) => Outcome.answered(1, { remaining, resetMillis })
  const call = fakeCall()

  /** The calls admitted at one moment. */
  const admitted = (rateLimit: RateLimit.RateLimit) => {
    let count = 0
    while (count < 100 && rateLimit.admit(call)._tag === "Permit") count++
    return count
  }
  const take = (rateLimit: RateLimit.RateLimit) => rateLimit.admit(call) as Permit

  it.each<readonly [string, ReadonlyArray<Outcome.Outcome>, left: number]>([
    ["after the first report", [reported(3)], 3],
    ["after a smaller rest", [reported(8), reported(3)], 3],
    ["after the rest of another window", [reported(2), reported(4, 90_000)], 4],
    ["after a rest that is the same", [reported(3), reported(3)], 3]
  ])("does not raise the rest that the vendor reports meanwhile: %s", (_, reports, left) => {
    const rateLimit = RateLimit.make({ limit: 50, window: "1 minute", queue: 0 })
    const [running, cancelled] = [reports.map(() => take(rateLimit)), [take(rateLimit), take(rateLimit)]]
    for (const [i, report] of reports.entries()) running[i]!.settle(call, report)
    for (const permit of cancelled) permit.cancel(call)
    assert.strictEqual(admitted(rateLimit), left)
  })

  it("counts again when it was taken from the rest", () => {
    const rateLimit = RateLimit.make({ limit: 50, window: "1 minute", queue: 0 })
    take(rateLimit).settle(call, reported(3))
    const [first, second] = [take(rateLimit), take(rateLimit)]
    first.cancel(call)
    // An older response, which does not count the second.
    take(rateLimit).settle(call, reported(3))
    second.cancel(call)
    assert.strictEqual(admitted(rateLimit), 2)
  })
})

describe("a call that claims its permit", () => {
  it.effect.each<readonly [string, () => Effect.Effect<never>]>([
    ["dies", () => Effect.die("down")],
    ["interrupts itself", () => Effect.interrupt],
    ["throws", () => {
      throw new RangeError("down")
    }]
  ])("takes it once, also when the store of the fleet %s at that moment", ([, broken]) =>
    Effect.gen(function*() {
      let asked = 0
      const store = {
        tokenBucket: ({ limit, tokens }: { readonly limit: number; readonly tokens: number }) =>
          ++asked % 3 > 0 ? Effect.succeed([limit - tokens, 0] as const) : broken()
      }
      const stores = Layer.merge(
        Layer.succeed(RateLimiter.RateLimiterStore, store as never),
        CircuitBreaker.layerStoreMemory()
      )
      const rateLimit = RateLimit.make({ limit: 1_200, window: "1 minute", queue: 10, maxWait: "1 minute" })
      yield* Effect.provide(rateLimit.share("acme"), Layer.provide(SharedState.layer({ pause: 0 }), stores))
      const clock = yield* Clock.Clock
      let permits = 0
      let calls = 0
      let cost = 1
      // A wait may be told its turn again while it claims its permit.
      const make = Effect.suspend(() => {
        const call = fakeCall({ now: Number(clock.monotonicTimeNanosUnsafe()) / 1e6, deadline: 1e9, cost })
        calls++
        const admission = rateLimit.admit(call)
        if (admission._tag === "Permit") permits++
        if (admission._tag === "Wait") {
          const wait: Wait = admission
          wait.onTurn(() => {
            const claimed = wait.claim(call)
            if (typeof claimed !== "number" && claimed._tag === "Permit") permits++
          })
        }
        return TestClock.adjust(0)
      })
      for (let round = 0; round < 10; round++) {
        for (cost of [1, 1, 3, 7, 20, 50]) {
          yield* make
          yield* TestClock.adjust(5)
        }
      }
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(permits, calls)
    }))
})

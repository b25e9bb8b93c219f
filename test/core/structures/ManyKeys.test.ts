import type { Gate } from "@breakwater/core/Gate"
import * as Outcome from "@breakwater/core/Outcome"
import * as Breaker from "@breakwater/core/policies/Breaker"
import * as RateLimit from "@breakwater/core/policies/RateLimit"
import { RateLimited, Timeout } from "@breakwater/core/Reason"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fakeCall } from "../../drivers/FakeCall.ts"

/** More keys than are kept as objects: most of them rest as numbers between two calls. */
const keys = Array.from({ length: 12_000 }, (_, key) => `tenant-${key}`)
const maxKeys = keys.length

/** Makes a call under every key, one after another, and returns how many were admitted. */
const callAll = (gate: Gate, now: number, outcome: Outcome.Outcome, of = keys): number => {
  const call = fakeCall({ now })
  let admitted = 0
  for (const key of of) {
    call.key = key
    const admission = gate.admit(call)
    if (admission._tag !== "Permit") continue
    admitted++
    admission.settle(call, outcome)
  }
  return admitted
}

const failure = Outcome.failed(10, new Timeout("Headers", 10))
const success = Outcome.answered(10)

describe("with more keys than are in use at a time", () => {
  for (
    const [name, trip] of Object.entries(
      {
        Consecutive: { _tag: "Consecutive", failures: 4 },
        CountWindow: { _tag: "CountWindow", size: 8, minimumCalls: 4, failureRate: 1 },
        TimeWindow: { _tag: "TimeWindow", window: "10 seconds", minimumCalls: 4, failureRate: 0.75 }
      } as const
    )
  ) {
    it.effect(`a breaker with a ${name} counts the failures of each, and opens for each at the same count`, () =>
      Effect.gen(function*() {
        const breaker = Breaker.make({ trip, maxKeys, openFor: "1 minute" })
        for (const now of [1, 2_000, 4_000, 5_000]) {
          assert.strictEqual(breaker.state("acme/charge/tenant-0", now), "Closed")
          assert.strictEqual(callAll(breaker, now, failure), keys.length)
        }
        assert.strictEqual(breaker.size, keys.length)
        assert.strictEqual(breaker.state("acme/charge/tenant-0", 5_001), "Open")
        assert.strictEqual(callAll(breaker, 5_001, success), 0)
        const snapshot = yield* breaker.snapshot
        assert.strictEqual(new Set(snapshot.map(({ key }) => key)).size, keys.length)
      }))
  }

  it("a breaker drops the calls of each that are older than its window, and keeps the others", () => {
    const breaker = Breaker.make({
      trip: { _tag: "TimeWindow", window: "10 seconds", minimumCalls: 4, failureRate: 1 },
      maxKeys,
      openFor: "1 minute"
    })
    callAll(breaker, 0, failure)
    callAll(breaker, 2_500, failure)
    callAll(breaker, 9_500, failure)
    callAll(breaker, 11_500, failure)
    assert.strictEqual(callAll(breaker, 11_600, failure), keys.length)
    assert.strictEqual(callAll(breaker, 11_700, success), 0)
  })

  it("a breaker that is open for a key stays open for it", () => {
    const breaker = Breaker.make({ trip: { _tag: "Consecutive", failures: 1 }, maxKeys, openFor: "1 minute" })
    const few = keys.slice(0, 100)
    callAll(breaker, 0, failure, few)
    callAll(breaker, 1, success)
    callAll(breaker, 2, success)
    assert.strictEqual(callAll(breaker, 59_999, success, few), 0)
    assert.strictEqual(callAll(breaker, 60_000, success, few), few.length)
  })

  for (const algorithm of ["TokenBucket", "SlidingWindow"] as const) {
    it(`a rate limit by ${algorithm} grants each its remaining permits, and no more`, () => {
      const rateLimit = RateLimit.make({ limit: 3, window: "1 minute", algorithm, queue: 0, maxKeys })
      for (const now of [0, 1, 2]) assert.strictEqual(callAll(rateLimit, now, success), keys.length)
      assert.strictEqual(callAll(rateLimit, 3, success), 0)
      assert.strictEqual(callAll(rateLimit, 60_002, success), keys.length)
      assert.strictEqual(rateLimit.size, keys.length)
    })

    it(`a rate limit by ${algorithm} makes no calls while the vendor's retry-after lasts`, () => {
      const rateLimit = RateLimit.make({ limit: 1_000, algorithm, queue: 0, maxKeys })
      const few = keys.slice(0, 100)
      callAll(rateLimit, 0, Outcome.failed(10, new RateLimited(429, { retryAfterMillis: 30_000 })), few)
      callAll(rateLimit, 1, success)
      callAll(rateLimit, 2, success)
      assert.strictEqual(callAll(rateLimit, 29_999, success, few), 0)
      assert.strictEqual(callAll(rateLimit, 30_000, success, few), few.length)
    })
  }
})

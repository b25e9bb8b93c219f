/**
 * More keys than a rate limit remembers: the used permits and the pause of a key are never forgotten, and a key for which
 * there is no room is refused.
 */
import * as Outcome from "@breakwater/core/Outcome"
import * as RateLimit from "@breakwater/core/policies/RateLimit"
import { RateLimited, Unavailable } from "@breakwater/core/Reason"
import { assert, describe, it } from "@effect/vitest"
import { fakeCall } from "../drivers/FakeCall.ts"

const answered = Outcome.answered(1)

/** Makes calls under a key, one after another, and returns how many were admitted. */
const make = (
  rateLimit: RateLimit.RateLimit,
  key: string,
  now: number,
  calls: number,
  outcome: Outcome.Outcome = answered
) => {
  let admitted = 0
  for (let i = 0; i < calls; i++) {
    const call = fakeCall({ key, now })
    const admission = rateLimit.admit(call)
    if (admission._tag !== "Permit") continue
    admitted++
    admission.settle(call, outcome)
  }
  return admitted
}

describe("beyond maxKeys", () => {
  for (const algorithm of ["SlidingWindow", "TokenBucket"] as const) {
    for (const [maxKeys, keys] of [[3, 100], [100, 1_000], [11_000, 12_000]] as const) {
      it(`a key keeps its used permits through ${keys} keys, where ${maxKeys} are remembered: ${algorithm}`, () => {
        const rateLimit = RateLimit.make({ limit: 5, window: "1 minute", queue: 0, maxKeys, algorithm })
        assert.strictEqual(make(rateLimit, "tenant", 0, 5), 5)
        let admitted = 0
        for (let key = 0; key < keys; key++) admitted += make(rateLimit, `other-${key}`, key / keys, 1)
        assert.strictEqual(make(rateLimit, "tenant", 1, 5), 0)
        // The others have taken the rest of the room, and no more.
        assert.strictEqual(admitted, maxKeys - 1)
        assert.strictEqual(rateLimit.size, maxKeys)
        // A key for which there was no room is served when the first permits are full again.
        assert.strictEqual(make(rateLimit, `other-${keys - 1}`, 60_001, 1), 1)
        assert.isAtMost(rateLimit.size, maxKeys)
      })
    }

    it(`a key keeps the pause that its vendor asked for: ${algorithm}`, () => {
      const rateLimit = RateLimit.make({ limit: 5, queue: 0, maxKeys: 4, algorithm })
      const limited = Outcome.failed(1, new RateLimited(429, { retryAfterMillis: 60_000 }))
      assert.strictEqual(make(rateLimit, "tenant", 0, 1, limited), 1)
      for (let second = 1; second < 60; second++) {
        for (let key = 0; key < 20; key++) make(rateLimit, `other-${second}-${key}`, 1_000 * second + key, 1)
        assert.strictEqual(make(rateLimit, "tenant", 1_000 * second + 30, 1), 0)
      }
      assert.strictEqual(make(rateLimit, "tenant", 60_000, 1), 1)
    })
  }

  it.each<readonly [string, Outcome.Outcome]>([
    ["a 429", Outcome.failed(1, new RateLimited(429, { retryAfterMillis: 60_000 }))],
    ["a 503", Outcome.failed(1, new Unavailable(503, { retryAfterMillis: 60_000 }))],
    ["a spent quota", Outcome.failed(1, new RateLimited(429), { remaining: 0, resetMillis: 60_000 })]
  ])("a key without a limit keeps the pause that its vendor asked for: %s", (_, paused) => {
    for (const maxKeys of [1, 3, 5, 100]) {
      const rateLimit = RateLimit.make({ queue: 0, maxKeys })
      assert.strictEqual(make(rateLimit, "tenant", 0, 1, paused), 1)
      for (let second = 1; second < 60; second++) {
        for (let key = 0; key < 20; key++) make(rateLimit, `other-${second}-${key}`, 1_000 * second + key, 1, paused)
        assert.strictEqual(make(rateLimit, "tenant", 1_000 * second + 30, 1), 0)
        assert.isAtMost(rateLimit.size, maxKeys)
      }
      // When the pauses are over, there is room for others.
      assert.strictEqual(make(rateLimit, "tenant", 66_000, 1), 1)
      assert.strictEqual(make(rateLimit, "another", 200_000, 2, paused), 1)
    }
  })

  it("a refusal says how long it takes at most until there is room", () => {
    const rateLimit = RateLimit.make({ limit: 30, window: "1 minute", queue: 0, maxKeys: 1 })
    make(rateLimit, "tenant", 0, 1)
    const admission = rateLimit.admit(fakeCall({ key: "other", now: 1_000 }))
    assert.strictEqual(admission._tag === "Refusal" ? admission.reason.retryAfterMillis : undefined, 60_000)
    assert.strictEqual(make(rateLimit, "other", 61_000, 1), 1)
  })
})

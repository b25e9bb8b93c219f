import { TokenBucket } from "@breakwater/core/policies/RateLimit/TokenBucket"
import { assert, describe, it } from "@effect/vitest"

describe("TokenBucket", () => {
  it("gets back no more than it could have held, and never loses by it", () => {
    const bucket = new TokenBucket(1, 1_000, 2)
    bucket.take(0, 1)
    bucket.take(900, 1)
    bucket.giveBack(0, 1)
    // Without the first call, the second would have left 1 permit, and 1.1 by now.
    assert.strictEqual(bucket.delay(1_000, 1), 0)
    assert.approximately(bucket.delay(1_000, 2), 900, 1e-9)
    bucket.take(5_000, 1)
    bucket.giveBack(900, 1)
    assert.strictEqual(bucket.delay(5_000, 1), 0)
  })
})

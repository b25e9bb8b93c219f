import { type Fate, mayRepeat, type Safety, worstFate } from "@breakwater/core/Safety"
import { assert, describe, it } from "@effect/vitest"

const fates: ReadonlyArray<Fate> = ["NotSent", "Rejected", "Unknown"]

describe("worstFate", () => {
  it("is commutative, associative and idempotent, with NotSent as its identity", () => {
    for (const a of fates) {
      assert.strictEqual(worstFate(a, a), a)
      assert.strictEqual(worstFate("NotSent", a), a)
      for (const b of fates) {
        assert.strictEqual(worstFate(a, b), worstFate(b, a))
        for (const c of fates) assert.strictEqual(worstFate(worstFate(a, b), c), worstFate(a, worstFate(b, c)))
      }
    }
  })

  it("remembers that the vendor may have acted, and that it was reached", () => {
    for (const fate of fates) assert.strictEqual(worstFate("Unknown", fate), "Unknown")
    assert.strictEqual(worstFate("Rejected", "NotSent"), "Rejected")
  })
})

describe("mayRepeat", () => {
  it("allows an unsafe call to be repeated only when nothing was sent, and any other always", () => {
    const expected: Record<Safety, ReadonlyArray<Fate>> = { Idempotent: fates, Keyed: fates, Unsafe: ["NotSent"] }
    for (const safety of ["Idempotent", "Keyed", "Unsafe"] as const) {
      assert.deepStrictEqual(fates.filter((fate) => mayRepeat(safety, fate)), expected[safety])
    }
  })
})

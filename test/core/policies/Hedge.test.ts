import * as Hedge from "@breakwater/core/policies/Hedge"
import { Latencies } from "@breakwater/core/policies/Hedge/Latencies"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Schema } from "effect"
import { intBetween } from "../../drivers/IntBetween.ts"

describe("Hedge", () => {
  it("waits as its option says: not at all, for a time, by number, or for ever", () => {
    assert.strictEqual(Hedge.make({ after: 0 }).delay(1, 0), 0)
    assert.strictEqual(Hedge.make({ after: "2 seconds" }).delay(1, 0), 2_000)
    assert.strictEqual(Hedge.make({ after: Duration.millis(7) }).delay(1, 0), 7)
    const doubling = Hedge.make({ after: (hedge) => 100 * 2 ** hedge, hedges: 3 })
    assert.deepStrictEqual([1, 2, 3].map((hedge) => doubling.delay(hedge, 0)), [200, 400, 800])
    assert.strictEqual(Hedge.make({ after: "OnFailure" }).delay(1, 0), Infinity)
    assert.deepInclude(Hedge.make(), { hedges: 1, keyed: false })
  })

  it("waits for a quantile of the answer times by default, once it has seen fifty", () => {
    const hedge = Hedge.make()
    for (let i = 1; i <= 49; i++) hedge.record(i, 0)
    assert.strictEqual(hedge.delay(1, 0), Infinity)
    hedge.record(50, 0)
    const delay = hedge.delay(1, 0)
    assert.isAtLeast(delay, 48)
    assert.isAtMost(delay, 48 * 1.05)
  })

  it("rejects options out of their range, and names them", () => {
    const cases: ReadonlyArray<[Hedge.HedgeOptions, RegExp]> = [
      [{ hedges: 0 }, /hedges must be a whole number of at least 1, got 0/],
      [{ hedges: 11 }, /hedges must be between 1 and 10, got 11/],
      [{ after: -1 }, /after must be at least 0/],
      [{ after: Infinity }, /after .* finite/],
      [{ after: { quantile: 0 } }, /quantile must be more than 0/],
      [{ after: { quantile: 1 } }, /quantile must be less than 1/],
      [{ after: { minimumAnswers: 0 } }, /minimumAnswers must be a whole number/],
      [{ after: { window: 0 } }, /window must be longer than 0/]
    ]
    for (const [options, message] of cases) assert.throws(() => Hedge.make(options), message)
    assert.throws(() => Hedge.make({ after: () => -1 }).delay(1, 0), /after must be at least 0/)
  })
})

describe("Latencies", () => {
  const Step = Schema.Struct({
    wait: Schema.Union([intBetween(0, 100), intBetween(0, 3_000)]),
    took: Schema.Union([intBetween(1, 50), intBetween(1, 10_000_000)])
  })

  it("drops half of its window at a time, and all of it after a full window without calls", () => {
    const latencies = new Latencies(1_000)
    latencies.record(10, 0)
    latencies.record(10, 499)
    latencies.record(20, 500)
    assert.strictEqual(latencies.count(999), 3)
    assert.strictEqual(latencies.count(1_000), 1)
    latencies.record(30, 1_000)
    assert.strictEqual(latencies.count(2_000), 0)
  })

  it("counts an answer that took no time, or more than the longest", () => {
    const latencies = new Latencies(1_000)
    for (const millis of [0, 0.01, 1e12]) latencies.record(millis, 0)
    assert.strictEqual(latencies.count(0), 3)
    assert.isAtMost(latencies.quantile(0.5, 0), 0.1)
    assert.isAtLeast(latencies.quantile(0.99, 10), 4_000_000)
    assert.strictEqual(latencies.quantile(1, 20), latencies.quantile(0.99, 20))
  })

  it("computes a quantile anew after a two-hundredth of its window", () => {
    const latencies = new Latencies(1_000)
    latencies.record(10, 0)
    const first = latencies.quantile(0.95, 0)
    latencies.record(1_000, 1)
    assert.strictEqual(latencies.quantile(0.95, 4), first)
    assert.isAtLeast(latencies.quantile(0.95, 5), 1_000)
  })

  it.prop(
    "returns at least the naive quantile of the remembered answers, and at most 5 % more",
    {
      script: Schema.Array(Step).check(Schema.isBetweenLength(1, 60)),
      share: Schema.Literals([0.01, 0.5, 0.9, 0.95, 0.99])
    },
    ({ script, share }) => {
      const window = 1_000
      const latencies = new Latencies(window)
      const half = window / 2
      /** The two halves of a window, as lists. */
      let filling: Array<number> = []
      let full: Array<number> = []
      let since = -Infinity
      let now = 0
      for (const { took, wait } of script) {
        now += wait
        if (now - since >= half) {
          full = now - since >= window ? [] : filling
          filling = []
          since = now
        }
        latencies.record(took, now)
        filling.push(took)
        const remembered = [...full, ...filling].toSorted((a, b) => a - b)
        assert.strictEqual(latencies.count(now), remembered.length)
        // The quantile is computed anew every two hundredth of the window.
        const fresh = new Latencies(1e9)
        for (const one of remembered) fresh.record(one, 0)
        const naive = remembered[Math.ceil(share * remembered.length) - 1]!
        const said = fresh.quantile(share, 0)
        if (naive < 4_000_000) {
          assert.isAtLeast(said, naive * (1 - 1e-9))
          assert.isAtMost(said, naive * 1.05 * (1 + 1e-9))
        } else assert.isAtLeast(said, 4_000_000)
      }
    }
  )
})

/**
 * The published steps of each algorithm. They are the numbers in the tests of Netflix's concurrency-limits
 * (AIMDLimitTest, VegasLimitTest, ExpAvgMeasurementTest) and in those of a port where Netflix has none (GreptimeDB's
 * LimitTest for Gradient2). The rest are the formulas of its sources, worked out by hand.
 */
import { Aimd } from "@breakwater/core/policies/AdaptiveLimit/Aimd"
import { Average, Gradient, type GradientSettings } from "@breakwater/core/policies/AdaptiveLimit/Gradient"
import type { Learner } from "@breakwater/core/policies/AdaptiveLimit/Learner"
import { log10, Vegas } from "@breakwater/core/policies/AdaptiveLimit/Vegas"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { intBetween } from "../../../drivers/IntBetween.ts"

const random = () => 0.5

/** The lowest and the highest random number, and the rounds from one measurement of the vendor at rest to the next. */
const restsAfter = [[0, 15], [0.999, 30]] as const

/** Feeds a learner round after round: as many calls as its limit allows, all alike. */
const rounds = (learner: Learner, random = () => 0.5) => {
  let now = 0
  return (rttMillis: number, inflight: number, dropped = false) => {
    const { limit } = learner
    for (let i = 0; i < limit; i++) learner.update({ startedAt: now, rttMillis, inflight, dropped }, random)
    now += rttMillis
    return learner.limit
  }
}

describe("AIMDLimitTest of Netflix's concurrency-limits", () => {
  const aimd = (initial: number, { max = 200, min = 20 } = {}) =>
    new Aimd({ initial, min, max }, { backoff: 0.9, timeoutMillis: 5_000 })
  const after = (learner: Aimd, rttMillis: number, inflight: number, dropped: boolean) => {
    learner.update({ startedAt: 0, rttMillis, inflight, dropped })
    return learner.limit
  }

  it("increaseOnSuccess: 20 becomes 21", () => assert.strictEqual(after(aimd(20), 1, 10, false), 21))
  it("decreaseOnDrops: 30 becomes 27", () => assert.strictEqual(after(aimd(30), 0, 0, true), 27))
  it("decreaseOnTimeoutExceeded: 30 becomes 27 above the timeout, and not at the timeout itself", () => {
    assert.strictEqual(after(aimd(30), 5_001, 0, false), 27)
    assert.strictEqual(after(aimd(30), 5_000, 0, false), 30)
  })
  it("successOverflow: 21 stays 21 when that is the maximum", () =>
    assert.strictEqual(after(aimd(21, { max: 21, min: 0 }), 1, 10, false), 21))
  it("does not grow while less than half of it is in use", () => {
    assert.strictEqual(after(aimd(20), 1, 9, false), 20)
  })

  it.prop(
    "follows the published step: floor(0.9 L) for a drop, L + 1 for an answer while at least half is in use, within bounds",
    {
      script: Schema.Array(
        Schema.Struct({ rtt: intBetween(1, 10_000), inflight: intBetween(1, 60), dropped: Schema.Boolean })
      )
    },
    ({ script }) => {
      const learner = aimd(30, { min: 2, max: 50 })
      let limit = 30
      for (const { dropped, inflight, rtt } of script) {
        if (dropped || rtt > 5_000) limit = Math.max(2, Math.floor(limit * 0.9))
        else if (inflight * 2 >= limit) limit = Math.min(50, limit + 1)
        assert.strictEqual(after(learner, rtt, inflight, dropped), limit)
      }
    }
  )
})

describe("VegasLimitTest of Netflix's concurrency-limits", () => {
  const vegas = (initial: number, max: number, queue?: { readonly alpha: number; readonly beta: number }) =>
    new Vegas({ initial, min: 1, max }, {
      alpha: (limit) => queue?.alpha ?? 3 * log10(limit),
      beta: (limit) => queue?.beta ?? 6 * log10(limit)
    })
  const small = () => vegas(10, 20, { alpha: 3, beta: 6 })

  it("largeLimitIncrease: 10000, 10000, 10024", () => {
    const round = rounds(vegas(10_000, 20_000))
    assert.deepStrictEqual([round(10_000, 5_000), round(10_000, 6_000)], [10_000, 10_024])
  })
  it("increaseLimit: 10, 10, 16", () => {
    const round = rounds(small())
    assert.deepStrictEqual([round(10, 10), round(10, 11)], [10, 16])
  })
  it("decreaseLimit: 10, 10, 9", () => {
    const round = rounds(small())
    assert.deepStrictEqual([round(10, 10), round(50, 11)], [10, 9])
  })
  it("noChangeIfWithinThresholds: 10, 10, 10", () => {
    const round = rounds(small())
    assert.deepStrictEqual([round(10, 10), round(14, 14)], [10, 10])
  })
  it("grows by one while the queue is between the threshold and alpha", () => {
    // 10 × (1 - 10 / 12) is 1.67: two of our calls wait.
    const round = rounds(small())
    assert.deepStrictEqual([round(10, 10), round(12, 10)], [10, 11])
  })
  it("LimitTest of GreptimeDB's port, without its smoothing: 512 grows by 12, and shrinks by 2", () => {
    const growing = rounds(vegas(512, 1_024))
    assert.deepStrictEqual([growing(10, 512), growing(10, 513)], [512, 524])
    const shrinking = rounds(vegas(512, 1_024))
    assert.deepStrictEqual([shrinking(10, 512), shrinking(50, 513)], [512, 510])
  })
  it("shrinks on drops, and does not count the time until a drop as an answer time", () => {
    const learner = small()
    const round = rounds(learner)
    assert.deepStrictEqual([round(10, 10), round(1, 10, true), round(14, 10)], [10, 9, 9])
  })
  it("does not grow while less than half of it is in use", () => {
    const round = rounds(small())
    assert.deepStrictEqual([round(10, 10), round(10, 4), round(10, 5)], [10, 10, 16])
  })

  it("keeps the queue inside the vendor between alpha and beta (TCP Vegas, Brakmo and Peterson, 1995)", () => {
    // A vendor that serves 50 at once for 100 ms each: of L calls, L - 50 wait.
    const learner = vegas(20, 1_000)
    const round = rounds(learner)
    const limits: Array<number> = []
    for (let i = 0; i < 400; i++) {
      const { limit } = learner
      round(100 * Math.max(1, limit / 50), limit)
      limits.push(limit)
    }
    const settled = limits.slice(20).filter((limit, i, all) => limit * 2 > all[Math.max(0, i - 1)]! && limit > 40)
    assert.isAbove(settled.length, 300)
    // One step changes it by one.
    assert.isAtLeast(Math.min(...settled), 50 + 3 - 1)
    assert.isAtMost(Math.max(...settled), 50 + 6 + 1)
  })

  it.each(restsAfter)(
    "measures the vendor at rest for one round in 15 to 30, at half its limit, and learns that it got slower (%d: %d)",
    (random, expected) => {
      const learner = small()
      const round = rounds(learner, () => random)
      round(10, 10)
      // Twice as slow, at any load: at first that looks like a queue of five, which is neither too few nor too many.
      const limits = Array.from({ length: 35 }, () => round(20, learner.limit))
      // The first round counts.
      const resting = limits.indexOf(5)
      assert.strictEqual(resting + 2, expected)
      assert.deepStrictEqual(limits.slice(0, resting).filter((limit) => limit !== 10), [])
      // Once measured, it is no longer taken for a queue.
      assert.deepStrictEqual(limits.slice(resting + 1, resting + 3), [10, 16])
    }
  )
})

describe("Gradient2Limit of Netflix's concurrency-limits", () => {
  const published: GradientSettings = {
    smoothing: 0.2,
    queueSize: 4,
    longWindow: 600,
    tolerance: 1.5,
    windowMillis: 0,
    minimumCalls: 1
  }
  const greptime = () =>
    new Gradient({ initial: 512, min: 20, max: 1_024 }, {
      ...published,
      longWindow: 100,
      queueSize: 16
    })
  /** Every call is its own window. */
  const single = (learner: Gradient) => {
    let now = 0
    return (rttMillis: number, inflight: number, dropped = false) => {
      learner.update({ startedAt: now, rttMillis, inflight, dropped }, random)
      now += rttMillis
      return learner.limit
    }
  }

  it("ExpAvgMeasurementTest: the mean of the first ten, then 16.2", () => {
    const average = new Average(100)
    const warm = Array.from({ length: 10 }, (_, i) => average.add(i + 10))
    assert.deepStrictEqual(warm, [10, 10.5, 11, 11.5, 12, 12.5, 13, 13.5, 14, 14.5])
    assert.approximately(average.add(100), 16.2, 0.1)
  })
  it("LimitTest of GreptimeDB's port: 515, 518 at the same speed", () => {
    const call = single(greptime())
    assert.deepStrictEqual([call(10, 512), call(10, 513)], [515, 518])
  })
  it("LimitTest of GreptimeDB's port: 515, 508 when an answer takes five times as long", () => {
    const call = single(greptime())
    assert.deepStrictEqual([call(10, 512), call(50, 513)], [515, 508])
  })
  it("never shrinks by more than half before smoothing, a tenth after, and shrinks that much for bad windows", () => {
    const slow = single(new Gradient({ initial: 100, min: 1, max: 200 }, { ...published, queueSize: 0 }))
    for (let i = 0; i < 20; i++) slow(10, 100)
    assert.deepStrictEqual([slow(10, 100), slow(100_000, 100)], [100, 90])
    const dropping = single(new Gradient({ initial: 100, min: 1, max: 200 }, { ...published, queueSize: 0 }))
    assert.deepStrictEqual([dropping(10, 100), dropping(1, 100, true)], [100, 90])
  })
  it("does not count the time of a drop as an answer time", () => {
    const learner = new Gradient({ initial: 50, min: 1, max: 200 }, { ...published, minimumCalls: 20 })
    for (let i = 0; i < 20 * 20; i++) {
      const dropped = i % 20 === 0
      learner.update({ startedAt: 0, rttMillis: dropped && i > 200 ? 1_000 : 10, inflight: 50, dropped }, random)
    }
    // Twenty windows, each adding a fifth of four.
    assert.strictEqual(learner.limit, 66)
  })
  it.each(restsAfter)(
    "measures the vendor at rest after 30 slow windows, and then after 15 to 30 by chance (%d: %d)",
    (random, expected) => {
      const learner = new Gradient({ initial: 1e9, min: 1, max: 1e9 }, published)
      let rttMillis = 1
      // The vendor becomes four times as slow with every window.
      const windowsUntilRest = () => {
        for (let windows = 1;; windows++) {
          const before = learner.limit
          learner.update({ startedAt: rttMillis, rttMillis, inflight: 1e9, dropped: false }, () => random)
          rttMillis *= 4
          if (learner.limit < 0.6 * before) return windows
        }
      }
      // The first window has nothing before it that was faster, and the one at rest is not counted.
      assert.strictEqual(windowsUntilRest(), 1 + 30)
      assert.strictEqual(windowsUntilRest(), 1 + expected)
    }
  )
  it("waits until a window is long enough and has enough calls, as WindowedLimit does", () => {
    const grows = (every: number) => {
      const learner = new Gradient({ initial: 20, min: 1, max: 200 }, {
        ...published,
        queueSize: 5,
        windowMillis: 1_000,
        minimumCalls: 10
      })
      for (let calls = 1; calls < 10_000; calls++) {
        learner.update({ startedAt: every * calls, rttMillis: 10, inflight: 20, dropped: false }, random)
        if (learner.limit > 20) return calls
      }
      return Infinity
    }
    // At one call a second the tenth call ends it; at a hundred a second, the call that ends 1000 ms after the first.
    assert.deepStrictEqual([grows(1_000), grows(10)], [10, 101])
  })

  it.prop(
    "follows the published formula, window by window",
    {
      script: Schema.Array(Schema.Struct({ rtt: intBetween(1, 400), inflight: intBetween(1, 120) })).check(
        Schema.isBetweenLength(15, 30)
      )
    },
    ({ script }) => {
      const learner = new Gradient({ initial: 50, min: 20, max: 100 }, published)
      const call = single(learner)
      let limit = 50
      const seen: Array<number> = []
      let long = 0
      for (const { inflight, rtt } of script) {
        seen.push(rtt)
        if (seen.length <= 10) long = seen.reduce((a, b) => a + b, 0) / seen.length
        else long = long * (1 - 2 / 601) + rtt * 2 / 601
        const ratio = long / rtt
        if (inflight >= limit / 2) {
          const gradient = Math.max(0.5, Math.min(1, 1.5 * ratio))
          limit = Math.max(20, Math.min(100, limit * 0.8 + (limit * gradient + 4) * 0.2))
        }
        if (ratio > 2) long *= 0.95
        assert.strictEqual(call(rtt, inflight), Math.floor(limit))
      }
    }
  )
})

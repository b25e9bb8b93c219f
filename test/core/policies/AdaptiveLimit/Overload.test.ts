/** Results of each limit against a vendor under twice its capacity, in virtual time, from the second minute on. */
import * as AdaptiveLimit from "@breakwater/core/policies/AdaptiveLimit"
import { assert, describe, it } from "@effect/vitest"
import { type Overload, overload, type Second } from "../../../fakes/OverloadedVendor.ts"
import * as Effort from "../../../setup/Effort.ts"

const serviceMillis = 100
const even = (random: () => number) => serviceMillis * (0.8 + 0.4 * random())
/** Lognormal with a mean of 100 ms; one in twenty takes more than 225 ms. */
const uneven = (random: () => number) =>
  serviceMillis * Math.exp(0.6 * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()) - 0.18)

const play = (
  algorithm: AdaptiveLimit.Algorithm,
  { capacity, ...vendor }: Partial<Overload> & { readonly capacity: number },
  capacityAt: (now: number) => number = () => capacity
) => {
  const gate = AdaptiveLimit.make({ algorithm })
  const seconds: Array<Second & { readonly limit: number }> = []
  overload({
    gate,
    capacity: capacityAt,
    rate: 2 * capacity * 1_000 / serviceMillis,
    seconds: 180,
    serviceMillis: even,
    queue: Infinity,
    timeoutMillis: 3_000,
    observe: (second) => seconds.push({ ...second, limit: gate.limit("acme") }),
    ...vendor
  })
  const settled = seconds.slice(60)
  const mean = (of: (second: Second & { readonly limit: number }) => number) =>
    settled.reduce((sum, second) => sum + of(second), 0) / settled.length
  return {
    seconds,
    limit: settled.map(({ limit }) => limit).toSorted((a, b) => a - b)[settled.length / 2]!,
    largest: Math.max(...settled.map(({ limit }) => limit)),
    /** The share of the vendor's best throughput. */
    goodput: mean(({ answered }) => answered) / (capacity * 1_000 / serviceMillis),
    /** The answer time as a multiple of that at rest. */
    slowness: mean(({ rttMillis }) => rttMillis) / serviceMillis
  }
}

describe("Vegas, before a vendor that lets calls wait", () => {
  for (const capacity of Effort.everyNth(3, [10, 25, 50])) {
    it(`settles within alpha and beta of its capacity of ${capacity}, for 97 % of what it can do`, () => {
      const { goodput, largest, limit, slowness } = play({ _tag: "Vegas" }, { capacity })
      assert.isAtLeast(limit, capacity + 2)
      assert.isAtMost(limit, capacity + 7)
      assert.isAtMost(largest, capacity + 12)
      assert.isAtLeast(goodput, 0.96)
      assert.isAtMost(slowness, (capacity + 7) / capacity)
    })
  }
})

describe("Gradient, before a vendor that lets calls wait", () => {
  for (const capacity of Effort.everyNth(3, [25, 50])) {
    for (const [name, service] of [["even", even], ["uneven", uneven]] as const) {
      it(`settles within its tolerance of a capacity of ${capacity} with ${name} calls, at 98 % of its throughput`, () => {
        const { goodput, largest, limit, slowness } = play({ _tag: "Gradient" }, { capacity, serviceMillis: service })
        // At equilibrium an answer takes 1.5 / (1 - 4 / limit) times the time at rest.
        assert.isAtLeast(limit, capacity)
        assert.isAtMost(limit, 1.5 * capacity + 8)
        assert.isAtMost(largest, 1.7 * capacity + 8)
        assert.isAtLeast(goodput, 0.97)
        assert.isAtMost(slowness, 1.85)
      })
    }
  }

  it("does not follow an overload that lasts, a quarter of an hour long", () => {
    const { seconds } = play({ _tag: "Gradient" }, { capacity: 20, seconds: 900 })
    const at = (from: number, to: number) => Math.max(...seconds.slice(from, to).map(({ limit }) => limit))
    assert.isAtMost(at(700, 900), 1.7 * 20 + 8)
    assert.isAtMost(at(700, 900), at(200, 400) + 3)
  })

  it("follows the vendor when its capacity falls, and when it rises again", () => {
    const { seconds } = play(
      { _tag: "Gradient" },
      { capacity: 50, seconds: 480 },
      (now) => now < 120_000 || now > 300_000 ? 50 : 20
    )
    const mean = (from: number, to: number) =>
      seconds.slice(from, to).reduce((sum, { limit }) => sum + limit, 0) / (to - from)
    assert.isAbove(mean(60, 120), 50)
    assert.isBelow(mean(240, 300), 1.5 * 20 + 8)
    assert.isAbove(mean(400, 480), 50)
  })
})

describe("with a vendor that rejects excess calls", () => {
  for (const _tag of ["Gradient", "Vegas", "Aimd"] as const) {
    it(`${_tag} settles at its capacity, 50 and 5 in its queue, at 96 % of its throughput`, () => {
      const { goodput, limit, slowness } = play({ _tag }, { capacity: 50, queue: 5 })
      assert.isAtLeast(limit, 45)
      assert.isAtMost(limit, 60)
      assert.isAtLeast(goodput, 0.96)
      assert.isAtMost(slowness, 1.15)
    })
  }
})

describe("with a vendor that is not overloaded", () => {
  for (const _tag of ["Gradient", "Vegas", "Aimd"] as const) {
    it(`${_tag} refuses nothing, and admits every call without delay`, () => {
      const { goodput, seconds, slowness } = play({ _tag }, { capacity: 50, rate: 150, seconds: 120 })
      assert.strictEqual(seconds.slice(5).reduce((sum, { refused }) => sum + refused, 0), 0)
      assert.approximately(goodput, 0.3, 0.03)
      assert.isAtMost(slowness, 1.01)
    })
  }
})

import type { Permit } from "@breakwater/core/Gate"
import * as Outcome from "@breakwater/core/Outcome"
import * as Throttle from "@breakwater/core/policies/Throttle"
import type { Priority } from "@breakwater/core/Priority"
import { RateLimited, type Reason, Throttled, Unavailable } from "@breakwater/core/Reason"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { fakeCall } from "../../drivers/FakeCall.ts"
import { intBetween } from "../../drivers/IntBetween.ts"
import { reasons } from "../../drivers/Reasons.ts"
import { seeded } from "../../fakes/OverloadedVendor.ts"

const busy = Outcome.failed(1, new Unavailable(503))
const answer = Outcome.answered(1)

/** Makes a call with a given outcome, if it is admitted. */
const send = (
  gate: Throttle.Throttle,
  outcome: Outcome.Outcome,
  { key = "", now = 0, priority = "Normal", random = () => 0.999_999 }: {
    readonly key?: string
    readonly now?: number
    readonly priority?: Priority
    readonly random?: () => number
  } = {}
): boolean => {
  const call = fakeCall({ now, priority, random, key })
  const admission = gate.admit(call)
  if (admission._tag === "Refusal") {
    assert.deepStrictEqual(admission.reason, new Throttled())
    return false
  }
  ;(admission as Permit).settle(call, outcome)
  return true
}

const priorities = ["Sheddable", "Normal", "Critical"] as const

describe("the throttle of Google's SRE book, chapter 21", () => {
  it("refuses max(0, (requests - K accepts) / (requests + 1)): the numbers of the formula", () => {
    const cases: ReadonlyArray<[requests: number, accepts: number, k: number, expected: number]> = [
      // While the backend accepts half of the calls, nothing is refused at K = 2.
      [100, 100, 2, 0],
      [100, 50, 2, 0],
      [100, 49, 2, 2 / 101],
      [100, 25, 2, 50 / 101],
      [100, 0, 2, 100 / 101],
      // K = 1.1: about one call in ten more than the backend accepts.
      [110, 100, 1.1, 0],
      [200, 100, 1.1, 90 / 201],
      [0, 0, 2, 0]
    ]
    for (const [requests, accepts, k, expected] of cases) {
      assert.approximately(Throttle.rejectionProbability(requests, accepts, k), expected, 1e-12)
    }
  })

  it.prop(
    "is that formula over the calls of the window, up to the floor, for any priorities",
    {
      script: Schema.Array(Schema.Struct({
        wait: Schema.Union([intBetween(0, 40), intBetween(0, 300)]),
        accepted: Schema.Boolean,
        priority: Schema.Literals(priorities)
      })).check(Schema.isBetweenLength(30, 200)),
      k: Schema.Literals([1, 1.1, 2])
    },
    ({ k, script }) => {
      // Buckets of 10, so that the naive list knows which calls have expired.
      const gate = Throttle.make({ k, window: 100, buckets: 10, minimumCalls: 5 })
      let seen: Array<{ at: number; accepted: boolean; priority: Priority }> = []
      let now = 0
      for (const { accepted, priority, wait } of script) {
        now += wait
        send(gate, accepted ? answer : busy, { now, priority })
        seen.push({ at: now, accepted, priority })
        seen = seen.filter(({ at }) => Math.floor(at / 10) > Math.floor(now / 10) - 10)
        const accepts = seen.filter(({ accepted }) => accepted).length
        const expected = seen.length < 5
          ? 0
          : Math.min(0.9, Math.max(0, (seen.length - k * accepts) / (seen.length + 1)))
        assert.approximately(gate.probability("acme", now), expected, 1e-12)
        // The shares of the priorities add up to it. One is refused only when those below it are, up to the floor.
        const of = priorities.map((priority) => ({
          share: seen.filter((call) => call.priority === priority).length / seen.length,
          refused: gate.probability("acme", now, priority)
        }))
        assert.approximately(of.reduce((sum, { refused, share }) => sum + refused * share, 0), expected, 1e-8)
        of.forEach(({ refused }, i) => {
          assert.isAtMost(refused, 0.9 + 1e-9)
          if (refused > 1e-8) {
            for (const lower of of.slice(0, i)) if (lower.share > 0) assert.approximately(lower.refused, 0.9, 1e-8)
          }
        })
      }
    }
  )

  it("refuses that share of the calls, and admits no more than K for each accepted one", () => {
    const random = seeded(7)
    const gate = Throttle.make()
    // A vendor that accepts 20 a second of the 100 calls.
    let [sent, refused, accepted, expected] = [0, 0, 0, 0]
    for (let now = 0; now < 600_000; now += 10) {
      const isCounted = now >= 240_000
      if (isCounted) expected += gate.probability("acme", now)
      const takes = now % 50 < 10
      const through = send(gate, takes ? answer : busy, { now, random })
      if (!isCounted) continue
      if (through) sent++
      else refused++
      if (through && takes) accepted++
    }
    const calls = sent + refused
    // Three standard deviations of that many draws.
    assert.approximately(refused / calls, expected / calls, 3 * Math.sqrt(0.25 / calls))
    assert.isAbove(refused / calls, 0.5)
    assert.isAbove(accepted, 0)
  })

  it("halves the calls to a backend with a fixed capacity: at equilibrium it gets K times what it accepts", () => {
    const random = seeded(3)
    const gate = Throttle.make({ window: "20 seconds" })
    let [sent, accepted] = [0, 0]
    for (let second = 0; second < 300; second++) {
      let left = 20
      for (let i = 0; i < 200; i++) {
        const now = second * 1_000 + i * 5
        const isTaken = left > 0
        const through = send(gate, isTaken ? answer : busy, { now, random })
        if (!through) continue
        if (isTaken) left--
        if (second >= 60) sent++
        if (second >= 60 && isTaken) accepted++
      }
    }
    assert.approximately(accepted, 240 * 20, 240)
    assert.approximately(sent / accepted, 2, 0.2)
  })

  it("admits a tenth of the calls to a vendor that accepts nothing, for ever, so that its recovery is noticed", () => {
    const random = seeded(5)
    const gate = Throttle.make()
    const through = (from: number, seconds: number, outcome: Outcome.Outcome) => {
      let passed = 0
      for (let now = from * 1_000; now < (from + seconds) * 1_000; now += 10) {
        if (send(gate, outcome, { now, random })) passed++
      }
      return passed / (seconds * 100)
    }
    through(0, 120, busy)
    assert.approximately(through(120, 600, busy), 0.1, 0.01)
    // It has recovered: the admitted calls double with each window, as K is 2, and after four nothing is refused.
    assert.isAbove(through(720, 120, answer), 0.12)
    assert.isAbove(through(840, 120, answer), 0.25)
    through(960, 240, answer)
    assert.strictEqual(through(1_200, 60, answer), 1)
  })

  it("refuses sheddable calls first, and critical ones last", () => {
    const random = seeded(11)
    const gate = Throttle.make({ window: "20 seconds" })
    const refused = { Sheddable: 0, Normal: 0, Critical: 0 }
    const calls = { Sheddable: 0, Normal: 0, Critical: 0 }
    for (let second = 0; second < 400; second++) {
      // It accepts 30 of 100; at K = 2 it gets 60. Three in ten are sheddable, five normal, two critical.
      let left = 30
      for (let i = 0; i < 100; i++) {
        const priority = i % 10 < 3 ? "Sheddable" : i % 10 < 8 ? "Normal" : "Critical"
        const isThrough = send(gate, left > 0 ? answer : busy, { now: second * 1_000 + i * 10, priority, random })
        if (isThrough) left--
        if (second < 100) continue
        calls[priority]++
        if (!isThrough) refused[priority]++
      }
    }
    // 40 must be refused: 27 of the 30 sheddable ones, and 13 of the 50 normal ones.
    assert.approximately(refused.Sheddable / calls.Sheddable, 0.9, 0.03)
    assert.approximately(refused.Normal / calls.Normal, 0.26, 0.06)
    assert.isAtMost(refused.Critical / calls.Critical, 0.005)
  })

  it("counts accepted calls as accepted, rejected ones as requests only, and others not at all", () => {
    const counted: Record<Reason["_tag"], boolean | undefined> = {
      Timeout: false,
      ConnectFailed: false,
      ConnectionLost: false,
      Unavailable: false,
      RateLimited: false,
      DeadlineExceeded: false,
      InvalidResponse: true,
      ResponseTooLarge: true,
      Unauthorized: true,
      RequestRejected: true,
      Conflict: true,
      CircuitOpen: undefined,
      RateLimitExceeded: undefined,
      BulkheadFull: undefined,
      Throttled: undefined,
      InvalidRequest: undefined,
      CredentialUnavailable: undefined,
      CredentialRevoked: undefined
    }
    for (const reason of Object.values(reasons)) {
      const gate = Throttle.make({ minimumCalls: 1 })
      for (let i = 0; i < 3; i++) send(gate, busy)
      send(gate, Outcome.failed(1, reason))
      const accepted = counted[reason._tag]
      const [requests, accepts] = accepted === undefined ? [3, 0] : [4, accepted ? 1 : 0]
      assert.approximately(gate.probability("acme", 0), (requests - 2 * accepts) / (requests + 1), 1e-12, reason._tag)
    }
    const gate = Throttle.make({ minimumCalls: 1 })
    for (let i = 0; i < 3; i++) send(gate, busy)
    send(gate, Outcome.abandoned(1))
    const call = fakeCall({ random: () => 0.999 })
    ;(gate.admit(call) as Permit).cancel(call)
    assert.strictEqual(gate.probability("acme", 0), 0.75)
  })

  it("refuses nothing before ten calls have ended, even while many are in flight", () => {
    const gate = Throttle.make()
    for (let i = 0; i < 100; i++) assert.strictEqual(gate.admit(fakeCall({ random: () => 0 }))._tag, "Permit")
    for (let i = 0; i < 9; i++) assert.isTrue(send(gate, busy, { random: () => 0 }))
    assert.isTrue(send(gate, busy, { random: () => 0 }))
    assert.isFalse(send(gate, busy, { random: () => 0 }))
  })

  it("counts each vendor and key separately, and evicts unused ones", () => {
    const gate = Throttle.make({ maxKeys: 10 })
    for (let i = 0; i < 20; i++) send(gate, Outcome.failed(1, new RateLimited(429)), { key: "bad" })
    assert.isAbove(gate.probability("acme/bad", 0), 0.8)
    assert.strictEqual(gate.probability("acme/good", 0), 0)
    assert.isTrue(send(gate, answer, { key: "good", random: () => 0 }))
    for (let i = 0; i < 500; i++) send(gate, answer, { key: `tenant ${i}`, now: i })
    assert.isAtMost(gate.size, 10)
  })

  it("rejects options outside their range, and names them", () => {
    const cases: ReadonlyArray<[Throttle.ThrottleOptions, RegExp]> = [
      [{ k: 0.9 }, /k must be at least 1/],
      [{ window: 0 }, /window must be/],
      [{ buckets: 0 }, /buckets must be/],
      [{ minimumCalls: 0 }, /minimumCalls must be/],
      [{ floor: 0 }, /floor must be/],
      [{ floor: 1.1 }, /floor must be/]
    ]
    for (const [options, message] of cases) assert.throws(() => Throttle.make(options), message)
  })
})

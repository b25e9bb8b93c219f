import * as FeatureSwitch from "@breakwater/core/degradation/FeatureSwitch"
import { Switchboard, type SwitchSettings } from "@breakwater/core/degradation/FeatureSwitch/Switchboard"
import type { State as BreakerState } from "@breakwater/core/policies/Breaker"
import { VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Metric, Random, Schema } from "effect"
import { TestClock } from "effect/testing"
import { intBetween } from "../../drivers/IntBetween.ts"
import { reasons } from "../../drivers/Reasons.ts"
import * as Effort from "../../setup/Effort.ts"

const settings: SwitchSettings = {
  offAfterMillis: 10,
  offForMillis: 30,
  growth: 2,
  maxOffForMillis: 200,
  shares: [0.05, 0.25, 0.5],
  stepMillis: 20
}

describe("Switchboard", () => {
  it("goes off, waits, and returns step by step", () => {
    const board = new Switchboard(settings, 0)
    const at = (now: number, isOut: boolean) => {
      board.update(now, isOut)
      return [board.state, board.share]
    }
    assert.deepStrictEqual(at(100, true), ["On", 1])
    assert.deepStrictEqual(at(109, true), ["On", 1])
    assert.deepStrictEqual(at(110, true), ["Off", 0])
    // 30 later, if the vendor has recovered by then.
    assert.deepStrictEqual(at(139, false), ["Off", 0])
    assert.deepStrictEqual(at(145, true), ["Off", 0])
    assert.deepStrictEqual(at(150, false), ["Returning", 0.05])
    assert.deepStrictEqual(at(169, false), ["Returning", 0.05])
    assert.deepStrictEqual(at(170, false), ["Returning", 0.25])
    assert.deepStrictEqual(at(190, false), ["Returning", 0.5])
    // Out again while returning: off at once, and for twice as long.
    assert.deepStrictEqual(at(191, true), ["Off", 0])
    assert.deepStrictEqual(at(250, false), ["Off", 0])
    assert.deepStrictEqual(at(251, false), ["Returning", 0.05])
    for (const now of [271, 291]) at(now, false)
    assert.deepStrictEqual(at(311, false), ["On", 1])
    // Fully on again, it is as before.
    at(312, true)
    assert.deepStrictEqual(at(322, true), ["Off", 0])
    assert.strictEqual(board.returnsAt, 352)
  })

  it("stays on when the vendor is out for a moment", () => {
    const board = new Switchboard(settings, 0)
    for (let now = 0; now < 1_000; now++) board.update(now, now % 10 !== 0)
    assert.strictEqual(board.state, "On")
  })

  it.prop(
    "never flaps: it is off as long as it said, returns step by step, and is on for a time, for any vendor",
    { script: Schema.Array(Schema.Struct({ millis: intBetween(0, 30), isOut: Schema.Boolean })) },
    ({ script }) => {
      const board = new Switchboard(settings, 0)
      let now = 0
      let last = { state: board.state, share: board.share, at: 0 }
      let wentOff = 0
      for (const { isOut, millis } of script) {
        now += millis
        board.update(now, isOut)
        const { share, state } = board
        if (state === last.state && share === last.share) continue
        const lasted = now - last.at
        if (last.state === "On") assert.isAtLeast(lasted, settings.offAfterMillis)
        if (last.state === "Off") {
          assert.isAtLeast(lasted, settings.offForMillis)
          assert.strictEqual(share, 0.05)
        }
        if (last.state === "Returning" && state !== "Off") {
          assert.isAtLeast(lasted, settings.stepMillis)
          assert.strictEqual(share, { 0.05: 0.25, 0.25: 0.5, 0.5: 1 }[last.share])
        }
        if (state === "Off") wentOff++
        assert.isAtMost(wentOff, 1 + now / (settings.offForMillis))
        last = { state, share, at: now }
      }
    },
    { arbitrary: { runs: Effort.runs(500), size: 100 } }
  )
})

const breaker = () => {
  const fake = { is: "Closed" as BreakerState, state: () => fake.is }
  return fake
}

const failure = (reason = reasons.Unavailable) =>
  Effect.fail(new VendorError({ vendor: "acme", operation: "quote", safety: "Idempotent", reason }))

describe("FeatureSwitch", () => {
  it.effect("is off while the breaker is open, and back for a growing share of the callers", () =>
    Effect.gen(function*() {
      const vendor = breaker()
      const feature = yield* FeatureSwitch.make({
        name: "shipping",
        rule: { _tag: "Breaker", breaker: vendor, keys: ["acme/quote"] }
      })
      const callers = Array.from({ length: 2_000 }, (_, i) => `caller ${i}`)
      const on = Effect.map(
        Effect.forEach(callers, (caller) => feature.isOn(caller)),
        (answers) => callers.filter((_, i) => answers[i])
      )
      assert.lengthOf(yield* on, 2_000)
      vendor.is = "Open"
      assert.lengthOf(yield* on, 2_000)
      yield* TestClock.adjust("10 seconds")
      assert.lengthOf(yield* on, 0)
      const { because, duration, share, state } = yield* feature.status
      assert.deepStrictEqual([state, share, because, Duration.toMillis(duration)], ["Off", 0, "VendorOut", 0])
      vendor.is = "HalfOpen"
      yield* TestClock.adjust("30 seconds")
      const first = yield* on
      assert.approximately(first.length / 2_000, 0.05, 0.015)
      assert.strictEqual((yield* feature.status).because, "VendorWasOut")
      yield* TestClock.adjust("30 seconds")
      const second = yield* on
      assert.approximately(second.length / 2_000, 0.25, 0.03)
      // A caller that has the feature keeps it.
      assert.deepStrictEqual(first.filter((caller) => !second.includes(caller)), [])
      yield* TestClock.adjust("30 seconds")
      assert.approximately((yield* on).length / 2_000, 0.5, 0.03)
      yield* TestClock.adjust("30 seconds")
      assert.lengthOf(yield* on, 2_000)
      assert.strictEqual((yield* feature.status).because, undefined)
    }))

  it.effect("lets chance decide for unnamed callers, from the fibre's own random numbers", () =>
    Effect.gen(function*() {
      const vendor = breaker()
      const rule = { _tag: "Breaker", breaker: vendor, keys: ["acme/quote"] } as const
      const feature = yield* FeatureSwitch.make({ name: "shipping", rule, offAfter: 0, shares: [0.25] })
      vendor.is = "Open"
      assert.isFalse(yield* feature.isOn())
      vendor.is = "Closed"
      yield* TestClock.adjust("30 seconds")
      const asks = Effect.map(
        Effect.forEach(Array.from({ length: 4_000 }), () => feature.isOn()),
        (answers) => answers.filter(Boolean).length / 4_000
      )
      const share = yield* Random.withSeed(asks, "one")
      assert.approximately(share, 0.25, 0.03)
      assert.strictEqual(yield* Random.withSeed(asks, "one"), share)
    }))

  it.effect("learns from the calls made through it, and tests the vendor with few", () =>
    Effect.gen(function*() {
      const feature = yield* FeatureSwitch.make({ name: "shipping" })
      let isOut = true
      let asked = 0
      const call = Effect.suspend(() => {
        asked++
        return isOut ? failure() : Effect.succeed("Tuesday")
      })
      const once = Effect.exit(feature.whenOn(call, { otherwise: Effect.succeed("no estimate") }))
      const minute = Effect.gen(function*() {
        asked = 0
        for (let i = 0; i < 600; i++) {
          yield* once
          yield* TestClock.adjust(100)
        }
        return asked
      })
      // Twenty failures within 30 seconds, for ten seconds.
      const first = yield* minute
      assert.isAtLeast(first, 119)
      assert.isAtMost(first, 140)
      assert.strictEqual((yield* feature.status).state, "Off")
      // While the vendor is out, each return costs it three calls, and comes later than the previous one.
      let tried = 0
      for (let i = 0; i < 10; i++) tried += yield* minute
      assert.isAtMost(tried, 5 * 3)
      assert.isAbove(tried, 0)
      isOut = false
      for (let i = 0; i < 15; i++) yield* minute
      assert.strictEqual((yield* feature.status).state, "On")
      assert.strictEqual(yield* minute, 600)
    }).pipe(Random.withSeed(1)))

  it.effect("ignores earlier failures of a vendor while the feature returns", () =>
    Effect.gen(function*() {
      const feature = yield* FeatureSwitch.make({
        name: "shipping",
        offAfter: 0,
        rule: { _tag: "Failures", window: "1 hour" }
      })
      for (let i = 0; i < 20; i++) yield* Effect.exit(feature.whenOn(failure(), { otherwise: Effect.void }))
      assert.strictEqual((yield* feature.status).state, "Off")
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* feature.status).state, "Returning")
    }))

  it.effect("counts declared errors as answers, and ignores failures that say nothing about the vendor", () =>
    Effect.gen(function*() {
      const state = (effect: Effect.Effect<unknown, unknown>) =>
        Effect.gen(function*() {
          const feature = yield* FeatureSwitch.make({
            name: "shipping",
            offAfter: 0,
            rule: { _tag: "Failures", minimumCalls: 1 }
          })
          yield* Effect.exit(feature.whenOn(effect, { otherwise: Effect.void }))
          return (yield* feature.status).state
        })
      assert.strictEqual(yield* state(failure()), "Off")
      assert.strictEqual(yield* state(failure(reasons.CircuitOpen as unknown as typeof reasons.Unavailable)), "Off")
      for (const tag of ["BulkheadFull", "RateLimited", "RequestRejected", "Unauthorized"] as const) {
        assert.strictEqual(yield* state(failure(reasons[tag] as unknown as typeof reasons.Unavailable)), "On")
      }
      for (const effect of [Effect.fail("not in this country"), Effect.interrupt, Effect.die("a bug")]) {
        assert.strictEqual(yield* state(effect), "On")
      }
    }))

  it.effect("can be switched by hand, and continues automatically from where it was", () =>
    Effect.gen(function*() {
      const vendor = breaker()
      const rule = { _tag: "Breaker", breaker: vendor, keys: ["acme/quote"] } as const
      const feature = yield* FeatureSwitch.make({ name: "shipping", rule, offAfter: 0 })
      feature.setMode("Off")
      assert.isFalse(yield* feature.isOn("anybody"))
      assert.include(yield* feature.status, { state: "Off", share: 0, mode: "Off", because: "ByHand" })
      feature.setMode("Automatic")
      assert.isTrue(yield* feature.isOn("anybody"))
      vendor.is = "Open"
      assert.isFalse(yield* feature.isOn("anybody"))
      feature.setMode("On")
      assert.isTrue(yield* feature.isOn("anybody"))
      feature.setMode("Automatic")
      assert.isFalse(yield* feature.isOn("anybody"))
    }))

  it.effect("shows its share and counts its changes", () =>
    Effect.gen(function*() {
      const vendor = breaker()
      const rule = { _tag: "Breaker", breaker: vendor, keys: ["acme/quote"] } as const
      const feature = yield* FeatureSwitch.make({ name: "shipping", rule, offAfter: 0 })
      const shown = Effect.map(Metric.snapshot, (metrics) =>
        metrics.flatMap(({ attributes, id, state }) =>
          id.startsWith("breakwater.feature")
            ? [[
              id,
              attributes?.["feature"],
              attributes?.["to"],
              "value" in state ? state.value : (state as { count: number }).count
            ]]
            : []
        ))
      assert.sameDeepMembers(yield* shown, [
        ["breakwater.feature.share", "shipping", undefined, 1],
        ...["On", "Returning", "Off"].map((to) => ["breakwater.feature.transitions", "shipping", to, 0])
      ])
      vendor.is = "Open"
      yield* feature.isOn()
      const after = yield* shown
      assert.deepInclude(after, ["breakwater.feature.share", "shipping", undefined, 0])
      assert.deepInclude(after, ["breakwater.feature.transitions", "shipping", "Off", 1])
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

  it("rejects options outside their range, and names them", () => {
    const rule = { _tag: "Failures" } as const
    const cases: ReadonlyArray<[Omit<FeatureSwitch.FeatureSwitchOptions, "name">, RegExp]> = [
      [{ rule: { ...rule, share: 0 } }, /share must be/],
      [{ rule: { ...rule, minimumCalls: 0 } }, /minimumCalls must be/],
      [{ rule: { ...rule, window: 0 } }, /window must be/],
      [{ rule: { _tag: "Breaker", breaker: breaker(), keys: [] } }, /keys must name/],
      [{ offAfter: -1 }, /offAfter must be/],
      [{ offFor: 0 }, /offFor must be/],
      [{ growth: 0.5 }, /growth must be/],
      [{ maxOffFor: "1 second" }, /maxOffFor/],
      [{ shares: [] }, /shares must have/],
      [{ shares: [0] }, /shares must be more than 0/],
      [{ shares: [0.5, 0.25] }, /shares must be at least 0.5/],
      [{ step: 0 }, /step must be/]
    ]
    for (const [options, message] of cases) {
      assert.throws(() => FeatureSwitch.make({ name: "shipping", ...options }), message)
    }
  })
})

import * as Timeline from "@breakwater/core/Timeline"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { vi } from "vitest"
import { intBetween } from "../drivers/IntBetween.ts"
import * as TwoClocks from "../drivers/TwoClocks.ts"

describe("a limit of a timeline", () => {
  it("fires at most a tenth late on the live clock, and never early", () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] })
    try {
      const timeline = Timeline.ofContext(Context.empty())
      for (const millis of [1, 50, 103, 104, 150, 1_000, 4_096, 10_000]) {
        const begun = timeline.now()
        let told = NaN
        timeline.limit(begun, millis, {
          timeIsUp() {
            told = timeline.now() - begun
          }
        })
        vi.advanceTimersByTime(millis * 2)
        assert.isAtLeast(told, millis)
        assert.isAtMost(told, Math.ceil(millis * 1.1))
      }
    } finally {
      vi.useRealTimers()
    }
  })

  it("does not fire once it is cancelled", () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] })
    try {
      const timeline = Timeline.ofContext(Context.empty())
      for (const millis of [10, 1_000]) {
        timeline.limit(timeline.now(), millis, { timeIsUp: () => assert.fail("it was cancelled") }).cancel()
        vi.advanceTimersByTime(millis * 2)
      }
    } finally {
      vi.useRealTimers()
    }
  })

  it.effect("fires on the exact millisecond under any other clock", () =>
    Effect.gen(function*() {
      const timeline = Timeline.ofContext(yield* Effect.context<never>())
      let told = NaN
      timeline.limit(timeline.now(), 1_000, {
        timeIsUp() {
          told = timeline.now()
        }
      })
      yield* TestClock.adjust(999)
      assert.isNaN(told)
      yield* TestClock.adjust(1)
      assert.strictEqual(told, 1_000)
    }))
})

describe("the elapsed time of a timeline", () => {
  it.effect("is no more than the larger one while the clocks agree", () =>
    Effect.gen(function*() {
      const elapsed = Effect.withFiber((fiber) => Effect.succeed(Timeline.of(fiber).elapsed()))
      const begun = yield* elapsed
      for (let second = 0; second < 100; second++) {
        yield* TestClock.adjust("1 second")
        yield* elapsed
      }
      assert.strictEqual((yield* elapsed) - begun, 100_000)
    }))

  it.effect.prop(
    "never decreases, and is the larger one of both clocks to a tenth of a second, a tenth of a second later",
    {
      script: Schema.Array(Schema.Struct({ millis: intBetween(0, 10_000), step: intBetween(-20_000, 20_000) }))
        .check(Schema.isMaxLength(50))
    },
    Effect.fnUntraced(function*({ script }) {
      const machine = yield* TwoClocks.make
      const elapsed = machine.on(Effect.withFiber((fiber) => Effect.succeed(Timeline.of(fiber).elapsed())))
      const wallClock = machine.on(Effect.clockWith((clock) => clock.currentTimeMillis))
      /** The time by all three at every step so far. */
      const seen: Array<readonly [elapsed: number, monotonic: number, wallClock: number]> = []
      for (const { millis, step } of [{ millis: 0, step: 0 }, ...script]) {
        yield* TestClock.adjust(millis)
        machine.step(step)
        // A step back may go unnoticed for a tenth of a second, if the wall clock has hardly moved.
        const before = yield* elapsed
        yield* TestClock.adjust(100)
        assert.isAtLeast(yield* elapsed, before)
        const now = [yield* elapsed, yield* Timeline.now, yield* wallClock] as const
        for (const then of seen) {
          const [age, monotonic, wall] = now.map((time, clock) => time - then[clock]!) as [number, number, number]
          assert.isAtLeast(age, 0)
          assert.isAtLeast(age, Math.max(monotonic, wall) - 100)
        }
        seen.push(now)
      }
    })
  )
})

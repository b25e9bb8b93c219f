import * as Timeline from "@breakwater/core/Timeline"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect } from "effect"
import { TestClock } from "effect/testing"
import { vi } from "vitest"

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

import { shortestMillis, Wheel } from "@breakwater/core/Timeline/Wheel"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { vi } from "vitest"
import { intBetween } from "../../drivers/IntBetween.ts"
import * as Effort from "../../setup/Effort.ts"

/** The most a timer of the wheel may be late, in milliseconds: one slot. */
const lateness = 8

const TimerScript = Schema.Struct({
  /** The time when it is added. */
  at: intBetween(0, 3_000),
  millis: intBetween(shortestMillis, 12_000),
  /** How long after that it is cancelled; mostly never. */
  patience: Schema.Union([Schema.Undefined, Schema.Undefined, intBetween(0, 12_000)]),
  /** The timer that it cancels when it fires; mostly none. */
  cancels: Schema.Union([Schema.Undefined, Schema.Undefined, intBetween(0, 19)])
})

describe("Wheel", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "performance"] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })
  const now = () => performance.now()

  it("fires a timer once when it is due, at most a slot late", () => {
    const wheel = new Wheel(now)
    let fired = 0
    wheel.add(now(), now() + 1_000, { timeIsUp: () => fired++ })
    vi.advanceTimersByTime(999)
    assert.strictEqual(fired, 0)
    vi.advanceTimersByTime(1 + lateness)
    assert.strictEqual(fired, 1)
    vi.advanceTimersByTime(60_000)
    assert.strictEqual(fired, 1)
  })

  it("does not fire a timer that was cancelled", () => {
    const wheel = new Wheel(now)
    const timer = wheel.add(now(), now() + 1_000, { timeIsUp: () => assert.fail("it was cancelled") })
    vi.advanceTimersByTime(500)
    timer.cancel()
    vi.advanceTimersByTime(60_000)
  })

  it("uses one timer of the engine for all of its own", () => {
    const wheel = new Wheel(now)
    const limited = { timeIsUp() {} }
    for (let i = 0; i < 1_000; i++) wheel.add(now(), now() + 1_000 + i, limited)
    assert.strictEqual(vi.getTimerCount(), 1)
    vi.advanceTimersByTime(2_100)
    assert.strictEqual(vi.getTimerCount(), 0)
  })

  it("fires the others when one throws, and does not hide the error", () => {
    const wheel = new Wheel(now)
    const heard = new Array<string>()
    const uncaught = new Array<() => void>()
    vi.stubGlobal("queueMicrotask", (task: () => void) => uncaught.push(task))
    const due = now() + 200
    wheel.add(now(), due, { timeIsUp: () => heard.push("first") })
    wheel.add(now(), due, {
      timeIsUp: () => {
        throw new Error("mine")
      }
    })
    wheel.add(now(), due, { timeIsUp: () => heard.push("third") })
    vi.advanceTimersByTime(300)
    vi.unstubAllGlobals()
    assert.deepStrictEqual(heard, ["first", "third"])
    assert.throws(() => uncaught[0]!(), "mine")
  })

  it.effect.prop(
    "fires each timer once, when due or up to a slot later, unless it is cancelled first; then it stops",
    { scripts: Schema.Array(TimerScript).check(Schema.isMaxLength(20)) },
    ({ scripts }) =>
      Effect.sync(() => {
        const wheel = new Wheel(now)
        const origin = now()
        const toldAt = scripts.map(() => new Array<number>())
        const cancelledAt = scripts.map(() => Infinity)
        const timers = new Map<number, { cancel(): void }>()
        const cancel = (index: number) => {
          if (!timers.has(index)) return
          cancelledAt[index] = Math.min(cancelledAt[index]!, now() - origin)
          timers.get(index)!.cancel()
        }
        scripts.forEach(({ at, cancels, millis, patience }, index) => {
          setTimeout(() => {
            const timeIsUp = () => {
              toldAt[index]!.push(now() - origin)
              if (cancels !== undefined && cancels !== index) cancel(cancels)
            }
            timers.set(index, wheel.add(now(), now() + millis, { timeIsUp }))
          }, at)
          if (patience !== undefined) setTimeout(() => cancel(index), at + patience + 0.5)
        })
        vi.advanceTimersByTime(16_000)
        scripts.forEach(({ at, millis }, index) => {
          const due = at + millis
          const [told, ...again] = toldAt[index]!
          assert.deepStrictEqual(again, [])
          if (told === undefined) assert.isAtMost(cancelledAt[index]!, due + lateness)
          else {
            assert.isAtLeast(told, due)
            assert.isAtMost(told, due + lateness)
            assert.isAtLeast(cancelledAt[index]!, told)
          }
        })
        assert.strictEqual(vi.getTimerCount(), 0)
      }),
    { arbitrary: { runs: Effort.runs(300), seed: 20261123 } }
  )
})

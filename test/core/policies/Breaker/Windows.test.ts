import { Consecutive } from "@breakwater/core/policies/Breaker/Consecutive"
import { CountWindow } from "@breakwater/core/policies/Breaker/CountWindow"
import { TimeWindow } from "@breakwater/core/structures/TimeWindow"
import type { Thresholds, Window } from "@breakwater/core/structures/Window"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Effort from "../../../setup/Effort.ts"

const intBetween = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** A share of k calls of n, as a person would write it: 0.07, 0.55, 1. */
const Percent = intBetween(1, 100)

const rates = { minimumCalls: intBetween(1, 6), failurePercent: Percent, slowPercent: Percent }

const ConsecutiveSettings = Schema.TaggedStruct("Consecutive", { failures: intBetween(1, 6) })
const CountSettings = Schema.TaggedStruct("CountWindow", { size: intBetween(1, 12), ...rates })
const TimeSettings = Schema.TaggedStruct("TimeWindow", {
  windowMillis: intBetween(1, 2_000),
  buckets: intBetween(1, 12),
  ...rates
})

type Settings = typeof ConsecutiveSettings.Type | typeof CountSettings.Type | typeof TimeSettings.Type

/** In sevenths of a millisecond, so that times have fractions; sometimes a little over an hour. */
const Gap = Schema.Union([intBetween(0, 300), intBetween(0, 7_000), Schema.Literals([0, 7_000, 14_000, 7 * 3_600_123])])
const gapMillis = (gap: number) => gap / 7

const Step = Schema.Struct({
  after: Gap,
  kind: Schema.Literals(["success", "failure", "slow success", "slow failure", "read", "clear"])
})
const Script = Schema.Array(Step)
/** Scripts long enough to fill a window and to empty it again. */
const long = { arbitrary: { runs: Effort.runs(150), size: 60 } }

interface Event {
  readonly at: number
  readonly failed: boolean
  readonly slow: boolean
}

interface Counts {
  readonly calls: number
  readonly failures: number
  readonly slowCalls: number
  readonly isTripped: boolean
}

const thresholdsOf = (settings: Exclude<Settings, { _tag: "Consecutive" }>): Thresholds => ({
  minimumCalls: settings.minimumCalls,
  failureRate: settings.failurePercent / 100,
  slowCallRate: settings.slowPercent / 100
})

const makeWindow = (settings: Settings): Window => {
  switch (settings._tag) {
    case "Consecutive":
      return new Consecutive(settings.failures)
    case "CountWindow":
      return new CountWindow(settings.size, thresholdsOf(settings))
    case "TimeWindow":
      return new TimeWindow(settings.windowMillis, settings.buckets, thresholdsOf(settings))
  }
}

/** The naive window, which remembers every event. */
const remembered = (settings: Settings, events: ReadonlyArray<Event>, now: number): ReadonlyArray<Event> => {
  switch (settings._tag) {
    case "Consecutive":
      return events.slice(events.findLastIndex((event) => !event.failed && !event.slow) + 1)
    case "CountWindow":
      return events.slice(-settings.size)
    case "TimeWindow": {
      const bucketOf = (at: number) => Math.floor(at / (settings.windowMillis / settings.buckets))
      return events.filter((event) => bucketOf(now) - bucketOf(event.at) < settings.buckets)
    }
  }
}

/** Counted from scratch at each call, and compared in whole numbers only. */
const countFromScratch = (settings: Settings, events: ReadonlyArray<Event>, now: number): Counts => {
  const inWindow = remembered(settings, events, now)
  const calls = inWindow.length
  if (settings._tag === "Consecutive") {
    return { calls, failures: calls, slowCalls: 0, isTripped: calls >= settings.failures }
  }
  const failures = inWindow.filter((event) => event.failed).length
  const slowCalls = inWindow.filter((event) => event.slow).length
  const isTripped = calls >= settings.minimumCalls &&
    (failures * 100 >= settings.failurePercent * calls || slowCalls * 100 >= settings.slowPercent * calls)
  return { calls, failures, slowCalls, isTripped }
}

const ask = (window: Window, now: number): Counts => ({
  calls: window.calls(now),
  failures: window.failures(now),
  slowCalls: window.slowCalls(now),
  isTripped: window.isTripped(now)
})

const apply = (window: Window, kind: typeof Step.Type["kind"], now: number) => {
  if (kind === "clear") window.clear()
  else if (kind !== "read") window.record(now, kind.endsWith("failure"), kind.startsWith("slow"))
}

/** The same for a list of all events. */
const note = (events: Array<Event>, kind: typeof Step.Type["kind"], now: number) => {
  if (kind === "clear") events.length = 0
  else if (kind !== "read") {
    events.push({ at: now, failed: kind.endsWith("failure"), slow: kind.startsWith("slow") })
  }
}

/** Monotonic time has an arbitrary origin: the first call may come at any time, also before 0. */
const Origin = Schema.Literals([0, 3, 1_234.567, 86_400_000, 1e9 + 0.25, -5_000.5])

describe("a window", () => {
  const half: Thresholds = { minimumCalls: 4, failureRate: 0.5, slowCallRate: 1 }
  const failures = (window: Window, now: number, ...calls: ReadonlyArray<"ok" | "failed">) =>
    calls.forEach((call) => window.record(now, call === "failed", false))

  it("of failures in a row trips at their number, and starts again after a success", () => {
    const window = new Consecutive(2)
    failures(window, 0, "failed", "ok", "failed")
    assert.deepStrictEqual([window.failures(), window.isTripped()], [1, false])
    failures(window, 0, "failed")
    assert.isTrue(window.isTripped())
  })

  it("of calls trips when half of the last four failed", () => {
    const window = new CountWindow(4, half)
    failures(window, 0, "ok", "ok", "ok", "failed")
    assert.isFalse(window.isTripped(0))
    failures(window, 0, "failed")
    assert.deepStrictEqual([window.calls(), window.failures(), window.isTripped(0)], [4, 2, true])
  })

  it("of time drops calls that are older than its span", () => {
    const window = new TimeWindow(10_000, 10, half)
    failures(window, 0, "failed", "failed", "ok", "ok")
    assert.isTrue(window.isTripped(9_999))
    assert.deepStrictEqual([window.calls(10_000), window.isTripped(10_000)], [0, false])
  })
})

const suite = (Settings: typeof ConsecutiveSettings | typeof CountSettings | typeof TimeSettings) => {
  describe(Settings.fields._tag.schema.literal, () => {
    it.prop(
      "counts the same when it is packed and unpacked at any times",
      { settings: Settings, origin: Origin, script: Script },
      ({ origin, script, settings }) => {
        let window = makeWindow(settings)
        const events: Array<Event> = []
        let now = origin
        for (const { after, kind } of script) {
          now += gapMillis(after)
          apply(window, kind, now)
          const packed = window.pack()
          assert.isFalse(packed?.some(Number.isNaN) ?? true)
          window = makeWindow(settings)
          window.unpack(packed!)
          note(events, kind, now)
          assert.deepStrictEqual(ask(window, now), countFromScratch(settings, events, now))
        }
      },
      long
    )

    it.prop(
      "counts what a list of all events counts, after every record, read, gap and clearing",
      { settings: Settings, origin: Origin, script: Script },
      ({ origin, script, settings }) => {
        const window = makeWindow(settings)
        const events: Array<Event> = []
        let now = origin
        for (const { after, kind } of script) {
          now += gapMillis(after)
          apply(window, kind, now)
          note(events, kind, now)
          assert.deepStrictEqual(ask(window, now), countFromScratch(settings, events, now))
        }
      },
      long
    )

    it.prop(
      "gives the same counts, now and later, when a dump is loaded into a new window",
      { settings: Settings, origin: Origin, before: Script, afterwards: Script },
      ({ afterwards, before, origin, settings }) => {
        const window = makeWindow(settings)
        let now = origin
        for (const { after, kind } of before) {
          now += gapMillis(after)
          apply(window, kind, now)
        }
        const copy = makeWindow(settings)
        const dump = JSON.parse(JSON.stringify(window.dump(now))) as ReadonlyArray<number>
        copy.load(now, dump)
        assert.deepStrictEqual(copy.dump(now), dump)
        assert.deepStrictEqual(ask(copy, now), ask(window, now))
        for (const { after, kind } of afterwards) {
          now += gapMillis(after)
          apply(window, kind, now)
          apply(copy, kind, now)
          assert.deepStrictEqual(ask(copy, now), ask(window, now))
        }
      },
      long
    )
  })
}
suite(ConsecutiveSettings)
suite(CountSettings)
suite(TimeSettings)

/** Never trips: for tests that only count. */
const never: Thresholds = { minimumCalls: Infinity, failureRate: 1, slowCallRate: 1 }

describe("TimeWindow", () => {
  it("is empty after an idle hour, for any first access: a read, a check, a dump or a record", () => {
    const filled = () => {
      const window = new TimeWindow(30_000, 10, { minimumCalls: 20, failureRate: 0.5, slowCallRate: 0.5 })
      for (let i = 0; i < 19; i++) window.record(i, true, true)
      return window
    }
    const later = 3_600_000
    assert.strictEqual(filled().calls(later), 0)
    assert.strictEqual(filled().failures(later), 0)
    assert.strictEqual(filled().slowCalls(later), 0)
    assert.isTrue(filled().dump(later).every((n) => n === 0))
    const window = filled()
    window.record(later, true, true)
    assert.deepStrictEqual(ask(window, later), { calls: 1, failures: 1, slowCalls: 1, isTripped: false })
  })

  it("treats a dump that cannot be its own as empty, and continues to count", () => {
    const contents: Record<string, ReadonlyArray<number>> = {
      "too short": [1, 1, 1],
      "too long": Array.from({ length: 18 }, () => 1),
      "more failures than calls": [0, 20, 0, ...Array.from({ length: 12 }, () => 0)],
      "more slow calls than calls": [0, 0, 20, ...Array.from({ length: 12 }, () => 0)],
      "more calls than can be counted": [...Array.from({ length: 12 }, () => 0), 2 ** 32 - 1, 2 ** 32 - 1, 0],
      "even more calls than can be counted": [2 ** 32 + 1, 2 ** 32 + 1, 0, ...Array.from({ length: 12 }, () => 0)]
    }
    for (const [what, content] of Object.entries(contents)) {
      const window = new TimeWindow(5_000, 5, never)
      window.load(0, content)
      assert.deepStrictEqual(ask(window, 0), { calls: 0, failures: 0, slowCalls: 0, isTripped: false }, what)
      window.record(0, true, false)
      assert.strictEqual(window.calls(4_999), 1, what)
      assert.strictEqual(window.calls(5_000), 0, what)
    }
  })

  it.prop(
    "holds every call of its span less one bucket, and no call older than its span",
    {
      settings: TimeSettings,
      origin: Origin,
      gaps: Schema.Array(Gap)
    },
    ({ gaps, origin, settings: { buckets, windowMillis } }) => {
      const window = new TimeWindow(windowMillis, buckets, never)
      const times: Array<number> = []
      let now = origin
      for (const gap of gaps) {
        now += gapMillis(gap)
        times.push(now)
        window.record(now, false, false)
        const youngerThan = (millis: number) => times.filter((at) => now - at < millis).length
        // A time that is a sum of fractions is slightly off.
        assert.isAtLeast(window.calls(now), youngerThan(windowMillis - windowMillis / buckets - 1e-3))
        assert.isAtMost(window.calls(now), youngerThan(windowMillis + 1e-3))
      }
    },
    long
  )
})

it("Consecutive and CountWindow treat a dump of another kind of window as empty", () => {
  const other = new TimeWindow(5_000, 5, never)
  for (let i = 0; i < 7; i++) other.record(0, true, false)
  const consecutive = new Consecutive(5)
  consecutive.load(0, other.dump(4_000))
  assert.strictEqual(consecutive.failures(), 0)
  const count = new CountWindow(100, never)
  count.load(0, other.dump(4_000))
  assert.strictEqual(count.calls(), 0)
})

it("a window trips at exactly the given share, for every whole percentage of a hundred calls", () => {
  for (let percent = 1; percent <= 100; percent++) {
    for (const kind of ["failed", "slow"] as const) {
      const thresholds = { minimumCalls: 100, failureRate: 1, slowCallRate: 1 }
      const window = new CountWindow(100, {
        ...thresholds,
        [kind === "failed" ? "failureRate" : "slowCallRate"]: percent / 100
      })
      for (let i = 0; i < 100; i++) window.record(0, kind === "failed" && i < percent, kind === "slow" && i < percent)
      assert.isTrue(window.isTripped(0), `${percent} of 100 ${kind} at ${percent / 100}`)
      window.record(0, false, false)
      assert.isFalse(window.isTripped(0), `${percent - 1} of 100 ${kind} at ${percent / 100}`)
    }
  }
})

/** The published vectors of resilience4j 2: the recorded calls with their delays, and the counts that follow. */
type Recorded = "S" | "ERR" | "SLOW_S" | "SLOW_ERR" | "read"
type Row = readonly [
  afterMillis: number,
  recorded: Recorded,
  expected: { readonly total: number; readonly ok?: number; readonly failed?: number; readonly slow?: number }
]

const replay = (window: Window, rows: ReadonlyArray<Row>) => {
  let now = 0
  rows.forEach(([after, recorded, expected], index) => {
    now += after
    if (recorded !== "read") window.record(now, recorded.endsWith("ERR"), recorded.startsWith("SLOW"))
    const actual = {
      total: window.calls(now),
      ok: window.calls(now) - window.failures(now),
      failed: window.failures(now),
      slow: window.slowCalls(now)
    }
    assert.deepStrictEqual({ ...actual, ...expected }, actual, `row ${index + 1}: +${after} ms ${recorded}`)
  })
}

describe("the windows count as resilience4j's do", () => {
  it("over the last 4 calls (FixedSizeSlidingWindowMetricsTest.testSlidingWindowMetrics)", () => {
    replay(new CountWindow(4, never), [
      [0, "ERR", { total: 1, ok: 0, failed: 1 }],
      [0, "S", { total: 2, ok: 1, failed: 1 }],
      [0, "S", { total: 3, ok: 2, failed: 1 }],
      [0, "S", { total: 4, ok: 3, failed: 1 }],
      [0, "S", { total: 4, ok: 4, failed: 0 }]
    ])
  })

  it("over the last 2 calls, slow ones among them (… .testSlidingWindowMetricsWithSlowCalls)", () => {
    replay(new CountWindow(2, never), [
      [0, "SLOW_ERR", { total: 1, ok: 0, failed: 1, slow: 1 }],
      [0, "SLOW_S", { total: 2, ok: 1, failed: 1, slow: 2 }],
      [0, "S", { total: 2, ok: 2, failed: 0, slow: 1 }],
      [0, "S", { total: 2, ok: 2, failed: 0, slow: 0 }],
      [0, "S", { total: 2, ok: 2, failed: 0, slow: 0 }]
    ])
  })

  const slowCalls: ReadonlyArray<Row> = [
    [0, "SLOW_S", { total: 1, slow: 1 }],
    [0, "SLOW_ERR", { total: 2, slow: 2 }],
    [0, "S", { total: 3, slow: 2 }],
    [0, "S", { total: 4, slow: 2 }],
    [0, "S", { total: 5, ok: 4, failed: 1, slow: 2 }]
  ]
  it("in that 2 slow calls of 5 are 40 %, in both kinds of window (testSlowCallsPercentage of both tests)", () => {
    for (const [slowCallRate, isTripped] of [[0.4, true], [0.41, false]] as const) {
      const thresholds = { minimumCalls: 5, failureRate: 1, slowCallRate }
      for (const window of [new CountWindow(5, thresholds), new TimeWindow(5_000, 5, thresholds)]) {
        replay(window, slowCalls)
        assert.strictEqual(window.isTripped(0), isTripped)
      }
    }
  })

  it("over 5 seconds in buckets of 1 second (SlidingTimeWindowMetricsTest.testSlidingTimeWindowMetrics)", () => {
    replay(new TimeWindow(5_000, 5, never), [
      [0, "ERR", { total: 1, ok: 0, failed: 1 }],
      [100, "S", { total: 2, ok: 1, failed: 1 }],
      [100, "S", { total: 3, ok: 2, failed: 1 }],
      [1_000, "S", { total: 4, ok: 3, failed: 1 }],
      [1_000, "S", { total: 5, ok: 4, failed: 1 }],
      [1_000, "ERR", { total: 6, ok: 4, failed: 2 }],
      [1_000, "S", { total: 7, ok: 5, failed: 2 }],
      [1_000, "S", { total: 5, ok: 4, failed: 1 }],
      [1_000, "S", { total: 5, ok: 4, failed: 1 }],
      [5_000, "S", { total: 1, ok: 1, failed: 0 }]
    ])
  })

  it("in that a read alone drops old calls (SlidingTimeWindowMetricsTest.shouldClearSlidingTimeWindowMetrics)", () => {
    replay(new TimeWindow(5_000, 5, never), [
      [0, "ERR", { total: 1, ok: 0, failed: 1 }],
      [100, "S", { total: 2, ok: 1, failed: 1 }],
      [700, "SLOW_ERR", { total: 3, ok: 1, failed: 2, slow: 1 }],
      [4_000, "read", { total: 3, ok: 1, failed: 2, slow: 1 }],
      [1_000, "read", { total: 0, ok: 0, failed: 0, slow: 0 }],
      [100, "S", { total: 1, ok: 1, failed: 0 }],
      [5_000, "S", { total: 1, ok: 1, failed: 0 }]
    ])
  })
})

describe("a packed window", () => {
  const thresholds = { minimumCalls: 1_000_000, failureRate: 1, slowCallRate: 1 }

  it("packs a hundred thousand calls in a bucket, and refuses to pack more than fit", () => {
    const window = new TimeWindow(1_000, 10, thresholds)
    for (let i = 0; i < 131_071; i++) window.record(i < 100 ? 0 : 950, i % 2 === 0, i % 3 === 0)
    const again = new TimeWindow(1_000, 10, thresholds)
    again.unpack(window.pack()!)
    assert.deepStrictEqual(ask(again, 999), ask(window, 999))
    assert.deepStrictEqual(again.dump(999), window.dump(999))
    for (let i = 0; i < 101; i++) window.record(999, true, true)
    assert.isUndefined(window.pack())
  })

  it("packs the last hundred calls in their order", () => {
    const window = new CountWindow(100, thresholds)
    const again = new CountWindow(100, thresholds)
    for (let i = 0; i < 150; i++) window.record(0, i % 3 === 0, i % 7 === 0)
    again.unpack(window.pack())
    assert.deepStrictEqual(again.dump(), window.dump())
    assert.isBelow(window.pack().length, 6)
  })

  it("takes two numbers for one call, and no numbers for no calls", () => {
    const window = new TimeWindow(1_000, 10, thresholds)
    assert.deepStrictEqual(window.pack(), [])
    window.record(5_050, true, false)
    assert.deepStrictEqual(window.pack(), [50, 1 + 2 ** 17])
  })
})

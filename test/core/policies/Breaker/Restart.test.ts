import * as Breaker from "@breakwater/core/policies/Breaker"
import * as Timeline from "@breakwater/core/Timeline"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { intBetween, Settings } from "../../../drivers/BreakerSettings.ts"
import { consecutive, drive, type Ending, ending } from "../../../drivers/DrivenBreaker.ts"

describe("Breaker over a restart", () => {
  /** The clocks of a process: the common wall clock, and its own monotonic clock with an arbitrary origin. */
  const inProcess = (beganAtMillis: number) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.flatMap(Clock.clockWith(Effect.succeed), (clock) =>
      Effect.provideService(
        effect,
        Clock.Clock,
        Object.create(clock, {
          monotonicTimeNanosUnsafe: {
            value: () => clock.monotonicTimeNanosUnsafe() - BigInt(beganAtMillis) * 1_000_000n
          }
        }) as Clock.Clock
      ))

  const asJson = (snapshots: ReadonlyArray<Breaker.Snapshot>) =>
    JSON.parse(JSON.stringify(snapshots)) as ReadonlyArray<Breaker.Snapshot>

  /** Runs one process to its snapshot, waits a while, and runs another with it. */
  const restart = Effect.fnUntraced(function*(options: Breaker.BreakerOptions, ...endings: ReadonlyArray<Ending>) {
    yield* TestClock.setTime(1_700_000_000_000)
    const oldProcess = inProcess(1_699_000_000_000)
    const newProcess = inProcess(1_700_000_000_500)
    const before = drive(options)
    before.call.now = yield* oldProcess(Timeline.now)
    before.make(...endings)
    const takeOver = Effect.gen(function*() {
      const snapshots = asJson(yield* oldProcess(before.breaker.snapshot))
      yield* TestClock.adjust("1 second")
      const after = drive(options)
      yield* newProcess(after.breaker.restore(snapshots))
      after.call.now = yield* newProcess(Timeline.now)
      return after
    })
    return { before, takeOver }
  })

  it.effect("an open breaker stays open for the rest of its time, and continues to grow from there", () =>
    Effect.gen(function*() {
      const { before, takeOver } = yield* restart(
        { trip: consecutive(1), growth: 2, maxOpenFor: "1 minute" },
        "failure"
      )
      before.call.now += 5_000
      before.make("failure")
      yield* TestClock.adjust("7 seconds")
      const { call, make, refusal } = yield* takeOver
      // Opened for 10 seconds at 5; it is now 8.
      assert.strictEqual(refusal().retryAfterMillis, 7_000)
      call.now += 7_000
      make("failure")
      assert.strictEqual(refusal().retryAfterMillis, 20_000)
    }))

  it.effect("a closed breaker keeps its counts, in every kind of window", () =>
    Effect.gen(function*() {
      const trips: ReadonlyArray<Breaker.Trip> = [
        consecutive(4),
        { _tag: "CountWindow", size: 4, minimumCalls: 4, failureRate: 1 },
        { _tag: "TimeWindow", minimumCalls: 4, failureRate: 1 }
      ]
      for (const trip of trips) {
        const { takeOver } = yield* restart({ trip }, "failure", "failure", "failure")
        const { make, state } = yield* takeOver
        assert.strictEqual(state(), "Closed")
        make("failure")
        assert.strictEqual(state(), "Open")
      }
    }))

  it.effect("a closed breaker counts no calls after its restart that it did not count before", () =>
    Effect.gen(function*() {
      const trips: ReadonlyArray<Breaker.Trip> = [
        consecutive(6),
        { _tag: "CountWindow", size: 10, minimumCalls: 6, failureRate: 1 },
        { _tag: "TimeWindow", minimumCalls: 6, failureRate: 1 }
      ]
      for (const trip of trips) {
        const { takeOver } = yield* restart({ trip }, "failure", "failure", "failure")
        const { make, state } = yield* takeOver
        make("failure", "failure")
        assert.strictEqual(state(), "Closed")
        make("failure")
        assert.strictEqual(state(), "Open")
      }
    }))

  it.effect("a restored time window still drops old calls", () =>
    Effect.gen(function*() {
      const { takeOver } = yield* restart({ trip: { _tag: "TimeWindow", minimumCalls: 3 } }, "failure", "failure")
      const { call, make, state } = yield* takeOver
      call.now += 30_000
      make("failure", "answer")
      assert.strictEqual(state(), "Closed")
    }))

  it.effect("a half-open breaker begins again with its first probe, at once", () =>
    Effect.gen(function*() {
      const { before, takeOver } = yield* restart({ trip: consecutive(1), probes: [1, 4] }, "failure")
      before.call.now += 5_000
      before.make("answer")
      before.admit()
      yield* TestClock.adjust("5 seconds")
      const { admit, make, probing, refusal, state } = yield* takeOver
      assert.strictEqual(state(), "HalfOpen")
      const probe = admit()
      assert.strictEqual(probing(), 1)
      assert.strictEqual(refusal()._tag, "CircuitOpen")
      probe.settle(before.call, ending.answer)
      make("answer", "answer", "answer", "answer")
      assert.strictEqual(state(), "Closed")
    }))

  it.effect("every key is restored as it was", () =>
    Effect.gen(function*() {
      const { before, takeOver } = yield* restart({ trip: consecutive(1) }, "answer")
      before.call.key = "tenant"
      before.make("failure")
      const { breaker, call } = yield* takeOver
      assert.strictEqual(breaker.size, 2)
      assert.strictEqual(breaker.state("acme/charge", call.now), "Closed")
      assert.strictEqual(breaker.state("acme/charge/tenant", call.now), "Open")
    }))

  it.effect("an open breaker that restores a closed state is closed", () =>
    Effect.gen(function*() {
      const { before } = yield* restart({ trip: consecutive(1) }, "answer")
      const closed = yield* before.breaker.snapshot
      before.make("failure")
      assert.strictEqual(before.breaker.state("acme/charge", before.call.now), "Open")
      yield* before.breaker.restore(closed)
      assert.strictEqual(before.breaker.state("acme/charge", before.call.now), "Closed")
    }))

  it.effect("the restoring of an open breaker is reported once", () =>
    Effect.gen(function*() {
      const breaker = Breaker.make()
      const heard: Array<Breaker.Transition> = []
      breaker.onTransition((transition) => heard.push(transition))
      const openUntil = (yield* Clock.currentTimeMillis) + 2_000
      const snapshots: ReadonlyArray<Breaker.Snapshot> = [
        { key: "a", state: "Open", openUntil, openings: 1, window: [] },
        { key: "b", state: "Closed", openUntil: 0, openings: 0, window: [] }
      ]
      yield* breaker.restore(snapshots)
      yield* breaker.restore(snapshots)
      assert.deepStrictEqual(heard, [{ key: "a", from: "Closed", to: "Open" }])
      assert.strictEqual(breaker.state("a", (yield* Timeline.now) + 1_999), "Open")
    }))

  const hour = 3_600_000
  const garbage = [NaN, Infinity, -Infinity, -1, 0, 0.5, 1, 2, 3, 20, 2 ** 31, 2 ** 32 - 1, 2 ** 32 + 20, 1e308]
  const Garbage = intBetween(0, garbage.length - 1)

  it.effect.prop(
    "garbage numbers in a snapshot keep it open for an hour at most, and then it works normally",
    {
      settings: Settings,
      state: Schema.Literals(["Closed", "Open", "HalfOpen"]),
      openUntil: Garbage,
      openings: Garbage,
      window: Schema.Array(Garbage),
      fits: Schema.Boolean
    },
    Effect.fnUntraced(function*({ fits, openings, openUntil, settings, state, window }) {
      const options = { ...settings, openFor: settings.openFor + 1, maxOpenFor: settings.maxOpenFor + 1 }
      const { admit, breaker, call, make, refusal, state: currentState } = drive({ ...options })
      const { trip } = settings
      const fitting = trip._tag === "TimeWindow" ? 3 * trip.buckets : trip._tag === "CountWindow" ? trip.size : 1
      const content = fits ? Array.from({ length: fitting }, (_, i) => window[i % window.length] ?? 0) : window
      yield* breaker.restore([{
        key: "acme/charge",
        state,
        openUntil: garbage[openUntil]!,
        openings: garbage[openings]!,
        window: content.map((index) => garbage[index]!)
      }])
      const [taken] = yield* breaker.snapshot
      for (const number of [taken!.openUntil, taken!.openings, ...taken!.window]) assert.isTrue(Number.isFinite(number))
      call.now = (yield* Timeline.now) + hour
      admit().cancel(call)
      // The vendor is down: it opens, for the permitted time.
      for (let i = 0; currentState() !== "Open"; i++) {
        assert.isBelow(i, 20)
        make("failure")
      }
      const { retryAfterMillis } = refusal()
      assert.isAbove(retryAfterMillis!, 0)
      assert.isAtMost(retryAfterMillis!, options.maxOpenFor)
      // The vendor is up: it closes, and stays closed.
      call.now += retryAfterMillis!
      make(...Array.from({ length: settings.probes.reduce((all, stage) => all + stage, 0) }, () => "answer" as const))
      assert.strictEqual(currentState(), "Closed")
      for (let i = 0; i < 50; i++) {
        make("answer")
        call.now += 500
      }
      assert.strictEqual(currentState(), "Closed")
    })
  )

  it.effect("a content that does not fit the window counts as empty", () =>
    Effect.gen(function*() {
      const { takeOver, before } = yield* restart({ trip: { _tag: "TimeWindow" } })
      for (let i = 0; i < 19; i++) before.make("failure")
      const snapshots = yield* before.breaker.snapshot
      const { breaker, call, make, state } = drive({ trip: consecutive(5) })
      call.now = yield* Timeline.now
      yield* breaker.restore(snapshots)
      make("failure", "failure", "failure", "failure")
      assert.strictEqual(state(), "Closed")
      make("failure")
      assert.strictEqual(state(), "Open")
      const { state: same } = yield* takeOver
      assert.strictEqual(same(), "Closed")
    }))
})

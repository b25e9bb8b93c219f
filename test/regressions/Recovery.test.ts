/**
 * A vendor that has recovered, and circuits that stay away: after outages of a minute that are whole, partial, silent or
 * come back, alone and in fleets that make few calls.
 */
import * as Breaker from "@breakwater/core/policies/Breaker"
import { Timeout, Unavailable } from "@breakwater/core/Reason"
import * as Stack from "@breakwater/core/stack/Stack"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Random, type Scope } from "effect"
import { TestClock } from "effect/testing"
import * as SharedStores from "../fakes/SharedStores.ts"

/** What an attempt meets at a second of the run. */
type Weather = "well" | "fails" | "hangs"

interface Play {
  /** Number of processes. */
  readonly processes: number
  readonly isShared?: boolean
  /** Time between two calls of a process, in milliseconds; it differs a little from process to process. */
  readonly every: number
  readonly breaker?: Breaker.BreakerOptions
  /** `attempt` counts all attempts of the run. */
  readonly weather: (second: number, attempt: number) => Weather
  readonly seconds: number
}

interface Call {
  readonly process: number
  /** When it was made, in seconds. */
  readonly at: number
  isAnswered: boolean
}

/** Plays calls against the weather, and returns them with the states of all circuits in the end. */
const play = ({ breaker: options, every, isShared = false, processes, seconds, weather }: Play): Effect.Effect<
  { readonly calls: ReadonlyArray<Call>; readonly attempts: number; readonly states: ReadonlyArray<Breaker.State> },
  never,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const stores = yield* SharedStores.make({ processes })
    const clock = yield* Effect.clockWith(Effect.succeed)
    const now = () => clock.currentTimeMillisUnsafe() / 1_000
    let attempts = 0
    const attempt = Effect.suspend(() => {
      switch (weather(now(), attempts++)) {
        case "well":
          return Effect.sleep(50)
        case "fails":
          return Effect.andThen(Effect.sleep(20), Effect.fail("busy"))
        case "hangs":
          return Effect.never
      }
    })
    const breakers = yield* Effect.forEach(Array.from({ length: processes }), () => {
      const breaker = Breaker.make(options)
      return isShared ? Effect.as(stores.join(breaker.share), breaker) : Effect.succeed(breaker)
    })
    const calls: Array<Call> = []
    yield* Effect.forEach(breakers, (breaker, process) =>
      Effect.forkScoped(Effect.gen(function*() {
        const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent", policy: { breaker } })
        const ring = stack.guard(attempt, () => new Unavailable(503))
        yield* Effect.sleep(1 + process * every / processes)
        while (true) {
          const call: Call = { process, at: now(), isAnswered: false }
          calls.push(call)
          yield* Effect.forkScoped(Effect.map(Effect.exit(ring), (exit) => {
            call.isAnswered = Exit.isSuccess(exit)
          }))
          yield* Effect.sleep(every * (1 + process / 10))
        }
      })))
    yield* TestClock.adjust(`${seconds} seconds`)
    return { calls, attempts, states: breakers.map((breaker) => breaker.state("acme/ring", seconds * 1_000)) }
  }).pipe(Random.withSeed("recovery"))

const begin = 40
/** An outage of so many seconds, in which so many of ten attempts are met by it. */
const outage = (seconds: number, how: Weather, ofTen: number) => (second: number, attempt: number): Weather =>
  second >= begin && second < begin + seconds && (attempt * 7) % 10 < ofTen ? how : "well"
/** Twelve seconds of twenty are bad. */
const flapping = (second: number): Weather =>
  second >= begin && second < begin + 100 && (second - begin) % 20 < 12 ? "fails" : "well"

const share = (calls: ReadonlyArray<Call>) => calls.filter(({ isAnswered }) => isAnswered).length / calls.length

describe("after the vendor's recovery", () => {
  const outages: ReadonlyArray<readonly [name: string, seconds: number, weather: Play["weather"]]> = [
    ["a whole outage of a minute", 60, outage(60, "fails", 10)],
    ["a whole outage of fifteen seconds", 15, outage(15, "fails", 10)],
    ["an outage of a minute for six attempts of ten", 60, outage(60, "fails", 6)],
    ["an outage of a minute for eight attempts of ten", 60, outage(60, "fails", 8)],
    ["a minute without any answer", 60, outage(60, "hangs", 10)],
    ["outages that come back", 92, flapping]
  ]

  for (const [name, seconds, weather] of outages) {
    for (const perSecond of [1, 5]) {
      it.effect(`nine calls in ten are answered within ten seconds, at ${perSecond} a second: ${name}`, () =>
        Effect.gen(function*() {
          const recovered = begin + seconds
          const run = { processes: 1, every: 1_000 / perSecond, weather, seconds: recovered + 41 }
          const { attempts, calls } = yield* play(run)
          const later = calls.filter(({ at }) => at >= recovered + 10 && at < recovered + 40)
          assert.isAtLeast(share(later), 0.9)
          // The longest time away: five seconds, and the three of a probe that ran at the recovery.
          const back = calls.find(({ at, isAnswered }) => at >= recovered && isAnswered)
          assert.isAtMost(back!.at - recovered, 8 + 1 / perSecond + 0.1)
          assert.isAtMost(attempts, 1.11 * calls.length)
        }).pipe(Effect.scoped))
    }
  }

  it.effect("answers do not open the circuit when older answers have left the window", () =>
    Effect.gen(function*() {
      const breaker = Breaker.make()
      const stack = Stack.make({
        vendor: "acme",
        operation: "ring",
        safety: "Idempotent",
        policy: { breaker, retry: false }
      })
      const call = (isWell: boolean) =>
        Effect.exit(stack.guard(isWell ? Effect.void : Effect.fail("busy"), () => new Timeout("Headers", 1)))
      yield* Effect.replicateEffect(call(true), 20)
      yield* TestClock.adjust("20 seconds")
      yield* Effect.replicateEffect(call(false), 15)
      yield* TestClock.adjust("15 seconds")
      // Fifteen failures and a growing number of answers, more than twenty calls.
      for (let answers = 0; answers < 14; answers++) assert.isTrue(Exit.isSuccess(yield* call(true)))
      assert.strictEqual(breaker.state("acme/ring", 35_000), "Closed")
    }))

  it.effect("one unlucky probe of a later stage does not open the circuit again, however it is tripped", () =>
    Effect.gen(function*() {
      for (
        const trip of [{ _tag: "Consecutive", failures: 2 }, {
          _tag: "CountWindow",
          size: 2,
          minimumCalls: 2
        }] as const
      ) {
        const breaker = Breaker.make({ trip })
        const policy = { breaker, retry: false } as const
        const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent", policy })
        const call = (isWell: boolean) =>
          Effect.exit(stack.guard(isWell ? Effect.void : Effect.fail("busy"), () => new Unavailable(503)))
        yield* Effect.replicateEffect(call(false), 2)
        yield* TestClock.adjust("5 seconds")
        for (const isWell of [true, true, false, true, true, ...Array.from({ length: 16 }, (_, i) => i % 3 > 0)]) {
          yield* call(isWell)
        }
        const now = yield* Effect.clockWith((clock) => Effect.sync(() => clock.currentTimeMillisUnsafe()))
        assert.strictEqual(breaker.state("acme/ring", now), "Closed")
      }
    }))
})

describe("fleet × few calls", () => {
  const consecutive = { trip: { _tag: "Consecutive" } } as const

  for (const processes of [1, 3, 5]) {
    for (const every of [3_000, 5_000, 10_000]) {
      it.effect(`${processes} processes close all their circuits, with a call each ${every / 1_000} s and more, and as soon as alone`, () =>
        Effect.gen(function*() {
          const down = 120
          const weather: Play["weather"] = (second) => second >= 20 && second < 20 + down ? "fails" : "well"
          const recovered = 20 + down
          // A first probe, four and sixteen more; the slowest process calls a little less often than the first.
          const seconds = recovered + 10 + 22 * every / 1_000 * (1 + (processes - 1) / 10)
          const shared = yield* play({ processes, isShared: true, every, breaker: consecutive, weather, seconds })
          assert.deepStrictEqual(shared.states, Array.from({ length: processes }, () => "Closed" as const))
          const later = shared.calls.filter(({ at }) => at >= recovered + 10)
          assert.strictEqual(share(later), 1)
          // A fleet that shares asks a vendor that is down less often.
          const alone = yield* play({ processes, every, breaker: consecutive, weather, seconds })
          if (processes > 1) assert.isAtMost(shared.attempts, alone.attempts)
        }).pipe(Effect.scoped))
    }
  }

  it.effect("no circuit opens because another process probes, however long its probe runs", () =>
    Effect.gen(function*() {
      const stores = yield* SharedStores.make({ processes: 2 })
      const trip = { _tag: "Consecutive", failures: 1 } as const
      const [one, other] = [Breaker.make({ trip }), Breaker.make({ trip: { _tag: "Consecutive", failures: 2 } })]
      yield* stores.join(Effect.andThen(one.share, other.share))
      const stackOf = (breaker: Breaker.Breaker) =>
        Stack.make({
          vendor: "acme",
          operation: "ring",
          safety: "Idempotent",
          policy: { breaker, retry: false, attemptTimeout: "30 seconds", deadline: "1 minute" }
        })
      const call = (breaker: Breaker.Breaker, attempt: Effect.Effect<void, string>) =>
        Effect.forkScoped(Effect.exit(stackOf(breaker).guard(attempt, () => new Unavailable(503))))
      yield* call(one, Effect.fail("busy"))
      yield* TestClock.adjust("6 seconds")
      yield* call(one, Effect.never)
      yield* TestClock.adjust("1 second")
      // Its last call has failed, so that it asks the fleet.
      yield* call(other, Effect.fail("busy"))
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(other.state("acme/ring", 10_000), "Closed")
    }).pipe(Effect.scoped))
})

import type { Refusal, Wait } from "@breakwater/core/Gate"
import * as Breaker from "@breakwater/core/policies/Breaker"
import * as RateLimit from "@breakwater/core/policies/RateLimit"
import * as Stack from "@breakwater/core/stack/Stack"
import type { VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { fakeCall } from "../../drivers/FakeCall.ts"
import { intBetween } from "../../drivers/IntBetween.ts"
import * as SharedStores from "../../fakes/SharedStores.ts"
import * as Effort from "../../setup/Effort.ts"

interface Process {
  /** Makes a call; when it has passed, it is noted in `passed`. */
  call(cost?: number): Effect.Effect<void, VendorError>
}

/** Processes that share a limit, with the times at which their calls passed. */
const fleetOf = (
  count: number,
  options: RateLimit.RateLimitOptions
): Effect.Effect<
  {
    readonly stores: SharedStores.SharedStores
    readonly processes: ReadonlyArray<Process>
    readonly passed: ReadonlyArray<{ readonly at: number; readonly cost: number }>
  },
  never,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const stores = yield* SharedStores.make({ processes: count })
    const passed: Array<{ readonly at: number; readonly cost: number }> = []
    const processes = yield* Effect.forEach(
      Array.from({ length: count }, () => RateLimit.make(options)),
      (rateLimit) =>
        Effect.map(stores.join(rateLimit.share("acme")), (): Process => {
          const stack = Stack.make({
            vendor: "acme",
            operation: "ring",
            safety: "Unsafe",
            policy: { rateLimit, bulkhead: false, deadline: "1 hour", attemptTimeout: "1 hour" }
          })
          return {
            call: (cost = 1) =>
              stack.guard(
                Effect.clockWith((clock) =>
                  Effect.sync(() => void passed.push({ at: clock.currentTimeMillisUnsafe(), cost }))
                ),
                () => undefined,
                { cost }
              )
          }
        })
    )
    return { stores, processes, passed }
  })

/** The number of calls, of those made at once by processes in turn, that have passed and failed by now. */
const burst = (processes: ReadonlyArray<Process>, calls: number) =>
  Effect.tap(
    Effect.forEach(
      Array.from({ length: calls }, (_, i) => processes[i % processes.length]!),
      (process) => Effect.forkChild(Effect.exit(process.call()))
    ),
    TestClock.adjust(0)
  )
const tally = (fibers: ReadonlyArray<Fiber.Fiber<Exit.Exit<void, VendorError>>>) => {
  const exits = fibers.map((fiber) => fiber.pollUnsafe()).map((exit) =>
    exit !== undefined && Exit.isSuccess(exit) ? exit.value : undefined
  )
  return {
    passed: exits.filter((exit) => exit !== undefined && Exit.isSuccess(exit)).length,
    refused: exits.filter((exit) => exit !== undefined && Exit.isFailure(exit)).length,
    waiting: exits.filter((exit) => exit === undefined).length
  }
}

describe("a rate limit that a fleet shares", () => {
  it.effect("counts the calls of all processes together", () =>
    Effect.gen(function*() {
      const { processes } = yield* fleetOf(3, { limit: 5, window: "1 minute", queue: 0 })
      assert.deepStrictEqual(tally(yield* burst(processes, 12)), { passed: 5, refused: 7, waiting: 0 })
    }))

  it.effect("gives a retry-after based on the fleet's use", () =>
    Effect.gen(function*() {
      const { processes } = yield* fleetOf(3, { limit: 6, window: "1 minute", queue: 0 })
      assert.strictEqual(tally(yield* burst([processes[0]!], 6)).passed, 6)
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual((yield* Effect.flip(processes[2]!.call(3))).reason.retryAfterMillis, 26_000)
      const { reason } = yield* Effect.flip(processes[1]!.call())
      assert.strictEqual(reason.retryAfterMillis, 6_000)
      const dear = yield* Effect.flip(processes[1]!.call(3))
      assert.strictEqual(dear.reason.retryAfterMillis, 26_000)
    }))

  it.effect("takes the available permits when there are fewer than requested", () =>
    Effect.gen(function*() {
      const { processes, stores } = yield* fleetOf(2, { limit: 10, window: "1 minute", queue: 0 })
      assert.strictEqual(tally(yield* burst([processes[0]!], 7)).passed, 7)
      stores.health = "slow"
      const rest = yield* burst([processes[1]!], 5)
      assert.strictEqual(tally(rest).waiting, 5)
      yield* TestClock.adjust(5 * SharedStores.slowMillis)
      assert.deepStrictEqual(tally(rest), { passed: 3, refused: 2, waiting: 0 })
    }))

  it.effect("leaves permits to the others that it no longer needs", () =>
    Effect.gen(function*() {
      const { processes } = yield* fleetOf(2, { limit: 40, window: "1 second", queue: 0 })
      const [leisurely, busy] = processes
      // At first it needs many, so that it takes some ahead.
      for (let i = 0; i < 30; i++) {
        yield* burst([leisurely!], 1)
        yield* TestClock.adjust("25 millis")
      }
      yield* TestClock.adjust("2 seconds")
      // 35 and 2.5 a second, of 40.
      for (let i = 0; i < 50; i++) {
        const calls = [...(yield* burst([leisurely!], 1)), ...(yield* burst([busy!], 7))]
        yield* TestClock.adjust("200 millis")
        calls.push(...(yield* burst([busy!], 7)))
        yield* TestClock.adjust("200 millis")
        assert.strictEqual(tally(calls).passed, 15)
      }
    }))

  it.effect("returns the fleet's permits when a later gate refuses the call", () =>
    Effect.gen(function*() {
      const stores = yield* SharedStores.make()
      const rateLimit = RateLimit.make({ limit: 1, window: "1 minute", queue: 0 })
      yield* stores.join(rateLimit.share("acme"))
      const breaker = Breaker.make()
      breaker.setMode("ForcedOpen")
      const policy = { rateLimit, breaker }
      const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Unsafe", policy })
      const ring = stack.guard(Effect.void, () => undefined)
      assert.strictEqual((yield* Effect.flip(ring)).reason._tag, "CircuitOpen")
      breaker.setMode("Automatic")
      yield* ring
      assert.strictEqual((yield* Effect.flip(ring)).reason._tag, "RateLimitExceeded")
    }))

  it.effect("lets a refused call that is interrupted leave only once", () =>
    Effect.gen(function*() {
      const stores = yield* SharedStores.make()
      const rateLimit = RateLimit.make({ limit: 2, window: "1 minute", queue: 1, maxWait: "1 minute" })
      const other = RateLimit.make({ limit: 2, window: "1 minute" })
      yield* stores.join(Effect.andThen(rateLimit.share("acme"), other.share("acme")))
      const use = Stack.make({ vendor: "acme", operation: "x", safety: "Unsafe", policy: { rateLimit: other } })
      yield* Effect.replicateEffect(use.guard(Effect.void, () => undefined), 2)
      stores.health = "slow"
      const call = fakeCall()
      const waits = [rateLimit.admit(call), rateLimit.admit(call)] as ReadonlyArray<Wait>
      const turns: Array<number> = []
      for (const wait of waits) wait.onTurn(() => turns.push(waits.indexOf(wait)))
      yield* TestClock.adjust(2 * SharedStores.slowMillis)
      assert.sameMembers(turns, [0, 1])
      assert.strictEqual(rateLimit.waiting("acme"), 1)
      for (const wait of waits) wait.cancel(call)
      assert.strictEqual(rateLimit.waiting("acme"), 0)
      // No call waits: the next is told the time of one permit, and not less.
      const next = rateLimit.admit(fakeCall({ now: 2 * SharedStores.slowMillis, deadline: 1_000 })) as Refusal
      assert.isAtLeast(next.reason.retryAfterMillis ?? 0, 29_000)
    }))

  for (const health of ["down", "hangs"] as const) {
    const isAway = `while its store ${health === "down" ? "is down" : health}`

    it.effect(`gives each process the whole limit ${isAway}, if it says so`, () =>
      Effect.gen(function*() {
        const { processes, stores } = yield* fleetOf(3, {
          limit: 5,
          window: "1 minute",
          queue: 0,
          maxWait: 0,
          whenDown: "Local"
        })
        stores.health = health
        const calls = yield* burst(processes, 24)
        yield* TestClock.adjust("100 millis")
        assert.deepStrictEqual(tally(calls), { passed: 15, refused: 9, waiting: 0 })
      }))

    it.effect(`gives each process its part of the limit ${isAway}`, () =>
      Effect.gen(function*() {
        const { processes, stores } = yield* fleetOf(3, { limit: 12, window: "1 minute", queue: 0, maxWait: 0 })
        yield* TestClock.adjust(1)
        stores.health = health
        const calls = yield* burst(processes, 60)
        yield* TestClock.adjust("100 millis")
        assert.deepStrictEqual(tally(calls), { passed: 12, refused: 48, waiting: 0 })
        // The busy one is not given what the others leave.
        yield* TestClock.adjust("1 minute")
        const one = yield* burst([processes[0]!], 12)
        yield* TestClock.adjust("100 millis")
        assert.deepStrictEqual(tally(one), { passed: 4, refused: 8, waiting: 0 })
      }))
  }

  it.effect("counts the calls before the store went away against a process's part", () =>
    Effect.gen(function*() {
      const { processes, stores } = yield* fleetOf(2, { limit: 12, window: "1 minute", queue: 0, maxWait: 0 })
      yield* TestClock.adjust(1)
      assert.strictEqual(tally(yield* burst([processes[0]!], 10)).passed, 10)
      stores.health = "down"
      assert.deepStrictEqual(tally(yield* burst([processes[0]!], 2)), { passed: 0, refused: 2, waiting: 0 })
      assert.deepStrictEqual(tally(yield* burst([processes[1]!], 12)), { passed: 6, refused: 6, waiting: 0 })
      // Ten calls emptied its part, and no more: ten seconds refill one permit of six a minute.
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(tally(yield* burst([processes[0]!], 2)).passed, 1)
    }))

  it.effect("tells a refused call the time by the process's part", () =>
    Effect.gen(function*() {
      const { processes, stores } = yield* fleetOf(2, { limit: 12, window: "1 minute", queue: 0, maxWait: 0 })
      yield* TestClock.adjust(1)
      stores.health = "down"
      yield* burst([processes[0]!], 6)
      const { reason } = yield* Effect.flip(processes[0]!.call())
      assert.strictEqual(reason._tag, "RateLimitExceeded")
      assert.strictEqual(reason.retryAfterMillis, 10_000)
    }))

  it.effect("lets calls wait for the process's part, one after another", () =>
    Effect.gen(function*() {
      const { passed, processes, stores } = yield* fleetOf(2, { limit: 4, window: "1 second", maxWait: "1 minute" })
      yield* TestClock.adjust(1)
      stores.health = "down"
      const calls = yield* burst([processes[0]!], 6)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(tally(calls), { passed: 6, refused: 0, waiting: 0 })
      assert.deepStrictEqual(passed.map(({ at }) => at - passed[0]!.at), [0, 0, 500, 1_000, 1_500, 2_000])
    }))

  it.effect("allows each of more processes than permits one call at a time, and a call that costs more than a part", () =>
    Effect.gen(function*() {
      const { processes, stores } = yield* fleetOf(8, { limit: 4, window: "1 minute", queue: 0, maxWait: 0 })
      yield* TestClock.adjust(1)
      stores.health = "down"
      assert.strictEqual(tally(yield* burst(processes, 16)).passed, 8)
      yield* TestClock.adjust("10 minutes")
      yield* processes[0]!.call(3)
      // Three permits, of a half a minute.
      yield* TestClock.adjust("359 seconds")
      assert.strictEqual(tally(yield* burst([processes[0]!], 1)).passed, 0)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(tally(yield* burst([processes[0]!], 1)).passed, 1)
    }))

  it.effect.prop(
    "keeps the limit of the fleet in any span of time while the store is away",
    {
      limit: intBetween(3, 30),
      window: Schema.Literals([100, 1_000, 10_000]),
      arrivals: Schema.Array(
        Schema.Struct({ process: intBetween(0, 2), gap: intBetween(0, 400), cost: Schema.Literals([1, 1, 1, 0]) })
      )
    },
    ({ arrivals, limit, window }) =>
      Effect.gen(function*() {
        const { passed, processes, stores } = yield* fleetOf(3, { limit, window, queue: 1_000, maxWait: "1 hour" })
        yield* TestClock.adjust(1)
        stores.health = "down"
        for (const { cost, gap, process } of arrivals) {
          yield* TestClock.adjust(gap)
          yield* Effect.forkChild(Effect.exit(processes[process]!.call(cost)))
        }
        yield* TestClock.adjust(arrivals.length * 3 * window + 1_000)
        assert.strictEqual(passed.length, arrivals.length)
        for (const [first, from] of passed.entries()) {
          let used = 0
          for (const { at, cost } of passed.slice(first)) {
            used += cost
            // Timers fire up to a millisecond late, never early.
            assert.isAtMost(used, limit + (at - from.at + 1) / (window / limit) + 1e-6, `between ${from.at} and ${at}`)
          }
        }
      }).pipe(Effect.scoped),
    { arbitrary: { runs: Effort.runs(100, 20), size: 60 } }
  )

  it.effect("asks a store that is back, also when its part is used up and no call passes", () =>
    Effect.gen(function*() {
      const { processes, stores } = yield* fleetOf(4, { limit: 4, window: "1 minute", queue: 0, maxWait: 0 })
      yield* TestClock.adjust(1)
      stores.health = "down"
      assert.strictEqual(tally(yield* burst([processes[0]!], 2)).passed, 1)
      stores.health = "well"
      yield* TestClock.adjust("2 seconds")
      // The first call of these finds the store back. The process's own limit allows three more in this minute.
      const first = tally(yield* burst([processes[0]!], 1)).passed
      assert.strictEqual(first + tally(yield* burst([processes[0]!], 4)).passed, 3)
    }))

  it.effect("makes no call wait for a store that was bypassed before", () =>
    Effect.gen(function*() {
      const { processes, stores } = yield* fleetOf(1, { limit: 100, window: "1 minute" })
      stores.health = "hangs"
      const first = yield* burst(processes, 1)
      assert.strictEqual(tally(first).waiting, 1)
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(tally(first).passed, 1)
      for (let second = 0; second < 5; second++) {
        assert.strictEqual(tally(yield* burst(processes, 10)).passed, 10)
        yield* TestClock.adjust("1 seconds")
      }
      // It is tried about once per pause and timeout together.
      assert.isAtMost(stores.asked, 6)
    }))

  it.effect("shares its counts again when the store is back", () =>
    Effect.gen(function*() {
      const { processes, stores } = yield* fleetOf(2, { limit: 4, window: "1 seconds", queue: 0 })
      stores.health = "down"
      assert.strictEqual(tally(yield* burst(processes, 8)).passed, 4)
      stores.health = "well"
      yield* TestClock.adjust("2 seconds")
      // Meanwhile each process finds out that it is not alone.
      assert.strictEqual(tally(yield* burst(processes, 2)).passed, 2)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(tally(yield* burst(processes, 8)).passed, 4)
    }))

  it.effect("asks the store far less often than a busy process calls", () =>
    Effect.gen(function*() {
      const { processes, stores } = yield* fleetOf(1, { limit: 1_000, window: "1 seconds" })
      for (let tick = 0; tick < 100; tick++) {
        yield* burst(processes, 9)
        yield* TestClock.adjust("10 millis")
      }
      assert.isAtMost(stores.asked, 60)
      assert.isAtLeast(stores.asked, 5)
    }))

  it.effect("takes nothing for a call that is interrupted while the store is asked, and serves those behind it", () =>
    Effect.gen(function*() {
      const { processes, stores } = yield* fleetOf(1, { limit: 2, window: "1 minute", queue: 0 })
      stores.health = "hangs"
      const [first, second] = yield* burst(processes, 2)
      yield* Fiber.interrupt(first!)
      stores.health = "well"
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(tally([second!]).passed, 1)
      assert.strictEqual(tally(yield* burst(processes, 2)).passed, 1)
    }))

  it.effect.prop(
    "admits at most the bucket and its refill in any span of time, and every call in the end",
    {
      limit: intBetween(1, 12),
      window: Schema.Literals([100, 1_000, 10_000]),
      arrivals: Schema.Array(
        Schema.Struct({ process: intBetween(0, 2), gap: intBetween(0, 400), cost: Schema.Literals([1, 1, 1, 2, 0]) })
      )
    },
    ({ arrivals, limit, window }) =>
      Effect.gen(function*() {
        const settings = { limit: limit + 1, window, queue: 1_000, maxWait: "1 hour" } as const
        const { passed, processes } = yield* fleetOf(3, settings)
        const fibers: Array<Fiber.Fiber<Exit.Exit<void, VendorError>>> = []
        for (const { cost, gap, process } of arrivals) {
          yield* TestClock.adjust(gap)
          fibers.push(yield* Effect.forkChild(Effect.exit(processes[process]!.call(cost))))
        }
        yield* TestClock.adjust(200 * 3 * window + 60_000)
        assert.deepStrictEqual(tally(fibers), { passed: arrivals.length, refused: 0, waiting: 0 })

        // Permits taken ahead may be used up to a quarter of a second later.
        const interval = window / settings.limit
        for (const [first, from] of passed.entries()) {
          let used = 0
          for (const { at, cost } of passed.slice(first)) {
            used += cost
            const most = settings.limit + 1 + (at - from.at + 250) / interval
            assert.isAtMost(used, most, `between ${from.at} and ${at}`)
          }
        }
      }).pipe(Effect.scoped),
    { arbitrary: { runs: Effort.runs(150, 20), size: 60 } }
  )
})

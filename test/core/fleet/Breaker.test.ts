import * as Breaker from "@breakwater/core/policies/Breaker"
import { Unavailable } from "@breakwater/core/Reason"
import * as Stack from "@breakwater/core/stack/Stack"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { intBetween } from "../../drivers/IntBetween.ts"
import * as SharedStores from "../../fakes/SharedStores.ts"
import * as Effort from "../../setup/Effort.ts"

interface Process {
  readonly breaker: Breaker.Breaker
  /** Makes a call, and lets the effects that it started run. */
  readonly call: Effect.Effect<"answered" | "failed" | "refused">
  /** A call that hangs at the vendor. */
  readonly hang: Effect.Effect<never>
}

interface Fleet {
  readonly stores: SharedStores.SharedStores
  readonly processes: ReadonlyArray<Process>
  readonly vendor: { isWell: boolean; calls: number; onCall: () => void }
}

const key = "acme/ring"

/** Processes that share a breaker, and the vendor that they call. */
const fleetOf = (
  count: number,
  options: Breaker.BreakerOptions = {}
): Effect.Effect<Fleet, never, Scope.Scope> =>
  Effect.gen(function*() {
    const stores = yield* SharedStores.make()
    const vendor = { isWell: true, calls: 0, onCall: () => {} }
    const arrive = Effect.sync(() => {
      vendor.calls++
      vendor.onCall()
    })
    const processes = yield* Effect.forEach(
      Array.from({ length: count }, () =>
        Breaker.make({ trip: { _tag: "Consecutive", failures: 2 }, openFor: "10 seconds", ...options })),
      (breaker) =>
        Effect.map(stores.join(breaker.share), (): Process => {
          const stack = Stack.make({
            vendor: "acme",
            operation: "ring",
            safety: "Unsafe",
            policy: { breaker, bulkhead: false, retry: false, deadline: "1 hour", attemptTimeout: "1 hour" }
          })
          const ring = Effect.andThen(
            arrive,
            Effect.suspend(() =>
              vendor.isWell ? Effect.void : Effect.fail("busy")
            )
          )
          return {
            breaker,
            call: Effect.gen(function*() {
              const fiber = yield* Effect.forkChild(stack.guard(ring, () => new Unavailable(503)))
              yield* TestClock.adjust(0)
              return yield* Effect.match(Fiber.join(fiber), {
                onSuccess: () => "answered" as const,
                onFailure: (error) => error === "busy" ? "failed" as const : "refused" as const
              })
            }),
            hang: Effect.andThen(stack.guard(Effect.andThen(arrive, Effect.never), () => undefined), Effect.never).pipe(
              Effect.orDie
            )
          }
        })
    )
    return { stores, processes, vendor }
  })

const states = ({ processes }: Fleet) =>
  Effect.clockWith((clock) =>
    Effect.sync(() =>
      processes.map(({ breaker }) => breaker.state(key, Number(clock.monotonicTimeNanosUnsafe()) / 1e6))
    )
  )

/** The first process finds the vendor down, by the two calls that this takes. */
const breakDown = ({ processes, vendor }: Fleet) =>
  Effect.gen(function*() {
    vendor.isWell = false
    assert.strictEqual(yield* processes[0]!.call, "failed")
    assert.strictEqual(yield* processes[0]!.call, "failed")
    yield* TestClock.adjust(0)
  })

describe("a breaker that a fleet shares", () => {
  it.effect("opens for all that have met a failure too, within a poll, when it opens for one", () =>
    Effect.gen(function*() {
      const fleet = yield* fleetOf(3)
      yield* fleet.processes[2]!.call
      yield* breakDown(fleet)
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual(yield* fleet.processes[1]!.call, "failed")
      assert.deepStrictEqual(yield* states(fleet), ["Open", "Closed", "Closed"])
      yield* TestClock.adjust("1 seconds")
      // The last call of the third was answered.
      assert.deepStrictEqual(yield* states(fleet), ["Open", "Open", "Closed"])
      assert.strictEqual(fleet.vendor.calls, 4)
      assert.strictEqual(yield* fleet.processes[1]!.call, "refused")
    }))

  it.effect("does not open for a process that calls rarely, and whose last call the vendor answered", () =>
    Effect.gen(function*() {
      const fleet = yield* fleetOf(2)
      for (let round = 0; round < 4; round++) {
        fleet.vendor.isWell = true
        assert.strictEqual(yield* fleet.processes[1]!.call, "answered")
        fleet.vendor.isWell = false
        yield* fleet.processes[0]!.call
        yield* TestClock.adjust("9 seconds")
      }
      assert.deepStrictEqual(yield* states(fleet), ["Open", "Closed"])
    }))

  it.effect("does not open for a process that the vendor answers", () =>
    Effect.gen(function*() {
      const fleet = yield* fleetOf(2)
      yield* breakDown(fleet)
      fleet.vendor.isWell = true
      for (let second = 0; second < 8; second++) {
        yield* TestClock.adjust("500 millis")
        assert.strictEqual(yield* fleet.processes[1]!.call, "answered")
        yield* TestClock.adjust("500 millis")
      }
      assert.deepStrictEqual(yield* states(fleet), ["Open", "Closed"])
    }))

  it.effect("is probed by one process for all, and closes by stages", () =>
    Effect.gen(function*() {
      const fleet = yield* fleetOf(3, { probes: [1, 2] })
      yield* breakDown(fleet)
      yield* Effect.forEach(fleet.processes.slice(1), ({ call }) => call)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* states(fleet), ["Open", "Open", "Open"])

      yield* TestClock.adjust("8 seconds")
      fleet.vendor.calls = 0
      const probing = yield* Effect.forEach(fleet.processes, ({ hang }) => Effect.forkChild(hang))
      yield* TestClock.adjust(0)
      assert.strictEqual(fleet.vendor.calls, 1)
      yield* Effect.forEach(probing, Fiber.interrupt)

      // The probe was abandoned. Another is made and finds the vendor healthy.
      fleet.vendor.isWell = true
      yield* TestClock.adjust("2 seconds")
      const [prober, other] = fleet.processes
      assert.strictEqual(yield* prober!.call, "answered")
      fleet.vendor.calls = 0

      // The others make no first probe, but begin with the second stage, also before the prober has ended its own.
      const two = yield* Effect.forkChild(Effect.all([other!.hang, other!.hang, other!.hang], { concurrency: 3 }))
      yield* TestClock.adjust(0)
      assert.strictEqual(fleet.vendor.calls, 2)
      yield* Fiber.interrupt(two)
      assert.strictEqual(yield* prober!.call, "answered")
      assert.strictEqual(yield* prober!.call, "answered")
      assert.strictEqual((yield* states(fleet))[0], "Closed")
    }))

  it.effect("hands the probe over at once when its call ends without a result", () =>
    Effect.gen(function*() {
      const fleet = yield* fleetOf(2)
      yield* breakDown(fleet)
      assert.strictEqual(yield* fleet.processes[1]!.call, "failed")
      yield* TestClock.adjust("10 seconds")
      const abandoned = yield* Effect.forkChild(fleet.processes[0]!.hang)
      yield* TestClock.adjust(0)
      yield* Fiber.interrupt(abandoned)
      fleet.vendor.isWell = true
      assert.strictEqual(yield* fleet.processes[1]!.call, "answered")
    }))

  it.effect("tells the others when it closes by itself", () =>
    Effect.gen(function*() {
      const fleet = yield* fleetOf(2, { probes: [1, 2] })
      yield* breakDown(fleet)
      assert.strictEqual(yield* fleet.processes[1]!.call, "failed")
      yield* TestClock.adjust("10 seconds")
      // The second takes the probe, and then makes no more calls.
      const lost = yield* Effect.forkChild(fleet.processes[1]!.hang)
      yield* TestClock.adjust("58 seconds")
      // The first probes by itself while the store is away, and is done when the second gives its probe up.
      fleet.stores.health = "down"
      fleet.vendor.isWell = true
      assert.strictEqual(yield* fleet.processes[0]!.call, "answered")
      assert.strictEqual(yield* fleet.processes[0]!.call, "answered")
      fleet.stores.health = "well"
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* fleet.processes[0]!.call, "answered")
      yield* Fiber.interrupt(lost)
      assert.strictEqual(yield* fleet.stores.stateOf(key), "Closed")
    }))

  it.effect("repeats its verdict until the store hears it", () =>
    Effect.gen(function*() {
      const fleet = yield* fleetOf(2)
      yield* breakDown(fleet)
      assert.strictEqual(yield* fleet.processes[1]!.call, "failed")
      yield* TestClock.adjust("10 seconds")
      const first = fleet.processes[0]!
      fleet.vendor.isWell = true
      // The store is lost between the consent and the verdict.
      fleet.vendor.onCall = () => {
        fleet.stores.health = "down"
      }
      assert.strictEqual(yield* first.call, "answered")
      fleet.vendor.onCall = () => {}
      yield* TestClock.adjust("5 seconds")
      fleet.stores.health = "well"
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* fleet.processes[1]!.call, "answered")
    }))

  it.effect("stays open for all when the probe fails", () =>
    Effect.gen(function*() {
      const fleet = yield* fleetOf(2)
      yield* breakDown(fleet)
      assert.strictEqual(yield* fleet.processes[1]!.call, "failed")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* fleet.processes[1]!.call, "failed")
      fleet.vendor.calls = 0
      for (let second = 0; second < 9; second++) {
        yield* TestClock.adjust("1 seconds")
        assert.deepStrictEqual(yield* Effect.forEach(fleet.processes, ({ call }) => call), ["refused", "refused"])
      }
      assert.strictEqual(fleet.vendor.calls, 0)
    }))

  for (const health of ["down", "hangs"] as const) {
    it.effect(`opens and probes separately in each process while the store ${health === "down" ? "is down" : health}`, () =>
      Effect.gen(function*() {
        const fleet = yield* fleetOf(2, { probes: [1] })
        fleet.stores.health = health
        yield* breakDown(fleet)
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(yield* states(fleet), ["Open", "Closed"])
        yield* TestClock.adjust("5 seconds")
        fleet.vendor.isWell = true
        const call = yield* Effect.forkChild(fleet.processes[0]!.call)
        yield* TestClock.adjust("100 millis")
        assert.strictEqual(yield* Fiber.join(call), "answered")
        assert.deepStrictEqual(yield* states(fleet), ["Closed", "Closed"])
      }))
  }

  it.effect("asks the fleet with one call, and refuses the others meanwhile", () =>
    Effect.gen(function*() {
      const fleet = yield* fleetOf(1)
      yield* breakDown(fleet)
      fleet.vendor.isWell = true
      fleet.stores.health = "slow"
      yield* TestClock.adjust("10 seconds")
      const asking = yield* Effect.forkChild(fleet.processes[0]!.call)
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* fleet.processes[0]!.call, "refused")
      yield* TestClock.adjust(SharedStores.slowMillis)
      assert.strictEqual(yield* Fiber.join(asking), "answered")
    }))

  it.effect("leaves the probe to the next call when the asking one is interrupted", () =>
    Effect.gen(function*() {
      const fleet = yield* fleetOf(2)
      yield* fleet.processes[1]!.call
      yield* breakDown(fleet)
      yield* TestClock.adjust("10 seconds")
      fleet.stores.health = "slow"
      const left = yield* Effect.forkChild(fleet.processes[0]!.hang)
      yield* TestClock.adjust(0)
      yield* Fiber.interrupt(left)
      yield* TestClock.adjust(3 * SharedStores.slowMillis)
      fleet.stores.health = "well"
      fleet.vendor.isWell = true
      assert.strictEqual(yield* fleet.processes[1]!.call, "answered")
    }))

  it.effect("stays closed when it was closed by hand while the fleet was asked, and another process may probe", () =>
    Effect.gen(function*() {
      const fleet = yield* fleetOf(2)
      yield* fleet.processes[1]!.call
      yield* breakDown(fleet)
      yield* TestClock.adjust("10 seconds")
      fleet.stores.health = "slow"
      const asking = yield* Effect.forkChild(fleet.processes[0]!.call)
      yield* TestClock.adjust(0)
      yield* fleet.processes[0]!.breaker.restore([{ key, state: "Closed", openUntil: 0, openings: 0, window: [] }])
      yield* TestClock.adjust(3 * SharedStores.slowMillis)
      yield* Fiber.join(asking)
      assert.strictEqual((yield* states(fleet))[0], "Closed")
      fleet.stores.health = "well"
      fleet.vendor.isWell = true
      assert.strictEqual(yield* fleet.processes[1]!.call, "answered")
    }))

  it.effect("stays closed by hand also when another process has found the vendor healthy meanwhile", () =>
    Effect.gen(function*() {
      const fleet = yield* fleetOf(2, { probes: [1] })
      yield* fleet.processes[1]!.call
      yield* breakDown(fleet)
      fleet.vendor.isWell = true
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* fleet.processes[1]!.call, "answered")
      fleet.stores.health = "slow"
      const asking = yield* Effect.forkChild(fleet.processes[0]!.call)
      yield* TestClock.adjust(0)
      yield* fleet.processes[0]!.breaker.restore([{ key, state: "Closed", openUntil: 0, openings: 0, window: [] }])
      const transitions: Array<Breaker.Transition> = []
      fleet.processes[0]!.breaker.onTransition((transition) => transitions.push(transition))
      yield* TestClock.adjust(3 * SharedStores.slowMillis)
      yield* Fiber.join(asking)
      assert.deepStrictEqual(transitions, [])
    }))

  it.effect("prefers a process's own evidence over the fleet's response", () =>
    Effect.gen(function*() {
      const fleet = yield* fleetOf(3, { openFor: "5 seconds" })
      yield* breakDown(fleet)
      // Both have called without an answer since, and so ask at their next poll.
      assert.strictEqual(yield* fleet.processes[1]!.call, "failed")
      assert.strictEqual(yield* fleet.processes[2]!.call, "failed")
      fleet.stores.health = "slow"
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* fleet.processes[2]!.call, "failed")
      fleet.vendor.isWell = true
      assert.strictEqual(yield* fleet.processes[1]!.call, "answered")
      assert.deepStrictEqual(yield* states(fleet), ["Open", "Closed", "Open"])
      yield* TestClock.adjust(2 * SharedStores.slowMillis)
      assert.deepStrictEqual(yield* states(fleet), ["Open", "Closed", "Open"])
      // It was to be open until 6 seconds by its own evidence; the others said 5.
      yield* TestClock.adjust(4_900 - 2 * SharedStores.slowMillis)
      assert.strictEqual((yield* states(fleet))[2], "Open")
    }))

  it.effect("does not follow a fleet in which no process probes and none has it open", () =>
    Effect.gen(function*() {
      const fleet = yield* fleetOf(2)
      yield* breakDown(fleet)
      yield* TestClock.adjust("10 seconds")
      fleet.stores.health = "slow"
      const left = yield* Effect.forkChild(fleet.processes[0]!.hang)
      yield* TestClock.adjust(0)
      yield* Fiber.interrupt(left)
      yield* TestClock.adjust(3 * SharedStores.slowMillis)
      fleet.stores.health = "well"
      assert.strictEqual(yield* fleet.processes[1]!.call, "failed")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* states(fleet))[1], "Closed")
    }))

  it.effect("reports every opening", () =>
    Effect.gen(function*() {
      const fleet = yield* fleetOf(2, { probes: [1] })
      yield* breakDown(fleet)
      fleet.vendor.isWell = true
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* fleet.processes[0]!.call, "answered")
      yield* breakDown(fleet)
      assert.strictEqual(yield* fleet.processes[1]!.call, "failed")
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(yield* states(fleet), ["Open", "Open"])
    }))

  it.effect("does not poll circuits that are not called, or that the vendor answers", () =>
    Effect.gen(function*() {
      const fleet = yield* fleetOf(2)
      yield* fleet.processes[0]!.call
      fleet.vendor.isWell = false
      yield* fleet.processes[1]!.call
      yield* TestClock.adjust("10 seconds")
      const { asked } = fleet.stores
      fleet.vendor.isWell = true
      for (let second = 0; second < 20; second++) {
        yield* fleet.processes[0]!.call
        yield* TestClock.adjust("1 seconds")
      }
      assert.strictEqual(fleet.stores.asked, asked)
    }))

  it.effect("passes the probe to another process when its result never comes", () =>
    Effect.gen(function*() {
      const fleet = yield* fleetOf(2, { probeTimeout: "30 seconds" })
      yield* breakDown(fleet)
      assert.strictEqual(yield* fleet.processes[1]!.call, "failed")
      yield* TestClock.adjust("10 seconds")
      const lost = yield* Effect.forkChild(fleet.processes[0]!.hang)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* fleet.processes[1]!.call, "refused")
      yield* TestClock.adjust("30 seconds")
      fleet.vendor.isWell = true
      assert.strictEqual(yield* fleet.processes[1]!.call, "answered")
      yield* Fiber.interrupt(lost)
    }))

  it.effect.prop(
    "makes one first probe at a time for the whole fleet, in any course of events",
    {
      steps: Schema.Array(Schema.Union([
        Schema.TaggedStruct("call", { process: intBetween(0, 2) }),
        Schema.TaggedStruct("wait", { seconds: intBetween(0, 15) }),
        Schema.TaggedStruct("vendor", { isWell: Schema.Boolean }),
        Schema.TaggedStruct("hang", { process: intBetween(0, 2) }),
        Schema.TaggedStruct("interrupt", {})
      ]))
    },
    ({ steps }) =>
      Effect.gen(function*() {
        // No process is kept away for so long that it makes a probe of its own.
        const fleet = yield* fleetOf(3, { probes: [1], probeTimeout: "1 hour", maxOpenFor: "1 hour" })
        const hanging: Array<Fiber.Fiber<never>> = []
        for (const step of steps) {
          switch (step._tag) {
            case "call":
              yield* fleet.processes[step.process]!.call
              break
            case "wait":
              yield* TestClock.adjust(step.seconds * 1_000)
              break
            case "vendor":
              fleet.vendor.isWell = step.isWell
              break
            case "hang":
              hanging.push(yield* Effect.forkChild(fleet.processes[step.process]!.hang))
              yield* TestClock.adjust(0)
              break
            case "interrupt":
              yield* Effect.forEach(hanging.splice(0), Fiber.interrupt)
          }
          const breakers = fleet.processes.map(({ breaker }) => breaker)
          assert.isAtMost(breakers.reduce((sum, breaker) => sum + breaker.probing(key), 0), 1)
        }
        yield* Effect.forEach(hanging, Fiber.interrupt)

        // In the end, every process calls a healthy vendor again.
        fleet.vendor.isWell = true
        for (let round = 0; round < 200; round++) {
          yield* TestClock.adjust("5 seconds")
          for (const { call } of fleet.processes) yield* call
        }
        assert.deepStrictEqual(yield* states(fleet), ["Closed", "Closed", "Closed"])
      }).pipe(Effect.scoped),
    { arbitrary: { runs: Effort.runs(40, 8), size: 40 } }
  )
})

import { type Gate, refuse } from "@breakwater/core/Gate"
import * as Bulkhead from "@breakwater/core/policies/Bulkhead"
import type { Attempt, Leaf } from "@breakwater/core/stack/Leaf"
import type * as Policy from "@breakwater/core/stack/Policy"
import * as Stack from "@breakwater/core/stack/Stack"
import { BulkheadFull, Unavailable } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, type Duration, Effect, Exit, Fiber, Scheduler } from "effect"
import { TestClock } from "effect/testing"
import { AsyncLocalStorage } from "node:async_hooks"
import { intBetween } from "../../drivers/IntBetween.ts"
import { until } from "../../watches/Until.ts"

const stack = (policy: Policy.Policy = {}) =>
  Stack.make({ vendor: "acme", operation: "charge", safety: "Idempotent", policy })

const hanging: Leaf<never, never> = () => () => {}
const instant: Leaf<string, never> = (attempt) => {
  attempt.answer(Exit.succeed("answer"))
  return () => {}
}
const yielding = Effect.provideService(Scheduler.MaxOpsBeforeYield, 3)

/** The clock of the test, and how many sleep on it. */
const sleepers = Effect.map(Effect.clockWith(Effect.succeed), (clock) => {
  let sleeping = 0
  const sleep = (duration: Duration.Duration) =>
    Effect.suspend(() => {
      sleeping++
      return Effect.ensuring(clock.sleep(duration), Effect.sync(() => sleeping--))
    })
  const counted: Clock.Clock = Object.create(clock, { sleep: { value: sleep } }) as Clock.Clock
  return { clock: counted, sleeping: () => sleeping }
})

describe("a call and its fibre", () => {
  it.effect("gives back its place when the fibre is interrupted", () =>
    Effect.gen(function*() {
      const bulkhead = Bulkhead.make({ limit: 1 })
      const fiber = yield* Effect.forkChild(stack({ bulkhead }).call(hanging), { startImmediately: true })
      assert.strictEqual(bulkhead.running("acme"), 1)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(bulkhead.running("acme"), 0)
    }))

  it.effect.each(["the phase's", "the attempt's"] as const)(
    "has no timer left after its end, though the limit of a later phase ended before %s",
    (longer) =>
      Effect.gen(function*() {
        const { clock, sleeping } = yield* sleepers
        let attempt: Attempt<string, never> | undefined
        const call = stack({
          attemptTimeout: "8 seconds",
          connectTimeout: longer === "the phase's" ? "5 seconds" : "8 seconds",
          headersTimeout: "1 second"
        }).call<string, never>((begun) => {
          attempt = begun
          return () => {}
        })
        const fiber = yield* Effect.forkChild(Effect.provideService(call, Clock.Clock, clock), {
          startImmediately: true
        })
        yield* TestClock.adjust(1)
        assert.strictEqual(sleeping(), 1)
        attempt!.phase("Headers")
        yield* TestClock.adjust(1)
        assert.strictEqual(sleeping(), 1)
        attempt!.answer(Exit.succeed("answer"))
        assert.strictEqual(yield* Fiber.join(fiber), "answer")
        assert.strictEqual(sleeping(), 0)
      })
  )

  it.effect("passes on the defect of a gate, and gives back the permits taken before", () =>
    Effect.gen(function*() {
      const bulkhead = Bulkhead.make({ limit: 1, queue: 0 })
      const broken: Gate = {
        name: "broken",
        admit() {
          throw new Error("mine")
        }
      }
      for (const gates of [{ operation: [broken] }, { attempt: [broken] }]) {
        const exit = yield* Effect.exit(stack({ bulkhead, gates }).call(instant))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
        assert.strictEqual(bulkhead.running("acme"), 0)
      }
    }))

  it.effect("passes on a defect that comes after a wait, and gives everything back", () =>
    Effect.gen(function*() {
      const bulkhead = Bulkhead.make({ limit: 1, queue: 0 })
      const leaf: Leaf<never, never> = (attempt) => {
        if (attempt.attempt > 1) throw new Error("mine")
        attempt.fail(new Unavailable(503))
        return () => {}
      }
      const fiber = yield* Effect.forkChild(stack({ bulkhead, retry: { base: 1_000 } }).call(leaf))
      yield* TestClock.adjust("1 minute")
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.strictEqual(bulkhead.running("acme"), 0)
    }))

  it.effect("survives a leaf that interrupts it during its start", () =>
    Effect.gen(function*() {
      const bulkhead = Bulkhead.make({ limit: 1, queue: 0 })
      let cancelled = 0
      const leaf: Leaf<never, never> = () => {
        Fiber.getCurrent()!.interruptUnsafe()
        return () => {
          cancelled++
        }
      }
      const exit = yield* Fiber.await(yield* Effect.forkChild(stack({ bulkhead }).call(leaf)))
      assert.isTrue(Exit.hasInterrupts(exit))
      assert.strictEqual(cancelled, 1)
      assert.strictEqual(bulkhead.running("acme"), 0)
    }))

  it("ends synchronously when its leaf answers or a gate refuses at once", () => {
    assert.strictEqual(Effect.runSync(stack().call(instant)), "answer")
    const closed: Gate = { name: "closed", admit: () => refuse(new BulkheadFull()) }
    const refused = stack({ gates: { attempt: [closed] } }).call(instant)
    assert.strictEqual(Effect.runSync(Effect.flip(refused)).reason._tag, "BulkheadFull")
  })

  it.effect.prop(
    "gives everything back when the fibre is interrupted at any step",
    { steps: intBetween(0, 30), limit: intBetween(1, 2), isFailing: intBetween(0, 1) },
    ({ isFailing, limit, steps }) =>
      Effect.gen(function*() {
        const bulkhead = Bulkhead.make({ limit, queue: 4 })
        const guarded = stack({ bulkhead, retry: { base: 1_000 } })
        const holder = yield* Effect.forkChild(guarded.call(hanging), { startImmediately: true })
        const failing: Leaf<never, never> = (attempt) => {
          attempt.fail(new Unavailable(503))
          return () => {}
        }
        const fiber = yield* Effect.forkChild(yielding(guarded.call(isFailing === 1 ? failing : hanging)), {
          startImmediately: true
        })
        for (let step = 0; step < steps; step++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(bulkhead.waiting("acme"), 0)
        assert.strictEqual(bulkhead.running("acme"), 1)
        yield* Fiber.interrupt(holder)
        assert.strictEqual(bulkhead.running("acme"), 0)
      })
  )

  describe("runs its leaf in the async context of its caller", () => {
    const caller = new AsyncLocalStorage<string>()
    const seen = (record: Array<string | undefined>, leaf: Leaf<string, never>): Leaf<string, never> => (attempt) => {
      record.push(caller.getStore())
      return leaf(attempt)
    }
    const from = <A, E>(name: string, effect: Effect.Effect<A, E>) => caller.run(name, () => Effect.runPromise(effect))

    it("after it has waited in a queue", async () => {
      const bulkhead = Bulkhead.make({ limit: 1, queue: 1 })
      const guarded = stack({ bulkhead })
      const leave = new Array<() => void>()
      const holder = from(
        "holder",
        guarded.call<string, never>((attempt) => {
          leave.push(() => attempt.answer(Exit.succeed("held")))
          return () => {}
        })
      )
      const record = new Array<string | undefined>()
      const waiting = from("caller", guarded.call(seen(record, instant)))
      await Effect.runPromise(until("the caller waits", () => bulkhead.waiting("acme") === 1))
      caller.run("another", () => leave[0]!())
      await Promise.all([holder, waiting])
      assert.deepStrictEqual(record, ["caller"])
    })

    it("after a failure that was reported in another context", async () => {
      const record = new Array<string | undefined>()
      const fail = new Array<() => void>()
      const flaky: Leaf<string, never> = (attempt) => {
        if (attempt.attempt === 1) fail.push(() => attempt.fail(new Unavailable(503)))
        else attempt.answer(Exit.succeed("answer"))
        return () => {}
      }
      const call = from("caller", stack({ retry: { base: 1 } }).call(seen(record, flaky)))
      caller.run("another", () => fail[0]!())
      await call
      assert.deepStrictEqual(record, ["caller", "caller"])
    })

    it("after a timeout, which fires in any context", async () => {
      const record = new Array<string | undefined>()
      const slow: Leaf<string, never> = (attempt) => {
        if (attempt.attempt > 1) attempt.answer(Exit.succeed("answer"))
        return () => {}
      }
      const policy: Policy.Policy = { attemptTimeout: 150, retry: { base: 1 } }
      // Another call starts the wheel.
      const other = from("another", stack(policy).call(seen([], slow)))
      await Promise.all([other, from("caller", stack(policy).call(seen(record, slow)))])
      assert.deepStrictEqual(record, ["caller", "caller"])
    })
  })
})

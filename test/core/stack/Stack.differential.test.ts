import * as Deadline from "@breakwater/core/Deadline"
import * as Breaker from "@breakwater/core/policies/Breaker"
import * as RateLimit from "@breakwater/core/policies/RateLimit"
import * as RetryBudget from "@breakwater/core/policies/RetryBudget"
import * as Stack from "@breakwater/core/stack/Stack"
import { isVendorError, type VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Random, Schedule, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Behaviour, ScriptedVendor, span, unit } from "../../drivers/VendorScript.ts"
import * as Effort from "../../setup/Effort.ts"
import * as Reference from "./ReferenceStack.ts"

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const from1To = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 1, maximum }))

/** A policy in units of scripted time. */
const PolicyScript = Schema.Struct({
  safety: Schema.Literals(["Idempotent", "Keyed", "Unsafe"]),
  attempt: from1To(12),
  /** The excess of the deadline over one attempt. */
  slack: from1To(30),
  connect: from1To(8),
  headers: from1To(8),
  body: from1To(8),
  retries: upTo(3),
  delay: upTo(4),
  budget: Schema.Struct({ ratio: Schema.Literals([0, 0.5, 1]), reserve: upTo(3) }),
  bulkhead: Schema.Union([
    Schema.Undefined,
    Schema.Struct({ limit: from1To(2), queue: upTo(2), maxWait: from1To(10) })
  ]),
  rateLimit: Schema.Union([
    Schema.Undefined,
    Schema.Struct({ limit: from1To(3), window: from1To(6), queue: upTo(2), maxWait: from1To(12) })
  ]),
  breaker: Schema.Union([
    Schema.Undefined,
    Schema.Struct({ failures: from1To(3), openFor: from1To(10), slow: from1To(10) })
  ])
})
type PolicyScript = typeof PolicyScript.Type

const CallScript = Schema.Struct({
  /** The time of the call, in units. */
  at: upTo(12),
  /** How long after that its caller interrupts it; mostly never. */
  patience: Schema.Union([Schema.Undefined, Schema.Undefined, Schema.Undefined, from1To(20)]),
  /** The deadline it inherits, in units from the time of the call; mostly none. */
  hurry: Schema.Union([Schema.Undefined, Schema.Undefined, from1To(12)])
})
type CallScript = typeof CallScript.Type

/** The result for a caller. */
interface Ended {
  readonly result: string
  readonly at: number
}

/** Gates, limits and schedule of a script, made anew for each of the two stacks. */
const interpret = (script: PolicyScript) => ({
  limits: {
    deadlineMillis: span(script.attempt + script.slack, 500),
    attemptMillis: span(script.attempt, 501),
    phaseMillis: {
      Connect: span(script.connect, 502),
      Headers: span(script.headers, 503),
      Body: span(script.body, 504)
    }
  },
  schedule: script.retries === 0 ?
    undefined :
    Schedule.upTo(Schedule.spaced(Duration.millis(span(script.delay, 505))), {
      times: script.retries
    }),
  budget: RetryBudget.make({ ...script.budget, perSecond: 0 }),
  bulkhead: script.bulkhead === undefined
    ? undefined
    : { ...script.bulkhead, maxWaitMillis: span(script.bulkhead.maxWait, 506) },
  attemptGates: [
    ...(script.rateLimit === undefined ? [] : [RateLimit.make({
      limit: script.rateLimit.limit,
      window: Duration.millis(span(script.rateLimit.window, 507)),
      queue: script.rateLimit.queue,
      maxWait: Duration.millis(span(script.rateLimit.maxWait, 508))
    })]),
    ...(script.breaker === undefined ? [] : [Breaker.make({
      trip: { _tag: "Consecutive", failures: script.breaker.failures },
      openFor: Duration.millis(span(script.breaker.openFor, 509)),
      maxOpenFor: Duration.millis(span(100, 510)),
      slowCall: Duration.millis(span(script.breaker.slow, 511)),
      probes: [1, 2]
    })])
  ]
})

/** The chance that the reference has. */
const evenChance = { nextDoubleUnsafe: () => 0.5, nextIntUnsafe: () => 0 }

type Guarded = Effect.Effect<string, string | VendorError>

/** Makes the calls of a script, and waits on virtual time until all have ended. */
const play = (
  calls: ReadonlyArray<CallScript>,
  behaviours: ReadonlyArray<Behaviour>,
  makeCall: (vendor: ScriptedVendor) => Guarded
) =>
  Effect.gen(function*() {
    const clock = yield* Effect.clockWith(Effect.succeed)
    const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
    const vendor = new ScriptedVendor(behaviours, now)
    const guarded = makeCall(vendor)
    const ends: Array<Ended | undefined> = calls.map(() => undefined)
    const fibers = yield* Effect.forEach(calls, ({ at, hurry, patience }, index) =>
      Effect.forkChild(
        Effect.gen(function*() {
          yield* Effect.sleep(Duration.millis(span(at, 600 + 3 * index)))
          const fiber = yield* Effect.forkChild(
            hurry === undefined
              ? guarded
              : Deadline.within(Duration.millis(span(hurry, 602 + 3 * index)))(guarded)
          )
          if (patience !== undefined) {
            yield* Effect.forkChild(
              Effect.andThen(Effect.sleep(Duration.millis(span(patience, 601 + 3 * index))), Fiber.interrupt(fiber))
            )
          }
          const exit = yield* Fiber.await(fiber)
          ends[index] = { result: describeExit(exit), at: now() }
        })
      ))
    yield* TestClock.adjust(Duration.millis(200 * unit))
    yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
    return { ends, attempts: vendor.seen }
  })

const describeExit = (exit: Exit.Exit<string, string | VendorError>): string => {
  if (Exit.isSuccess(exit)) return exit.value
  const [reason] = exit.cause.reasons
  if (reason?._tag === "Interrupt") return "interrupted"
  if (reason?._tag !== "Fail") return `defect: ${String(exit.cause)}`
  const { error } = reason
  if (!isVendorError(error)) return error
  return `${error.reason._tag} ${error.reason.message}, fate ${error.fate}, attempts ${error.attempts}`
}

describe("Stack, fused against a reference of Effect's own combinators", () => {
  it.effect("answers like it after a first attempt that failed, at the same time", () =>
    Effect.gen(function*() {
      const behaviours: ReadonlyArray<Behaviour> = [
        { connect: 1, headers: 1, body: 1, end: "unavailable" },
        { connect: 1, headers: 1, body: 1, end: "answered" }
      ]
      const calls: ReadonlyArray<CallScript> = [{ at: 0, patience: undefined, hurry: undefined }]
      const retry = Schedule.upTo(Schedule.spaced(unit), { times: 1 })
      const [deadline, each] = [20 * unit, 5 * unit]
      const fused = yield* play(calls, behaviours, (vendor) =>
        Stack.make({
          vendor: "acme",
          operation: "charge",
          safety: "Idempotent",
          policy: {
            deadline,
            attemptTimeout: each,
            connectTimeout: each,
            headersTimeout: each,
            bodyTimeout: each,
            retry
          }
        }).call(vendor.leaf)).pipe(Effect.provide(TestClock.layer()))
      const reference = yield* play(calls, behaviours, (vendor) =>
        Reference.make({
          deadlineMillis: deadline,
          attemptMillis: each,
          safety: "Idempotent",
          phaseMillis: { Connect: each, Headers: each, Body: each },
          schedule: retry,
          budget: undefined,
          bulkhead: undefined,
          attemptGates: []
        })((onPhase) => vendor.attempt(onPhase))).pipe(Effect.provide(TestClock.layer()))
      assert.strictEqual(fused.ends[0]?.result, "answer 1")
      assert.lengthOf(fused.attempts, 2)
      assert.deepStrictEqual(fused, reference)
    }))

  it.effect.prop(
    "has the same outcomes, attempts and virtual times for arbitrary policies and vendors",
    {
      policy: PolicyScript,
      calls: Schema.Array(CallScript).check(Schema.isMinLength(1), Schema.isMaxLength(5)),
      behaviours: Schema.Array(Behaviour).check(Schema.isMinLength(1), Schema.isMaxLength(6))
    },
    ({ behaviours, calls, policy }) =>
      Effect.gen(function*() {
        const fused = yield* play(calls, behaviours, (vendor) => {
          const { attemptGates, budget, bulkhead, limits, schedule } = interpret(policy)
          const stack = Stack.make({
            vendor: "acme",
            operation: "charge",
            safety: policy.safety,
            policy: {
              deadline: Duration.millis(limits.deadlineMillis),
              attemptTimeout: Duration.millis(limits.attemptMillis),
              connectTimeout: Duration.millis(Math.min(limits.phaseMillis.Connect, limits.attemptMillis)),
              headersTimeout: Duration.millis(Math.min(limits.phaseMillis.Headers, limits.attemptMillis)),
              bodyTimeout: Duration.millis(Math.min(limits.phaseMillis.Body, limits.attemptMillis)),
              retry: schedule ?? false,
              retryBudget: budget,
              bulkhead: bulkhead === undefined
                ? false
                : { limit: bulkhead.limit, queue: bulkhead.queue, maxWait: Duration.millis(bulkhead.maxWaitMillis) },
              rateLimit: false,
              breaker: false,
              gates: { attempt: attemptGates }
            }
          })
          return stack.call(vendor.leaf)
        }).pipe(Effect.provide(TestClock.layer()), Effect.provideService(Random.Random, evenChance))

        const reference = yield* play(calls, behaviours, (vendor) => {
          const { limits: { attemptMillis, deadlineMillis, phaseMillis }, ...rest } = interpret(policy)
          return Reference.make({
            ...rest,
            safety: policy.safety,
            deadlineMillis,
            attemptMillis,
            phaseMillis: {
              Connect: Math.min(phaseMillis.Connect, attemptMillis),
              Headers: Math.min(phaseMillis.Headers, attemptMillis),
              Body: Math.min(phaseMillis.Body, attemptMillis)
            }
          })((onPhase) => vendor.attempt(onPhase))
        }).pipe(Effect.provide(TestClock.layer()))

        assert.deepStrictEqual(fused, reference, JSON.stringify({ fused, reference }, undefined, 1))
      }),
    { arbitrary: { runs: Effort.runs(2_500), seed: 20261122 } }
  )
})

/**
 * Our own side is no evidence against a vendor: hurried callers, our queues and refusals, slow sources of secrets, a full
 * connection pool, a blocked event loop. Breaker, throttle, failover and feature switch read the same verdict.
 */
import * as Deadline from "@breakwater/core/Deadline"
import * as Failover from "@breakwater/core/degradation/Failover"
import * as FeatureSwitch from "@breakwater/core/degradation/FeatureSwitch"
import * as Breaker from "@breakwater/core/policies/Breaker"
import * as Throttle from "@breakwater/core/policies/Throttle"
import type { Leaf } from "@breakwater/core/stack/Leaf"
import type * as Policy from "@breakwater/core/stack/Policy"
import * as Stack from "@breakwater/core/stack/Stack"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import {
  BulkheadFull,
  ConnectFailed,
  CredentialUnavailable,
  DeadlineExceeded,
  InvalidRequest,
  type Phase,
  RateLimitExceeded,
  type Reason,
  Throttled,
  Timeout,
  Unavailable,
  VendorError
} from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { overTheWire, play } from "../fakes/Acme.ts"
import * as ScriptedServer from "../fakes/ScriptedServer.ts"
import * as AnsweringServer from "../processes/AnsweringServer.ts"

/** A leaf that stays in a phase for ever. */
const stuckIn = (phase: Phase): Leaf<never, never> => (attempt) => {
  attempt.phase(phase)
  return () => {}
}

/** A healthy vendor that takes so long. */
const healthy = (millis: number) => Effect.sleep(millis)

const errorOf = (vendor: string, reason: Reason) =>
  new VendorError({ vendor, operation: "rate", safety: "Idempotent", reason })

/** Runs many calls one after the other on virtual time. */
const many = <A, E>(count: number, call: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(Effect.repeat(Effect.exit(call), { times: count - 1 }))
    yield* TestClock.adjust("10 minutes")
    return yield* Fiber.join(fiber)
  })

/** The state of a stack's breaker and throttle after so many calls. */
const after = (count: number, run: (stack: Stack.Stack) => Effect.Effect<unknown, unknown>) =>
  Effect.gen(function*() {
    const breaker = Breaker.make({
      trip: { _tag: "Consecutive", failures: count },
      openFor: "1 hour",
      maxOpenFor: "1 hour"
    })
    const throttle = Throttle.make({ minimumCalls: count })
    const stack = Stack.make({
      vendor: "acme",
      operation: "rate",
      safety: "Idempotent",
      policy: { retry: false, bulkhead: false, deadline: "20 seconds", breaker, throttle }
    })
    const states = Effect.gen(function*() {
      for (let i = 0; i < count; i++) yield* Effect.exit(run(stack))
      const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      return [breaker.state("acme/rate", now), throttle.probability("acme", now) > 0]
    })
    const fiber = yield* Effect.forkChild(states)
    yield* TestClock.adjust("10 minutes")
    return yield* Fiber.join(fiber)
  })

describe("deadline × switch", () => {
  it.effect.each<readonly [string, Effect.Effect<unknown, unknown>]>([
    ["callers with 20 ms", Deadline.within("20 millis")(call({}, healthy(50)))],
    ["callers with no time at all", Deadline.within("0 seconds")(call({}, healthy(50)))],
    [
      "callers with less than two thirds of what an attempt may take",
      Deadline.within("1900 millis")(call({}, Effect.never))
    ],
    [
      "callers whose time ends in our own queue",
      Deadline.within("200 millis")(
        call({ rateLimit: { limit: 1, window: "1 minute", maxWait: "1 hour" } }, healthy(1))
      )
    ],
    ["callers of a full bulkhead", call({ bulkhead: { limit: 1, queue: 0 } }, healthy(1), 2)],
    ["callers above our own rate limit", call({ rateLimit: { limit: 1, window: "1 minute", queue: 0 } }, healthy(1))],
    ["requests that cannot be sent", Effect.fail(errorOf("acme", new InvalidRequest("id: missing")))]
  ])("%s switch a feature off for nobody", ([, hurried]) =>
    Effect.gen(function*() {
      const feature = yield* FeatureSwitch.make({
        name: "rates",
        rule: { _tag: "Failures", minimumCalls: 5 },
        offAfter: "0 seconds"
      })
      yield* many(60, feature.whenOn(hurried, { otherwise: Effect.void }))
      assert.strictEqual((yield* feature.status).state, "On")
    }))

  it.effect("a vendor that leaves no fair share of time unused switches it off", () =>
    Effect.gen(function*() {
      const feature = yield* FeatureSwitch.make({
        name: "rates",
        rule: { _tag: "Failures", minimumCalls: 5 },
        offAfter: "0 seconds",
        offFor: "1 hour"
      })
      const slow = Deadline.within("2100 millis")(call({}, Effect.never))
      yield* many(60, feature.whenOn(slow, { otherwise: Effect.void }))
      assert.strictEqual((yield* feature.status).state, "Off")
    }))
})

/** Calls of one stack, several at a time. */
function call(policy: Policy.Policy, work: Effect.Effect<unknown>, atOnce = 1): Effect.Effect<unknown, unknown> {
  const stack = Stack.make({
    vendor: "acme",
    operation: "rate",
    safety: "Idempotent",
    policy: { retry: false, breaker: false, ...policy }
  })
  const one = stack.guard(work, () => undefined)
  return atOnce === 1 ? one : Effect.all(Array.from({ length: atOnce }, () => one), { concurrency: "unbounded" })
}

describe("time on our own side", () => {
  it.effect.each<readonly [Phase, state: string, isThrottled: boolean]>([
    ["Queue", "Closed", false],
    ["Secret", "Closed", false],
    ["Connect", "Open", true],
    ["Headers", "Open", true],
    ["Body", "Open", true]
  ])("counts by the phase of the attempt: %s", ([phase, state, isThrottled]) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* after(20, (stack) => stack.call(stuckIn(phase))),
        [state, isThrottled]
      )
    }))

  it.effect("is not a part of the vendor's time", () =>
    Effect.gen(function*() {
      const waits: Leaf<string, never> = (attempt) => {
        const fiber = Effect.runForkWith(attempt.context)(Effect.gen(function*() {
          attempt.phase("Queue")
          yield* Effect.sleep(2_500)
          attempt.phase("Headers")
          yield* Effect.sleep(900)
          attempt.answer(Exit.succeed("late, but not by the vendor"))
        }))
        return () => fiber.interruptUnsafe()
      }
      const breaker = Breaker.make({ trip: { _tag: "Consecutive", failures: 1 }, slowCall: "1 second" })
      const stack = Stack.make({ vendor: "acme", operation: "rate", safety: "Idempotent", policy: { breaker } })
      const fiber = yield* Effect.forkChild(Effect.exit(stack.call(waits)))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), Exit.succeed("late, but not by the vendor"))
      assert.strictEqual(breaker.state("acme/rate", 10_000), "Closed")
    }))

  it.live("in a connection pool that is full is not time for connecting", () =>
    Effect.gen(function*() {
      const { client } = yield* play((_, index) => index === 0 ? "silence" : ScriptedServer.json({ ok: true }), {
        policy: { connectTimeout: "50 millis", attemptTimeout: "500 millis", retry: false }
      })
      const [first, second] = yield* Effect.all([Effect.exit(client.ping()), Effect.exit(client.ping())], {
        concurrency: 2
      })
      assert.isTrue(Exit.isFailure(first))
      // It has waited for the connection of the first, ten times as long as for a new one.
      assert.isTrue(Exit.isSuccess(second), String(second))
    }).pipe(Effect.scoped, Effect.provide(UndiciTransport.layer({ loopback: true, connections: 1 }))))

  it.live("while the event loop is blocked is not time for connecting", () =>
    Effect.gen(function*() {
      const baseUrl = yield* AnsweringServer.start
      const { client } = yield* play(() => "silence", {
        baseUrl,
        policy: { connectTimeout: "300 millis", attemptTimeout: "1 second", retry: false }
      })
      const calls = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 30 }), () => Effect.exit(client.ping()), { concurrency: "unbounded" })
      )
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 700)
      assert.isTrue((yield* Fiber.join(calls)).every(Exit.isSuccess))
    }).pipe(overTheWire))

  it.live("while the event loop is blocked is not the vendor's: its answer is in the socket", () =>
    Effect.gen(function*() {
      const baseUrl = yield* AnsweringServer.start
      const breaker = Breaker.make({ trip: { _tag: "Consecutive", failures: 1 }, slowCall: "200 millis" })
      const { client } = yield* play(() => "silence", {
        baseUrl,
        policy: { attemptTimeout: "400 millis", retry: false, breaker }
      })
      yield* client.ping()
      for (const millis of [600, 1_500]) {
        const fiber = yield* Effect.forkChild(Effect.exit(client.ping()))
        // The request is on its way; then nothing of this process runs.
        for (let turn = 0; turn < 3; turn++) {
          yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        }
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis)
        const exit = yield* Fiber.join(fiber)
        assert.isTrue(Exit.isSuccess(exit), String(exit))
        assert.strictEqual(breaker.state("acme/ping", 0), "Closed")
      }
    }).pipe(overTheWire))
})

describe("a vendor that is avoided", () => {
  it.effect.each<readonly [string, Reason, isAvoided: boolean]>([
    ["our full bulkhead", new BulkheadFull(), false],
    ["our rate limit", new RateLimitExceeded(9), false],
    ["a source of secrets that cannot be reached", new CredentialUnavailable("ACME_API_KEY", "Unreachable"), false],
    ["a slow source of secrets", new Timeout("Secret", 9), false],
    ["a full connection pool", new Timeout("Queue", 9), false],
    ["a hurried caller", new DeadlineExceeded("Unknown"), false],
    ["an invalid request", new InvalidRequest("id: missing"), false],
    ["no connection", new ConnectFailed("Refused"), true],
    ["a deadline with a fair share of time", new DeadlineExceeded("Unknown", { wasFair: true }), true],
    ["a throttle, which has seen the vendor reject calls", new Throttled(), true]
  ])("is not so because of our own side: %s", ([, reason, isAvoided]) =>
    Effect.gen(function*() {
      const failover = Failover.make({ failures: 2 })
      const call = failover.call<string, VendorError, never>({
        north: Effect.fail(errorOf("north", reason)),
        south: Effect.succeed("south")
      })
      for (let i = 0; i < 5; i++) yield* Effect.exit(call)
      assert.strictEqual(failover.avoided.has("north"), isAvoided)
    }))

  it.effect("does not recover by a call that says nothing about it", () =>
    Effect.gen(function*() {
      const failover = Failover.make({ failures: 1, answers: 1, stayAway: "1 second" })
      const north = (reason: Reason) =>
        Effect.exit(failover.call<string, VendorError, never>({
          north: Effect.fail(errorOf("north", reason)),
          south: Effect.succeed("south")
        }))
      yield* north(new Unavailable(503))
      assert.isTrue(failover.avoided.has("north"))
      yield* TestClock.adjust("2 seconds")
      yield* north(new InvalidRequest("id: missing"))
      yield* north(new DeadlineExceeded("NotSent"))
      assert.isTrue(failover.avoided.has("north"))
    }))
})

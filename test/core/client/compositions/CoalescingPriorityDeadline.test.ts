/** Callers that share a call, their priorities, and their deadlines. */
import * as ResponseCache from "@breakwater/core/caching/ResponseCache"
import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import * as Deadline from "@breakwater/core/Deadline"
import * as Priority from "@breakwater/core/Priority"
import { BulkheadFull, DeadlineExceeded, VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { TestClock } from "effect/testing"
import { intBetween } from "../../../drivers/IntBetween.ts"
import * as FakeTransport from "../../../fakes/Transport.ts"
import * as Effort from "../../../setup/Effort.ts"

const errorOf = (reason: ConstructorParameters<typeof VendorError>[0]["reason"]) =>
  new VendorError({ vendor: "acme", operation: "rate", safety: "Idempotent", reason })

/** A vendor that takes a while, behind a gate that sheds calls below a priority; its calls obey their deadlines. */
const vendor = (takes: Duration.Input, shed: ReadonlyArray<Priority.Priority> = []) => {
  const state = { calls: 0 }
  const load = () =>
    Effect.gen(function*() {
      const value = ++state.calls
      const call = shed.includes(yield* Priority.Priority)
        ? Effect.delay(Effect.fail(errorOf(new BulkheadFull())), "50 millis")
        : Effect.delay(Effect.succeed({ value }), takes)
      return yield* Effect.timeoutOrElse(call, {
        duration: yield* Deadline.remaining,
        orElse: () => Effect.fail(errorOf(new DeadlineExceeded("Unknown")))
      })
    })
  return { state, load }
}

const make = ResponseCache.make<number, VendorError>({
  vendor: "acme",
  operation: "rate",
  fresh: "1 hour",
  deadline: "10 seconds"
})

const tagOf = (exit: Exit.Exit<number, VendorError>) => Exit.isSuccess(exit) ? `answer ${exit.value}` : "failure"

describe("coalescing × priority × deadline", () => {
  it.effect("a caller with more time is not cut off with the one before it, nor asked to begin anew", () =>
    Effect.gen(function*() {
      const { load, state } = vendor("2 seconds")
      const cache = yield* make
      const hurried = yield* Effect.forkChild(Effect.exit(cache.lookup("EUR", load)).pipe(Deadline.within("1 second")))
      yield* TestClock.adjust("900 millis")
      const patient = yield* Effect.forkChild(Effect.exit(cache.lookup("EUR", load)))
      // Two seconds after it came, and not after the first call has failed.
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual([hurried, patient].map((call) => call.pollUnsafe() !== undefined), [true, true])
      assert.deepStrictEqual([yield* Fiber.join(hurried), yield* Fiber.join(patient)].map(tagOf), [
        "failure",
        "answer 2"
      ])
      assert.strictEqual(state.calls, 2)
    }))

  it.effect("a caller with hardly more time joins, as do all with the same time and those with less", () =>
    Effect.gen(function*() {
      const { load, state } = vendor("500 millis")
      const cache = yield* make
      const calls: Array<Fiber.Fiber<number, VendorError>> = []
      for (const within of [5_000, 1_000, 5_000, 5_300]) {
        calls.push(yield* Effect.forkChild(cache.lookup("EUR", load).pipe(Deadline.within(within))))
        yield* TestClock.adjust("50 millis")
      }
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Effect.forEach(calls, Fiber.join), [1, 1, 1, 1])
      assert.strictEqual(state.calls, 1)
    }))

  it.effect("callers of an operation join each other's calls, however long these have run", () =>
    Effect.gen(function*() {
      const { load, state } = vendor("9 seconds")
      const cache = yield* make
      const calls: Array<Fiber.Fiber<number, VendorError>> = []
      for (let call = 0; call < 8; call++) {
        calls.push(yield* Effect.forkChild(cache.lookup("EUR", load)))
        yield* TestClock.adjust("1 second")
      }
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Effect.forEach(calls, Fiber.join), calls.map(() => 1))
      assert.strictEqual(state.calls, 1)
    }))

  it.effect("a caller of a higher priority is not shed with the one before it; one of a lower joins it", () =>
    Effect.gen(function*() {
      const { load, state } = vendor("1 second", ["Sheddable"])
      const cache = yield* make
      const calls: Array<Fiber.Fiber<Exit.Exit<number, VendorError>>> = []
      for (const priority of ["Sheddable", "Normal", "Sheddable", "Normal", "Critical", "Normal"] as const) {
        calls.push(
          yield* Effect.forkChild(Effect.exit(cache.lookup("EUR", load)).pipe(Priority.withPriority(priority)))
        )
        yield* TestClock.adjust("5 millis")
      }
      yield* TestClock.adjust("2 seconds")
      const ends = (yield* Effect.forEach(calls, Fiber.join)).map(tagOf)
      assert.deepStrictEqual(ends, ["failure", "answer 2", "failure", "answer 2", "answer 3", "answer 2"])
      assert.strictEqual(state.calls, 3)
    }))

  it.effect("a critical call passes the queue of an adaptive limit, in which a shared one waits", () =>
    Effect.gen(function*() {
      const Api = HttpApi.make("acme").add(
        HttpApiGroup.make("rates", { topLevel: true }).add(
          HttpApiEndpoint.get("rate", "/rate/:pair", {
            params: { pair: Schema.String },
            success: Schema.Struct({ n: Schema.Int })
          }).annotate(Operation.Policy, { cache: { fresh: "1 hour" }, retry: false })
        )
      )
      const sent: Array<string> = []
      const client = yield* Vendor.make({
        name: "acme",
        api: Api,
        baseUrl: "https://acme.example",
        policy: { adaptiveLimit: { initialLimit: 1, maxLimit: 1, maxWait: "9 seconds", criticalShare: 0 } }
      }).pipe(Effect.provide(FakeTransport.layer(({ path }, n) => {
        sent.push(path)
        return { status: 200, json: { n }, after: "1 second" }
      })))
      const ask = (pair: string, priority: Priority.Priority) =>
        Effect.tap(
          Effect.forkChild(client.rate({ params: { pair } }).pipe(Priority.withPriority(priority))),
          TestClock.adjust("10 millis")
        )
      const calls = [
        yield* ask("busy", "Normal"),
        yield* ask("GBP", "Normal"),
        yield* ask("EUR", "Normal"),
        yield* ask("EUR", "Critical")
      ]
      yield* TestClock.adjust("8 seconds")
      assert.deepStrictEqual(sent.slice(0, 2), ["/rate/busy", "/rate/EUR"])
      assert.deepStrictEqual(yield* Fiber.join(calls[3]!), { n: 1 })
    }))

  it.effect.prop(
    "a caller that would be answered alone is answered, and no later",
    {
      takes: intBetween(1, 3_000),
      callers: Schema.Array(Schema.Struct({
        after: intBetween(0, 1_000),
        priority: Schema.Literals(["Sheddable", "Normal", "Critical"]),
        within: intBetween(1, 5_000)
      })).check(Schema.isMaxLength(30))
    },
    Effect.fnUntraced(function*({ callers, takes }) {
      const { load } = vendor(takes, ["Sheddable"])
      const cache = yield* make
      const ends: Array<{ readonly isAnswered: boolean; readonly millis: number }> = []
      const fibers: Array<Fiber.Fiber<void>> = []
      for (const [index, { after, priority, within }] of callers.entries()) {
        yield* TestClock.adjust(after)
        const call = Effect.gen(function*() {
          const begun = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
          const exit = yield* Effect.exit(cache.lookup("EUR", load)).pipe(
            Deadline.within(within),
            Priority.withPriority(priority)
          )
          const ended = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
          ends[index] = { isAnswered: Exit.isSuccess(exit), millis: ended - begun }
        })
        fibers.push(yield* Effect.forkChild(call))
      }
      yield* TestClock.adjust("1 minute")
      yield* Effect.forEach(fibers, Fiber.join)
      for (const [index, { priority, within }] of callers.entries()) {
        const { isAnswered, millis } = ends[index]!
        assert.isAtMost(millis, within)
        // Alone it would have been answered with time to spare.
        if (priority !== "Sheddable" && takes < within * 0.9) {
          assert.isTrue(isAnswered)
          assert.isAtMost(millis, takes)
        }
      }
    }),
    { arbitrary: { runs: Effort.runs(300) } }
  )
})

/** Refusals of a secret by some operations: the others go on with it, and it is dead for all only after two were refused. */
import * as Credential from "@breakwater/core/credentials/Credential"
import { Refusals } from "@breakwater/core/credentials/Refusals"
import { isVendorError, type VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { type Duration, Effect, Exit, Fiber, Metric, Option, Redacted, Schema } from "effect"
import { TestClock } from "effect/testing"
import { randomUUID } from "node:crypto"
import { intBetween } from "../drivers/IntBetween.ts"
import * as Depot from "../fakes/Depot.ts"
import * as Effort from "../setup/Effort.ts"

type Operation = "report" | "audit" | "charge"
const operations = ["report", "audit", "charge"] as const

/** A vendor that refuses some operations, and a client of it with a secret that may change. */
const world = (changes: Parameters<typeof Depot.make>[0] = {}) =>
  Effect.gen(function*() {
    const state = { refuses: new Set<Operation>(), secret: randomUUID() }
    const depot = Depot.serve(({ path }) => state.refuses.has(path.slice(1) as Operation) ? Depot.refused : Depot.ok)
    const client = yield* Depot.make(changes).pipe(
      Effect.provide(depot.transport),
      Effect.provideService(Credential.Credentials, { read: () => Effect.sync(() => Redacted.make(state.secret)) })
    )
    const ended = (exit: Exit.Exit<unknown, VendorError>) => {
      const error = Option.getOrUndefined(Exit.findErrorOption(exit))
      return isVendorError(error) ? error.reason._tag : "answered"
    }
    return {
      client,
      depot,
      state,
      call: (operation: Operation, key = "", time?: Duration.Input) =>
        Effect.map(Depot.soon(Effect.exit(client[operation](undefined, { key })), time), ended)
    }
  }).pipe((made) => Effect.suspend(() => Effect.provideService(made, Metric.MetricRegistry, new Map())))

describe("a secret that one operation is refused", () => {
  it.effect.each<readonly [refused: Operation, other: Operation, calls: number]>([
    ["report", "charge", 2],
    ["charge", "report", 3],
    ["audit", "charge", 50]
  ])("%s: another one goes on with it", ([refused, other, calls]) =>
    Effect.gen(function*() {
      const { call, depot, state } = yield* world()
      state.refuses.add(refused)
      for (let refusal = 0; refusal < calls; refusal++) yield* call(refused)
      assert.strictEqual(depot.sent.length, 2)
      for (let answer = 0; answer < 3; answer++) assert.strictEqual(yield* call(other), "answered")
      assert.strictEqual(yield* call(refused), "CredentialUnavailable")
    }))

  it.effect("is sent to it again after a while, and no other call waits for that", () =>
    Effect.gen(function*() {
      const { call, depot, state } = yield* world({ refusedFor: "5 seconds" })
      state.refuses.add("report")
      for (let refusal = 0; refusal < 3; refusal++) yield* call("report")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* call("charge"), "answered")
      assert.strictEqual(yield* call("report"), "Unauthorized")
      assert.strictEqual(yield* call("report"), "CredentialUnavailable")
      state.refuses.clear()
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* call("report"), "answered")
      assert.strictEqual(yield* call("report"), "answered")
      assert.strictEqual(depot.sent.filter(({ path }) => path === "/report").length, 5)
    }))

  it.effect("is refused to a call and its hedge at once, which is one refusal", () =>
    Effect.gen(function*() {
      const { call, depot, state } = yield* world({ policy: { retry: false, hedge: { after: 0, hedges: 2 } } })
      state.refuses.add("report")
      assert.strictEqual(yield* call("report"), "Unauthorized")
      assert.isAbove(depot.sent.length, 1)
      state.refuses.clear()
      assert.strictEqual(yield* call("report"), "answered")
    }))

  it.effect("is refused to many calls at once, which is one refusal", () =>
    Effect.gen(function*() {
      const { call, depot, state } = yield* world()
      state.refuses.add("report")
      const calls = Array.from({ length: 20 }, () => Effect.forkChild(call("report")))
      for (const fiber of yield* Effect.all(calls)) assert.strictEqual(yield* Fiber.join(fiber), "Unauthorized")
      state.refuses.clear()
      assert.strictEqual(yield* call("report"), "answered")
      assert.strictEqual(depot.sent.length, 21)
    }))

  it.effect("is not sent by a retry, once it is dead", () =>
    Effect.gen(function*() {
      const { call, depot, state } = yield* world({ policy: { retry: { retries: 1, base: "4 seconds" } } })
      let isDown = true
      const answers = Depot.serve(({ path }) => {
        if (path === "/charge" && isDown) return { status: 503 }
        return path === "/charge" ? Depot.ok : Depot.refused
      })
      const client = yield* Depot.make({ policy: { retry: { retries: 1, base: "4 seconds" } } }).pipe(
        Effect.provide(answers.transport),
        Effect.provideService(Credential.Credentials, { read: () => Effect.succeed(Redacted.make(state.secret)) })
      )
      const charge = yield* Effect.forkChild(Effect.flip(client.charge()))
      yield* TestClock.adjust(2)
      isDown = false
      for (const operation of ["report", "audit"] as const) {
        const fiber = yield* Effect.forkChild(Effect.exit(client[operation]()))
        yield* TestClock.adjust(2)
        yield* Fiber.join(fiber)
      }
      yield* TestClock.adjust("10 seconds")
      const { fate, reason } = yield* Fiber.join(charge)
      assert.strictEqual(reason._tag, "CredentialUnavailable")
      // The first attempt may have charged.
      assert.strictEqual(fate, "Unknown")
      assert.strictEqual(answers.sent.filter(({ path }) => path === "/charge").length, 1)
      assert.strictEqual(yield* call("report"), "answered")
      assert.strictEqual(depot.sent.length, 1)
    }))
})

describe("a secret that two operations are refused", () => {
  it.effect.each<readonly [string, ReadonlyArray<Operation>]>([
    ["once each", ["report", "audit"]],
    ["twice and once", ["report", "report", "audit"]],
    ["the other way round", ["charge", "report"]]
  ])("%s: is dead for all", ([, calls]) =>
    Effect.gen(function*() {
      const { call, depot, state } = yield* world()
      state.refuses = new Set(operations)
      for (const operation of calls) assert.strictEqual(yield* call(operation), "Unauthorized")
      const sent = depot.sent.length
      for (const operation of operations) assert.strictEqual(yield* call(operation), "CredentialUnavailable")
      assert.strictEqual(depot.sent.length, sent)
    }))

  it.effect("is tested by one call of each operation, and used by those that it works for", () =>
    Effect.gen(function*() {
      const { call, depot, state } = yield* world({ refusedFor: "5 seconds" })
      state.refuses = new Set(["report", "audit"])
      yield* call("report")
      yield* call("audit")
      assert.strictEqual(yield* call("charge"), "CredentialUnavailable")
      yield* TestClock.adjust("5 seconds")
      // Neither the probe of another operation nor its refusal keeps this one waiting.
      assert.strictEqual(yield* call("report"), "Unauthorized")
      assert.strictEqual(yield* call("charge"), "answered")
      depot.sent.length = 0
      // The secret works, so these refusals are about the operations themselves.
      for (let round = 0; round < 5; round++) {
        yield* call("report")
        yield* call("audit")
        assert.strictEqual(yield* call("charge"), "answered")
      }
      const sentTo = (operation: Operation) => depot.sent.filter(({ path }) => path === `/${operation}`).length
      assert.deepStrictEqual([sentTo("report"), sentTo("audit"), sentTo("charge")], [0, 1, 5])
    }))

  it.effect("is dead for its own key alone", () =>
    Effect.gen(function*() {
      const { call, state } = yield* world({ requiredKeys: [] })
      state.refuses = new Set(["report", "audit"])
      yield* call("report", "eu")
      yield* call("audit", "eu")
      assert.strictEqual(yield* call("charge", "eu"), "CredentialUnavailable")
      assert.strictEqual(yield* call("charge", "us"), "answered")
      assert.strictEqual(yield* call("report", "us"), "Unauthorized")
    }))

  it.effect("is forgotten with the next secret of its source", () =>
    Effect.gen(function*() {
      const { call, state } = yield* world()
      state.refuses = new Set(operations)
      yield* call("report")
      yield* call("audit")
      state.secret = randomUUID()
      assert.strictEqual(yield* call("charge"), "Unauthorized")
      state.refuses.clear()
      assert.strictEqual(yield* call("report"), "answered")
      assert.strictEqual(yield* call("charge"), "answered")
    }))

  it.effect("does not harm another vendor with the same source", () =>
    Effect.gen(function*() {
      const one = yield* world()
      const other = yield* world({ name: "depot-two" })
      one.state.refuses = new Set(operations)
      other.state.secret = one.state.secret
      for (const operation of operations) yield* one.call(operation)
      for (const operation of operations) assert.strictEqual(yield* other.call(operation), "answered")
    }))
})

describe("an answer that is refused in words of the contract", () => {
  it("proves nothing: the secret stays dead", () => {
    const refusals = new Refusals(1_000)
    const secret = Redacted.make(randomUUID())
    const refusal = { key: "", secret, sentAt: 0, now: 0, isSecond: false }
    refusals.refuse({ ...refusal, operation: "report" })
    assert.strictEqual(refusals.refuse({ ...refusal, operation: "audit" }), "Secret")
    assert.strictEqual(refusals.pause("", "charge", secret, 1), 999)
    // Another secret, such as that of a call still in flight, is accepted: the key is well again.
    assert.isTrue(refusals.accept("", "charge", Redacted.make(randomUUID())))
    assert.strictEqual(refusals.pause("", "charge", secret, 1), 0)
  })
})

describe("what is remembered", () => {
  it("is bounded, over all keys and operations", () => {
    const refusals = new Refusals(1_000)
    const secret = Redacted.make(randomUUID())
    for (let key = 0; key < 4_000; key++) {
      for (const operation of ["a", "b", "c"]) {
        refusals.refuse({ key: String(key), operation, secret, sentAt: 0, now: 0, isSecond: true })
      }
    }
    // Ten thousand pairs: the keys that were refused last.
    assert.strictEqual(refusals.dead, 3_333)
    assert.strictEqual(refusals.pause("0", "a", secret, 0), 0)
    assert.strictEqual(refusals.pause("3999", "a", secret, 0), 1_000)
    for (let key = 0; key < 4_000; key++) refusals.accept(String(key), "a", secret)
    for (let key = 0; key < 4_000; key++) refusals.accept(String(key), "b", secret)
    for (let key = 0; key < 4_000; key++) refusals.accept(String(key), "c", secret)
    assert.strictEqual(refusals.dead, 0)
  })
})

describe("calls of any operations, with a secret that may do some things", () => {
  it.effect.prop(
    "are answered where it may, refused at most twice in a row and once in a pause where it may not",
    {
      script: Schema.Array(Schema.Union([
        Schema.Struct({ call: Schema.Literals(operations) }),
        Schema.Struct({ call: Schema.Literals(operations) }),
        Schema.Struct({ allow: Schema.Array(Schema.Literals(operations)) }),
        Schema.Struct({ wait: intBetween(1, 12_000) })
      ])).check(Schema.isMaxLength(60))
    },
    ({ script }) =>
      Effect.gen(function*() {
        const { call, depot, state } = yield* world({ refusedFor: "10 seconds" })
        let now = 0
        let lastRefusal = 0
        /** The time since which the vendor accepts an operation. */
        const allowedSince = new Map<Operation, number>(operations.map((operation) => [operation, 0]))
        const refusedAt = new Map<Operation, Array<number>>(operations.map((operation) => [operation, []]))
        for (const step of script) {
          if ("wait" in step) {
            yield* TestClock.adjust(step.wait)
            now += step.wait
          } else if ("allow" in step) {
            for (const operation of operations) {
              if (!step.allow.includes(operation)) allowedSince.delete(operation)
              else if (!allowedSince.has(operation)) allowedSince.set(operation, now)
            }
            state.refuses = new Set(operations.filter((operation) => !step.allow.includes(operation)))
          } else {
            const sent = depot.sent.length
            const end = yield* call(step.call)
            const isSent = depot.sent.length > sent
            const isAllowed = allowedSince.has(step.call)
            assert.strictEqual(end, isSent ? isAllowed ? "answered" : "Unauthorized" : "CredentialUnavailable")
            if (isSent && !isAllowed) {
              const refusals = refusedAt.get(step.call)!
              refusals.push(now)
              // Three refusals without an answer in between span a pause.
              const [third] = refusals.slice(-3)
              if (refusals.length > 2) assert.isAtLeast(now - third!, 10_000)
            }
            if (isSent && isAllowed) refusedAt.set(step.call, [])
            if (end === "Unauthorized") lastRefusal = now
            // A pause after it is allowed, or after others were refused, an operation is tried.
            if (!isSent && isAllowed) assert.isAtMost(now - Math.max(allowedSince.get(step.call)!, lastRefusal), 10_000)
            now += 10
          }
        }
      }),
    { arbitrary: { runs: Effort.runs(100) } }
  )
})

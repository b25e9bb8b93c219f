/**
 * Answers that were invalidated do not come back. Inputs: a key, a tag and everything, invalidated while the answer is in
 * the store, while a call is in flight here or in another process, while the store is down, and while a stale answer
 * stands by.
 */
import * as ResponseCache from "@breakwater/core/caching/ResponseCache"
import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import { CacheStore, type Store } from "@breakwater/core/fleet/Store"
import * as Provenance from "@breakwater/core/Provenance"
import { Unavailable, VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { TestClock } from "effect/testing"
import * as AnswerStore from "../fakes/AnswerStore.ts"
import * as FakeTransport from "../fakes/Transport.ts"

type Cache = ResponseCache.ResponseCache<number, VendorError>

const ways: ReadonlyArray<readonly [string, (cache: Cache) => void]> = [
  ["invalidate", (cache) => cache.invalidate("EUR")],
  ["invalidateTag", (cache) => cache.invalidateTag("rates")],
  ["clear", (cache) => cache.clear()]
]

const process = (store: Store | undefined, options: Partial<ResponseCache.ResponseCacheOptions> = {}) =>
  ResponseCache.make<number, VendorError>(
    { vendor: "acme", operation: "rate", jitter: 0, fresh: "5 minutes", ...options },
    { name: "acme/rate/1", codec: { encode: String, decode: Number } }
  ).pipe(Effect.provideService(CacheStore, store))

const down = new VendorError({ vendor: "acme", operation: "rate", safety: "Idempotent", reason: new Unavailable(503) })

/** A vendor whose answers are numbered, and which takes a while. */
const vendor = () => {
  const state = { calls: 0, takes: 0, isDown: false }
  const load = () =>
    Effect.suspend(() => {
      const value = ++state.calls
      return Effect.andThen(
        Effect.sleep(state.takes),
        Effect.suspend(() => state.isDown ? Effect.fail(down) : Effect.succeed({ value, tags: ["rates"] }))
      )
    })
  return { state, load }
}

/** Lets virtual time pass, in which a lookup ends. */
const soon = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    yield* TestClock.adjust("1 second")
    return yield* Fiber.join(fiber)
  })

describe.each(ways)("%s", (_, invalidate) => {
  it.effect("removes an answer that is in the store, at once and for a process that begins later", () =>
    Effect.gen(function*() {
      const { state, store } = AnswerStore.make()
      const { load } = vendor()
      const first = yield* process(store)
      state.takes = 10
      assert.strictEqual(yield* soon(first.lookup("EUR", load)), 1)
      invalidate(first)
      assert.strictEqual(yield* soon(first.lookup("EUR", load)), 2)
      invalidate(first)
      yield* TestClock.adjust("1 second")
      const second = yield* process(store)
      assert.strictEqual(yield* soon(second.lookup("EUR", load)), 3)
      // The answers after it are shared again.
      assert.strictEqual(yield* soon((yield* process(store)).lookup("EUR", load)), 3)
    }))

  it.effect("removes an answer that is only in the store", () =>
    Effect.gen(function*() {
      const { store } = AnswerStore.make()
      const { load } = vendor()
      yield* soon((yield* process(store)).lookup("EUR", load))
      const second = yield* process(store)
      invalidate(second)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* soon(second.lookup("EUR", load)), 2)
    }))

  it.effect("keeps no answer that is on its way from the store", () =>
    Effect.gen(function*() {
      const { state, store } = AnswerStore.make()
      const { load } = vendor()
      yield* soon((yield* process(store)).lookup("EUR", load))
      const second = yield* process(store)
      state.takes = 10
      const call = yield* Effect.forkChild(second.lookup("EUR", load))
      // Its generation is known, and its answer is being read.
      yield* TestClock.adjust("15 millis")
      invalidate(second)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(call)
      assert.isAbove(yield* soon(second.lookup("EUR", load)), 1)
    }))

  it.effect("keeps no answer of a call in flight, here and in the store, although its callers get it", () =>
    Effect.gen(function*() {
      const { store } = AnswerStore.make()
      const { load, state } = vendor()
      const first = yield* process(store)
      state.takes = 1_000
      const call = yield* Effect.forkChild(first.lookup("EUR", load))
      yield* TestClock.adjust("500 millis")
      invalidate(first)
      yield* TestClock.adjust("600 millis")
      assert.strictEqual(yield* Fiber.join(call), 1)
      state.takes = 0
      assert.strictEqual(yield* soon((yield* process(store)).lookup("EUR", load)), 2)
      assert.strictEqual(yield* soon(first.lookup("EUR", load)), 2)
    }))

  it.effect("keeps no answer of a call in flight without a store", () =>
    Effect.gen(function*() {
      const { load, state } = vendor()
      const cache = yield* process(undefined)
      state.takes = 1_000
      const call = yield* Effect.forkChild(cache.lookup("EUR", load))
      yield* TestClock.adjust("500 millis")
      invalidate(cache)
      yield* TestClock.adjust("600 millis")
      yield* Fiber.join(call)
      assert.strictEqual(cache.statistics.entries, 0)
    }))

  it.effect("takes no answer from the store that another process stores at the end of its call in flight", () =>
    Effect.gen(function*() {
      for (const lead of ["with", "without"]) {
        const { store } = AnswerStore.make()
        const { load, state } = vendor()
        const shared = lead === "with" ? store : { ...store, lead: undefined }
        const [first, second] = [yield* process(shared), yield* process(shared)]
        state.takes = 1_000
        const call = yield* Effect.forkChild(first.lookup("EUR", load))
        yield* TestClock.adjust("500 millis")
        invalidate(second)
        yield* TestClock.adjust("600 millis")
        assert.strictEqual(yield* Fiber.join(call), 1)
        state.takes = 0
        assert.strictEqual(yield* soon((yield* process(shared)).lookup("EUR", load)), 2, `${lead} leads`)
      }
    }))

  it.effect("is not forgotten while the store is down", () =>
    Effect.gen(function*() {
      const { state: stored, store } = AnswerStore.make()
      const { load } = vendor()
      const first = yield* process(store, { fresh: "1 hour", storePause: "10 seconds" })
      yield* soon(first.lookup("EUR", load))
      stored.isDown = true
      invalidate(first)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* soon(first.lookup("EUR", load)), 2)
      stored.isDown = false
      yield* TestClock.adjust("20 seconds")
      // The next lookup that asks the store tells it.
      assert.strictEqual(yield* soon(first.lookup("GBP", load)), 3)
      assert.strictEqual(yield* soon((yield* process(store, { fresh: "1 hour" })).lookup("EUR", load)), 4)
    }))

  it.effect("takes the stale answer from a call that fails later", () =>
    Effect.gen(function*() {
      const { load, state } = vendor()
      const cache = yield* process(undefined, { staleIfError: "1 day" })
      yield* soon(cache.lookup("EUR", load))
      yield* TestClock.adjust("1 hour")
      state.takes = 1_000
      state.isDown = true
      const call = yield* Effect.forkChild(
        Effect.exit(cache.lookup("EUR", load).pipe(Provenance.acceptStale("1 day")))
      )
      yield* TestClock.adjust("500 millis")
      invalidate(cache)
      yield* TestClock.adjust("600 millis")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(call)))
    }))
})

describe("invalidating one key", () => {
  it.effect("leaves the answers of others in the store", () =>
    Effect.gen(function*() {
      const { store } = AnswerStore.make()
      const { load } = vendor()
      const first = yield* process(store)
      yield* soon(first.lookup("EUR", load))
      yield* soon(first.lookup("GBP", load))
      first.invalidate("EUR")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* soon((yield* process(store)).lookup("GBP", load)), 2)
      // Also while this process itself fetches the one.
      const call = yield* Effect.forkChild(first.lookup("EUR", () => Effect.never))
      yield* TestClock.adjust("1 second")
      first.invalidate("EUR")
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(call)
      assert.strictEqual(yield* soon((yield* process(store)).lookup("GBP", load)), 2)
    }))

  it.effect("makes room for a new call at once, whose answer is shared", () =>
    Effect.gen(function*() {
      const { state: stored, store } = AnswerStore.make()
      const { load, state } = vendor()
      const first = yield* process(store)
      state.takes = 5_000
      const outdated = yield* Effect.forkChild(first.lookup("EUR", load))
      yield* TestClock.adjust("500 millis")
      first.invalidate("EUR")
      state.takes = 0
      assert.strictEqual(yield* soon(first.lookup("EUR", load)), 2)
      yield* Fiber.interrupt(outdated)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(stored.leads.size, 0)
    }))
})

describe("invalidating a tag", () => {
  it.effect("leaves the answers of operations without tags in the store", () =>
    Effect.gen(function*() {
      const { store } = AnswerStore.make()
      const Rate = Schema.Struct({ n: Schema.Int })
      const Api = HttpApi.make("acme").add(
        HttpApiGroup.make("rates", { topLevel: true }).add(
          HttpApiEndpoint.get("tagged", "/tagged", { success: Rate })
            .annotate(Operation.Policy, { cache: { fresh: "1 hour", tags: () => ["rates"] } }),
          HttpApiEndpoint.get("plain", "/plain", { success: Rate })
            .annotate(Operation.Policy, { cache: { fresh: "1 hour" } })
        )
      )
      const sent: Array<string> = []
      const client = Vendor.make({ name: "acme", api: Api, baseUrl: "https://acme.example" }).pipe(
        Effect.provide(FakeTransport.layer(({ path }, n) => {
          sent.push(path)
          return { status: 200, json: { n } }
        })),
        Effect.provideService(CacheStore, store)
      )
      const both = Effect.flatMap(client, (client) =>
        Effect.as(Effect.all([soon(client.tagged()), soon(client.plain())]), client))
      Vendor.caches(yield* both).invalidateTag("rates")
      yield* TestClock.adjust("1 second")
      yield* both
      assert.deepStrictEqual(sent, ["/tagged", "/plain", "/tagged"])
    }))
})

describe("a generation in the store", () => {
  it.effect("is replaced by a new one if it is not one of ours", () =>
    Effect.gen(function*() {
      const { state, store } = AnswerStore.make()
      const { load } = vendor()
      for (const value of ["../../etc", "x".repeat(1_000), "generation 1"]) {
        state.entries.set("acme/rate/1:generation", { value, until: Infinity })
        const cache = yield* process(store)
        const before = yield* soon(cache.lookup("EUR", load))
        assert.strictEqual(yield* soon((yield* process(store)).lookup("EUR", load)), before)
        assert.strictEqual(cache.statistics.bypassed, 0)
      }
    }))
})

/**
 * Answers that processes share: nobody waits for another process past the deadline, no lead outlives its caller, and an
 * answer is as old as the store says. Inputs: a leader that never ends and a store that hangs, under deadlines of every
 * origin; callers that leave at every step; answers too large to keep; processes whose clocks are wrong.
 */
import * as ResponseCache from "@breakwater/core/caching/ResponseCache"
import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import * as Deadline from "@breakwater/core/Deadline"
import * as CacheStore from "@breakwater/core/fleet/CacheStore"
import * as Priority from "@breakwater/core/Priority"
import * as Provenance from "@breakwater/core/Provenance"
import { DeadlineExceeded, isVendorError, VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Fiber, Layer, Option, Random, Schema, Scope } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Redis } from "effect/persistence"
import { TestClock } from "effect/testing"
import * as TwoClocks from "../drivers/TwoClocks.ts"
import { interruptedAt } from "../drivers/YieldOnce.ts"
import * as AnswerStore from "../fakes/AnswerStore.ts"
import * as FakeTransport from "../fakes/Transport.ts"

const process = (
  store: CacheStore.Store | undefined,
  options: Partial<ResponseCache.ResponseCacheOptions> & { readonly deadline?: Duration.Input } = {},
  codec: ResponseCache.Codec<number> = { encode: String, decode: Number }
) =>
  ResponseCache.make<number, VendorError>(
    { vendor: "acme", operation: "rate", jitter: 0, fresh: "5 minutes", ...options },
    { name: "acme/rate/1", codec }
  ).pipe(Effect.provideService(CacheStore.CacheStore, store))

/** A vendor whose answers are numbered. */
const vendor = (answer: Partial<ResponseCache.CachedAnswer<number>> = {}) => {
  const state = { calls: 0 }
  return { state, load: () => Effect.sync(() => ({ value: ++state.calls, ...answer })) }
}

/** Lets virtual time pass, in which a lookup ends. */
const soon = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    yield* TestClock.adjust("1 second")
    return yield* Fiber.join(fiber)
  })

/** The answer, its provenance and its age in seconds. */
const seen = (
  cache: ResponseCache.ResponseCache<number, VendorError>,
  load: () => Effect.Effect<ResponseCache.Loaded<number>>
) =>
  Effect.map(
    soon(cache.lookup("EUR", load).pipe(Provenance.acceptStale("1 day"))),
    ({ provenance, value }) =>
      `${value} ${provenance._tag} ${Math.round(Duration.toSeconds(Provenance.age(provenance)))}`
  )

const reasonOf = (exit: Exit.Exit<unknown, unknown> | undefined): string => {
  if (exit === undefined) return "still waiting"
  if (Exit.isSuccess(exit)) return "answered"
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  return isVendorError(error) ? error.reason._tag : "another failure"
}

describe("a caller that waits for another process", () => {
  const { store } = AnswerStore.make()
  const otherLeads: CacheStore.Store = { ...store, lead: () => Effect.undefined }
  const hangs: CacheStore.Store = { ...store, read: () => Effect.never }
  const hangsLater: CacheStore.Store = { ...store, lead: () => Effect.never }

  for (
    const [what, shared] of [["a leader that never ends", otherLeads], ["a read that hangs", hangs], [
      "a lead that hangs",
      hangsLater
    ]] as const
  ) {
    it.effect(`leaves at its deadline: ${what}`, () =>
      Effect.gen(function*() {
        const cache = yield* process(shared, { storeTimeout: "1 minute" })
        const bounded = yield* process(shared, { storeTimeout: "1 minute", deadline: "2 seconds" })
        const { load, state } = vendor()
        const calls = yield* Effect.forEach([
          cache.lookup("EUR", load).pipe(Deadline.within("2 seconds")),
          bounded.lookup("EUR", load),
          bounded.lookup("EUR", load),
          bounded.lookup("GBP", load).pipe(Deadline.within("5 seconds"))
        ], (lookup) => Effect.forkChild(lookup))
        yield* TestClock.adjust("1999 millis")
        assert.deepStrictEqual(calls.map((call) => reasonOf(call.pollUnsafe())), calls.map(() => "still waiting"))
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(calls.map((call) => reasonOf(call.pollUnsafe())), calls.map(() => "DeadlineExceeded"))
        assert.strictEqual(state.calls, 0)
        // The store is waited for to the end, so that no lead stays behind.
        yield* TestClock.adjust("1 minute")
      }))
  }

  it.effect("leaves at the deadline of its operation, and asks the vendor no more", () =>
    Effect.gen(function*() {
      const Api = HttpApi.make("acme").add(
        HttpApiGroup.make("rates", { topLevel: true }).add(
          HttpApiEndpoint.get("rate", "/rate", { success: Schema.Struct({ rate: Schema.Finite }) })
            .annotate(Operation.Policy, { deadline: "4 seconds", cache: { fresh: "1 minute" } })
        )
      )
      let sent = 0
      const client = yield* Vendor.make({ name: "acme", api: Api, baseUrl: "https://acme.example" }).pipe(
        Effect.provide(FakeTransport.layer(() => {
          sent++
          return { status: 200, json: { rate: 1 } }
        })),
        Effect.provideService(CacheStore.CacheStore, otherLeads)
      )
      const call = yield* Effect.forkChild(client.rate())
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(reasonOf(call.pollUnsafe()), "DeadlineExceeded")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(sent, 0)
    }))

  it.effect("leaves its own call to end by the deadline, and to say what became of it", () =>
    Effect.gen(function*() {
      const { state, store: shared } = AnswerStore.make()
      state.takes = 10
      const cache = yield* process(shared, { deadline: "2 seconds" })
      const own = new VendorError({
        vendor: "acme",
        operation: "rate",
        safety: "Idempotent",
        reason: new DeadlineExceeded("Unknown")
      })
      const load = () => Effect.flatMap(Deadline.remaining, (left) => Effect.delay(Effect.fail(own), left))
      const call = yield* Effect.forkChild(Effect.flip(cache.lookup("EUR", load)))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* Fiber.join(call), own)
    }))

  it.effect("follows no longer than an operation takes, if nobody waits for it", () =>
    Effect.gen(function*() {
      const { store: shared } = AnswerStore.make()
      let [reads, isLed] = [0, false]
      const counting: CacheStore.Store = {
        ...shared,
        read: (key) => Effect.andThen(Effect.sync(() => void reads++), shared.read(key)),
        lead: (...args) => isLed ? Effect.undefined : shared.lead!(...args)
      }
      const cache = yield* process(counting, { staleWhileRevalidate: "1 day", deadline: "2 seconds" })
      const { load } = vendor()
      yield* seen(cache, load)
      yield* TestClock.adjust("10 minutes")
      isLed = true
      assert.strictEqual(yield* seen(cache, load), "1 Stale 601")
      yield* TestClock.adjust("2 seconds")
      const before = reads
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(reads, before)
    }))

  it.effect("gets a stale answer at its deadline, if it accepts one", () =>
    Effect.gen(function*() {
      const { store: shared } = AnswerStore.make()
      let isLed = false
      const cache = yield* process({ ...shared, lead: (...args) => isLed ? Effect.undefined : shared.lead!(...args) }, {
        staleIfError: "1 hour",
        deadline: "900 millis"
      })
      const { load } = vendor()
      assert.strictEqual(yield* seen(cache, load), "1 Fresh 0")
      yield* TestClock.adjust("10 minutes")
      isLed = true
      assert.strictEqual(yield* seen(cache, load), "1 Stale 602")
    }))

  it.effect("does not wait if it is of the highest priority", () =>
    Effect.gen(function*() {
      const cache = yield* process(otherLeads)
      const { load } = vendor()
      const critical = yield* Effect.forkChild(cache.lookup("EUR", load).pipe(Priority.withPriority("Critical")))
      const normal = yield* Effect.forkChild(cache.lookup("GBP", load).pipe(Deadline.within("5 seconds")))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([critical, normal].map((call) => reasonOf(call.pollUnsafe())), [
        "answered",
        "still waiting"
      ])
    }))
})

/** The store in a Redis that acts at once and answers late. `held` are the locks with their tokens. */
const inLateRedis = Effect.gen(function*() {
  const held = new Map<string, string>()
  const send = (command: string, ...args: ReadonlyArray<string>): Effect.Effect<never, Redis.RedisError> =>
    Effect.suspend((): Effect.Effect<unknown> => {
      const [name, token] = args as [string, string]
      if (command !== "SET") return Effect.succeed(null)
      if (args.includes("NX") && held.has(name)) return Effect.delay(Effect.succeed(null), 200)
      held.set(name, token)
      return Effect.delay(Effect.succeed("OK"), 200)
    }) as Effect.Effect<never>
  const redis = Layer.succeed(Redis.Redis, {
    send,
    eval: () => (name: string, token: string) =>
      Effect.sync(() => {
        if (held.get(name) === token) held.delete(name)
      }),
    reserve: Effect.never,
    subscribe: () => Effect.never
  } as never)
  const context = yield* Layer.build(Layer.provide(CacheStore.layerRedis({ namespace: "shop" }), redis))
  return { held, store: (yield* Effect.provideContext(CacheStore.CacheStore, context))! }
})

describe("a lead", () => {
  it.effect.each<readonly [string, number]>([["while it is asked for", 15], ["during the call", 500]])(
    "of a caller that leaves %s is given up",
    ([, after]) =>
      Effect.gen(function*() {
        const { state, store } = AnswerStore.make()
        state.takes = 10
        const cache = yield* process(store)
        const call = yield* Effect.forkChild(cache.lookup("EUR", () => Effect.never))
        yield* TestClock.adjust(after)
        yield* Fiber.interrupt(call)
        yield* TestClock.adjust("100 millis")
        assert.strictEqual(state.leads.size, 0)
        assert.strictEqual(yield* soon((yield* process(store)).lookup("EUR", vendor().load)), 1)
      })
  )

  it.effect("of a process that ends is given up", () =>
    Effect.gen(function*() {
      const { state, store } = AnswerStore.make()
      const scope = yield* Scope.make()
      const cache = yield* Scope.provide(process(store), scope)
      yield* Effect.forkChild(Effect.exit(cache.lookup("EUR", () => Effect.never)))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(state.leads.size, 1)
      state.takes = 10
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("100 millis")
      yield* Fiber.join(closing)
      assert.strictEqual(state.leads.size, 0)
    }))

  it.effect("of a caller that leaves at any step is given up", () =>
    Effect.gen(function*() {
      for (let step = 1, wasInterrupted = true; wasInterrupted; step++) {
        const { state, store } = AnswerStore.make()
        state.takes = 10
        const cache = yield* process(store)
        wasInterrupted = (yield* interruptedAt(step, cache.lookup("EUR", vendor().load))).wasInterrupted
        assert.strictEqual(state.leads.size, 0, `after step ${step}`)
      }
    }))

  it.effect.each([0, 0.5, 0.999])(
    "of another is asked for less and less often, and missed by a third at most: %d",
    (random) =>
      Effect.gen(function*() {
        for (const [millis, most] of [[100, 6], [1_000, 16], [9_000, 60]] as const) {
          const { store } = AnswerStore.make()
          let asked = 0
          const counted = { ...store, lead: (key: string, millis: number) => (asked++, store.lead!(key, millis)) }
          const leader = yield* process(store)
          yield* Effect.forkChild(leader.lookup("EUR", () => Effect.delay(Effect.succeed({ value: 1 }), millis)))
          yield* TestClock.adjust(1)
          const following = yield* Effect.forkChild((yield* process(counted)).lookup("EUR", () => Effect.never))
          yield* TestClock.adjust(millis - 2)
          assert.isUndefined(following.pollUnsafe())
          yield* TestClock.adjust(Math.max(25, millis / 3))
          assert.deepStrictEqual(following.pollUnsafe(), Exit.succeed(1))
          assert.isAtMost(asked, most)
        }
      }).pipe(Effect.provideService(Random.Random, { nextDoubleUnsafe: () => random, nextIntUnsafe: () => 0 }))
  )

  it.effect("has one holder at a time in Redis", () =>
    Effect.gen(function*() {
      const { held, store } = yield* inLateRedis
      const lead = soon(store.lead!("EUR", 60_000))
      const giveUp = yield* lead
      assert.isDefined(giveUp)
      assert.isUndefined(yield* lead)
      yield* giveUp
      assert.strictEqual(held.size, 0)
      assert.isDefined(yield* lead)
    }))

  it.effect("that Redis gave to a caller who has left is given back", () =>
    Effect.gen(function*() {
      const { held, store } = yield* inLateRedis
      // The cache is told that the store takes longer than it waits.
      const cache = yield* process(store, { storeTimeout: "50 millis" })
      const call = yield* Effect.forkChild(cache.lookup("EUR", () => Effect.never))
      yield* TestClock.adjust("100 millis")
      yield* Fiber.interrupt(call)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([...held.keys()].filter((name) => name.includes(":lead:")), [])
    }))
})

describe("an answer that is too large to keep", () => {
  it.effect("is not taken again and again for a caller that wants a newer one", () =>
    Effect.gen(function*() {
      const { store } = AnswerStore.make()
      const { load, state } = vendor({ bytes: 1_000 })
      const [roomy, small] = [yield* process(store), yield* process(store, { maxBytes: 100 })]
      yield* soon(roomy.lookup("EUR", load))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* soon(small.lookup("EUR", load)), 1)
      const newer = yield* soon(small.lookup("EUR", load).pipe(Provenance.acceptStale("10 seconds")))
      assert.deepStrictEqual(newer, { value: 2, provenance: { _tag: "Fresh" } })
      assert.strictEqual(state.calls, 2)
    }))

  it.effect("is not taken again and again by a clock that stands still", () =>
    Effect.gen(function*() {
      const time = { millis: 0 }
      const { state, store } = AnswerStore.make(() => time.millis)
      const { load } = vendor()
      yield* soon((yield* process(store)).lookup("EUR", load))
      time.millis = 60_000
      state.takes = 10
      const second = yield* process(store)
      const newer = yield* soon(second.lookup("EUR", load).pipe(Provenance.acceptStale("10 seconds")))
      assert.deepStrictEqual(newer, { value: 2, provenance: { _tag: "Fresh" } })
    }))

  it.effect("is not shared, and neither is one that its codec cannot write", () =>
    Effect.gen(function*() {
      const { state, store } = AnswerStore.make()
      yield* soon((yield* process(store, { maxBytes: 100 })).lookup("EUR", vendor({ bytes: 101 }).load))
      const encode = () => {
        throw new Error("cannot be written")
      }
      const cache = yield* process(store, {}, { encode, decode: Number })
      yield* soon(cache.lookup("EUR", vendor().load))
      assert.deepStrictEqual([state.entries.size, state.leads.size, cache.statistics.bypassed], [0, 0, 0])
    }))

  it.effect("counts as absent if a caller's check of it dies", () =>
    Effect.gen(function*() {
      const { store } = AnswerStore.make()
      const { load } = vendor()
      yield* soon((yield* process(store)).lookup("EUR", load))
      const trusts = () => {
        throw new Error("no")
      }
      assert.strictEqual(yield* soon((yield* process(store)).lookup("EUR", load, { trusts })), 2)
    }))
})

describe("the age of an answer from another process", () => {
  const hour = 3_600_000

  for (const [whose, step] of [["an hour ahead", hour], ["an hour behind", -hour], ["right", 0]] as const) {
    it.effect(`is what the store's clock says, though a process is ${whose}`, () =>
      Effect.gen(function*() {
        const clock = yield* Effect.clockWith(Effect.succeed)
        const { store } = AnswerStore.make(() => clock.currentTimeMillisUnsafe())
        const machine = yield* TwoClocks.make
        machine.step(step)
        const { load } = vendor()
        const [first, second] = [yield* process(store), yield* process(store)]
        assert.strictEqual(yield* machine.on(seenOn(first, load)), "1 Fresh 0")
        yield* TestClock.adjust("2 minutes")
        assert.strictEqual(yield* seen(second, load), "1 Cached 120")
        // The other way round: the reader's own clock is wrong.
        const third = yield* process(store)
        assert.strictEqual(yield* machine.on(seenOn(third, load)), "1 Cached 121")
        yield* TestClock.adjust("3 minutes")
        assert.strictEqual(yield* machine.on(seenOn(third, load)), "2 Fresh 0")
      }))
  }

  it.effect("is not believed if it is in the future, by a store without a clock", () =>
    Effect.gen(function*() {
      const { store } = AnswerStore.make()
      const machine = yield* TwoClocks.make
      machine.step(hour)
      const { load } = vendor()
      yield* machine.on(seenOn(yield* process(store), load))
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* seen(yield* process(store), load), "2 Fresh 0")
    }))

  it.effect("decides about its freshness by the options of its reader, unless the answer said how long it is", () =>
    Effect.gen(function*() {
      for (const [said, expected] of [[undefined, "2 Fresh 0"], ["1 hour", "1 Cached 120"]] as const) {
        const { store } = AnswerStore.make()
        const { load } = vendor({ fresh: said })
        yield* seen(yield* process(store), load)
        yield* TestClock.adjust("119 seconds")
        assert.strictEqual(yield* seen(yield* process(store, { fresh: "1 minute" }), load), expected)
      }
    }))

  /** As {@link seen}, of a lookup that needs no time. */
  function seenOn(
    cache: ResponseCache.ResponseCache<number, VendorError>,
    load: () => Effect.Effect<ResponseCache.Loaded<number>>
  ) {
    return Effect.map(
      cache.lookup("EUR", load).pipe(Provenance.acceptStale("1 day")),
      ({ provenance, value }) =>
        `${value} ${provenance._tag} ${Math.round(Duration.toSeconds(Provenance.age(provenance)))}`
    )
  }
})

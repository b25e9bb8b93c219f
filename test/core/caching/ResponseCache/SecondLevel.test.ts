import * as ResponseCache from "@breakwater/core/caching/ResponseCache"
import { CacheStore, type Store } from "@breakwater/core/fleet/CacheStore"
import * as Provenance from "@breakwater/core/Provenance"
import { Unavailable, VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Logger } from "effect"
import { TestClock } from "effect/testing"

/** A store that many processes share; a test makes it slow or takes it down. */
const sharedStore = () => {
  const state = { isDown: false, takes: 0, reads: 0, entries: new Map<string, { value: string; until: number }>() }
  const leads = new Map<string, number>()
  const ask = <A>(answer: (now: number) => A): Effect.Effect<A, string> =>
    Effect.gen(function*() {
      yield* Effect.sleep(state.takes)
      if (state.isDown) return yield* Effect.fail("down")
      return yield* Effect.map(Effect.clockWith((clock) => clock.currentTimeMillis), answer)
    })
  const store: Store = {
    read: (key) =>
      ask((now) => {
        state.reads++
        const entry = state.entries.get(key)
        return entry !== undefined && now < entry.until ? entry.value : undefined
      }),
    write: (key, value, millis) => ask((now) => void state.entries.set(key, { value, until: now + millis })),
    remove: (key) => ask(() => void state.entries.delete(key)),
    lead: (key, millis) =>
      ask((now) => {
        const until = leads.get(key)
        if (until !== undefined && now < until) return undefined
        leads.set(key, now + millis)
        return ask(() => void leads.delete(key))
      })
  }
  return { state, store }
}

const codec: ResponseCache.Codec<number> = {
  encode: String,
  decode: (text) => {
    if (!/^\d+$/.test(text)) throw new Error("not a number")
    return Number(text)
  }
}

/** A process: its own cache in front of the shared store. */
const process = (
  store: Store | undefined,
  options: Partial<ResponseCache.ResponseCacheOptions> = {},
  name = "acme/rate/1"
) =>
  ResponseCache.make<number, VendorError>(
    { vendor: "acme", operation: "rate", jitter: 0, fresh: "5 minutes", staleIfError: "1 day", ...options },
    { name, codec }
  ).pipe(Effect.provideService(CacheStore, store))

const vendor = () => {
  const state = { calls: 0, takes: 0, isDown: false }
  const load = (): Effect.Effect<ResponseCache.Loaded<number>, VendorError> =>
    Effect.suspend(() => {
      const value = ++state.calls
      const reason = new Unavailable(503)
      return Effect.andThen(
        Effect.sleep(state.takes),
        state.isDown
          ? Effect.fail(new VendorError({ vendor: "acme", operation: "rate", safety: "Idempotent", reason }))
          : Effect.succeed({ value, validator: `"${value}"` })
      )
    })
  return { state, load }
}

/** Waits on virtual time, and returns the value, its provenance and its age in seconds, or the failure. */
const ask = (
  cache: ResponseCache.ResponseCache<number, VendorError>,
  load: () => Effect.Effect<ResponseCache.Loaded<number>, VendorError>,
  maxAge: Duration.Input = "2 days"
) =>
  Effect.gen(function*() {
    const lookup = Effect.exit(cache.lookup("EUR", load).pipe(Provenance.acceptStale(maxAge)))
    const fiber = yield* Effect.forkChild(lookup)
    yield* TestClock.adjust("1 second")
    const exit = yield* Fiber.join(fiber)
    if (Exit.isFailure(exit)) return "nothing"
    const { provenance, value } = exit.value
    return `${value} ${provenance._tag} ${Math.floor(Duration.toSeconds(Provenance.age(provenance)))}`
  })

describe("a cache that processes share", () => {
  it.effect("returns an answer that another process fetched, with its true age", () =>
    Effect.gen(function*() {
      const { store } = sharedStore()
      const { load, state } = vendor()
      const [first, second] = [yield* process(store), yield* process(store)]
      assert.strictEqual(yield* ask(first, load), "1 Fresh 0")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* ask(second, load), "1 Cached 61")
      assert.strictEqual(yield* ask(second, load), "1 Cached 62")
      assert.strictEqual(state.calls, 1)
      assert.deepStrictEqual([second.statistics.shared, second.statistics.loads], [1, 0])
      // It expires at the same time as in the process that fetched it.
      yield* TestClock.adjust("4 minutes")
      assert.strictEqual(yield* ask(second, load), "2 Fresh 0")
    }))

  it.effect("makes one call for ten thousand callers in three processes", () =>
    Effect.gen(function*() {
      const { store } = sharedStore()
      const { load, state } = vendor()
      state.takes = 300
      const caches = [yield* process(store), yield* process(store), yield* process(store)]
      const callers = Array.from({ length: 10_000 }, (_, index) => caches[index % 3]!.lookup("EUR", load))
      const fiber = yield* Effect.forkChild(Effect.all(callers, { concurrency: "unbounded" }))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(new Set(yield* Fiber.join(fiber)), new Set([1]))
      assert.strictEqual(state.calls, 1)
    }))

  it.effect("lets the next process call when the first has failed, and when it has died", () =>
    Effect.gen(function*() {
      const { store } = sharedStore()
      const [failing, slow, third] = [vendor(), vendor(), vendor()]
      failing.state.isDown = true
      failing.state.takes = 100
      slow.state.takes = 60_000
      const [first, second] = [yield* process(store), yield* process(store, { leadFor: "2 seconds" })]
      const lost = yield* Effect.forkChild(Effect.exit(first.lookup("EUR", failing.load)))
      yield* TestClock.adjust("50 millis")
      const found = yield* Effect.forkChild(second.lookup("EUR", third.load))
      yield* TestClock.adjust("200 millis")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(lost)))
      assert.strictEqual(yield* Fiber.join(found), 1)
      // A leader that never finishes is not waited for.
      second.clear()
      first.clear()
      yield* store.remove("acme/rate/1/EUR").pipe(Effect.ignore)
      const gone = yield* Effect.forkChild(second.lookup("EUR", slow.load))
      yield* TestClock.adjust("100 millis")
      const waiting = yield* Effect.forkChild(first.lookup("EUR", third.load))
      yield* TestClock.adjust("1800 millis")
      assert.isUndefined(waiting.pollUnsafe())
      // Another process looks every 200 to 250 milliseconds.
      yield* TestClock.adjust("350 millis")
      assert.strictEqual(yield* Fiber.join(waiting), 2)
      yield* Fiber.interrupt(gone)
    }))

  it.effect("does not return an answer too old for its caller, and uses it when the vendor is down", () =>
    Effect.gen(function*() {
      const { store } = sharedStore()
      const { load, state } = vendor()
      const [first, second, third] = [yield* process(store), yield* process(store), yield* process(store)]
      yield* ask(first, load)
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(yield* ask(second, load, "1 minute"), "2 Fresh 0")
      yield* TestClock.adjust("1 hour")
      state.isDown = true
      assert.strictEqual(yield* ask(third, load), "2 Stale 3601")
      assert.strictEqual(yield* ask(third, load, "1 minute"), "nothing")
    }))

  it.effect("gives each caller of a shared load an answer it accepts", () =>
    Effect.gen(function*() {
      const { state: storeState, store } = sharedStore()
      const { load } = vendor()
      const [first, second] = [yield* process(store), yield* process(store)]
      yield* ask(first, load)
      yield* TestClock.adjust("2 minutes")
      storeState.takes = 10
      const patient = yield* Effect.forkChild(second.lookup("EUR", load))
      const strict = yield* Effect.forkChild(second.lookup("EUR", load).pipe(Provenance.acceptStale("1 minute")))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(patient), 1)
      assert.deepStrictEqual(yield* Fiber.join(strict), { value: 2, provenance: { _tag: "Fresh" } })
    }))

  it.effect("revalidates an answer that another process fetched", () =>
    Effect.gen(function*() {
      const { store } = sharedStore()
      const { load } = vendor()
      const known: Array<string | undefined> = []
      const [first, second] = [yield* process(store), yield* process(store)]
      yield* ask(first, load)
      yield* TestClock.adjust("10 minutes")
      const lookup = second.lookup("EUR", (answer) => {
        known.push(answer?.validator)
        return Effect.succeed({ notModified: true as const })
      })
      const fiber = yield* Effect.forkChild(lookup)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), 1)
      assert.deepStrictEqual(known, [`"1"`])
    }))

  it.effect("ignores entries of another version, and invalid ones", () =>
    Effect.gen(function*() {
      const { state, store } = sharedStore()
      const { load } = vendor()
      yield* ask(yield* process(store), load)
      assert.strictEqual(yield* ask(yield* process(store, {}, "acme/rate/2"), load), "2 Fresh 0")
      for (const value of ["", "{", "null", JSON.stringify({ at: 0, freshMillis: 1e9, value: "old shape" })]) {
        state.entries.set("acme/rate/1/EUR", { value, until: Infinity })
        const cache = yield* process(store)
        assert.match(yield* ask(cache, load), /Fresh 0$/)
        assert.strictEqual(cache.statistics.bypassed, 0)
      }
    }))

  it.effect("does not call when the leader has just finished, nor make its answer younger", () =>
    Effect.gen(function*() {
      const { state, store } = sharedStore()
      const { load, state: vendorState } = vendor()
      yield* ask(yield* process(store), load)
      const written = [...state.entries]
      let reads = 0
      const cache = yield* process({
        ...store,
        read: (key) => reads++ === 0 ? Effect.undefined : store.read(key)
      })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* ask(cache, load), "1 Cached 61")
      assert.strictEqual(vendorState.calls, 1)
      assert.deepStrictEqual([...state.entries], written)
    }))

  it.effect("refreshes early although its own answer is in the store", () =>
    Effect.gen(function*() {
      const { store } = sharedStore()
      const { load } = vendor()
      const cache = yield* process(store, { eager: 0.5 })
      yield* ask(cache, load)
      yield* TestClock.adjust("3 minutes")
      assert.strictEqual(yield* ask(cache, load), "1 Cached 181")
      assert.strictEqual(yield* ask(cache, load), "2 Cached 1")
    }))

  it.effect("shares no answer that may not be cached", () =>
    Effect.gen(function*() {
      const { state, store } = sharedStore()
      yield* ask(yield* process(store), () => Effect.succeed({ value: 1, isKept: false }))
      assert.strictEqual(state.entries.size, 0)
    }))

  it.effect("invalidates an answer for all processes", () =>
    Effect.gen(function*() {
      const { state, store } = sharedStore()
      const { load } = vendor()
      const first = yield* process(store)
      yield* ask(first, load)
      first.invalidate("EUR")
      yield* TestClock.adjust(0)
      yield* Effect.promise(() => Promise.resolve())
      assert.strictEqual(state.entries.size, 0)
      assert.strictEqual(yield* ask(yield* process(store), load), "2 Fresh 0")
    }))

  for (
    const [how, break_] of [
      ["down", (state: ReturnType<typeof sharedStore>["state"]) => void (state.isDown = true)],
      ["slow", (state: ReturnType<typeof sharedStore>["state"]) => void (state.takes = 10_000)]
    ] as const
  ) {
    it.effect(`bypasses a store that is ${how}, logs it once, and uses it again later`, () => {
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        lines.push(`${logLevel} ${String(message)}`)
      })
      return Effect.gen(function*() {
        const { state, store } = sharedStore()
        const { load } = vendor()
        const cache = yield* process(store, { fresh: "1 millis", staleIfError: 0 })
        break_(state)
        for (let call = 1; call <= 20; call++) assert.strictEqual(yield* ask(cache, load), `${call} Fresh 0`)
        const { bypassed } = cache.statistics
        assert.isAtLeast(bypassed, 20)
        assert.deepStrictEqual(lines, ["Warn the shared cache of acme/rate/1 is slow or down; it is bypassed"])
        state.isDown = false
        state.takes = 0
        // The pause of 5 seconds is up to a quarter longer.
        yield* TestClock.adjust("6250 millis")
        yield* ask(cache, load)
        assert.strictEqual(cache.statistics.bypassed, bypassed)
        assert.deepStrictEqual(lines.slice(1), ["Info the shared cache of acme/rate/1 works again"])
      }).pipe(Effect.provide(Logger.layer([logger])))
    })
  }

  it.effect("costs a caller at most the store's timeout, once per pause", () =>
    Effect.gen(function*() {
      const { state, store } = sharedStore()
      const { load } = vendor()
      state.takes = 10_000
      const cache = yield* process(store, { storeTimeout: "50 millis", storePause: "5 seconds" })
      const waiting = yield* Effect.forkChild(cache.lookup("EUR", load))
      yield* TestClock.adjust("49 millis")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(waiting), 1)
      cache.clear()
      const next = yield* Effect.forkChild(cache.lookup("GBP", load))
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* Fiber.join(next), 2)
    }))
})

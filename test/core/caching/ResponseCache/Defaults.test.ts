import * as ResponseCache from "@breakwater/core/caching/ResponseCache"
import * as Provenance from "@breakwater/core/Provenance"
import { Unavailable, VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Random } from "effect"
import { TestClock } from "effect/testing"

const down = new VendorError({
  vendor: "acme",
  operation: "rate",
  safety: "Idempotent",
  reason: new Unavailable(503)
})

type Options = Omit<Parameters<typeof ResponseCache.make>[0], "vendor" | "operation">

const make = (options: Options) =>
  ResponseCache.make<number, VendorError>({ vendor: "acme", operation: "rate", ...options })

/** A vendor whose answers are numbered, and that is down when a test says so. */
const vendor = (bytes = 0) => {
  const state = { calls: 0, isDown: false }
  const load = (): Effect.Effect<ResponseCache.Loaded<number>, VendorError> =>
    Effect.suspend(() => {
      const value = ++state.calls
      return state.isDown ? Effect.fail(down) : Effect.succeed({ value, bytes })
    })
  return { state, load }
}

const withDraw = (draw: number) =>
  Effect.provideService(Random.Random, { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => draw })

describe("the defaults of a cache", () => {
  it.effect("are no stale answers, and no errors", () =>
    Effect.gen(function*() {
      const { load, state } = vendor()
      const cache = yield* make({ fresh: "1 minute", jitter: 0 })
      const lookup = cache.lookup("EUR", load).pipe(Provenance.acceptStale("1 day"))
      yield* lookup
      yield* TestClock.adjust("59999 millis")
      yield* lookup
      assert.strictEqual(state.calls, 1)
      yield* TestClock.adjust(1)
      state.isDown = true
      assert.strictEqual(yield* Effect.flip(lookup), down)
      assert.strictEqual(yield* Effect.flip(lookup), down)
      assert.strictEqual(state.calls, 3)
    }))

  it.effect.each<readonly [Options, life: number]>([
    [{ fresh: "1 minute" }, 54_000],
    [{ fresh: "1 minute", jitter: 0.1 }, 54_000],
    [{ fresh: "1 minute", jitter: 0.2 }, 48_000],
    [{ fresh: "1 minute", jitter: 0 }, 60_000],
    [{ fresh: "1 minute", jitter: 1 }, 0]
  ])("are a life that is up to a tenth shorter: %j", ([options, life]) =>
    Effect.gen(function*() {
      const { load, state } = vendor()
      const cache = yield* make(options)
      yield* cache.lookup("EUR", load)
      if (life > 0) {
        yield* TestClock.adjust(life - 10)
        yield* cache.lookup("EUR", load)
        assert.strictEqual(state.calls, 1)
      }
      yield* TestClock.adjust(20)
      yield* cache.lookup("EUR", load)
      assert.strictEqual(state.calls, 2)
    }).pipe(withDraw(0.999_999)))

  it.effect("are lives of 68 years at most, also when a vendor says for ever", () =>
    Effect.gen(function*() {
      const longest = 2 ** 31 * 1_000
      let calls = 0
      const cache = yield* make({ fresh: "1 minute", jitter: 0 })
      const lookup = cache.lookup("EUR", () => Effect.sync(() => ({ value: ++calls, fresh: Infinity })))
      yield* lookup
      yield* TestClock.adjust(longest - 1)
      assert.strictEqual(yield* lookup, 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* lookup, 2)
    }))

  it.effect("are ten thousand entries", () =>
    Effect.gen(function*() {
      const { load } = vendor()
      const cache = yield* make({ fresh: "1 minute" })
      for (let key = 0; key < 10_000; key++) yield* cache.lookup(`${key}`, load)
      assert.deepInclude(cache.statistics, { entries: 10_000, evictions: 0 })
      yield* cache.lookup("one more", load)
      assert.deepInclude(cache.statistics, { entries: 10_000, evictions: 1 })
    }))

  it.effect("are 64 MiB", () =>
    Effect.gen(function*() {
      const half = 32 * 1024 * 1024
      for (const [more, entries] of [[0, 2], [1, 1]] as const) {
        const cache = yield* make({ fresh: "1 minute" })
        yield* cache.lookup("a", vendor(half).load)
        yield* cache.lookup("b", vendor(half + more).load)
        assert.strictEqual(cache.statistics.entries, entries)
      }
    }))

  it.effect.each<readonly [Partial<Options>, seconds: number]>([
    [{}, 1],
    [{ failurePause: "1 second" }, 1],
    [{ failurePause: "3 seconds" }, 3]
  ])("are a second between failed calls in the background: %j", ([options, seconds]) =>
    Effect.gen(function*() {
      const { load, state } = vendor()
      const cache = yield* make({ fresh: "1 minute", jitter: 0, staleWhileRevalidate: "1 hour", ...options })
      const lookup = cache.lookup("EUR", load).pipe(Provenance.acceptStale("1 day"))
      yield* lookup
      yield* TestClock.adjust("1 minute")
      state.isDown = true
      const callsAfter = (millis: number) =>
        Effect.gen(function*() {
          yield* TestClock.adjust(millis)
          yield* lookup
          yield* TestClock.adjust(0)
          return state.calls
        })
      assert.strictEqual(yield* callsAfter(0), 2)
      assert.strictEqual(yield* callsAfter(seconds * 1_000 - 1), 2)
      assert.strictEqual(yield* callsAfter(1), 3)
    }))

  it.effect("are counts from zero, each of its own event", () =>
    Effect.gen(function*() {
      const { load, state } = vendor(10)
      const cache = yield* make({ fresh: "1 minute", jitter: 0, staleIfError: "1 hour", maxEntries: 2 })
      const lookup = (key: string) => Effect.exit(cache.lookup(key, load).pipe(Provenance.acceptStale("1 day")))
      const none = { hits: 0, stale: 0, misses: 0, coalesced: 0, loads: 0, failures: 0, evictions: 0, shared: 0 }
      assert.deepInclude(cache.statistics, { ...none, bypassed: 0, entries: 0, bytes: 0 })
      yield* lookup("a")
      yield* lookup("a")
      assert.deepInclude(cache.statistics, { ...none, misses: 1, loads: 1, hits: 1, entries: 1, bytes: 10 })
      yield* TestClock.adjust("2 minutes")
      state.isDown = true
      yield* lookup("a")
      yield* lookup("b")
      assert.deepInclude(cache.statistics, { ...none, misses: 3, loads: 3, hits: 1, failures: 2, stale: 1, entries: 1 })
      state.isDown = false
      yield* lookup("b")
      yield* lookup("c")
      assert.deepInclude(cache.statistics, { misses: 5, loads: 5, hits: 1, evictions: 1, entries: 2, bytes: 20 })
      const slow = Effect.delay(load(), 10)
      yield* Effect.forkChild(Effect.all([1, 2, 3].map(() => cache.lookup("d", () => slow)), { concurrency: 3 }))
      yield* TestClock.adjust(10)
      assert.deepInclude(cache.statistics, { misses: 8, loads: 6, coalesced: 2, evictions: 2 })
    }))
})

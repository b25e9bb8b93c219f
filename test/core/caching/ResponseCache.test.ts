import * as ResponseCache from "@breakwater/core/caching/ResponseCache"
import * as Deadline from "@breakwater/core/Deadline"
import * as Provenance from "@breakwater/core/Provenance"
import { DeadlineExceeded, Unavailable, VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { intBetween } from "../../drivers/IntBetween.ts"
import * as Effort from "../../setup/Effort.ts"

const down = new VendorError({
  vendor: "acme",
  operation: "rate",
  safety: "Idempotent",
  reason: new Unavailable(503)
})

const late = new VendorError({
  vendor: "acme",
  operation: "rate",
  safety: "Idempotent",
  reason: new DeadlineExceeded("Unknown")
})

type Options = Omit<Parameters<typeof ResponseCache.make>[0], "vendor" | "operation">

const make = <E = VendorError>(options: Options) =>
  ResponseCache.make<number, E>({ vendor: "acme", operation: "rate", jitter: 0, ...options })

/** A vendor whose answers are numbered, and that is slow or fails when a test says so. */
const vendor = () => {
  const state = { calls: 0, interrupted: 0, takes: 0, isDown: false }
  const load = (): Effect.Effect<ResponseCache.Loaded<number>, VendorError> =>
    Effect.suspend(() => {
      const value = ++state.calls
      const { isDown, takes } = state
      return Effect.sleep(takes).pipe(
        Effect.andThen(isDown ? Effect.fail(down) : Effect.succeed({ value })),
        Effect.onInterrupt(() => Effect.sync(() => void state.interrupted++))
      )
    })
  return { state, load }
}

/** The result for a caller: the value, its provenance and its age in seconds, or the failure. */
const seen = <A>(effect: Effect.Effect<Provenance.Sourced<A>, VendorError>) =>
  Effect.match(effect, {
    onSuccess: ({ provenance, value }) =>
      [
        value,
        provenance._tag,
        Duration.toSeconds(Provenance.age(provenance)),
        ...(provenance._tag === "Stale" ? [provenance.because] : [])
      ].join(" "),
    onFailure: ({ reason }) => reason._tag
  })

const minute = 60_000

describe("ResponseCache", () => {
  it.effect("returns a fresh answer without a call, with its age", () =>
    Effect.gen(function*() {
      const { load, state } = vendor()
      const cache = yield* make({ fresh: "5 minutes" })
      const lookup = seen(cache.lookup("EUR", load).pipe(Provenance.acceptStale("1 day")))
      assert.strictEqual(yield* lookup, "1 Fresh 0")
      yield* TestClock.adjust("4 minutes")
      assert.strictEqual(yield* lookup, "1 Cached 240")
      assert.strictEqual(state.calls, 1)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* lookup, "2 Fresh 0")
    }))

  it.effect("returns no stale answer to a caller that has not accepted one", () =>
    Effect.gen(function*() {
      const { load, state } = vendor()
      const cache = yield* make({ fresh: "1 minute", staleIfError: "1 day", staleWhileRevalidate: "1 day" })
      assert.strictEqual(yield* cache.lookup("EUR", load), 1)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* cache.lookup("EUR", load), 2)
      yield* TestClock.adjust("1 minute")
      state.isDown = true
      assert.strictEqual(yield* Effect.flip(cache.lookup("EUR", load)), down)
    }))

  it.effect("calls the vendor sooner for a caller with a shorter maximum age", () =>
    Effect.gen(function*() {
      const { load } = vendor()
      const cache = yield* make({ fresh: "5 minutes" })
      const price = seen(cache.lookup("EUR", load).pipe(Provenance.acceptStale("60 seconds")))
      const display = seen(cache.lookup("EUR", load).pipe(Provenance.acceptStale("1 day")))
      yield* display
      yield* TestClock.adjust("61 seconds")
      assert.strictEqual(yield* display, "1 Cached 61")
      assert.strictEqual(yield* price, "2 Fresh 0")
      assert.strictEqual(yield* display, "2 Cached 0")
    }))

  describe("a stale answer", () => {
    it.effect("is returned at once while a new one is fetched in the background, once", () =>
      Effect.gen(function*() {
        const { load, state } = vendor()
        const cache = yield* make({ fresh: "1 minute", staleWhileRevalidate: "1 minute" })
        const lookup = seen(cache.lookup("EUR", load).pipe(Provenance.acceptStale("1 day")))
        yield* lookup
        state.takes = 2_000
        yield* TestClock.adjust("61 seconds")
        assert.strictEqual(yield* lookup, "1 Stale 61 Revalidating")
        assert.strictEqual(yield* lookup, "1 Stale 61 Revalidating")
        assert.strictEqual(state.calls, 2)
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* lookup, "2 Cached 0")
      }))

    it.effect("is returned when the call fails, up to the cache's maximum age and the caller's", () =>
      Effect.gen(function*() {
        const { load, state } = vendor()
        const cache = yield* make({ fresh: "1 minute", staleIfError: "1 hour" })
        const lookup = seen(cache.lookup("EUR", load).pipe(Provenance.acceptStale("1 day")))
        const strict = seen(cache.lookup("EUR", load).pipe(Provenance.acceptStale("10 minutes")))
        yield* lookup
        state.isDown = true
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual(yield* strict, "1 Stale 600 Unavailable")
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* strict, "Unavailable")
        assert.strictEqual(yield* lookup, "1 Stale 600.001 Unavailable")
        yield* TestClock.adjust("51 minutes")
        assert.strictEqual(yield* lookup, "Unavailable")
      }))

    it.effect("is returned when the call takes too long, and the new one is kept when it comes", () =>
      Effect.gen(function*() {
        const { load, state } = vendor()
        const cache = yield* make({ fresh: "1 minute", staleIfError: "1 hour", softTimeout: "300 millis" })
        const lookup = seen(cache.lookup("EUR", load).pipe(Provenance.acceptStale("1 day")))
        yield* lookup
        state.takes = 5_000
        yield* TestClock.adjust("1 minute")
        const fiber = yield* Effect.forkChild(lookup)
        yield* TestClock.adjust("299 millis")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* Fiber.join(fiber), "1 Stale 60.3 Slow")
        yield* TestClock.adjust("4700 millis")
        assert.strictEqual(yield* lookup, "2 Cached 0")
        assert.deepStrictEqual([state.calls, state.interrupted], [2, 0])
      }))

    it.effect("is refreshed from a vendor that is down only once per pause", () =>
      Effect.gen(function*() {
        const { load, state } = vendor()
        const cache = yield* make({
          fresh: "1 minute",
          staleWhileRevalidate: "1 hour",
          failurePause: "10 seconds"
        })
        const lookup = seen(cache.lookup("EUR", load).pipe(Provenance.acceptStale("1 day")))
        yield* lookup
        state.isDown = true
        yield* TestClock.adjust("1 minute")
        for (let second = 0; second < 60; second++) {
          yield* lookup
          yield* TestClock.adjust("1 second")
        }
        assert.strictEqual(state.calls, 1 + 6)
      }))

    it.effect("is refreshed in the background without the caller's deadline", () =>
      Effect.gen(function*() {
        const cache = yield* make<never>({ fresh: "1 minute", staleWhileRevalidate: "1 hour" })
        const left: Array<number> = []
        const load = () =>
          Effect.map(Deadline.remaining, (remaining) => ({ value: left.push(Duration.toSeconds(remaining)) }))
        const lookup = cache.lookup("EUR", load).pipe(Provenance.acceptStale("1 day"), Deadline.within("5 seconds"))
        yield* lookup
        yield* TestClock.adjust("1 minute")
        yield* lookup
        yield* TestClock.adjust(0)
        assert.deepStrictEqual(left, [5, Infinity])
      }))

    it.effect("is not returned to lookups inside the load", () =>
      Effect.gen(function*() {
        const { load, state } = vendor()
        const inner = yield* make({ fresh: "1 minute", staleIfError: "1 day" })
        const outer = yield* make({ fresh: "1 second" })
        const lookup = outer.lookup("EUR", () => Effect.map(inner.lookup("EUR", load), (value) => ({ value })))
        yield* lookup
        yield* TestClock.adjust("1 minute")
        state.isDown = true
        assert.strictEqual(yield* seen(lookup.pipe(Provenance.acceptStale("1 day"))), "Unavailable")
      }))

    it.effect("is avoided by an early refresh when the answer is used late enough", () =>
      Effect.gen(function*() {
        const { load, state } = vendor()
        const cache = yield* make({ fresh: "100 seconds", eager: 0.8 })
        const lookup = seen(cache.lookup("EUR", load).pipe(Provenance.acceptStale("1 day")))
        yield* lookup
        yield* TestClock.adjust("79999 millis")
        yield* lookup
        assert.strictEqual(state.calls, 1)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* lookup, "1 Cached 80")
        yield* TestClock.adjust(0)
        assert.strictEqual(yield* lookup, "2 Cached 0")
      }))
  })

  describe("with many callers", () => {
    it.effect("makes one call for ten thousand", () =>
      Effect.gen(function*() {
        const { load, state } = vendor()
        state.takes = 1_000
        const cache = yield* make({ fresh: "1 minute" })
        const fiber = yield* Effect.forkChild(
          Effect.all(Array.from({ length: 10_000 }, () => cache.lookup("EUR", load)), { concurrency: "unbounded" })
        )
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(new Set(yield* Fiber.join(fiber)), new Set([1]))
        assert.strictEqual(state.calls, 1)
        const { coalesced, hits, loads, misses } = cache.statistics
        assert.deepStrictEqual({ coalesced, hits, loads, misses }, {
          coalesced: 9_999,
          hits: 0,
          loads: 1,
          misses: 10_000
        })
      }))

    it.effect("continues when the first leaves, and stops when the last does", () =>
      Effect.gen(function*() {
        const { load, state } = vendor()
        state.takes = 1_000
        const cache = yield* make({ fresh: "1 minute" })
        const first = yield* Effect.forkChild(cache.lookup("EUR", load))
        const second = yield* Effect.forkChild(cache.lookup("EUR", load))
        yield* TestClock.adjust("500 millis")
        yield* Fiber.interrupt(first)
        yield* TestClock.adjust("500 millis")
        assert.strictEqual(yield* Fiber.join(second), 1)
        const third = yield* Effect.forkChild(cache.lookup("USD", load))
        const fourth = yield* Effect.forkChild(cache.lookup("USD", load))
        yield* TestClock.adjust("500 millis")
        yield* Fiber.interrupt(third)
        assert.strictEqual(state.interrupted, 0)
        yield* Fiber.interrupt(fourth)
        yield* TestClock.adjust(0)
        assert.strictEqual(state.interrupted, 1)
        const fifth = yield* Effect.forkChild(cache.lookup("USD", load))
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(fifth), 3)
      }))

    it.effect("makes a new call for a caller that arrives while a call is being given up", () =>
      Effect.gen(function*() {
        const cache = yield* make<never>({ fresh: "1 minute" })
        const held = yield* Deferred.make<void>()
        const slowToDie = () => Effect.onInterrupt(Effect.never, () => Deferred.await(held))
        const leaving = yield* Effect.forkChild(cache.lookup("EUR", slowToDie))
        yield* TestClock.adjust(0)
        yield* Fiber.interrupt(leaving)
        assert.strictEqual(yield* cache.lookup("EUR", () => Effect.succeed({ value: 7 })), 7)
        yield* Deferred.succeed(held, undefined)
        yield* TestClock.adjust(0)
        assert.strictEqual(yield* cache.lookup("EUR", () => Effect.succeed({ value: 8 })), 7)
      }))

    it.effect("cuts each off at its own deadline, and the call at none of the joiners' deadlines", () =>
      Effect.gen(function*() {
        const { load, state } = vendor()
        state.takes = 1_000
        const cache = yield* make({ fresh: "1 minute" })
        const patient = yield* Effect.forkChild(cache.lookup("EUR", load).pipe(Deadline.within("10 seconds")))
        yield* TestClock.adjust("100 millis")
        const hurried = yield* Effect.forkChild(
          Effect.flip(cache.lookup("EUR", load)).pipe(Deadline.within("300 millis"))
        )
        yield* TestClock.adjust("299 millis")
        assert.isUndefined(hurried.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        const error = yield* Fiber.join(hurried)
        assert.deepInclude(error.toJSON(), { vendor: "acme", operation: "rate", fate: "NotSent" })
        assert.strictEqual(error.reason._tag, "DeadlineExceeded")
        yield* TestClock.adjust("600 millis")
        assert.strictEqual(yield* Fiber.join(patient), 1)
        assert.strictEqual(state.calls, 1)
      }))

    it.effect("does not repeat a call that itself reports a deadline too near", () =>
      Effect.gen(function*() {
        const cache = yield* make({ fresh: "1 minute" })
        let calls = 0
        const tooNear = Effect.suspend(() => Effect.fail((calls++, late)))
        const error = yield* Effect.flip(cache.lookup("EUR", () => tooNear)).pipe(Deadline.within("10 seconds"))
        assert.strictEqual(error, late)
        assert.strictEqual(calls, 1)
      }))

    it.effect("makes a new call for a caller with more time when the first call was cut off", () =>
      Effect.gen(function*() {
        const { load, state } = vendor()
        state.takes = 1_000
        const cache = yield* make({ fresh: "1 minute" })
        /** A call that obeys its deadline, as guarded ones do. */
        const guarded = () =>
          Effect.flatMap(Deadline.remaining, (remaining) =>
            Effect.timeoutOrElse(load(), {
              duration: remaining,
              orElse: () => Effect.fail(late)
            }))
        const hurried = yield* Effect.forkChild(
          Effect.flip(cache.lookup("EUR", guarded)).pipe(Deadline.within("300 millis"))
        )
        yield* TestClock.adjust("100 millis")
        const patient = yield* Effect.forkChild(cache.lookup("EUR", guarded).pipe(Deadline.within("10 seconds")))
        yield* TestClock.adjust("200 millis")
        assert.strictEqual((yield* Fiber.join(hurried)).reason._tag, "DeadlineExceeded")
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(patient), 2)
      }))
  })

  it.effect("caches a declared error for its own short time, and a failure never", () =>
    Effect.gen(function*() {
      const cache = yield* make<"unknown" | VendorError>({ fresh: "1 hour", negative: "10 seconds" })
      let calls = 0
      const unknown = Effect.exit(
        cache.lookup("XXX", () => Effect.suspend(() => Effect.fail((calls++, "unknown" as const))))
      )
      assert.deepStrictEqual(yield* unknown, Exit.fail("unknown"))
      yield* TestClock.adjust("9999 millis")
      yield* unknown
      assert.strictEqual(calls, 1)
      yield* TestClock.adjust("1 millis")
      yield* unknown
      assert.strictEqual(calls, 2)
      for (let i = 0; i < 3; i++) {
        yield* Effect.exit(cache.lookup("YYY", () => Effect.suspend(() => Effect.fail((calls++, down)))))
      }
      assert.strictEqual(calls, 5)
      assert.strictEqual(cache.statistics.failures, 3)
      const degrading = yield* make<"unknown" | VendorError>({
        fresh: "1 hour",
        negative: "10 seconds",
        staleWhileRevalidate: "1 hour",
        staleIfError: "1 hour"
      })
      const late = degrading.lookup("XXX", () => Effect.suspend(() => Effect.fail(++calls < 7 ? "unknown" : down)))
      yield* Effect.exit(late)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* Effect.flip(Provenance.acceptStale("1 day")(late)), down)
    }))

  it.effect("keeps an answer fresh as long as it says, and revalidates it with its validator", () =>
    Effect.gen(function*() {
      const cache = yield* make<never>({ fresh: "1 hour" })
      const known: Array<ResponseCache.CachedAnswer<number> | undefined> = []
      const lookup = seen(
        cache.lookup("EUR", (answer) => {
          known.push(answer)
          return Effect.succeed<ResponseCache.Loaded<number>>(
            answer === undefined
              ? { value: 1, validator: "v1", fresh: "10 seconds" }
              : { notModified: true, fresh: "20 seconds" }
          )
        }).pipe(Provenance.acceptStale("1 day"))
      )
      yield* lookup
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* lookup, "1 Fresh 0")
      assert.deepStrictEqual(known.map((answer) => answer?.validator), [undefined, "v1"])
      yield* TestClock.adjust("19 seconds")
      assert.strictEqual(yield* lookup, "1 Cached 19")
      yield* TestClock.adjust("1 second")
      yield* lookup
      assert.deepStrictEqual(known.map((answer) => answer?.validator), [undefined, "v1", "v1"])
    }))

  it.effect("invalidates by tag the answers that have it now, and not those that had it before", () =>
    Effect.gen(function*() {
      const { load } = vendor()
      const cache = yield* make({ fresh: "1 minute" })
      const tagged = (...tags: ReadonlyArray<string>) =>
        cache.lookup("a", () => Effect.map(load(), (loaded) => ({ ...loaded, tags })))
      yield* tagged("x")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* tagged("y"), 2)
      cache.invalidateTag("x")
      assert.strictEqual(yield* tagged(), 2)
      cache.invalidateTag("y")
      assert.strictEqual(yield* tagged(), 3)
    }))

  it.effect("invalidates a key, a tag or everything, and does not keep the result of a call in flight", () =>
    Effect.gen(function*() {
      const { load, state } = vendor()
      const cache = yield* make({ fresh: "1 hour" })
      const tagged = (key: string, ...tags: ReadonlyArray<string>) =>
        cache.lookup(key, () => Effect.map(load(), (loaded) => ({ ...loaded, tags })))
      assert.deepStrictEqual(
        [yield* tagged("a", "x"), yield* tagged("b", "x", "y"), yield* tagged("c", "y"), yield* tagged("d")],
        [1, 2, 3, 4]
      )
      cache.invalidateTag("x")
      assert.deepStrictEqual(
        [yield* tagged("a"), yield* tagged("b", "y"), yield* tagged("c", "y"), yield* tagged("d")],
        [5, 6, 3, 4]
      )
      cache.invalidate("d")
      assert.strictEqual(yield* tagged("d"), 7)
      cache.clear()
      assert.strictEqual(cache.statistics.entries, 0)
      yield* tagged("c")
      cache.invalidateTag("y")
      assert.strictEqual(cache.statistics.entries, 1)
      cache.clear()
      state.takes = 1_000
      const early = yield* Effect.forkChild(tagged("a"))
      yield* TestClock.adjust("500 millis")
      cache.invalidate("a")
      const late = yield* Effect.forkChild(tagged("a"))
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* Fiber.join(early), 9)
      assert.strictEqual(cache.statistics.entries, 0)
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* Fiber.join(late), 10)
      assert.strictEqual(yield* tagged("a"), 10)
    }))

  it.effect("keeps within its bounds of entries and of bytes", () =>
    Effect.gen(function*() {
      const sized = (bytes: number) => () => Effect.succeed({ value: bytes, bytes })
      const few = yield* make<never>({ fresh: "1 hour", maxEntries: 3 })
      for (let i = 0; i < 10; i++) yield* few.lookup(`${i}`, sized(1))
      assert.deepInclude(few.statistics, { entries: 3, evictions: 7 })
      const small = yield* make<never>({ fresh: "1 hour", maxBytes: 100 })
      for (let i = 0; i < 10; i++) yield* small.lookup(`${i}`, sized(30))
      assert.deepInclude(small.statistics, { entries: 3, bytes: 90 })
      assert.strictEqual(yield* small.lookup("large", sized(101)), 101)
      assert.deepInclude(small.statistics, { entries: 3, bytes: 90 })
    }))

  it.effect("ends its background work with its scope", () =>
    Effect.gen(function*() {
      const { load, state } = vendor()
      const scope = yield* Scope.make()
      const cache = yield* Scope.provide(make({ fresh: "1 minute", staleWhileRevalidate: "1 hour" }), scope)
      const lookup = seen(cache.lookup("EUR", load).pipe(Provenance.acceptStale("1 day")))
      yield* lookup
      state.takes = 1_000
      yield* TestClock.adjust("1 minute")
      yield* lookup
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(state.interrupted, 1)
    }))

  it.effect.prop(
    "expires early by at most the jitter",
    { jitter: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })), at: intBetween(0, 1_000) },
    Effect.fnUntraced(function*({ at, jitter }) {
      const { load } = vendor()
      const cache = yield* make({ fresh: "1 second", jitter })
      yield* cache.lookup("EUR", load)
      yield* TestClock.adjust(at)
      const value = yield* cache.lookup("EUR", load)
      if (at < 1_000 * (1 - jitter)) assert.strictEqual(value, 1)
      if (at >= 1_000) assert.strictEqual(value, 2)
    })
  )

  it.effect.prop(
    "returns what a table of ages says, for any caller, time and state of the vendor",
    {
      fresh: intBetween(1, 20),
      revalidate: intBetween(0, 20),
      error: intBetween(0, 60),
      script: Schema.Array(Schema.Struct({
        after: intBetween(0, 30),
        isDown: Schema.Boolean,
        maxAge: Schema.Union([Schema.Undefined, intBetween(0, 80)])
      })).check(Schema.isMaxLength(30))
    },
    Effect.fnUntraced(function*({ error, fresh, revalidate, script }) {
      const { load, state } = vendor()
      const cache = yield* make({
        fresh: `${fresh} seconds`,
        staleWhileRevalidate: `${revalidate} seconds`,
        staleIfError: `${error} seconds`,
        failurePause: 0
      })
      let known: { readonly value: number; readonly at: number } | undefined
      let now = 0
      for (const { after, isDown, maxAge } of script) {
        yield* TestClock.adjust(after * 1_000)
        now += after
        state.isDown = isDown
        const age = known === undefined ? Infinity : now - known.at
        const isTaken = maxAge === undefined ? age < fresh : age <= maxAge
        const before = state.calls
        const actual = yield* maxAge === undefined
          ? Effect.match(cache.lookup("EUR", load), { onSuccess: String, onFailure: ({ reason }) => reason._tag })
          : seen(cache.lookup("EUR", load).pipe(Provenance.acceptStale(`${maxAge} seconds`)))
        yield* TestClock.adjust(0)
        const called = isTaken && age < fresh ? 0 : 1
        const because = isTaken && age < fresh + revalidate ? "Revalidating" : "Unavailable"
        const expected = called === 0
          ? maxAge === undefined ? `${known!.value}` : `${known!.value} Cached ${age}`
          : isTaken && age < fresh + revalidate
          ? `${known!.value} Stale ${age} ${because}`
          : !isDown
          ? maxAge === undefined ? `${before + 1}` : `${before + 1} Fresh 0`
          : isTaken && age < fresh + error
          ? `${known!.value} Stale ${age} ${because}`
          : "Unavailable"
        assert.strictEqual(actual, expected)
        assert.strictEqual(state.calls - before, called)
        if (called === 1 && !isDown) known = { value: state.calls, at: now }
      }
    }),
    { arbitrary: { runs: Effort.runs(400) } }
  )

  it("rejects options out of their range, and names them", () => {
    const cases: ReadonlyArray<[Partial<Options>, RegExp]> = [
      [{ fresh: 0 }, /fresh must be longer than 0/],
      [{ fresh: Infinity }, /fresh .* finite/],
      [{ staleWhileRevalidate: -1 }, /staleWhileRevalidate must be at least 0/],
      [{ staleIfError: Infinity }, /staleIfError .* finite/],
      [{ softTimeout: 0 }, /softTimeout must be longer than 0/],
      [{ negative: -1 }, /negative must be at least 0/],
      [{ eager: 0 }, /eager must be more than 0 and at most 1/],
      [{ jitter: 1.1 }, /jitter must be between 0 and 1, got 1.1/],
      [{ maxEntries: 0 }, /maxEntries must be a whole number of at least 1/],
      [{ maxBytes: 0 }, /maxBytes must be at least 1/],
      [{ failurePause: -1 }, /failurePause must be at least 0/]
    ]
    for (const [options, message] of cases) assert.throws(() => make({ fresh: minute, ...options }), message)
  })
})

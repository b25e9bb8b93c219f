import * as SharedState from "@breakwater/core/fleet/SharedState"
import * as RateLimit from "@breakwater/core/policies/RateLimit"
import * as Stack from "@breakwater/core/stack/Stack"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"

/** A process that shares a limit of 100 calls a minute, and a store that notes the permits it was asked for. */
const processOf = (options?: SharedState.SharedStateOptions) =>
  Effect.gen(function*() {
    const store = { takesMillis: 0, isDown: false, asked: new Array<number>() }
    const memory = Context.get(yield* Layer.build(RateLimiter.layerStoreMemory), RateLimiter.RateLimiterStore)
    const noting = Layer.succeed(RateLimiter.RateLimiterStore, {
      ...memory,
      tokenBucket: (request) =>
        Effect.suspend(() => {
          store.asked.push(request.tokens)
          if (store.isDown) return Effect.die(new Error("the store is down"))
          const taken = memory.tokenBucket(request)
          return store.takesMillis === 0 ? taken : Effect.delay(taken, store.takesMillis)
        })
    })
    const fleet = SharedState.layer(options).pipe(Layer.provide([noting, CircuitBreaker.layerStoreMemory()]))
    const rateLimit = RateLimit.make({ limit: 100, window: "1 minute", queue: 1_000, maxWait: "1 hour" })
    yield* Effect.provideContext(rateLimit.share("acme"), yield* Layer.build(fleet))
    const policy = { rateLimit, bulkhead: false, breaker: false, deadline: "1 hour", attemptTimeout: "1 hour" } as const
    const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Unsafe", policy })
    let passed = 0
    /** Calls one after another, this many milliseconds apart. */
    const calls = (count: number, millis: number, cost = 1) =>
      Effect.gen(function*() {
        for (let i = 0; i < count; i++) {
          yield* Effect.forkChild(stack.guard(Effect.sync(() => passed++), () => undefined, { cost }))
          yield* TestClock.adjust(millis)
        }
      })
    return { store, calls, passed: () => passed }
  })

describe("a lease on the permits of a fleet", () => {
  it.effect("asks for the permit of the first call alone", () =>
    Effect.gen(function*() {
      const { calls, passed, store } = yield* processOf()
      yield* calls(1, 0)
      assert.deepStrictEqual([passed(), store.asked], [1, [1]])
    }).pipe(Effect.scoped))

  it.effect("asks for twice as many each time they are used up fast, up to a tenth of the limit", () =>
    Effect.gen(function*() {
      const { calls, store } = yield* processOf()
      yield* calls(60, 1)
      assert.deepStrictEqual(store.asked.slice(0, 8), [1, 2, 4, 8, 10, 10, 10, 10])
    }).pipe(Effect.scoped))

  it.effect("asks for half as many when they lasted", () =>
    Effect.gen(function*() {
      const { calls, store } = yield* processOf()
      yield* calls(40, 1)
      yield* TestClock.adjust("10 seconds")
      const before = store.asked.length
      yield* calls(6, 5_000)
      assert.deepStrictEqual(store.asked.slice(before), [5, 3, 2, 1, 1, 1])
    }).pipe(Effect.scoped))

  it.effect("asks once, and for no more, while calls come before the response", () =>
    Effect.gen(function*() {
      const { calls, passed, store } = yield* processOf()
      store.takesMillis = 40
      yield* calls(30, 1)
      assert.deepStrictEqual([passed(), store.asked], [0, [1]])
      yield* TestClock.adjust("200 millis")
      assert.deepStrictEqual([passed(), store.asked], [30, [1, 29, 4]])
    }).pipe(Effect.scoped))

  it.effect("asks once for the next batch, and for one twice as large, while calls use up the last", () =>
    Effect.gen(function*() {
      const { calls, store } = yield* processOf()
      yield* calls(2, 1)
      store.takesMillis = 40
      const before = store.asked.length
      yield* calls(60, 1)
      yield* TestClock.adjust("200 millis")
      assert.deepStrictEqual(store.asked.slice(before, before + 3), [4, 8, 10])
    }).pipe(Effect.scoped))

  it.effect("takes a part of a permit that is left, if that is enough for the call", () =>
    Effect.gen(function*() {
      const { calls, passed, store } = yield* processOf()
      yield* calls(1, 0, 99.25)
      yield* TestClock.adjust(300)
      yield* calls(1, 0, 0.5)
      assert.strictEqual(passed(), 2)
      assert.deepStrictEqual(store.asked, [99.25, 1, 0.5])
    }).pipe(Effect.scoped))

  it.effect.each<readonly [SharedState.SharedStateOptions | undefined, seconds: number]>([
    [undefined, 1],
    [{ pause: "1 second" }, 1],
    [{ pause: "3 seconds" }, 3]
  ])("asks a store that is down again soon after its pause: %j", ([options, seconds]) =>
    Effect.gen(function*() {
      const { calls, store } = yield* processOf(options)
      store.isDown = true
      let second = 0
      while (store.asked.length < 2) {
        yield* calls(1, 100)
        second += 0.1
      }
      assert.isAtLeast(second, seconds)
      assert.isAtMost(second, 1.5 * seconds)
    }).pipe(Effect.scoped))
})

/**
 * Callers that were told the same time to come back: none is early, and they do not all come in the same moment. In
 * retries, in the queue of a rate limit, in a fleet, behind an open circuit, and at a source of secrets.
 */
import * as RefreshingCredentials from "@breakwater/core/credentials/RefreshingCredentials"
import * as SharedState from "@breakwater/core/fleet/SharedState"
import * as Breaker from "@breakwater/core/policies/Breaker"
import * as RateLimit from "@breakwater/core/policies/RateLimit"
import { RateLimited, type Reason, Unavailable } from "@breakwater/core/Reason"
import * as OAuth from "@breakwater/core/sources/OAuth"
import * as Stack from "@breakwater/core/stack/Stack"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Random, Redacted, Schedule } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import * as SharedStores from "../fakes/SharedStores.ts"

const callers = 60

const millis = Effect.clockWith((clock) => Effect.sync(() => clock.currentTimeMillisUnsafe()))

/** None is early, none later than a quarter or five seconds, and in no twentieth of that time is more than a quarter of them. */
const assertSpread = (times: ReadonlyArray<number>, asked: number, slack = 1) => {
  assert.lengthOf(times, callers)
  const room = Math.min(asked / 4, 5_000)
  for (const time of times) {
    assert.isAtLeast(time, asked)
    assert.isAtMost(time, asked + room + slack)
  }
  const width = room / 20
  for (const time of times) {
    const near = times.filter((other) => other >= time && other < time + width).length
    assert.isAtMost(near, callers / 4, `within ${width} ms of ${time}`)
  }
}

/** The times of the second attempts, when all first attempts failed at 0. */
const secondAttempts = (reason: () => Reason, policy: Stack.StackOptions["policy"]) =>
  Effect.gen(function*() {
    const times: Array<number> = []
    for (let caller = 0; caller < callers; caller++) {
      let attempts = 0
      const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent", policy: { ...policy } })
      const attempt = Effect.flatMap(millis, (now) => {
        if (attempts++ === 0) return Effect.fail("busy")
        times.push(now)
        return Effect.void
      })
      yield* Effect.forkChild(Effect.exit(stack.guard(attempt, reason)))
    }
    yield* TestClock.adjust("2 minutes")
    return times
  }).pipe(Random.withSeed("retries"))

/** Tries again each time when it was told to. */
const asToldUntilItSucceeds = <A>(
  effect: Effect.Effect<A, { readonly reason: { readonly retryAfterMillis?: number | undefined } }>
): Effect.Effect<A> =>
  Effect.matchEffect(effect, {
    onSuccess: Effect.succeed,
    onFailure: ({ reason }) =>
      Effect.andThen(Effect.sleep(Math.max(1, Math.ceil(reason.retryAfterMillis ?? 1))), asToldUntilItSucceeds(effect))
  })

describe("callers that were told the same time", () => {
  const policy = { deadline: "5 minutes", retry: { base: 0 } } as const

  it.effect.each<readonly [string, number, () => Reason]>([
    ["a 429 with 2 seconds", 2_000, () => new RateLimited(429, { retryAfterMillis: 2_000 })],
    ["a 503 with 800 milliseconds", 800, () => new Unavailable(503, { retryAfterMillis: 800 })],
    ["a 429 with a minute", 60_000, () => new RateLimited(429, { retryAfterMillis: 60_000 })]
  ])("retry apart from each other after %s", ([, asked, reason]) =>
    Effect.gen(function*() {
      assertSpread(yield* secondAttempts(reason, policy), asked)
    }))

  it.effect("retry apart from each other also by a schedule of their own", () =>
    Effect.gen(function*() {
      const own = { ...policy, retry: Schedule.spaced("1 second") } as const
      const reason = () => new Unavailable(503, { retryAfterMillis: 2_000 })
      assertSpread(yield* secondAttempts(reason, own), 2_000)
    }))

  it.effect("hedge apart from each other, also after a time that is no whole millisecond", () =>
    Effect.gen(function*() {
      const times: Array<number> = []
      for (let caller = 0; caller < callers; caller++) {
        let attempts = 0
        const stack = Stack.make({
          vendor: "acme",
          operation: "ring",
          safety: "Idempotent",
          policy: { deadline: "1 minute", attemptTimeout: "1 minute", retry: false, hedge: { after: 100, hedges: 2 } }
        })
        // The first attempt hangs, and the hedge is told to come back.
        const attempt = Effect.flatMap(millis, (now) => {
          attempts++
          if (attempts === 1) return Effect.never
          if (attempts === 2) return Effect.fail("busy")
          times.push(now - 100)
          return Effect.void
        })
        const busy = () => new RateLimited(429, { retryAfterMillis: 2_000.3 })
        yield* Effect.forkChild(Effect.exit(stack.guard(attempt, busy)))
      }
      yield* TestClock.adjust("1 minute")
      assertSpread(times, 2_000.3, 2)
    }).pipe(Random.withSeed("hedges")))

  it.effect("retry at once where they were told 0 and have no delay of their own", () =>
    Effect.gen(function*() {
      const times = yield* secondAttempts(() => new Unavailable(503, { retryAfterMillis: 0 }), policy)
      assert.deepStrictEqual(times, Array.from({ length: callers }, () => 0))
    }))

  it.effect("leave the queue of a rate limit one after another when its pause ends", () =>
    Effect.gen(function*() {
      for (const asked of [400, 1_600]) {
        const begin = yield* millis
        const stack = Stack.make({
          vendor: "acme",
          operation: "ring",
          safety: "Unsafe",
          policy: { rateLimit: { limit: 1_000 }, bulkhead: false, retry: false, breaker: false }
        })
        const limited = () => new RateLimited(429, { retryAfterMillis: asked })
        yield* Effect.exit(stack.guard(Effect.fail("busy"), limited))
        const times: Array<number> = []
        const ring = stack.guard(Effect.map(millis, (now) => void times.push(now - begin)), () => undefined)
        for (let caller = 0; caller < callers; caller++) yield* Effect.forkChild(Effect.exit(ring))
        yield* TestClock.adjust("1 minute")
        assertSpread(times, asked, 10)
      }
    }).pipe(Random.withSeed("queue")))

  it.effect("leave the queues of rate limits in many processes apart from each other", () =>
    Effect.gen(function*() {
      const times: Array<number> = []
      for (let process = 0; process < callers; process++) {
        const rateLimit = RateLimit.make({ limit: 1_000 })
        const policy = { rateLimit, retry: false } as const
        const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Unsafe", policy })
        const limited = () => new RateLimited(429, { retryAfterMillis: 1_600 })
        yield* Effect.exit(stack.guard(Effect.fail("busy"), limited))
        yield* Effect.forkChild(stack.guard(Effect.map(millis, (now) => void times.push(now)), () => undefined))
      }
      yield* TestClock.adjust("1 minute")
      assertSpread(times, 1_600)
    }).pipe(Random.withSeed("queues")))

  it.effect("find their circuits half-open apart from each other", () =>
    Effect.gen(function*() {
      const times: Array<number> = []
      for (let process = 0; process < callers; process++) {
        const breaker = Breaker.make({ trip: { _tag: "Consecutive", failures: 1 } })
        const policy = { breaker, retry: false } as const
        const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Unsafe", policy })
        const down = () => new Unavailable(503, { retryAfterMillis: 30_000 })
        yield* Effect.exit(stack.guard(Effect.fail("busy"), down))
        yield* Effect.forkChild(
          asToldUntilItSucceeds(stack.guard(Effect.map(millis, (now) => void times.push(now)), () => undefined))
        )
      }
      yield* TestClock.adjust("1 minute")
      assertSpread(times, 30_000)
    }).pipe(Random.withSeed("circuits")))

  it.effect("resume apart from each other when one process of their fleet has probed", () =>
    Effect.gen(function*() {
      const stores = yield* SharedStores.make({ processes: callers })
      const begins: Array<number> = []
      let attempts = 0
      const attempt = Effect.flatMap(millis, (now) => {
        if (attempts++ < callers) return Effect.fail("busy")
        begins.push(now)
        return Effect.sleep(100)
      })
      for (let process = 0; process < callers; process++) {
        const breaker = Breaker.make({ trip: { _tag: "Consecutive", failures: 1 } })
        yield* stores.join(breaker.share)
        const policy = { breaker, retry: false } as const
        const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Unsafe", policy })
        const ring = stack.guard(attempt, () => new Unavailable(503))
        yield* Effect.exit(ring)
        yield* Effect.forkChild(
          asToldUntilItSucceeds(Effect.mapError(ring, (error) => typeof error === "string" ? { reason: {} } : error))
        )
      }
      yield* TestClock.adjust("1 minute")
      const [first, ...others] = begins
      // The others come when the first is done, within the second half of the second that they were told to wait.
      assertSpread([first! + 500, ...others].map((at) => at - first!), 500, 501 - 125)
    }).pipe(Random.withSeed("fleet"), Effect.scoped))

  it.effect("ask a store apart from each other that was away", () =>
    Effect.gen(function*() {
      const asked: Array<number> = []
      const away = Layer.mergeAll(
        CircuitBreaker.layerStoreMemory(),
        Layer.effect(
          RateLimiter.RateLimiterStore,
          Effect.map(RateLimiter.RateLimiterStore, (store) => ({
            ...store,
            tokenBucket: () =>
              Effect.flatMap(millis, (now) => {
                asked.push(now)
                return Effect.die("away")
              })
          }))
        ).pipe(Layer.provide(RateLimiter.layerStoreMemory))
      )
      for (let process = 0; process < callers; process++) {
        const rateLimit = RateLimit.make({ limit: 1_000 })
        const fleet = yield* Layer.build(Layer.provide(SharedState.layer({ pause: "4 seconds" }), away))
        yield* Effect.provideContext(rateLimit.share("acme"), fleet)
        const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Unsafe", policy: { rateLimit } })
        const ring = Effect.exit(stack.guard(Effect.void, () => undefined))
        yield* Effect.forkChild(Effect.replicateEffect(Effect.andThen(ring, Effect.sleep(10)), 600))
      }
      yield* TestClock.adjust("6 seconds")
      assertSpread(asked.slice(callers), 4_000, 10)
    }).pipe(Random.withSeed("stores"), Effect.scoped))

  for (const seconds of [4, 30]) {
    it.effect(`ask a token endpoint apart from each other, and not before ${seconds} seconds`, () =>
      Effect.gen(function*() {
        const times: Array<number> = []
        for (let process = 0; process < callers; process++) {
          let asked = 0
          const client = HttpClient.make((request) =>
            Effect.map(millis, (now) => {
              if (asked++ > 0) times.push(now)
              const response = asked > 1
                ? Response.json({ access_token: "made-up", token_type: "Bearer" })
                : new Response("", { status: 503, headers: { "retry-after": String(seconds) } })
              return HttpClientResponse.fromWeb(request, response)
            })
          )
          const source = yield* OAuth.make({
            vendor: "acme",
            tokenUrl: "https://auth.example.com/token",
            client: { _tag: "Post", clientId: "us", secret: Redacted.make("made-up") }
          }).pipe(Effect.provideService(HttpClient.HttpClient, client))
          const credentials = yield* RefreshingCredentials.make(source)
          const read = credentials.read({ vendor: "acme", key: "" })
          yield* Effect.forkScoped(asToldUntilItSucceeds(Effect.mapError(read, (reason) => ({ reason }))))
        }
        yield* TestClock.adjust("1 minute")
        assertSpread(times, seconds * 1_000)
      }).pipe(Random.withSeed("tokens"), Effect.scoped))
  }
})

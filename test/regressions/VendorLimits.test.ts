/**
 * A vendor's words about its limits: `Retry-After` where no rate limit is declared (100 of 100 calls went out into a
 * pause of two minutes), a 403 that is a limit (it passed for a dead credential, 10 of 10 sent), and a rest of one call
 * until a reset in a second (it blocked the key for our own window of a minute).
 */
import * as Vendor from "@breakwater/core/client/Vendor"
import { Credentials } from "@breakwater/core/credentials/Credential"
import * as Failover from "@breakwater/core/degradation/Failover"
import type * as Policy from "@breakwater/core/stack/Policy"
import * as Telemetry from "@breakwater/core/Telemetry"
import { isVendorError, type VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Clock, type Duration, Effect, Exit, Fiber, Metric, Random, Redacted, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../fakes/Transport.ts"

const Found = Schema.Struct({ n: Schema.Int })

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("items", { topLevel: true }).add(
    HttpApiEndpoint.get("find", "/item", { success: Found }),
    HttpApiEndpoint.get("list", "/items", { success: Found })
  )
)

const answer: FakeTransport.Play = { status: 200, json: { n: 1 } }

/** The keys whose secret was renewed. */
const renewed: Array<string> = []
const withSecrets = Effect.provideService(Credentials, {
  read: () => Effect.succeed(Redacted.make("first")),
  renew: ({ key }) => Effect.sync(() => (renewed.push(key), Redacted.make("second")))
})

/** A client of a scripted vendor, and the times of its requests. */
const play = (script: (index: number) => FakeTransport.Play | undefined, policy: Policy.Policy = {}) =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const sent: Array<number> = []
    const transport = FakeTransport.layer((_, index) => {
      sent.push(clock.currentTimeMillisUnsafe())
      return script(index)
    })
    renewed.length = 0
    const client = yield* Vendor.make({
      name: "acme",
      api: Api,
      baseUrl: "https://acme.example",
      auth: { _tag: "Bearer" },
      policy
    }).pipe(Effect.provide(transport), withSecrets)
    return { client, sent }
  })

/** Lets virtual time pass, in which an effect ends. */
const soon = <A, E, R>(effect: Effect.Effect<A, E, R>, duration: Duration.Input = "10 millis") =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(withSecrets(Effect.exit(effect)))
    yield* TestClock.adjust(duration)
    return yield* Fiber.join(fiber)
  })
const failed = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  duration?: Duration.Input
): Effect.Effect<VendorError, unknown, R> =>
  Effect.flatMap(
    soon(effect, duration),
    (exit) => Effect.map(Effect.flip(exit), (error) => isVendorError(error) ? error : assert.fail("a declared error"))
  ) as never
const times = (count: number) => Array.from({ length: count })

const noon = Date.UTC(2026, 10, 22, 12, 0, 0)

describe("a vendor that says when to come back, without a declared rate limit", () => {
  const cases: ReadonlyArray<readonly [name: string, status: number, headers: Record<string, string>]> = [
    ["a 429 with seconds", 429, { "retry-after": "120" }],
    [
      "a 429 with a date",
      429,
      { "retry-after": "Sun, 22 Nov 2026 12:02:00 GMT", date: "Sun, 22 Nov 2026 12:00:00 GMT" }
    ],
    [
      "a 429 with a Unix time",
      429,
      { "retry-after": String(noon / 1_000 + 120), date: "Sun, 22 Nov 2026 12:00:00 GMT" }
    ],
    [
      "a 429 with a Unix time in milliseconds",
      429,
      { "retry-after": String(noon + 120_000), date: "Sun, 22 Nov 2026 12:00:00 GMT" }
    ],
    ["a 429 with the reset of its quota", 429, { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "120" }],
    ["a 503", 503, { "retry-after": "120" }],
    ["a 529", 529, { "retry-after": "120" }],
    ["a 403", 403, { "retry-after": "120" }],
    ["a 403 without any quota left", 403, { ratelimit: `"default";r=0;t=120` }]
  ]

  it.effect.each(cases)(
    "is not asked before: %s holds all calls of the key",
    ([, status, headers]) =>
      Effect.gen(function*() {
        const { client, sent } = yield* play(() => ({ status, headers }))
        const first = yield* failed(client.find())
        assert.strictEqual(first.reason.retryAfterMillis, 120_000)
        const exits = yield* soon(Effect.all(times(50).flatMap(() => [client.find(), client.list()]).map(Effect.flip), {
          concurrency: "unbounded"
        }))
        for (const error of yield* exits) {
          assert.strictEqual(error.reason._tag, "RateLimitExceeded")
          assert.strictEqual(error.fate, "NotSent")
          // Not before the vendor's time, and not much later.
          assert.isAtLeast(error.reason.retryAfterMillis!, 119_900)
          assert.isAtMost(error.reason.retryAfterMillis!, 122_000)
        }
        assert.strictEqual(sent.length, 1)
      })
  )

  it.effect.each<Readonly<Record<string, string>>>([
    { "x-ratelimit-remaining": "4500", "x-ratelimit-reset": "3600" },
    { ratelimit: "\"hour\";r=4500;t=3000" },
    { "ratelimit-remaining": "1", "ratelimit-reset": "60" }
  ])(
    "is asked again soon where something is left of the quota that it reports with a 429: %j",
    (headers) =>
      Effect.gen(function*() {
        const { client, sent } = yield* play((index) => index === 0 ? { status: 429, headers } : answer, {
          retry: false
        })
        yield* failed(client.find())
        assert.isTrue(Exit.isSuccess(yield* soon(client.find(), "2 seconds")))
        assert.strictEqual(sent.length, 2)
      })
  )

  it.effect("is asked with other keys", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* play(() => ({ status: 429, headers: { "retry-after": "120" } }))
      for (const key of ["", "a", "b", "", "a", "b"]) yield* failed(client.find(undefined, { key }))
      assert.strictEqual(sent.length, 3)
    }))

  it.effect("is asked every time where the policy switches that off", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* play(() => ({ status: 429, headers: { "retry-after": "120" } }), {
        rateLimit: false
      })
      for (const _ of times(10)) assert.strictEqual((yield* failed(client.find())).reason._tag, "RateLimited")
      assert.strictEqual(sent.length, 10)
    }))

  it.effect.each<readonly [string, Policy.Policy]>([
    ["no rate limit", {}],
    ["a rate limit with an own pause", { rateLimit: { limit: 1_000, maxWait: "10 seconds" } }]
  ])("lets the waiting calls go at its time, spread and none early: %s", ([, policy]) =>
    Effect.gen(function*() {
      const { client, sent } = yield* play(
        (index) => index === 0 ? { status: 429, headers: { "retry-after": "2" } } : answer,
        { ...policy, retry: false }
      )
      yield* failed(client.find())
      const exits = yield* soon(
        Effect.all(times(60).map(() => Effect.exit(client.find())), { concurrency: "unbounded" }),
        "3 seconds"
      )
      assert.isTrue((yield* exits).every(Exit.isSuccess))
      const waits = sent.slice(1).map((at) => at - sent[0]! - 1)
      assert.strictEqual(waits.length, 60)
      assert.isAtLeast(Math.min(...waits), 2_000)
      assert.isAtMost(Math.max(...waits), 2_700)
      for (const wait of waits) {
        assert.isAtMost(waits.filter((other) => other >= wait && other < wait + 5).length, 15)
      }
    }).pipe(Random.withSeed("spread")))

  it.effect.each<Policy.Policy>([{}, { rateLimit: { limit: 10 } }])(
    "is asked again once by the call that was told, not after a second wait: %j",
    (policy) =>
      Effect.gen(function*() {
        const { client, sent } = yield* play(
          (index) => index === 0 ? { status: 503, headers: { "retry-after": "2" } } : answer,
          { ...policy, retry: { base: 0 } }
        )
        assert.isTrue(Exit.isSuccess(yield* soon(client.find(), "4 seconds")))
        assert.strictEqual(sent.length, 2)
        assert.isAtLeast(sent[1]! - sent[0]!, 2_000)
        assert.isAtMost(sent[1]! - sent[0]!, 3_200)
      })
  )

  it.effect("is not asked by a hedge either", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* play(
        (index) => index === 0 ? { status: 429, headers: { "retry-after": "2" }, after: "50 millis" } : answer,
        { hedge: { after: "OnFailure" }, retry: { base: 0 } }
      )
      yield* soon(client.find(), "5 seconds")
      assert.isAtLeast(sent[1]! - sent[0]!, 2_050)
    }))

  it.effect("costs another vendor's callers nothing: they move on at once, and in time", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* play(() => ({ status: 503, headers: { "retry-after": "120" } }))
      const clock = yield* Clock.Clock
      const failover = Failover.make({ failures: 100 })
      const south = Effect.sync(() => ({ n: clock.currentTimeMillisUnsafe() }))
      for (const _ of times(10)) {
        const before = clock.currentTimeMillisUnsafe()
        const { n: at } = yield* yield* soon(failover.call({ acme: client.find(), south }))
        assert.isAtMost(at - before, 1)
      }
      assert.strictEqual(sent.length, 1)
    }))

  it.effect("is heard before a call waits for a place of our own", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* play(
        (index) => index === 0 ? { status: 429, headers: { "retry-after": "120" } } : { ...answer, after: "2 seconds" },
        { bulkhead: { limit: 1, queue: 10, maxWait: "5 seconds" } }
      )
      yield* failed(client.find(undefined, { key: "held" }))
      yield* Effect.forkChild(withSecrets(client.find(undefined, { key: "running" })))
      const { reason } = yield* failed(client.find(undefined, { key: "held" }))
      assert.strictEqual(reason._tag, "RateLimitExceeded")
      assert.isAtLeast(reason.retryAfterMillis!, 119_000)
      assert.strictEqual(sent.length, 2)
    }))

  it.effect("is waited for within the deadline, in sight of the metrics", () =>
    Effect.gen(function*() {
      const { client } = yield* play(
        (index) => index === 0 ? { status: 429, headers: { "retry-after": "5" } } : answer,
        { retry: false }
      )
      yield* failed(client.find())
      const waiting = yield* Effect.forkChild(withSecrets(client.find()))
      yield* TestClock.adjust("1 second")
      const snapshot = yield* Metric.snapshot
      const shown = snapshot.find(({ id }) => id === Telemetry.metrics.rateLimitWaiting.name)
      assert.deepStrictEqual(shown?.state, { value: 1 })
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* Fiber.join(waiting), { n: 1 })
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))
})

describe("a 403", () => {
  const refusals: ReadonlyArray<readonly [string, Record<string, string>]> = [
    ["alone", {}],
    ["with a rest of the quota", { "x-ratelimit-remaining": "5", "x-ratelimit-reset": "120" }],
    ["with a quota that does not say its reset", { "x-ratelimit-remaining": "0" }]
  ]
  it.effect.each(refusals)("is about the request: %s", ([, headers]) =>
    Effect.gen(function*() {
      const { client, sent } = yield* play(() => ({ status: 403, headers }))
      for (const _ of times(10)) {
        const { reason } = yield* failed(client.find())
        assert.deepInclude(reason, { _tag: "RequestRejected", isRetryable: false, fate: "Rejected", status: 403 })
      }
      assert.strictEqual(sent.length, 10)
      assert.isEmpty(renewed)
    }))

  it.effect.each<readonly [string, Record<string, string>]>([
    ["Retry-After", { "retry-after": "2" }],
    ["nothing left", { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "2" }],
    ["nothing left, in the words of the IETF", { ratelimit: `"a";r=0;t=2` }]
  ])(
    "that says when to come back is a limit: it is retried then, with the same credential: %s",
    ([, headers]) =>
      Effect.gen(function*() {
        const { client, sent } = yield* play((index) => index === 0 ? { status: 403, headers } : answer)
        assert.isTrue(Exit.isSuccess(yield* soon(client.find(), "6 seconds")))
        assert.isAtLeast(sent[1]! - sent[0]!, 2_000)
        assert.isEmpty(renewed)
      })
  )
})

describe("a rest of the quota", () => {
  const rests: ReadonlyArray<readonly [string, Record<string, string>, Policy.Policy["rateLimit"]]> = [
    ["one call, a sliding window", { "x-ratelimit-remaining": "1", "x-ratelimit-reset": "1" }, {
      limit: 100,
      window: "1 minute"
    }],
    ["one call, a token bucket", { ratelimit: `"default";r=1;t=1` }, {
      limit: 100,
      window: "1 minute",
      algorithm: "TokenBucket"
    }],
    ["two calls, of a limit per hour", { "ratelimit-remaining": "2", "ratelimit-reset": "1" }, {
      limit: 5_000,
      window: "1 hour"
    }]
  ]
  it.effect.each(rests)(
    "lowers ours until its reset, and no longer: %s",
    ([, headers, rateLimit]) =>
      Effect.gen(function*() {
        const { client, sent } = yield* play((index) => ({ ...answer, headers: index === 0 ? headers : {} }), {
          rateLimit: { ...rateLimit, queue: 0 } as never
        })
        yield* soon(client.find())
        const burst = Effect.all(times(20).map(() => Effect.exit(client.find())), { concurrency: "unbounded" })
        const during = yield* yield* soon(burst)
        const left = Number(headers["x-ratelimit-remaining"] ?? headers["ratelimit-remaining"] ?? 1)
        assert.strictEqual(during.filter(Exit.isSuccess).length, left)
        yield* TestClock.adjust("1 second")
        const after = yield* yield* soon(burst)
        assert.isTrue(after.every(Exit.isSuccess))
        assert.strictEqual(sent.length, 1 + left + 20)
      })
  )

  it.effect("of a longer window than ours holds until its reset", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* play((index) => ({
        ...answer,
        headers: index === 0 ? { "x-ratelimit-remaining": "3", "x-ratelimit-reset": "60" } : {}
      }), { rateLimit: { limit: 100, queue: 0 }, retry: false })
      for (const _ of times(30)) yield* soon(client.find(), "1 second")
      assert.strictEqual(sent.length, 4)
      yield* TestClock.adjust("31 seconds")
      assert.isTrue(Exit.isSuccess(yield* soon(client.find())))
    }))
})

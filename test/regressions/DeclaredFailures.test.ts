/**
 * Errors that a contract declares for a status of failure, as a copy of a vendor's OpenAPI does: a 429, a 503, an error
 * without a status. They once switched the guard off: 30 of 30 calls went out despite a `Retry-After` of a minute, and a
 * cache of declared errors gave one 503 for a minute.
 */
import type { CacheOptions } from "@breakwater/core/caching/CacheOptions"
import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import { vendorErrorOf } from "@breakwater/core/DeclaredFailure"
import * as Failover from "@breakwater/core/degradation/Failover"
import * as FeatureSwitch from "@breakwater/core/degradation/FeatureSwitch"
import * as Parts from "@breakwater/core/degradation/Parts"
import * as Provenance from "@breakwater/core/Provenance"
import type * as Policy from "@breakwater/core/stack/Policy"
import type { TransportRequest } from "@breakwater/core/transport/Transport"
import { ConnectionLost, isVendorError, type VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, type Duration, Effect, Exit, Fiber, Predicate, Schema, type Scope } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware, HttpApiSchema } from "effect/http-api"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../fakes/Transport.ts"

const Busy = Schema.Struct({ busy: Schema.String })
const Broken = Schema.Struct({ code: Schema.Int })
const busy = { busy: "all hands" }

class Limited extends HttpApiMiddleware.Service<Limited>()("test/Limited", {
  error: Busy.pipe(HttpApiSchema.status(429))
}) {}
class Overloaded extends HttpApiMiddleware.Service<Overloaded>()("test/Overloaded", {
  error: Busy.pipe(HttpApiSchema.status(529))
}) {}

const get = (error: Schema.Top | ReadonlyArray<Schema.Top>) =>
  HttpApiEndpoint.get("find", "/item", { success: Schema.Struct({ n: Schema.Int }), error: error as Schema.Top })

/** Ways to declare an error, each with its status and a body that fits. */
const declarations: ReadonlyArray<readonly [name: string, endpoint: ReturnType<typeof get>, status: number]> = [
  ["a 429", get(Busy.pipe(HttpApiSchema.status(429))), 429],
  ["a 503", get(Busy.pipe(HttpApiSchema.status(503))), 503],
  ["a 529", get(Busy.pipe(HttpApiSchema.status(529))), 529],
  ["a 408", get(Busy.pipe(HttpApiSchema.status(408))), 408],
  ["a 425", get(Busy.pipe(HttpApiSchema.status(425))), 425],
  ["an error without a status", get(Busy), 500],
  ["a 403 with a time to come back", get(Busy.pipe(HttpApiSchema.status(403))), 403],
  ["one of two errors of a status", get([Broken, Busy].map((error) => error.pipe(HttpApiSchema.status(503)))), 503],
  [
    "an error with headers",
    get(HttpApiSchema.WithHeaders(Busy.pipe(HttpApiSchema.status(503)), {
      "retry-after": Schema.String
    })),
    503
  ],
  ["an error of the endpoint's middleware", get([]).middleware(Limited) as never, 429],
  ["an error of the group's middleware", get([]), 529]
]

interface Scene {
  readonly find: Effect.Effect<unknown, unknown>
  readonly sent: ReadonlyArray<{ readonly request: TransportRequest; readonly at: number }>
}

const play = (
  endpoint: ReturnType<typeof get>,
  script: (index: number) => FakeTransport.Play,
  policy: Policy.Policy
): Effect.Effect<Scene, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const Api = HttpApi.make("acme").add(
      HttpApiGroup.make("items", { topLevel: true }).add(endpoint).middleware(Overloaded)
    )
    const clock = yield* Clock.Clock
    const sent: Array<Scene["sent"][number]> = []
    const transport = FakeTransport.layer((request, index) => {
      sent.push({ request, at: clock.currentTimeMillisUnsafe() })
      return script(index)
    })
    const client = yield* Vendor.make({
      name: "acme",
      api: Api,
      baseUrl: "https://acme.example",
      policy: { retry: { base: 0 }, ...policy }
    }).pipe(Effect.provide(transport))
    return { find: Effect.suspend(() => client.find()), sent }
  })

/** Lets virtual time pass, in which a call ends. */
const soon = <A, E, R>(effect: Effect.Effect<A, E, R>, duration: Duration.Input = "1 second") =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(Effect.exit(effect))
    yield* TestClock.adjust(duration)
    return yield* Fiber.join(fiber)
  })

const bodyOf = (exit: Exit.Exit<unknown, unknown>): unknown => {
  const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
  return Predicate.hasProperty(error, "body") ? error.body : error
}
const reasonOf = (exit: Exit.Exit<unknown, unknown>): string | undefined =>
  Exit.isFailure(exit) ? vendorErrorOf(exit.cause)?.reason._tag : undefined

describe.each(declarations)("%s that the contract declares", (name, endpoint, status) => {
  const refusal = (retryAfter?: string): FakeTransport.Play => ({
    status,
    headers: retryAfter === undefined ? {} : { "retry-after": retryAfter },
    json: busy
  })
  const answer: FakeTransport.Play = { status: 200, json: { n: 1 } }
  // An error that declares the header, or that is a limit only by its time, needs one.
  const needsTime = status === 403 || name === "an error with headers"
  const passing = refusal(needsTime ? "0" : undefined)

  it.effect("is the caller's, with its body, and holds every other call for as long as it says", () =>
    Effect.gen(function*() {
      const { find, sent } = yield* play(endpoint, () => refusal("60"), {})
      const first = yield* soon(find)
      assert.deepStrictEqual(bodyOf(first), busy)
      for (let call = 1; call < 30; call++) {
        const error = bodyOf(yield* soon(find, "10 millis"))
        if (!isVendorError(error)) return assert.fail("not held")
        assert.strictEqual(error.reason._tag, "RateLimitExceeded")
        assert.isAbove(error.reason.retryAfterMillis!, 58_000)
      }
      assert.strictEqual(sent.length, 1)
    }))

  it.effect("is retried, and no sooner than it says", () =>
    Effect.gen(function*() {
      const { find, sent } = yield* play(endpoint, (index) => index === 0 ? refusal("2") : answer, {})
      assert.deepStrictEqual(yield* soon(find, "5 seconds"), Exit.succeed({ n: 1 }))
      assert.isAtLeast(sent[1]!.at - sent[0]!.at, 2_000)
    }))

  it.effect("is the caller's when the retries are used up", () =>
    Effect.gen(function*() {
      const { find, sent } = yield* play(endpoint, () => passing, {})
      assert.deepStrictEqual(bodyOf(yield* soon(find)), busy)
      assert.strictEqual(sent.length, 4)
    }))

  it.effect("loses to a hedge that is answered", () =>
    Effect.gen(function*() {
      const { find } = yield* play(
        endpoint,
        (index) => index === 0 ? { ...passing, after: "300 millis" } : { ...answer, after: "400 millis" },
        { hedge: { after: "100 millis" }, retry: false }
      )
      assert.deepStrictEqual(yield* soon(find), Exit.succeed({ n: 1 }))
    }))

  it.effect("is never cached, and a stale answer is better", () =>
    Effect.gen(function*() {
      const cache: CacheOptions = { fresh: "1 minute", negative: "1 hour", staleIfError: "1 hour", failurePause: 0 }
      let isDown = true
      const { find, sent } = yield* play(endpoint, () => isDown ? passing : answer, {
        cache,
        retry: false,
        rateLimit: false
      })
      assert.deepStrictEqual(bodyOf(yield* soon(find)), busy)
      isDown = false
      assert.deepStrictEqual(yield* soon(find), Exit.succeed({ n: 1 }))
      yield* TestClock.adjust("2 minutes")
      isDown = true
      const { provenance, value } = yield* yield* soon(find.pipe(Provenance.acceptStale("1 day")))
      assert.deepStrictEqual(value, { n: 1 })
      assert.strictEqual(provenance._tag, "Stale")
      assert.strictEqual(sent.length, 3)
    }))

  it.effect("moves a read on to another vendor, and leaves a gap in a page", () =>
    Effect.gen(function*() {
      const { find } = yield* play(endpoint, () => passing, { retry: false })
      const failover = Failover.make({ failures: 1 })
      assert.deepStrictEqual(
        yield* soon(failover.call({ acme: find, south: Effect.succeed("south") })),
        Exit.succeed("south")
      )
      assert.deepStrictEqual([...failover.avoided.keys()], ["acme"])
      const part = yield* yield* soon(Parts.all({ find }))
      assert.strictEqual(part.find._tag, "Gap")
    }))
})

describe("an error of a middleware", () => {
  it.effect("is in the type of the method", () =>
    Effect.gen(function*() {
      const Api = HttpApi.make("acme").add(
        HttpApiGroup.make("items", { topLevel: true }).add(
          HttpApiEndpoint.get("find", "/item", { success: Schema.Void }).middleware(Limited)
        )
      )
      const client = yield* Vendor.make({ name: "acme", api: Api, baseUrl: "https://acme.example" }).pipe(
        Effect.provide(FakeTransport.layer(() => ({ status: 429, headers: { "retry-after": "60" }, json: busy })))
      )
      const find: Effect.Effect<void, typeof Busy.Type | VendorError> = client.find()
      const named = Effect.mapError(find, (error) => isVendorError(error) ? error.reason._tag : error.busy)
      assert.deepStrictEqual(bodyOf(yield* soon(named)), busy.busy)
    }))
})

describe("a declared error of a failing vendor", () => {
  const overloaded = get(Busy.pipe(HttpApiSchema.status(503)))
  const refusal: FakeTransport.Play = { status: 503, json: busy }

  it.effect("opens the breaker", () =>
    Effect.gen(function*() {
      const { find, sent } = yield* play(overloaded, () => refusal, { retry: false })
      const ends: Array<string | undefined> = []
      for (let call = 0; call < 30; call++) ends.push(reasonOf(yield* soon(find, "10 millis")))
      assert.strictEqual(sent.length, 20)
      assert.strictEqual(ends.at(-1), "CircuitOpen")
    }))

  it.effect("counts against a feature", () =>
    Effect.gen(function*() {
      const { find } = yield* play(overloaded, () => refusal, { retry: false, breaker: false })
      const feature = yield* FeatureSwitch.make({ name: "items", offAfter: 0 })
      for (let call = 0; call < 30; call++) yield* soon(feature.whenOn(find, { otherwise: Effect.void }), "10 millis")
      assert.strictEqual((yield* feature.status).state, "Off")
    }))

  it.effect("leaves a write with the vendor that may have acted", () =>
    Effect.gen(function*() {
      const write = HttpApiEndpoint.post("find", "/item", {
        success: Schema.Struct({ n: Schema.Int }),
        error: Busy.pipe(HttpApiSchema.status(503))
      }).annotate(Operation.Safety, "Unsafe")
      const { find } = yield* play(write as never, () => refusal, { retry: false })
      const exit = yield* soon(Failover.make().call({ acme: find, south: Effect.succeed("south") }))
      assert.deepStrictEqual(bodyOf(exit), busy)
      assert.isTrue(Exit.isFailure(exit) && vendorErrorOf(exit.cause)?.mayHaveHappened)
    }))

  it.effect("moves a write on that the vendor has rejected for certain, unless an earlier attempt is unknown", () =>
    Effect.gen(function*() {
      const write = HttpApiEndpoint.post("find", "/item", {
        success: Schema.Struct({ n: Schema.Int }),
        error: Busy.pipe(HttpApiSchema.status(429))
      }).annotate(Operation.Safety, "Unsafe")
      const limited: FakeTransport.Play = { status: 429, json: busy }
      const certain = yield* play(write as never, () => limited, {})
      const moved = Failover.make().call({ acme: certain.find, south: Effect.succeed("south") })
      assert.deepStrictEqual(yield* soon(moved), Exit.succeed("south"))
      const keyed = write.annotate(Operation.Safety, "Idempotent")
      const unknown = yield* play(
        keyed as never,
        (index) => index === 0 ? { reason: new ConnectionLost("Headers") } : limited,
        { retry: { retries: 1, base: 0 } }
      )
      const exit = yield* soon(unknown.find)
      assert.deepStrictEqual(bodyOf(exit), busy)
      const behind = Exit.isFailure(exit) ? vendorErrorOf(exit.cause) : undefined
      assert.deepInclude(behind, { fate: "Unknown", attempts: 2 })
    }))

  it.effect("tells when to come back, also after its error was mapped", () =>
    Effect.gen(function*() {
      const { find } = yield* play(overloaded, () => ({ ...refusal, headers: { "retry-after": "60" } }), {})
      const exit = yield* soon(Effect.mapError(find, () => "mapped"))
      assert.strictEqual(bodyOf(exit), "mapped")
      assert.strictEqual(Exit.isFailure(exit) && vendorErrorOf(exit.cause)?.reason.retryAfterMillis, 60_000)
    }))
})

describe("a declared error about the request", () => {
  it.effect.each([400, 402, 404, 410, 422])(
    "is an answer: a %d is cached, not retried, and opens nothing",
    (status) =>
      Effect.gen(function*() {
        const { find, sent } = yield* play(
          get(Busy.pipe(HttpApiSchema.status(status))),
          () => ({ status, json: busy }),
          { cache: { fresh: "1 minute", negative: "1 minute", jitter: 0 } }
        )
        for (let call = 0; call < 30; call++) {
          const exit = yield* soon(find)
          assert.deepStrictEqual(bodyOf(exit), busy)
          assert.isUndefined(reasonOf(exit))
        }
        assert.strictEqual(sent.length, 1)
      })
  )

  it.effect.each([401, 403, 408, 409, 423, 425, 429, 500, 503])(
    "says nothing lasting: a %d is not cached",
    (status) =>
      Effect.gen(function*() {
        const { find, sent } = yield* play(
          get(Busy.pipe(HttpApiSchema.status(status))),
          () => ({ status, json: busy }),
          { cache: { fresh: "1 minute", negative: "1 minute", failurePause: 0 }, retry: false }
        )
        for (let call = 0; call < 3; call++) assert.deepStrictEqual(bodyOf(yield* soon(find)), busy)
        assert.strictEqual(sent.length, 3)
      })
  )

  it.effect.each([403, 409])("moves on to no other vendor: a %d", (status) =>
    Effect.gen(function*() {
      const { find } = yield* play(get(Busy.pipe(HttpApiSchema.status(status))), () => ({ status, json: busy }), {})
      const exit = yield* soon(Failover.make().call({ acme: find, south: Effect.succeed("south") }))
      assert.deepStrictEqual(bodyOf(exit), busy)
    }))
})

/**
 * Ages that are lost or wrong on the way. Inputs: an age that was acceptable when the call began and is not when it ends;
 * a value that passes through nested caches, fallbacks and reports; a machine that sleeps for eight hours, or whose wall
 * clock is set; and what a 304 says about the answer that it confirms.
 */
import * as ResponseCache from "@breakwater/core/caching/ResponseCache"
import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import * as Credential from "@breakwater/core/credentials/Credential"
import * as RefreshingCredentials from "@breakwater/core/credentials/RefreshingCredentials"
import * as Failover from "@breakwater/core/degradation/Failover"
import * as FeatureSwitch from "@breakwater/core/degradation/FeatureSwitch"
import { CacheStore } from "@breakwater/core/fleet/Store"
import * as Provenance from "@breakwater/core/Provenance"
import * as AddressGuard from "@breakwater/core/transport/AddressGuard"
import * as Resolver from "@breakwater/core/transport/Resolver"
import { Unavailable, VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Redacted, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { TestClock } from "effect/testing"
import * as TwoClocks from "../drivers/TwoClocks.ts"
import * as AnswerStore from "../fakes/AnswerStore.ts"
import * as FakeTransport from "../fakes/Transport.ts"

const down = new VendorError({ vendor: "acme", operation: "rate", safety: "Idempotent", reason: new Unavailable(503) })

const make = (options: Partial<ResponseCache.ResponseCacheOptions> = {}) =>
  ResponseCache.make<number, VendorError>({
    vendor: "acme",
    operation: "rate",
    jitter: 0,
    fresh: "1 minute",
    ...options
  })

/** A vendor whose answers are numbered, and that takes a while or is down. */
const vendor = () => {
  const state = { calls: 0, takes: 0, isDown: false }
  const load = () =>
    Effect.suspend(() => {
      const value = ++state.calls
      return Effect.andThen(
        Effect.sleep(state.takes),
        Effect.suspend(() => state.isDown ? Effect.fail(down) : Effect.succeed({ value }))
      )
    })
  return { state, load }
}

/** The provenance, with its age in seconds. */
const shown = (provenance: Provenance.Provenance): string =>
  `${provenance._tag} ${Math.round(Duration.toSeconds(Provenance.age(provenance)))}`

const seen = <E>(effect: Effect.Effect<Provenance.Sourced<number>, E>) =>
  Effect.match(effect, {
    onSuccess: ({ provenance, value }) => `${value} ${shown(provenance)}`,
    onFailure: () => "failed"
  })

describe("an age that a caller accepts", () => {
  it.effect.each<readonly [string, Partial<ResponseCache.ResponseCacheOptions>, Duration.Input, string]>([
    ["is exceeded when the call fails", { staleIfError: "1 day" }, "60 seconds", "failed"],
    ["is not exceeded when the call fails", { staleIfError: "1 day" }, "90 seconds", "1 Stale 89"],
    [
      "is exceeded by the cache's own limit when the call fails",
      { fresh: "20 seconds", staleIfError: "1 minute" },
      "1 day",
      "failed"
    ],
    ["is exceeded when the call is slow", { staleIfError: "1 day", softTimeout: "50 seconds" }, "60 seconds", "failed"],
    [
      "is not exceeded when the call is slow",
      { staleIfError: "1 day", softTimeout: "20 seconds" },
      "60 seconds",
      "1 Stale 51"
    ]
  ])("%s", ([, options, maxAge, expected]) =>
    Effect.gen(function*() {
      const cache = yield* make({ fresh: "30 seconds", ...options })
      const { load, state } = vendor()
      yield* cache.lookup("EUR", load)
      yield* TestClock.adjust("31 seconds")
      state.takes = 58_000
      state.isDown = true
      const call = yield* Effect.forkChild(seen(cache.lookup("EUR", load).pipe(Provenance.acceptStale(maxAge))))
      yield* TestClock.adjust("58 seconds")
      assert.strictEqual(yield* Fiber.join(call), expected)
    }))
})

describe("a provenance on the way out", () => {
  /** A value that was in a cache for 20 hours. */
  const old = Effect.gen(function*() {
    const cache = yield* make({ staleIfError: "1 day" })
    const { load, state } = vendor()
    yield* cache.lookup("EUR", load)
    state.isDown = true
    yield* TestClock.adjust("20 hours")
    return { lookup: cache.lookup("EUR", load) }
  })
  const hours = 72_000

  it.effect("passes through every report around it", () =>
    Effect.gen(function*() {
      const accepted = (yield* old).lookup.pipe(Provenance.acceptStale("1 day"))
      const inner = accepted.pipe(Provenance.withProvenance)
      const outer = yield* inner.pipe(Provenance.acceptStale("1 minute"), Provenance.withProvenance)
      assert.strictEqual(shown(outer.provenance), `Stale ${hours}`)
      assert.strictEqual(shown(outer.value.provenance), `Stale ${hours}`)
      assert.strictEqual(shown(outer.value.value.provenance), `Stale ${hours}`)
    }))

  it.effect("is that of the worst part, in any order", () =>
    Effect.gen(function*() {
      const stale = (yield* old).lookup.pipe(Provenance.acceptStale("1 day"))
      const cache = yield* make()
      const fresh = cache.lookup("GBP", vendor().load)
      for (const both of [[stale, fresh], [fresh, stale], [fresh, stale, fresh]]) {
        for (const concurrency of [1, "unbounded"] as const) {
          const { provenance } = yield* Effect.all(both, { concurrency }).pipe(Provenance.withProvenance)
          assert.strictEqual(shown(provenance), `Stale ${hours}`)
        }
      }
    }))

  it("of two takes the further kind and the larger age", () => {
    const at = (minutes: number) => Duration.minutes(minutes)
    const fallback: Provenance.Provenance = { _tag: "Fallback", from: "south", because: "Unavailable" }
    const cached: Provenance.Provenance = { _tag: "Cached", age: at(9) }
    const stale: Provenance.Provenance = { _tag: "Stale", age: at(5), because: "Slow" }
    const rows = [
      [Provenance.fresh, Provenance.fresh, Provenance.fresh],
      [Provenance.fresh, cached, cached],
      [cached, stale, { ...stale, age: at(9) }],
      [cached, fallback, { ...fallback, age: at(9) }],
      [stale, { ...fallback, age: at(7) }, { ...fallback, age: at(7) }],
      [stale, { ...stale, age: at(6), because: "Unavailable" }, { ...stale, age: at(6), because: "Unavailable" }]
    ] as const
    for (const [one, other, expected] of rows) {
      assert.deepStrictEqual(Provenance.worse(one, other), expected)
      assert.deepStrictEqual(Provenance.worse(other, one), expected)
    }
  })

  it.effect("keeps the age of a fallback that was in its vendor's cache", () =>
    Effect.gen(function*() {
      const cache = yield* make({ fresh: "1 hour" })
      const { load } = vendor()
      yield* cache.lookup("EUR", load)
      yield* TestClock.adjust("10 minutes")
      const call = Failover.make().call({ north: Effect.fail(down), south: cache.lookup("EUR", load) })
      const { provenance } = yield* call.pipe(Provenance.withProvenance)
      assert.deepStrictEqual(provenance, {
        _tag: "Fallback",
        from: "south",
        because: "Unavailable",
        age: Duration.minutes(10)
      })
    }))

  it.effect("survives a second cache around the first, with kind and age", () =>
    Effect.gen(function*() {
      const [inner, outer] = [yield* make({ fresh: "1 hour" }), yield* make({ fresh: "1 hour" })]
      const { load, state } = vendor()
      yield* inner.lookup("EUR", load)
      yield* TestClock.adjust("50 minutes")
      const both = outer.lookup("EUR", () => Effect.map(inner.lookup("EUR", load), (value) => ({ value })))
      const show = seen(both.pipe(Provenance.acceptStale("1 day")))
      assert.strictEqual(yield* show, "1 Cached 3000")
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(yield* show, "1 Cached 3300")
      yield* TestClock.adjust("5 minutes")
      // An hour after the vendor gave it, and not an hour after it passed through.
      assert.strictEqual(yield* show, "2 Fresh 0")
      assert.strictEqual(state.calls, 2)

      const fallen = yield* make({ fresh: "1 hour" })
      const south = Failover.make().call({ north: Effect.fail(down), south: Effect.succeed(7) })
      const lookup = fallen.lookup("EUR", () => Effect.map(south, (value) => ({ value }))).pipe(
        Provenance.withProvenance
      )
      assert.strictEqual(yield* seen(lookup), "7 Fallback 0")
      yield* TestClock.adjust("1 minute")
      const { provenance } = yield* lookup
      assert.deepInclude(provenance, { _tag: "Fallback", from: "south", age: Duration.minutes(1) })
    }))

  it.effect("is that of the answer that is given, and not of the one that is fetched meanwhile", () =>
    Effect.gen(function*() {
      const cache = yield* make({ staleWhileRevalidate: "1 day" })
      let isDown = false
      const call = Effect.suspend(() =>
        Failover.make().call({ north: isDown ? Effect.fail(down) : Effect.succeed(1), south: Effect.succeed(2) })
      )
      const lookup = seen(
        cache.lookup("EUR", () => Effect.map(call, (value) => ({ value }))).pipe(Provenance.acceptStale("1 day"))
      )
      assert.strictEqual(yield* lookup, "1 Fresh 0")
      yield* TestClock.adjust("1 hour")
      isDown = true
      assert.strictEqual(yield* lookup, "1 Stale 3600")
      // Stale and from a fallback, it is the latter, with its age.
      assert.strictEqual(yield* lookup, "2 Fallback 0")
      yield* TestClock.adjust("2 hours")
      assert.strictEqual(yield* lookup, "2 Fallback 7200")
    }))

  it.effect("does not reach another process as new", () =>
    Effect.gen(function*() {
      const { state, store } = AnswerStore.make()
      const cache = yield* ResponseCache.make<number, VendorError>(
        { vendor: "acme", operation: "rate", fresh: "1 hour" },
        { name: "acme/rate/1", codec: { encode: String, decode: Number } }
      ).pipe(Effect.provideService(CacheStore, store))
      const south = Failover.make().call({ north: Effect.fail(down), south: Effect.succeed(7) })
      yield* cache.lookup("EUR", () => Effect.map(south, (value) => ({ value })))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([...state.entries.keys()], [])
      assert.strictEqual(state.leads.size, 0)
    }))
})

describe("a machine that sleeps for eight hours", () => {
  const eightHours = 8 * 3_600_000

  it.effect("finds its answers eight hours old", () =>
    Effect.gen(function*() {
      const machine = yield* TwoClocks.make
      const { load, state } = vendor()
      const cache = yield* make({ fresh: "1 hour", staleIfError: "1 day" })
      const strict = machine.on(cache.lookup("EUR", load))
      const tolerant = machine.on(seen(cache.lookup("EUR", load).pipe(Provenance.acceptStale("1 day"))))
      yield* strict
      machine.step(eightHours)
      state.isDown = true
      assert.strictEqual(yield* tolerant, "1 Stale 28800")
      assert.isTrue(Exit.isFailure(yield* Effect.exit(strict)))
      state.isDown = false
      assert.strictEqual(yield* strict, 4)
      // Set back, the clock makes nothing younger.
      machine.step(-eightHours)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* strict, 5)
    }))

  it.effect("sleeps many short times just as well", () =>
    Effect.gen(function*() {
      const machine = yield* TwoClocks.make
      const { load } = vendor()
      const cache = yield* make({ fresh: "1 minute" })
      const lookup = machine.on(cache.lookup("EUR", load))
      yield* lookup
      for (let nap = 0; nap < 60; nap++) {
        machine.step(1_000)
        if (nap < 59) assert.strictEqual(yield* lookup, 1)
      }
      assert.strictEqual(yield* lookup, 2)
    }))

  it.effect("asks for its secrets again, and sends none that has expired", () =>
    Effect.gen(function*() {
      const machine = yield* TwoClocks.make
      for (
        const [lifeMillis, step] of [[undefined, eightHours], [3_600_000, eightHours], [
          3_600_000,
          -eightHours
        ]] as const
      ) {
        let fetches = 0
        const source: RefreshingCredentials.Source = {
          name: "counting",
          fetch: () =>
            Effect.clockWith((clock) =>
              Effect.sync(() => ({
                value: Redacted.make(`secret ${++fetches}`),
                expiresAt: lifeMillis === undefined ? undefined : clock.currentTimeMillisUnsafe() + lifeMillis
              }))
            )
        }
        const credentials = yield* RefreshingCredentials.make(source)
        const read = machine.on(Effect.map(credentials.read({ vendor: "acme", key: "" }), Redacted.value))
        assert.strictEqual(yield* read, "secret 1")
        machine.step(step)
        // By the one clock or by the other, it is old.
        if (step < 0) yield* TestClock.adjust("1 hour")
        assert.strictEqual(yield* read, "secret 2")
      }
    }))

  it.effect("tries a secret again that the vendor has refused", () =>
    Effect.gen(function*() {
      const machine = yield* TwoClocks.make
      const Api = HttpApi.make("acme").add(
        HttpApiGroup.make("items", { topLevel: true }).add(
          HttpApiEndpoint.get("find", "/item", { success: Schema.Struct({ n: Schema.Int }) })
            .annotate(Operation.Policy, { retry: false, breaker: false })
        )
      )
      let sent = 0
      const transport = FakeTransport.layer(() => {
        sent++
        return { status: 401 }
      })
      const client = yield* machine.on(
        Vendor.make({
          name: "acme",
          api: Api,
          baseUrl: "https://acme.example",
          auth: { _tag: "Bearer" },
          refusedFor: "1 hour"
        }).pipe(Effect.provide(transport))
      )
      const find = Effect.gen(function*() {
        const call = yield* Effect.forkChild(machine.on(Effect.exit(client.find())))
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(call)
      })
      for (let call = 0; call < 5; call++) yield* find
      const before = sent
      assert.isBelow(before, 5)
      machine.step(eightHours)
      yield* find
      assert.isAbove(sent, before)
    }).pipe(
      Effect.provideService(Credential.Credentials, { read: () => Effect.succeed(Redacted.make("a secret")) })
    ))

  it.effect("lets a feature come back that was to stay off for less", () =>
    Effect.gen(function*() {
      const machine = yield* TwoClocks.make
      const feature = yield* machine.on(FeatureSwitch.make({
        name: "rates",
        rule: { _tag: "Failures", minimumCalls: 3 },
        offAfter: 0,
        offFor: "1 hour"
      }))
      const failing = machine.on(Effect.exit(feature.whenOn(Effect.fail(down), { otherwise: Effect.void })))
      for (let call = 0; call < 5; call++) yield* failing
      assert.strictEqual((yield* machine.on(feature.status)).state, "Off")
      machine.step(eightHours)
      const { duration, state } = yield* machine.on(feature.status)
      assert.notStrictEqual(state, "Off")
      assert.isAtMost(Duration.toHours(duration), 8)
    }))

  it.effect("resolves its names again, also if its clock was set back", () =>
    Effect.gen(function*() {
      const machine = yield* TwoClocks.make
      for (const step of [eightHours, -eightHours]) {
        let lookups = 0
        const resolver = yield* Resolver.make(AddressGuard.make({}), {
          lookup: () => Effect.sync(() => [`192.0.3.${++lookups}`])
        })
        const addresses = machine.on(resolver.addresses("acme.example"))
        assert.deepStrictEqual(yield* addresses, ["192.0.3.1"])
        machine.step(step)
        if (step < 0) yield* TestClock.adjust("31 seconds")
        assert.deepStrictEqual(yield* addresses, ["192.0.3.2"])
      }
    }))
})

describe("a 304", () => {
  const revalidated = (headersOf: (index: number) => Record<string, string>, obeyVendor = false) =>
    Effect.gen(function*() {
      const Api = HttpApi.make("acme").add(
        HttpApiGroup.make("items", { topLevel: true }).add(
          HttpApiEndpoint.get("find", "/item", { success: Schema.Struct({ n: Schema.Int }) })
            .annotate(Operation.Policy, { retry: false, cache: { jitter: 0, fresh: "1 minute", obeyVendor } })
        )
      )
      const validators: Array<string | undefined> = []
      const transport = FakeTransport.layer(({ headers }, index) => {
        const at = headers.indexOf("if-none-match")
        validators.push(at === -1 ? undefined : headers[at + 1])
        return at === -1
          ? { status: 200, headers: headersOf(index), json: { n: index } }
          : { status: 304, headers: headersOf(index) }
      })
      const client = yield* Vendor.make({ name: "acme", api: Api, baseUrl: "https://acme.example" }).pipe(
        Effect.provide(transport)
      )
      const find = Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(client.find())
        yield* TestClock.adjust("1 second")
        yield* TestClock.adjust("1 minute")
        return yield* Fiber.join(fiber)
      })
      return { find, validators }
    })

  it.effect.each<readonly [string, ReadonlyArray<string | undefined>, ReadonlyArray<string | undefined>]>([
    ["with a new validator: the next request carries it", ["\"a\"", "\"b\"", "\"c\""], [
      undefined,
      "\"a\"",
      "\"b\"",
      "\"c\""
    ]],
    ["with none: the known one stays", ["\"a\""], [undefined, "\"a\"", "\"a\"", "\"a\""]],
    ["with one that cannot be sent: none is", ["\"a\"", "\"é\""], [undefined, "\"a\"", undefined, undefined]]
  ])("%s", ([, etags, expected]) =>
    Effect.gen(function*() {
      const { find, validators } = yield* revalidated((index): Record<string, string> => {
        const etag = etags[index]
        return etag === undefined ? {} : { etag }
      })
      for (let call = 0; call < 4; call++) yield* find
      assert.deepStrictEqual(validators, expected)
    }))

  it.effect("that forbids to keep the answer ends it", () =>
    Effect.gen(function*() {
      const { find, validators } = yield* revalidated((index) => ({
        etag: "\"a\"",
        "cache-control": index === 0 ? "max-age=10" : "no-store"
      }), true)
      for (let call = 0; call < 3; call++) assert.deepStrictEqual(yield* find, { n: call < 2 ? 0 : 2 })
      assert.deepStrictEqual(validators, [undefined, "\"a\"", undefined])
    }))
})

import type { CacheOptions } from "@breakwater/core/caching/CacheOptions"
import { freshnessOf } from "@breakwater/core/client/Freshness"
import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import { Credentials } from "@breakwater/core/credentials/Credential"
import * as Provenance from "@breakwater/core/Provenance"
import * as Telemetry from "@breakwater/core/Telemetry"
import type { TransportRequest } from "@breakwater/core/transport/Transport"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Metric, Redacted, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../../../fakes/Transport.ts"
import * as MemoryTracer from "../../../watches/MemoryTracer.ts"

const Rate = Schema.Struct({ rate: Schema.Finite })

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("rates", { topLevel: true }).add(
    HttpApiEndpoint.get("rate", "/rate/:pair", {
      params: { pair: Schema.String },
      query: { day: Schema.optionalKey(Schema.String) },
      headers: { "x-tenant": Schema.optionalKey(Schema.String) },
      success: Rate,
      error: Schema.Struct({ unknown: Schema.String }).pipe(HttpApiSchema.status(404))
    }),
    HttpApiEndpoint.get("live", "/live", { success: Rate }),
    HttpApiEndpoint.post("convert", "/convert", { success: Rate }).annotate(Operation.Safety, "Unsafe")
  )
)

type Play = (request: TransportRequest, index: number) => FakeTransport.Play

/** A client whose `rate` is cached, and a scripted vendor; rates grow by one with each request. */
const scenario = (
  cache: CacheOptions,
  use: (scene: {
    readonly client: Effect.Success<ReturnType<typeof make>>
    /** Calls on virtual time, accepting stale answers; an `undefined` parameter is left out. */
    readonly ask: (pair?: string, key?: string) => Effect.Effect<Provenance.Sourced<unknown>, unknown>
    readonly seen: ReadonlyArray<TransportRequest>
  }) => Effect.Effect<void, unknown>,
  play: Play = (_, index) => ({ status: 200, json: { rate: index } })
) =>
  Effect.suspend(() => {
    const seen: Array<TransportRequest> = []
    return Effect.gen(function*() {
      const client = yield* make(cache)
      const ask = (pair = "EURUSD", key = "") =>
        Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(
            client.rate({ params: { pair }, query: {}, headers: {} }, { key }).pipe(Provenance.acceptStale("1 day"))
          )
          yield* TestClock.adjust("1 millis")
          return yield* Fiber.join(fiber)
        })
      yield* use({ client, ask, seen })
    }).pipe(
      Effect.provide(FakeTransport.layer((request, index) => {
        seen.push(request)
        return play(request, index)
      })),
      Effect.provideService(Metric.MetricRegistry, new Map()),
      Effect.provideService(Credentials, { read: ({ key }) => Effect.succeed(Redacted.make(`of:${key}`)) })
    )
  })

const make = (cache: CacheOptions) =>
  Vendor.make({
    name: "acme",
    api: Api,
    baseUrl: "https://api.acme.example",
    auth: { _tag: "Bearer" },
    policy: { retry: false }
  }, { rate: { cache: { jitter: 0, ...cache } } })

const minute = { fresh: "1 minute" } as const

const headerOf = ({ headers }: TransportRequest, name: string): string | undefined => {
  const at = headers.indexOf(name)
  return at === -1 ? undefined : headers[at + 1]
}

describe("an operation with a cache", () => {
  it.effect("serves a fresh answer to the same request, and states its age", () =>
    scenario(minute, ({ ask, seen }) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* ask(), { value: { rate: 0 }, provenance: { _tag: "Fresh" } })
        const again = yield* ask()
        assert.deepStrictEqual(again.value, { rate: 0 })
        assert.strictEqual(again.provenance._tag, "Cached")
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual((yield* ask()).value, { rate: 1 })
        assert.strictEqual(seen.length, 2)
      })))

  it.effect("distinguishes requests by path, query, header and the caller's key", () =>
    scenario(minute, ({ client, seen }) =>
      Effect.gen(function*() {
        const inputs = [
          [{ params: { pair: "EURUSD" }, query: {}, headers: {} }, ""],
          [{ params: { pair: "EURGBP" }, query: {}, headers: {} }, ""],
          [{ params: { pair: "EURUSD" }, query: { day: "2026-11-20" }, headers: {} }, ""],
          [{ params: { pair: "EURUSD" }, query: {}, headers: { "x-tenant": "a" } }, ""],
          [{ params: { pair: "EURUSD" }, query: {}, headers: {} }, "eu"]
        ] as const
        for (let round = 0; round < 2; round++) {
          for (const [index, [input, key]] of inputs.entries()) {
            const fiber = yield* Effect.forkChild(client.rate(input, { key }))
            yield* TestClock.adjust("1 millis")
            assert.deepStrictEqual(yield* Fiber.join(fiber), { rate: index })
          }
        }
        assert.strictEqual(seen.length, inputs.length)
      })))

  it.effect("makes one attempt for ten thousand concurrent callers", () =>
    scenario(minute, ({ client, seen }) =>
      Effect.gen(function*() {
        const rate = client.rate({ params: { pair: "EURUSD" }, query: {}, headers: {} })
        const fiber = yield* Effect.forkChild(
          Effect.all(Array.from({ length: 10_000 }, () => rate), { concurrency: "unbounded" })
        )
        yield* TestClock.adjust("1 millis")
        assert.strictEqual((yield* Fiber.join(fiber)).length, 10_000)
        assert.strictEqual(seen.length, 1)
      })))

  it.effect("serves a stale answer while the vendor is down, to callers that accept it, up to its largest age", () =>
    scenario(
      { ...minute, staleIfError: "1 hour" },
      ({ ask, client }) =>
        Effect.gen(function*() {
          yield* ask()
          yield* TestClock.adjust("10 minutes")
          const { provenance, value } = yield* ask()
          assert.deepStrictEqual(value, { rate: 0 })
          assert.strictEqual(provenance._tag === "Stale" ? provenance.because : "", "Unavailable")
          assert.isAtLeast(Duration.toMinutes(Provenance.age(provenance)), 10)
          // A price does not accept it.
          const price = yield* Effect.forkChild(
            Effect.exit(client.rate({ params: { pair: "EURUSD" }, query: {}, headers: {} }))
          )
          yield* TestClock.adjust("1 millis")
          assert.strictEqual((yield* Fiber.join(price))._tag, "Failure")
          yield* TestClock.adjust("51 minutes")
          assert.strictEqual((yield* Effect.exit(ask()))._tag, "Failure")
        }),
      (_, index) => index === 0 ? { status: 200, json: { rate: 0 } } : { status: 503 }
    ))

  it.effect("revalidates with the vendor's validator, and accepts a 304", () =>
    scenario(
      minute,
      ({ ask, seen }) =>
        Effect.gen(function*() {
          yield* ask()
          yield* TestClock.adjust("1 minute")
          assert.deepStrictEqual(yield* ask(), { value: { rate: 0 }, provenance: { _tag: "Fresh" } })
          assert.deepStrictEqual(seen.map((request) => headerOf(request, "if-none-match")), [undefined, `"v0"`])
          assert.strictEqual((yield* ask()).provenance._tag, "Cached")
          yield* TestClock.adjust("1 minute")
          assert.deepStrictEqual((yield* ask()).value, { rate: 2 })
        }),
      (_, index) =>
        index === 1
          ? { status: 304, headers: { etag: `"v0"` } }
          : { status: 200, headers: { etag: `"v${index}"` }, json: { rate: index } }
    ))

  it.effect("does not accept a 304 for a request without a validator", () =>
    scenario(minute, ({ ask }) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(ask())
        assert.include(String(error), "status 304 is not part of the contract")
      }), () => ({ status: 304 })))

  it.effect("stores an answer for as long as the vendor says, if it is told to obey it", () =>
    scenario(
      { ...minute, obeyVendor: true },
      ({ ask, seen }) =>
        Effect.gen(function*() {
          yield* ask()
          yield* TestClock.adjust("9 seconds")
          yield* ask()
          assert.strictEqual(seen.length, 1)
          yield* TestClock.adjust("1 second")
          yield* ask()
          assert.strictEqual(seen.length, 2)
          // The second must not be stored at all, nor the first any longer.
          yield* ask()
          assert.strictEqual(seen.length, 3)
        }),
      (_, index) => ({
        status: 200,
        headers: { "cache-control": index === 0 ? "public, max-age=15" : "no-store", age: "5" },
        json: { rate: index }
      })
    ))

  it.effect("ignores the vendor's caching headers by default", () =>
    scenario(minute, ({ ask, seen }) =>
      Effect.gen(function*() {
        yield* ask()
        yield* TestClock.adjust("30 seconds")
        yield* ask()
        assert.strictEqual(seen.length, 1)
      }), () => ({ status: 200, headers: { "cache-control": "no-store" }, json: { rate: 1 } })))

  it.effect("serves neither an answer with no-store nor its predecessor when the vendor is down", () =>
    scenario(
      { ...minute, obeyVendor: true, staleIfError: "1 hour" },
      ({ ask, seen }) =>
        Effect.gen(function*() {
          yield* ask()
          yield* TestClock.adjust("1 second")
          yield* ask()
          assert.strictEqual((yield* Effect.exit(ask()))._tag, "Failure")
          assert.strictEqual(seen.length, 3)
        }),
      (_, index) =>
        index === 2
          ? { status: 503 }
          : {
            status: 200,
            headers: { "cache-control": index === 0 ? "max-age=1" : "no-store" },
            json: { rate: index }
          }
    ))

  it.effect("stores an answer until the next one is published, if the answer says when", () =>
    scenario(
      { ...minute, life: ({ rate }: typeof Rate.Type, now) => now > 0 ? rate * 1_000 : undefined },
      ({ ask, seen }) =>
        Effect.gen(function*() {
          yield* TestClock.adjust("1 second")
          yield* ask()
          yield* TestClock.adjust("4 seconds")
          yield* ask()
          assert.strictEqual(seen.length, 1)
          yield* TestClock.adjust("1 second")
          yield* ask()
          assert.strictEqual(seen.length, 2)
        }),
      () => ({ status: 200, json: { rate: 5 } })
    ))

  it.effect("invalidates by tag, and clears everything", () =>
    scenario(
      { ...minute, tags: ({ rate }: typeof Rate.Type) => [rate % 2 === 0 ? "even" : "odd"] },
      ({ ask, client, seen }) =>
        Effect.gen(function*() {
          yield* ask("a")
          yield* ask("b")
          Vendor.caches(client).invalidateTag("odd")
          yield* ask("a")
          assert.strictEqual(seen.length, 2)
          yield* ask("b")
          assert.strictEqual(seen.length, 3)
          Vendor.caches(client).clear()
          yield* ask("a")
          assert.strictEqual(seen.length, 4)
        })
    ))

  it.effect("caches a declared error for its own short time", () =>
    scenario(
      { ...minute, negative: "10 seconds" },
      ({ ask, seen }) =>
        Effect.gen(function*() {
          for (let call = 0; call < 3; call++) assert.deepStrictEqual(yield* Effect.flip(ask()), { unknown: "pair" })
          assert.strictEqual(seen.length, 1)
          yield* TestClock.adjust("10 seconds")
          yield* Effect.flip(ask())
          assert.strictEqual(seen.length, 2)
        }),
      () => ({ status: 404, json: { unknown: "pair" } })
    ))

  it.effect("gives no evidence and costs nothing on a hit: only requests that are sent do", () =>
    scenario(minute, ({ ask, client }) =>
      Effect.gen(function*() {
        for (let call = 0; call < 10; call++) yield* ask()
        const { coalesced, hits, loads, misses } = Vendor.caches(client).statistics("rate")!
        assert.deepStrictEqual({ coalesced, hits, loads, misses }, { coalesced: 0, hits: 9, loads: 1, misses: 1 })
        assert.isUndefined(Vendor.caches(client).statistics("live"))
        const shown = (yield* Metric.snapshot).flatMap(({ attributes, id, state }) =>
          id === Telemetry.cacheLookups ? [[attributes?.["result"], (state as { count: number }).count]] : []
        )
        assert.sameDeepMembers(shown, [
          ["hits", 9],
          ["stale", 0],
          ["misses", 1],
          ["coalesced", 0],
          ["shared", 0]
        ])
        const operations = (yield* Metric.snapshot).filter(({ id }) => id === Telemetry.operationDuration)
        const counts = operations.map(({ state }) => (state as { count: number }).count)
        assert.deepStrictEqual(counts.filter((count) => count > 0), [1])
      })))

  it.effect("records in a span the provenance of an answer without a call", () => {
    const tracer = MemoryTracer.make()
    return scenario(
      { ...minute, staleIfError: "1 hour" },
      ({ ask }) =>
        Effect.gen(function*() {
          yield* ask()
          assert.strictEqual((yield* ask()).provenance._tag, "Cached")
          yield* TestClock.adjust("5 minutes")
          assert.strictEqual((yield* ask()).provenance._tag, "Stale")
          const told = tracer.spans.flatMap(({ attributes }) =>
            attributes.has("breakwater.provenance")
              ? [[attributes.get("breakwater.provenance"), attributes.get("breakwater.because")]]
              : []
          )
          assert.deepStrictEqual(told, [["Cached", undefined], ["Stale", "Unavailable"]])
        }),
      (_, index) => index === 0 ? { status: 200, json: { rate: 0 } } : { status: 503 }
    ).pipe(Effect.provide(tracer.layer))
  })

  it.effect("has a policy that an operator can override, if the operation exists", () =>
    Effect.gen(function*() {
      assert.throws(
        () => Vendor.make({ name: "acme", api: Api, baseUrl: "https://acme.example" }, { rates: {} }),
        /Vendor acme: there is no operation rates/
      )
      assert.throws(
        () =>
          Vendor.make({ name: "acme", api: Api, baseUrl: "https://acme.example" }, {
            convert: { cache: { fresh: "1 minute" } }
          }),
        /Vendor acme: convert is Unsafe, its answers cannot be cached/
      )
      const client = yield* Vendor.make({
        name: "acme",
        api: Api,
        baseUrl: "https://acme.example",
        policy: { cache: { fresh: "1 minute" } }
      }, { live: { cache: false } }).pipe(
        Effect.provide(FakeTransport.layer(() => undefined))
      )
      const caches = Vendor.caches(client)
      assert.deepStrictEqual(["rate", "live", "convert"].map((id) => caches.statistics(id) !== undefined), [
        true,
        false,
        false
      ])
    }))
})

describe("the freshness that headers state (RFC 9111)", () => {
  const now = Date.UTC(2026, 10, 23, 12, 0, 0)
  const date = new Date(now).toUTCString()
  it.each<[Record<string, string | Array<string>>, number | undefined, boolean]>([
    [{}, undefined, true],
    [{ "cache-control": "max-age=60" }, 60_000, true],
    [{ "cache-control": ["max-age=60", "no-store"] }, 0, false],
    [{ "cache-control": ["no-cache", "max-age=60"] }, 0, true],
    [{ "cache-control": "public, max-age=60, s-maxage=10" }, 60_000, true],
    [{ "cache-control": "Max-Age=\"60\"" }, 60_000, true],
    [{ "cache-control": "max-age=60", age: "20" }, 40_000, true],
    [{ "cache-control": "max-age=60", age: "90" }, 0, true],
    [{ "cache-control": "max-age=60", age: "soon" }, 60_000, true],
    [{ "cache-control": "s-maxage=60" }, undefined, true],
    [{ "cache-control": "no-cache, max-age=60" }, 0, true],
    [{ "cache-control": "max-age=60, no-store" }, 0, false],
    [{ "cache-control": "x-no-store-ever" }, undefined, true],
    [{ expires: new Date(now + 30_000).toUTCString(), date }, 30_000, true],
    [{ expires: new Date(now + 30_000).toUTCString() }, 30_000, true],
    [{ expires: "0", date }, 0, true],
    [{ expires: new Date(now + 30_000).toUTCString(), "cache-control": "max-age=5", date }, 5_000, true]
  ])("%j: %s ms, stored: %s", (headers, millis, isKept) => {
    assert.deepStrictEqual(freshnessOf(headers, now), { millis, isKept })
  })
})

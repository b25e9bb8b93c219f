import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { randomUUID } from "node:crypto"
import * as ScriptedServer from "../fakes/ScriptedServer.ts"
import * as DemoServer from "../processes/DemoServer.ts"
import { type Provenance, type Reply, request } from "../processes/DemoServer.ts"
import * as Effort from "../setup/Effort.ts"
import { patience } from "../watches/Patience.ts"

class Server extends Context.Service<Server, DemoServer.DemoServer>()("test/demo-server/Server") {
  static readonly layer = Layer.effect(Server, DemoServer.start())
}

const provenanceOf = ({ json }: Reply) => (json as { readonly provenance?: Provenance } | undefined)?.provenance

interface Traces {
  readonly resourceSpans: ReadonlyArray<{
    readonly scopeSpans: ReadonlyArray<{
      readonly spans: ReadonlyArray<{
        readonly name: string
        readonly attributes: ReadonlyArray<{ readonly key: string; readonly value: Readonly<Record<string, unknown>> }>
        readonly status: { readonly code: number }
      }>
    }>
  }>
}

/** Exported spans of the capability's calls: their attributes, and whether they failed. */
const capabilitySpans = (bodies: ReadonlyArray<string>): ReadonlyArray<Readonly<Record<string, unknown>>> =>
  bodies
    .flatMap((body) => (JSON.parse(body) as Traces).resourceSpans)
    .flatMap(({ scopeSpans }) => scopeSpans)
    .flatMap(({ spans }) => spans)
    .filter(({ name }) => name === "ExchangeRates.latest")
    .map(({ attributes, status }) => ({
      ...Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]])),
      failed: status.code === 2
    }))

/** Repeats a request until the expected answer comes, with a limit. Returns all answers. */
const until = (url: string, isIt: (reply: Reply) => boolean): Effect.Effect<ReadonlyArray<Reply>> =>
  Effect.suspend(() => {
    const seen: Array<Reply> = []
    return request("GET", url).pipe(
      Effect.tap((reply) => {
        seen.push(reply)
        return Effect.sleep("200 millis")
      }),
      Effect.repeat({ until: isIt }),
      Effect.timeoutOrElse({
        duration: patience,
        orElse: () => Effect.sync(() => assert.fail(`it did not come to it: ${seen.at(-1)?.text}`))
      }),
      Effect.as(seen)
    )
  })

const isKind = (kind: string) => (reply: Reply) => provenanceOf(reply)?.kind === kind

const refuse = (server: DemoServer.DemoServer, vendor: string) =>
  request("PUT", `${server.control}/_faults/${vendor}`, { body: { kind: "refuse" } })

const mend = (server: DemoServer.DemoServer, vendor: string) => request("DELETE", `${server.control}/_faults/${vendor}`)

describe("the demo server with dead vendors", () => {
  it.live(
    "answers with a rate from its cache as far as its age is allowed, then from the second vendor, then with 503",
    () =>
      Effect.gen(function*() {
        const collector = yield* ScriptedServer.serve(() => ScriptedServer.json({}))
        const server = yield* DemoServer.start({
          RATES_FRESH: "1 second",
          RATES_STALE: "5 seconds",
          OTEL_EXPORTER_OTLP_ENDPOINT: collector.baseUrl
        })
        const rate = `${server.url}/rates/EUR/USD`
        const fresh = yield* request("GET", rate)
        assert.deepInclude(fresh.json, { rate: 1.0842, provenance: { kind: "Fresh", source: "frankfurter" } })
        const cached = (yield* until(rate, isKind("Cached"))).at(-1)!
        assert.deepInclude(cached.json, {
          rate: 1.0842,
          provenance: { kind: "Cached", source: "frankfurter", age: 0 }
        })

        yield* refuse(server, "frankfurter")
        const stale = (yield* until(rate, isKind("Stale"))).at(-1)!
        assert.strictEqual(stale.status, 200)
        assert.deepInclude(stale.json, { rate: 1.0842 })

        const onTheWay = yield* until(rate, isKind("Fallback"))
        for (const reply of onTheWay.slice(0, -1)) {
          const { age, because, ...rest } = provenanceOf(reply)!
          assert.deepStrictEqual(rest, {
            kind: "Stale",
            source: "frankfurter",
            warning: "Stale: no newer value is available right now"
          })
          assert.isAtMost(age!, 5)
          assert.include(["ConnectFailed", "CircuitOpen", "Slow"], because)
        }
        const fallback = onTheWay.at(-1)!
        assert.strictEqual(fallback.status, 200)
        assert.deepInclude(provenanceOf(fallback), {
          source: "open-exchange-rates",
          warning: "From another source: the usual one is unavailable right now"
        })
        assert.include(["ConnectFailed", "CircuitOpen"], provenanceOf(fallback)!.because)
        assert.closeTo((fallback.json as { readonly rate: number }).rate, 1.084, 1e-4)

        yield* refuse(server, "open-exchange-rates")
        const dying = yield* until(rate, ({ status }) => status !== 200)
        for (const reply of dying.slice(0, -1)) {
          assert.strictEqual(provenanceOf(reply)!.kind, "Fallback")
          assert.isAtMost(provenanceOf(reply)!.age ?? 0, 5)
        }
        const dead = dying.at(-1)!
        assert.strictEqual(dead.status, 503)
        assert.deepStrictEqual(dead.json, {
          error: "SERVICE_UNAVAILABLE",
          message: "External service temporarily unavailable"
        })
        assert.match(dead.headers.get("retry-after") ?? "", /^[1-9]\d*$/)

        yield* mend(server, "frankfurter")
        const back = (yield* until(rate, ({ status }) => status === 200)).at(-1)!
        assert.deepInclude(back.json, { rate: 1.0842, provenance: { kind: "Fresh", source: "frankfurter" } })
        const { text } = yield* request("GET", `${server.url}/metrics`)
        for (const provenance of ["Fresh", "Cached", "Stale", "Fallback"]) {
          const name = "breakwater_capability_answers_total"
          assert.match(
            text,
            new RegExp(`^${name}\\{capability="exchange-rates",provenance="${provenance}"\\} [1-9]\\d*$`, "m")
          )
        }
        for (const vendor of ["frankfurter", "open-exchange-rates"]) {
          assert.match(text, new RegExp(`^breakwater_breaker_transitions_total\\{.*vendor="${vendor}".*\\} [1-9]`, "m"))
        }

        yield* server.stop
        const seen = capabilitySpans(collector.seen.map(({ body }) => body))
        const spansOf = (provenance: string) => seen.filter((span) => span["breakwater.provenance"] === provenance)
        for (const provenance of ["Fresh", "Cached"]) assert.isNotEmpty(spansOf(provenance))
        for (const span of spansOf("Stale")) {
          assert.include(["ConnectFailed", "CircuitOpen", "Slow"], span["breakwater.because"])
          assert.isAbove(Number(span["breakwater.age"]), 0)
        }
        assert.isNotEmpty(spansOf("Stale"))
        assert.isNotEmpty(spansOf("Fallback"))
        for (const span of spansOf("Fallback")) {
          assert.strictEqual(span["breakwater.from"], "open-exchange-rates")
        }
        assert.isTrue(seen.some((span) => span["failed"] === true && span["breakwater.provenance"] === undefined))
      }).pipe(Effect.scoped)
  )

  it.live(
    "asks the second vendor that the environment names when it is needed, and keeps countries as long as it says",
    () =>
      Effect.gen(function*() {
        const appId = randomUUID().replaceAll("-", "")
        const vendor = yield* ScriptedServer.serve(() =>
          ScriptedServer.json({ timestamp: 1_795_392_000, base: "USD", rates: { USD: 1, EUR: 0.5 } })
        )
        const server = yield* DemoServer.start({
          OPEN_EXCHANGE_RATES_BASE_URL: `${vendor.baseUrl}/mirror`,
          OPEN_EXCHANGE_RATES_API_KEY: appId,
          COUNTRIES_FRESH: "1 second"
        })
        yield* request("GET", `${server.url}/rates/EUR/USD`)
        assert.strictEqual(vendor.seen.length, 0)
        yield* refuse(server, "frankfurter")
        assert.deepInclude((yield* request("GET", `${server.url}/rates/USD/EUR`)).json, { rate: 0.5 })
        assert.deepStrictEqual(
          vendor.seen.map((seen) => [seen.url, seen.header("authorization")]),
          [["/mirror/latest.json", `Token ${appId}`]]
        )

        yield* until(`${server.url}/countries/DE`, isKind("Cached"))
        yield* refuse(server, "rest-countries")
        const stale = (yield* until(`${server.url}/countries/DE`, isKind("Stale"))).at(-1)!
        assert.deepInclude(stale.json, { name: "Germany" })
      }).pipe(Effect.scoped)
  )

  it.live("does not start when a time cannot be read, and says which", () =>
    Effect.gen(function*() {
      const rows = Effort.everyNth(
        3,
        [["RATES_FRESH", "five minutes"], ["RATES_STALE", "-1 day"], [
          "COUNTRIES_FRESH",
          "Infinity"
        ]] as const
      )
      yield* Effect.forEach(rows, ([variable, time]) =>
        Effect.gen(function*() {
          const { output } = yield* Effect.flip(DemoServer.start({ [variable]: time }))
          assert.include(output, variable)
        }).pipe(Effect.scoped), { concurrency: 3 })
    }).pipe(Effect.scoped))
})

/** By default. The second test breaks the vendors of countries for good. */
layer(Server.layer, { timeout: "60 seconds", excludeTestServices: true })(
  "the demo server as it starts by default",
  (it) => {
    it.effect(
      "remembers for as long as the defaults say, and nothing where the environment says 0",
      () =>
        Effect.gen(function*() {
          const byDefault = yield* Server
          const forgetful = yield* DemoServer.start({
            RATES_FRESH: "0",
            RATES_STALE: "0",
            COUNTRIES_FRESH: "0 seconds"
          })
          const strict = yield* DemoServer.start({ RATES_STALE: "0" })
          for (const path of ["/rates/EUR/USD", "/countries/AT"]) {
            for (const server of [byDefault, forgetful, strict]) yield* request("GET", `${server.url}${path}`)
            assert.strictEqual(provenanceOf(yield* request("GET", `${byDefault.url}${path}`))!.kind, "Cached")
            assert.strictEqual(provenanceOf(yield* request("GET", `${strict.url}${path}`))!.kind, "Cached")
            assert.strictEqual(provenanceOf(yield* request("GET", `${forgetful.url}${path}`))!.kind, "Fresh")
          }
          // Who remembers nothing still has somebody else to ask.
          yield* refuse(forgetful, "frankfurter")
          assert.deepInclude(provenanceOf(yield* request("GET", `${forgetful.url}/rates/EUR/USD`)), {
            kind: "Fallback",
            source: "open-exchange-rates",
            because: "ConnectFailed"
          })
        }).pipe(Effect.scoped)
    )

    it.effect(
      "has countries, by the next vendor when one is dead, and in the end by what it brought along",
      () =>
        Effect.gen(function*() {
          const server = yield* Server
          const country = (iso2: string) => request("GET", `${server.url}/countries/${iso2}`)
          assert.deepStrictEqual((yield* country("DE")).json, {
            name: "Germany",
            iso2: "DE",
            iso3: "DEU",
            isoNumeric: "276",
            capital: "Berlin",
            currencies: ["EUR"],
            callingCode: "+49",
            region: "Europe",
            subregion: "Western Europe",
            provenance: { kind: "Fresh", source: "rest-countries" }
          })
          assert.deepInclude((yield* country("AQ")).json, { capital: null, callingCode: null, currencies: [] })
          assert.strictEqual(provenanceOf(yield* country("DE"))!.kind, "Cached")

          yield* refuse(server, "rest-countries")
          assert.strictEqual(provenanceOf(yield* country("DE"))!.kind, "Cached")
          assert.deepInclude((yield* country("FR")).json, {
            name: "France",
            provenance: {
              kind: "Fallback",
              source: "country-state-city",
              warning: "From another source: the usual one is unavailable right now",
              because: "ConnectFailed"
            }
          })
          yield* refuse(server, "country-state-city")
          const { json, status } = yield* request("GET", `${server.url}/countries`)
          assert.strictEqual(status, 200)
          const { countries, provenance } = json as {
            readonly countries: ReadonlyArray<{ readonly iso2: string }>
            readonly provenance: Provenance
          }
          assert.isAtLeast(countries.length, 249)
          assert.deepInclude(provenance, { kind: "Fallback", source: "world-countries" })
          assert.strictEqual((yield* country("ZZ")).status, 404)
        }).pipe(Effect.scoped)
    )
  }
)

import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as DemoServer from "../processes/DemoServer.ts"
import { type Provenance, request } from "../processes/DemoServer.ts"
import { patience } from "../watches/Patience.ts"

interface Part {
  readonly status: "present" | "gap"
  readonly reason?: string
  readonly provenance?: Provenance
  readonly [field: string]: unknown
}

interface Page {
  readonly country: Part
  readonly rate: Part
  readonly shipping: Part
}

// The cache is off, so that each page calls its vendors again.
class Server extends Context.Service<Server, DemoServer.DemoServer>()("test/demo-server/Server") {
  static readonly layer = Layer.effect(Server, DemoServer.start({ RATES_FRESH: "0", COUNTRIES_FRESH: "0" }))
}

const pageOf = ({ url }: DemoServer.DemoServer, query: string, headers: Record<string, string> = {}) =>
  Effect.map(request("GET", `${url}/checkout-context?${query}`, { headers }), ({ json, status }) => {
    assert.strictEqual(status, 200)
    return json as Page
  })

const page = (query: string) => Effect.flatMap(Server, (server) => pageOf(server, query))

const setFaults = ({ control }: DemoServer.DemoServer, vendors: ReadonlyArray<string>, fault?: object) =>
  Effect.forEach(vendors, (vendor) =>
    Effect.map(
      request(fault === undefined ? "DELETE" : "PUT", `${control}/_faults/${vendor}`, { body: fault }),
      ({ status }) => assert.strictEqual(status, 204)
    ))

/** Kills vendors while an effect runs. */
const without = (vendors: ReadonlyArray<string>) => <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Server, (server) =>
    Effect.acquireUseRelease(
      setFaults(server, vendors, { kind: "refuse" }),
      () => self,
      () => setFaults(server, vendors)
    ))

const rateVendors = ["frankfurter", "open-exchange-rates"]
const countryVendors = ["rest-countries", "country-state-city"]
const vendors = [...countryVendors, ...rateVendors]

const statuses = ({ country, rate, shipping }: Page) => [country.status, rate.status, shipping.status]
const allPresent = ["present", "present", "present"]
const allButRate = ["present", "gap", "present"]

/** The source of a part, and the reason of its warning. */
const originOf = ({ provenance }: Part) => {
  assert.strictEqual(provenance?.warning === undefined, provenance?.because === undefined)
  return [provenance?.kind, provenance?.source, provenance?.because]
}
const fallback = (source: string) => ["Fallback", source, "ConnectFailed"]
const fresh = (source: string) => ["Fresh", source, undefined]

layer(Server.layer, { timeout: "60 seconds", excludeTestServices: true })("the checkout page", (it) => {
  it.effect("shows the country, the rate of its currency, and what shipping would take", () =>
    Effect.gen(function*() {
      const { country, rate, shipping } = yield* page("country=US")
      assert.deepInclude(country, { status: "present", name: "United States" })
      assert.deepInclude(rate, { base: "EUR", quote: "USD", rate: 1.0842 })
      assert.deepInclude(shipping, { zone: "far", days: [7, 14], cost: { amount: 2490, currency: "EUR" } })
      assert.deepStrictEqual(country.provenance, { kind: "Fresh", source: "rest-countries" })
      assert.deepStrictEqual(rate.provenance, { kind: "Fresh", source: "frankfurter" })
      assert.deepStrictEqual(shipping.provenance, country.provenance)
      assert.deepInclude((yield* page("country=DE")).rate, { base: "EUR", quote: "EUR", rate: 1 })
      assert.deepInclude((yield* page("country=US&base=GBP")).rate, { base: "GBP", quote: "USD" })
    }))

  for (
    const [vendor, ofCountry, ofRate] of [
      ["rest-countries", fallback("country-state-city"), fresh("frankfurter")],
      ["country-state-city", fresh("rest-countries"), fresh("frankfurter")],
      ["frankfurter", fresh("rest-countries"), fallback("open-exchange-rates")],
      ["open-exchange-rates", fresh("rest-countries"), fresh("frankfurter")]
    ] as const
  ) {
    it.effect(`is whole without ${vendor}, and says who stood in`, () =>
      Effect.gen(function*() {
        const whole = yield* page("country=US")
        assert.deepStrictEqual(statuses(whole), allPresent)
        assert.deepStrictEqual(originOf(whole.country), ofCountry)
        assert.deepStrictEqual(originOf(whole.shipping), ofCountry)
        assert.deepStrictEqual(originOf(whole.rate), ofRate)
      }).pipe(without([vendor])))
  }

  it.effect("is whole without any vendor of countries, from bundled data", () =>
    Effect.gen(function*() {
      const whole = yield* page("country=US")
      assert.deepStrictEqual(statuses(whole), allPresent)
      assert.deepStrictEqual(originOf(whole.country), fallback("world-countries"))
      assert.deepStrictEqual(originOf(whole.shipping), fallback("world-countries"))
    }).pipe(without(countryVendors)))

  it.effect("has one gap with a reason, and all other parts, without any vendor of rates", () =>
    Effect.gen(function*() {
      const rest = yield* page("country=US")
      assert.deepStrictEqual(statuses(rest), allButRate)
      assert.deepStrictEqual(rest.rate, {
        status: "gap",
        failed: "open-exchange-rates",
        reason: "ConnectFailed",
        message: "External service temporarily unavailable",
        retryAfter: 5
      })
    }).pipe(without(rateVendors)))

  it.effect("is useful without any vendor at all", () =>
    Effect.gen(function*() {
      const rest = yield* page("country=US")
      assert.deepStrictEqual(statuses(rest), allButRate)
      assert.deepInclude(rest.country, { name: "United States" })
      // This part needs no vendor.
      const home = yield* page("country=DE")
      assert.deepInclude(home.rate, {
        status: "present",
        rate: 1,
        provenance: { kind: "Fresh", source: "breakwater-demo" }
      })
    }).pipe(without(vendors)))

  it.effect("reports a country without a currency, and one that we do not ship to", () =>
    Effect.gen(function*() {
      const { rate, shipping } = yield* page("country=AQ")
      assert.strictEqual(rate.reason, "NoCurrency")
      assert.strictEqual(shipping.reason, "NotShipped")
    }))

  it.effect("answers 404 for an unknown country, and 400 for an invalid request", () =>
    Effect.gen(function*() {
      const { url } = yield* Server
      const ask = (query: string) => request("GET", `${url}/checkout-context?${query}`)
      assert.strictEqual((yield* ask("country=ZZ")).status, 404)
      for (const [query, field] of [["", "country"], ["country=usa", "country"], ["country=US&base=XXX", "base"]]) {
        const { json, status } = yield* ask(query!)
        assert.strictEqual(status, 400)
        assert.deepInclude(json, { error: "INVALID_REQUEST", field })
      }
    }))

  it.effect(
    "whose vendors are all slow comes in the time that its caller gives it, and without that in five seconds",
    () =>
      Effect.gen(function*() {
        // It leaves the vendors of this server as they are: it is the last test.
        const server = yield* Server
        yield* setFaults(server, vendors, { kind: "latency", millis: 600_000 })
        const ended: Array<string> = []
        const rows = [["by default", {}, 2_500], ["a second", { "request-timeout": "1" }, 500]] as const
        const page = ([name, headers, atLeast]: typeof rows[number]) =>
          Effect.gen(function*() {
            const begin = performance.now()
            const rest = yield* pageOf(server, "country=US", headers)
            const took = performance.now() - begin
            ended.push(name)
            assert.deepStrictEqual(statuses(rest), allButRate)
            assert.deepStrictEqual(originOf(rest.country), ["Fallback", "world-countries", "DeadlineExceeded"])
            assert.include(["DeadlineExceeded", "Timeout"], rest.rate.reason)
            assert.isAtLeast(took, atLeast)
          })
        // Each ends before what it does not wait for: the page that may take longer, and the vendors.
        yield* Effect.forEach(rows, page, { concurrency: 2 })
        assert.deepStrictEqual(ended, ["a second", "by default"])
      })
  )
})

describe("the checkout page of a server", () => {
  it.live("that remembers is whole without any vendor at all, and says how old it is", () =>
    Effect.gen(function*() {
      const server = yield* DemoServer.start({ RATES_FRESH: "1 second", COUNTRIES_FRESH: "1 second" })
      const ask = pageOf(server, "country=US")
      // Only what has come is remembered.
      yield* Effect.repeat(ask, {
        until: ({ country, rate }) => country.provenance !== undefined && rate.provenance !== undefined
      })
      yield* setFaults(server, vendors, { kind: "refuse" })
      const isStale = ({ provenance }: Part) => provenance?.kind === "Stale" && provenance.age! >= 1
      const old = yield* ask.pipe(
        Effect.tap(() => Effect.sleep("50 millis")),
        Effect.repeat({ until: ({ country, rate }) => isStale(country) && isStale(rate) }),
        Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.die(new Error("nothing becomes stale")) })
      )
      assert.deepStrictEqual(statuses(old), allPresent)
      for (const [{ provenance }, source] of [[old.country, "rest-countries"], [old.rate, "frankfurter"]] as const) {
        const { age, because, ...rest } = provenance!
        assert.deepStrictEqual<object>(rest, {
          kind: "Stale",
          source,
          warning: "Stale: no newer value is available right now"
        })
        assert.isAtLeast(age!, 1)
        assert.include(["ConnectFailed", "CircuitOpen"], because)
      }
      assert.deepStrictEqual(old.shipping.provenance, old.country.provenance)
    }))
})

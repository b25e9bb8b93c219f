import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as DemoServer from "../support/demoServer.ts"
import { request } from "../support/demoServer.ts"

interface Part {
  readonly status: "present" | "gap"
  readonly reason?: string
  readonly provenance?: { readonly kind: string; readonly from?: string; readonly because?: string }
  readonly [field: string]: unknown
}

interface Page {
  readonly country: Part
  readonly rate: Part
  readonly shipping: Part
}

// Nothing is remembered, so that each page asks again.
class Server extends Context.Service<Server, DemoServer.DemoServer>()("test/demo-server/Server") {
  static readonly layer = Layer.effect(Server, DemoServer.start({ RATES_FRESH: "0", COUNTRIES_FRESH: "0" }))
}

const page = (query: string, headers: Record<string, string> = {}) =>
  Effect.gen(function*() {
    const { url } = yield* Server
    const { json, status } = yield* request("GET", `${url}/checkout-context?${query}`, { headers })
    assert.strictEqual(status, 200)
    return json as Page
  })

/** Breaks vendors while an effect runs. */
const without =
  (vendors: ReadonlyArray<string>, fault: object = { kind: "refuse" }) => <A, E, R>(self: Effect.Effect<A, E, R>) =>
    Effect.gen(function*() {
      const { control } = yield* Server
      const each = (method: string, body?: unknown) =>
        Effect.forEach(vendors, (vendor) => request(method, `${control}/_faults/${vendor}`, { body }))
      return yield* Effect.acquireUseRelease(each("PUT", fault), () => self, () => each("DELETE"))
    })

const rateVendors = ["frankfurter", "open-exchange-rates"]
const countryVendors = ["rest-countries", "country-state-city"]

const allPresent = ({ country, rate, shipping }: Page) => {
  assert.deepStrictEqual([country.status, rate.status, shipping.status], ["present", "present", "present"])
}

layer(Server.layer, { timeout: 30_000 })("the checkout page", (it) => {
  it.effect("shows the country, the rate of its currency, and what shipping would take", () =>
    Effect.gen(function*() {
      const { country, rate, shipping } = yield* page("country=US")
      assert.deepInclude(country, { status: "present", name: "United States", provenance: { kind: "Fresh" } })
      assert.deepInclude(rate, { base: "EUR", quote: "USD", rate: 1.0842, provenance: { kind: "Fresh" } })
      assert.deepInclude(shipping, { zone: "far", days: [7, 14], cost: { amount: 2490, currency: "EUR" } })
      assert.deepInclude((yield* page("country=DE")).rate, { base: "EUR", quote: "EUR", rate: 1 })
      assert.deepInclude((yield* page("country=US&base=GBP")).rate, { base: "GBP", quote: "USD" })
    }))

  for (const vendor of [...countryVendors, ...rateVendors]) {
    it.effect(`is whole without ${vendor}`, () => Effect.map(page("country=US"), allPresent).pipe(without([vendor])))
  }

  it.effect("is whole without any vendor of countries, by what the server brought along", () =>
    Effect.gen(function*() {
      const { country, ...others } = yield* page("country=US")
      allPresent({ country, ...others })
      assert.deepInclude(country.provenance, { kind: "Fallback", from: "world-countries" })
      assert.deepInclude(others.shipping.provenance, { kind: "Fallback", from: "world-countries" })
    }).pipe(without(countryVendors)))

  it.effect("has a gap that says why, and all the rest, without any vendor of rates", () =>
    Effect.gen(function*() {
      const { country, rate, shipping } = yield* page("country=US")
      assert.deepStrictEqual([country.status, shipping.status], ["present", "present"])
      assert.deepStrictEqual(rate, {
        status: "gap",
        failed: "open-exchange-rates",
        reason: "ConnectFailed",
        message: "External service temporarily unavailable",
        retryAfter: 5
      })
    }).pipe(without(rateVendors)))

  it.effect("is useful without any vendor at all", () =>
    Effect.gen(function*() {
      const { country, rate, shipping } = yield* page("country=US")
      assert.deepStrictEqual([country.status, shipping.status, rate.status], ["present", "present", "gap"])
    }).pipe(without([...countryVendors, ...rateVendors])))

  it.effect("answers in the time that its caller gives it, however slow its vendors are", () =>
    Effect.gen(function*() {
      const { country, rate, shipping } = yield* page("country=US", { "request-timeout": "1" })
      assert.deepStrictEqual([country.status, shipping.status, rate.status], ["present", "present", "gap"])
      assert.include(["DeadlineExceeded", "Timeout", "CircuitOpen"], rate.reason)
    }).pipe(without([...countryVendors, ...rateVendors], { kind: "latency", millis: 20_000 })))

  it.effect("says so where nothing is paid with, and nothing sent to", () =>
    Effect.gen(function*() {
      const { rate, shipping } = yield* page("country=AQ")
      assert.strictEqual(rate.reason, "NoCurrency")
      assert.strictEqual(shipping.reason, "NotShipped")
    }))

  it.effect("is none of a country that is not there, and refuses what it cannot read", () =>
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
})

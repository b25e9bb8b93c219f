import { isVendorError, type Policy, type Reason, Vendor } from "@breakwater/core"
import type { Simulator } from "@breakwater/core/simulator"
import { UndiciTransport } from "@breakwater/core/transport"
import * as Bundled from "@breakwater/vendors/countries/Bundled"
import { Countries } from "@breakwater/vendors/countries/Countries"
import * as CountryStateCity from "@breakwater/vendors/countries/country-state-city/CountryStateCity"
import * as CountryStateCitySimulator from "@breakwater/vendors/countries/country-state-city/Simulator"
import * as RestCountries from "@breakwater/vendors/countries/rest-countries/RestCountries"
import * as RestCountriesSimulator from "@breakwater/vendors/countries/rest-countries/Simulator"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { randomUUID } from "node:crypto"
import * as Wiretap from "../../watches/Wiretap.ts"
import { suite } from "./CountriesSuite.ts"

const restKey = `rc_live_${randomUUID()}`
const cscKey = randomUUID()

const tight: Policy.Policy = {
  attemptTimeout: "2 seconds",
  deadline: "20 seconds",
  maxResponseSize: "128 KiB",
  retry: false,
  rateLimit: false
}

const environment = (baseUrl: string, key: string) =>
  Layer.provideMerge(
    UndiciTransport.layer({ loopback: true }),
    ConfigProvider.layer(ConfigProvider.fromUnknown({
      REST_COUNTRIES_BASE_URL: baseUrl,
      REST_COUNTRIES_API_KEY: key,
      COUNTRY_STATE_CITY_BASE_URL: baseUrl,
      COUNTRY_STATE_CITY_API_KEY: key
    }))
  )

const byRest = (baseUrl: string, policy = tight, key = restKey) =>
  RestCountries.countries.pipe(
    Layer.provide(
      Layer.effect(RestCountries.RestCountries, Vendor.make({ ...RestCountries.RestCountries.declaration, policy }))
    ),
    Layer.provideMerge(environment(baseUrl, key))
  )

const byCsc = (baseUrl: string, policy = tight, key = cscKey) =>
  CountryStateCity.countries.pipe(
    Layer.provide(
      Layer.effect(
        CountryStateCity.CountryStateCity,
        Vendor.make({ ...CountryStateCity.CountryStateCity.declaration, policy })
      )
    ),
    Layer.provideMerge(environment(baseUrl, key))
  )

suite("REST Countries", Layer.unwrap(Effect.map(RestCountriesSimulator.serve(), ({ baseUrl }) => byRest(baseUrl))))
suite(
  "Country State City",
  Layer.unwrap(Effect.map(CountryStateCitySimulator.serve(), ({ baseUrl }) => byCsc(baseUrl)))
)
suite("bundled data", Bundled.layer)

const list = Effect.flatMap(Countries, (countries) => countries.list())
const byCode = (iso2: string) => Effect.flatMap(Countries, (countries) => countries.byCode(iso2))

/** The vendor error of a call. */
const vendorError = <A, E, R>(call: Effect.Effect<A, E, R>) =>
  Effect.map(
    Effect.orDie(Effect.flip(call)),
    (error) => isVendorError(error) ? error : assert.fail(`not a VendorError: ${String(error)}`)
  )

const answers = (status: number, body: unknown): Simulator.Fault => ({
  kind: "status",
  status,
  body: JSON.stringify(body)
})

const outages: ReadonlyArray<[string, Simulator.Fault, Reason["_tag"], boolean]> = [
  ["latency", { kind: "latency", millis: 5_000 }, "Timeout", true],
  ["refuse", { kind: "refuse" }, "ConnectFailed", true],
  ["resetBefore", { kind: "resetBefore" }, "ConnectionLost", true],
  ["halfBody", { kind: "halfBody" }, "ConnectionLost", true],
  ["endless", { kind: "endless" }, "ResponseTooLarge", false],
  ["malformed", { kind: "malformed" }, "InvalidResponse", false],
  ["wrongType", { kind: "wrongType" }, "InvalidResponse", false],
  ["status 503", answers(503, {}), "Unavailable", true],
  ["an HTML page for 404", { kind: "status", status: 404, body: "<html>" }, "RequestRejected", false],
  ["nothing", answers(200, null), "InvalidResponse", false],
  ["another thing", answers(200, { rate: 1 }), "InvalidResponse", false]
]

describe("Countries by REST Countries", () => {
  const refusal = (status: number, message: string) => answers(status, { errors: [{ message }] })
  const canada = {
    names: { common: "Canada" },
    codes: { alpha_2: "CA", alpha_3: "CAN", ccn3: "124" },
    capitals: [{ name: "Ottawa" }],
    currencies: [{ code: "CAD" }],
    calling_codes: ["+1"],
    region: "Americas",
    subregion: "North America"
  }
  const page = (objects: ReadonlyArray<unknown>, more = false) => answers(200, { data: { objects, meta: { more } } })

  it.live("sends its key in the header, and requests a hundred countries at a time with only the fields that it reads", () =>
    Effect.gen(function*() {
      const simulator = yield* RestCountriesSimulator.serve()
      const wire = yield* Wiretap.listen(simulator.baseUrl)
      yield* Effect.andThen(list, byCode("CA")).pipe(Effect.provide(byRest(wire.baseUrl)))
      const fields =
        "names.common,codes.alpha_2,codes.alpha_3,codes.ccn3,capitals,currencies,calling_codes,region,subregion"
      assert.deepStrictEqual(
        wire.exchanges.map(({ path, query }) => [path, Object.fromEntries(query)]),
        [
          ["/countries/v5", { limit: "100", offset: "0", response_fields: fields }],
          ["/countries/v5", { limit: "100", offset: "100", response_fields: fields }],
          ["/countries/v5", { limit: "100", offset: "200", response_fields: fields }],
          ["/countries/v5/codes.alpha_2/CA", { response_fields: fields }]
        ]
      )
      for (const { headers } of wire.exchanges) assert.strictEqual(headers.get("authorization"), `Bearer ${restKey}`)
    }))

  it.live.each<[string, unknown]>([
    ["a list", canada],
    ["a map", { ...canada, currencies: { CAD: { name: "Canadian dollar", symbol: "$" } } }]
  ])("reads currencies as %s", ([, object]) =>
    Effect.gen(function*() {
      const simulator = yield* RestCountriesSimulator.serve()
      yield* simulator.setFault(page([object]))
      const { value } = yield* byCode("CA").pipe(Effect.provide(byRest(simulator.baseUrl)))
      assert.deepStrictEqual(value.currencies, ["CAD"])
    }))

  it.live("requires a name and a code, and accepts that all other fields are missing", () =>
    Effect.gen(function*() {
      const simulator = yield* RestCountriesSimulator.serve()
      const bare = { names: { common: "Canada" }, codes: { alpha_2: "CA" } }
      const nulls = { ...bare, capitals: null, currencies: null, calling_codes: null, region: null, subregion: null }
      for (const object of [bare, nulls]) {
        yield* simulator.setFault(page([object]))
        assert.deepStrictEqual((yield* byCode("CA").pipe(Effect.provide(byRest(simulator.baseUrl)))).value, {
          name: "Canada",
          iso2: "CA",
          iso3: undefined,
          isoNumeric: undefined,
          capital: undefined,
          currencies: [],
          callingCode: undefined,
          region: undefined,
          subregion: undefined
        })
      }
    }))

  it.live("leaves out entries without a code", () =>
    Effect.gen(function*() {
      const simulator = yield* RestCountriesSimulator.serve()
      yield* simulator.setFault(page([{ names: { common: "Sealand" }, codes: { alpha_2: null } }, canada]))
      const { value } = yield* list.pipe(Effect.provide(byRest(simulator.baseUrl)))
      assert.deepStrictEqual(value.map(({ name }) => name), ["Canada"])
    }))

  it.live("reads an empty answer as an unknown country", () =>
    Effect.gen(function*() {
      const simulator = yield* RestCountriesSimulator.serve()
      yield* simulator.setFault(page([]))
      const error = yield* Effect.flip(byCode("CA").pipe(Effect.provide(byRest(simulator.baseUrl))))
      assert.strictEqual(error._tag, "UnknownCountry")
    }))

  it.live.each<[string, Simulator.Fault, number]>([
    ["an empty list", page([]), 1],
    ["a list of nothing that has a code", page([{ names: { common: "X" }, codes: { alpha_2: null } }]), 1],
    ["a page that is empty and not the last", page([], true), 1],
    ["a list that does not end", page([canada], true), 20]
  ])("does not trust %s", ([, fault, requests]) =>
    Effect.gen(function*() {
      const simulator = yield* RestCountriesSimulator.serve()
      yield* simulator.setFault(fault)
      const error = yield* vendorError(list.pipe(Effect.provide(byRest(simulator.baseUrl))))
      assert.deepStrictEqual([error.operation, error.reason._tag], ["list", "InvalidResponse"])
      assert.strictEqual(simulator.journal.count, requests)
    }))

  it.live("rejects an answer for another country, and does not cache it", () =>
    Effect.gen(function*() {
      const simulator = yield* RestCountriesSimulator.serve()
      yield* simulator.setFault({ ...page([canada]), times: 1 })
      yield* Effect.gen(function*() {
        assert.strictEqual((yield* vendorError(byCode("FR"))).reason._tag, "InvalidResponse")
        const { provenance, value } = yield* byCode("FR")
        assert.deepStrictEqual([value.name, provenance._tag], ["France", "Fresh"])
      }).pipe(Effect.provide(byRest(simulator.baseUrl, { ...tight, cache: { fresh: "1 hour" } })))
    }))

  it.live.each<[string, Simulator.Fault, Reason["_tag"], boolean]>([
    ...outages,
    ["no key", refusal(401, "Authorization key required."), "Unauthorized", false],
    ["a month that is used up", refusal(403, "Account frozen."), "Unauthorized", false],
    ["a limit", { kind: "rateLimit", limit: 0, windowMillis: 60_000 }, "RateLimited", true],
    ["a version that is retired", refusal(410, "Gone."), "Unavailable", false],
    ["a country without its names", page([{ ...canada, names: undefined }]), "InvalidResponse", false],
    ["a country without its codes", page([{ ...canada, codes: undefined }]), "InvalidResponse", false],
    ["a country in the words of v3.1", page([{ name: { common: "Canada" }, cca2: "CA" }]), "InvalidResponse", false],
    ["calling codes as a number", page([{ ...canada, calling_codes: 1 }]), "InvalidResponse", false]
  ])("ends as a typed error within the deadline: %s", ([, fault, reason, isRetryable]) =>
    Effect.gen(function*() {
      const simulator = yield* RestCountriesSimulator.serve()
      yield* simulator.setFault(fault)
      for (const call of [Effect.asVoid(list), Effect.asVoid(byCode("CA"))]) {
        const error = yield* vendorError(call.pipe(Effect.provide(byRest(simulator.baseUrl))))
        assert.deepStrictEqual([error.vendor, error.reason._tag], ["rest-countries", reason])
        assert.strictEqual(error.isRetryable, isRetryable)
        assert.notInclude(JSON.stringify(error) + error.message, restKey)
      }
    }))

  it.live("rejects the sample of the demo key", () =>
    Effect.gen(function*() {
      const simulator = yield* RestCountriesSimulator.serve()
      for (const call of [Effect.asVoid(list), Effect.asVoid(byCode("CA"))]) {
        const error = yield* vendorError(call.pipe(Effect.provide(byRest(simulator.baseUrl, tight, "rc_live_demo"))))
        assert.strictEqual(error.reason._tag, "Unauthorized")
      }
    }))

  it.live("is simulated with its refusals", () =>
    Effect.gen(function*() {
      const { baseUrl } = yield* RestCountriesSimulator.serve()
      const bearer = { authorization: `Bearer ${restKey}` }
      const cases: ReadonlyArray<[path: string, headers: Record<string, string>, status: number]> = [
        ["/v5?limit=1&offset=0&response_fields=names.common", bearer, 200],
        [`/v5?limit=1&offset=0&response_fields=names.common&api-key=${restKey}`, {}, 200],
        ["/v5?limit=1&offset=0&response_fields=names.common", {}, 401],
        ["/v5?limit=1&offset=0&response_fields=names.common", { authorization: "Bearer wrong" }, 401],
        ["/v5?limit=101&offset=0&response_fields=names.common", bearer, 400],
        ["/v5/codes.alpha_2/ZZ?response_fields=names.common", bearer, 404],
        ["/v3.1/all", bearer, 404]
      ]
      for (const [path, headers, status] of cases) {
        const response = yield* Effect.promise(() => fetch(`${baseUrl}${path}`, { headers }))
        assert.strictEqual(response.status, status, path)
        const body = yield* Effect.promise(() => response.json() as Promise<Record<string, unknown>>)
        assert.strictEqual("errors" in body, status !== 200, path)
      }
    }))
})

describe("Countries by Country State City", () => {
  const india = {
    id: 101,
    name: "India",
    iso2: "IN",
    iso3: "IND",
    numeric_code: "356",
    phonecode: "91",
    capital: "New Delhi",
    currency: "INR",
    region: "Asia",
    subregion: "Southern Asia",
    timezones: "[{\"zoneName\":\"Asia/Kolkata\"}]"
  }

  it.live("sends its key in its own header", () =>
    Effect.gen(function*() {
      const simulator = yield* CountryStateCitySimulator.serve()
      const wire = yield* Wiretap.listen(simulator.baseUrl)
      yield* Effect.andThen(list, byCode("IN")).pipe(Effect.provide(byCsc(wire.baseUrl)))
      assert.deepStrictEqual(
        wire.exchanges.map(({ headers, path, query }) => [path, String(query), headers.get("x-cscapi-key")]),
        [["/v1/countries", "", cscKey], ["/v1/countries/IN", "", cscKey]]
      )
    }))

  // The example of https://docs.countrystatecity.in/api/endpoints/get-country-details, and the fields that all plans have.
  it.live.each<[string, unknown, unknown]>([
    ["as documented", india, {
      name: "India",
      iso2: "IN",
      iso3: "IND",
      isoNumeric: "356",
      capital: "New Delhi",
      currencies: ["INR"],
      callingCode: "+91",
      region: "Asia",
      subregion: "Southern Asia"
    }],
    ["by a plan with few fields", { id: 101, name: "India", iso2: "IN", currency: null }, {
      name: "India",
      iso2: "IN",
      iso3: undefined,
      isoNumeric: undefined,
      capital: undefined,
      currencies: [],
      callingCode: undefined,
      region: undefined,
      subregion: undefined
    }]
  ])("reads a country %s", ([, body, expected]) =>
    Effect.gen(function*() {
      const simulator = yield* CountryStateCitySimulator.serve()
      yield* simulator.setFault(answers(200, body))
      const { value } = yield* byCode("IN").pipe(Effect.provide(byCsc(simulator.baseUrl)))
      assert.deepStrictEqual<unknown>(value, expected)
    }))

  it.live("rejects an empty list and an answer for another country, and does not cache them", () =>
    Effect.gen(function*() {
      const simulator = yield* CountryStateCitySimulator.serve()
      yield* Effect.gen(function*() {
        yield* simulator.setFault({ ...answers(200, []), times: 1 })
        assert.strictEqual((yield* vendorError(list)).reason._tag, "InvalidResponse")
        assert.isAbove((yield* list).value.length, 200)
        yield* simulator.setFault({ ...answers(200, india), times: 1 })
        assert.strictEqual((yield* vendorError(byCode("FR"))).reason._tag, "InvalidResponse")
        assert.strictEqual((yield* byCode("FR")).value.name, "France")
      }).pipe(Effect.provide(byCsc(simulator.baseUrl, { ...tight, cache: { fresh: "1 hour" } })))
    }))

  it.live.each<[string, Simulator.Fault, Reason["_tag"], boolean]>([
    ...outages,
    ["no key", answers(401, { error: "Unauthorized." }), "Unauthorized", false],
    [
      "a feature that is not in the plan",
      answers(403, { error: "FeatureError", feature: "x", upgradeUrl: "y" }),
      "Unauthorized",
      false
    ],
    ["a quota of the day", { kind: "rateLimit", limit: 0, windowMillis: 60_000 }, "RateLimited", false],
    ["a limit of the moment", answers(429, { error: "Too many requests" }), "RateLimited", true],
    ["a country without a name", answers(200, { ...india, name: undefined }), "InvalidResponse", false],
    ["a calling code as a number", answers(200, { ...india, phonecode: 91 }), "InvalidResponse", false]
  ])("ends as a typed error within the deadline: %s", ([, fault, reason, isRetryable]) =>
    Effect.gen(function*() {
      const simulator = yield* CountryStateCitySimulator.serve()
      yield* simulator.setFault(fault)
      for (const call of [Effect.asVoid(list), Effect.asVoid(byCode("IN"))]) {
        const error = yield* vendorError(call.pipe(Effect.provide(byCsc(simulator.baseUrl))))
        assert.deepStrictEqual([error.vendor, error.reason._tag], ["country-state-city", reason])
        assert.strictEqual(error.isRetryable, isRetryable)
        assert.notInclude(JSON.stringify(error) + error.message, cscKey)
      }
    }))

  it.live("is simulated with its refusals", () =>
    Effect.gen(function*() {
      const { baseUrl } = yield* CountryStateCitySimulator.serve()
      const key = { "x-cscapi-key": cscKey }
      const cases: ReadonlyArray<[path: string, headers: Record<string, string>, status: number]> = [
        ["/countries/AQ", key, 200],
        ["/countries", {}, 401],
        ["/countries/ZZ", key, 404],
        ["/nothing", key, 404]
      ]
      for (const [path, headers, status] of cases) {
        const response = yield* Effect.promise(() => fetch(`${baseUrl}${path}`, { headers }))
        assert.strictEqual(response.status, status, path)
        const body = yield* Effect.promise(() => response.json() as Promise<Record<string, unknown>>)
        if (status === 200) assert.strictEqual(body["region"], "Polar")
        else assert.isString(body["error"])
      }
    }))
})

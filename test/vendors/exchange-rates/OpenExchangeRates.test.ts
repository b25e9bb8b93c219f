import { isVendorError, type Policy, Provenance, type Reason, Vendor } from "@breakwater/core"
import type { Simulator } from "@breakwater/core/simulator"
import { UndiciTransport } from "@breakwater/core/transport"
import { ExchangeRates } from "@breakwater/vendors/exchange-rates/ExchangeRates"
import * as OpenExchangeRates from "@breakwater/vendors/exchange-rates/open-exchange-rates/OpenExchangeRates"
import * as OpenExchangeRatesSimulator from "@breakwater/vendors/exchange-rates/open-exchange-rates/Simulator"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Schema } from "effect"
import { randomUUID } from "node:crypto"
import * as OwnClock from "../../drivers/OwnClock.ts"
import * as FakeTransport from "../../fakes/Transport.ts"
import * as Wiretap from "../../watches/Wiretap.ts"
import { within } from "../../watches/Within.ts"
import { suite } from "./ExchangeRatesSuite.ts"

const appId = randomUUID().replaceAll("-", "")

const environment = (baseUrl: string, key = appId) =>
  ConfigProvider.layer(
    ConfigProvider.fromUnknown({ OPEN_EXCHANGE_RATES_BASE_URL: baseUrl, OPEN_EXCHANGE_RATES_API_KEY: key })
  )

const tight: Policy.Policy = {
  attemptTimeout: "2 seconds",
  deadline: "20 seconds",
  maxResponseSize: "16 KiB",
  retry: false
}

const client = (policy: Policy.Policy) =>
  Layer.effect(
    OpenExchangeRates.OpenExchangeRates,
    Vendor.make({ ...OpenExchangeRates.OpenExchangeRates.declaration, policy })
  )

/** Our client, and the rates it gives, against a simulator. */
const layerOf = (baseUrl: string, policy = tight, key = appId) =>
  OpenExchangeRates.exchangeRates.pipe(
    Layer.provideMerge(client(policy)),
    Layer.provideMerge(UndiciTransport.layer({ loopback: true })),
    Layer.provideMerge(environment(baseUrl, key))
  )

suite(
  "Open Exchange Rates",
  Layer.unwrap(Effect.map(OpenExchangeRatesSimulator.serve(), ({ baseUrl }) => layerOf(baseUrl)))
)

const latest = (
  { baseUrl }: { readonly baseUrl: string },
  base = "EUR",
  quote = "USD",
  policy: Policy.Policy = tight,
  key = appId
) =>
  Effect.flatMap(ExchangeRates, (rates) => rates.latest(base, quote)).pipe(
    Effect.provide(layerOf(baseUrl, policy, key))
  )

/** The vendor error of a call for a rate. */
const vendorError = <A, E>(call: Effect.Effect<A, E>) =>
  Effect.map(
    Effect.orDie(Effect.flip(call)),
    (error) => isVendorError(error) ? error : assert.fail(`not a VendorError: ${String(error)}`)
  )

const table = { timestamp: 1_795_392_000, base: "USD", rates: { EUR: 0.8, GBP: 0.4, USD: 1 } }

const answers = (status: number, body: unknown): Simulator.Fault => ({
  kind: "status",
  status,
  body: JSON.stringify(body)
})

/** Errors of the reference: https://docs.openexchangerates.org/reference/errors */
const refusal = (status: number, message: string) =>
  answers(status, { error: true, status, message, description: "words of theirs" })

describe("ExchangeRates by Open Exchange Rates", () => {
  it.live("sends the App ID as a token, and neither it nor the pair in the path", () =>
    Effect.gen(function*() {
      const simulator = yield* OpenExchangeRatesSimulator.serve()
      const wire = yield* Wiretap.listen(simulator.baseUrl)
      yield* latest(wire, "EUR", "GBP")
      const [{ body, headers, method, path, query }] = wire.exchanges as [Wiretap.Exchange]
      assert.deepStrictEqual({ body, headers: Object.fromEntries(headers), method, path, query: String(query) }, {
        body: "",
        headers: {
          accept: "application/json",
          "accept-encoding": "gzip, deflate, br, zstd",
          authorization: `Token ${appId}`,
          connection: "keep-alive",
          host: new URL(wire.baseUrl).host,
          "user-agent": "breakwater/0.1"
        },
        method: "GET",
        path: "/api/latest.json",
        query: ""
      })
    }))

  it.live("computes any pair from the prices of a dollar", () =>
    Effect.gen(function*() {
      const simulator = yield* OpenExchangeRatesSimulator.serve()
      yield* simulator.setFault(answers(200, table))
      const rates = yield* Effect.forEach(
        [["USD", "EUR"], ["EUR", "USD"], ["EUR", "GBP"], ["GBP", "EUR"], ["GBP", "GBP"]] as const,
        ([base, quote]) => Effect.map(latest(simulator, base, quote), ({ rate }) => rate)
      )
      assert.deepStrictEqual(rates, [0.8, 1.25, 0.5, 2, 1])
    }))

  // Prices of a dollar, from the Kuwaiti dinar to the Iranian rial; the table has six decimals.
  const Worth = Schema.Finite.check(Schema.isBetween({ minimum: 0.1, maximum: 50_000 }))

  it.effect.prop(
    "has cross rates within 0.001 % of the unrounded ones wherever a dollar buys at least 0.1",
    [Worth, Worth],
    ([from, to]) =>
      Effect.gen(function*() {
        const rates = { AAA: Number(from.toFixed(6)), BBB: Number(to.toFixed(6)), USD: 1 }
        const layer = OpenExchangeRates.exchangeRates.pipe(
          Layer.provide(client({})),
          Layer.provide(FakeTransport.layer(() => ({ status: 200, after: 0, json: { ...table, rates } }))),
          Layer.provideMerge(environment("https://oxr.example"))
        )
        const { rate } = yield* Effect.flatMap(ExchangeRates, (rates) => rates.latest("AAA", "BBB")).pipe(
          Effect.provide(layer)
        )
        assert.isAtMost(Math.abs(rate / (to / from) - 1), 1e-5)
      })
  )

  it.live.each([
    ["2026-11-19T23:59:59Z", "2026-11-19"],
    ["2026-11-20T00:00:00Z", "2026-11-20"],
    ["2026-11-21T10:59:59Z", "2026-11-21"],
    ["2027-01-01T00:30:00Z", "2027-01-01"]
  ])("is as of the day of its timestamp in UTC: on %s of %s", ([now, asOf]) =>
    Effect.gen(function*() {
      const clock = yield* OwnClock.make
      yield* clock.setTime(Date.parse(now!))
      const simulator = yield* clock.on(OpenExchangeRatesSimulator.serve())
      assert.strictEqual((yield* latest(simulator)).asOf, asOf)
    }))

  it.live("sends one request for all pairs when it has a cache, and accepts a 304", () =>
    Effect.gen(function*() {
      const simulator = yield* OpenExchangeRatesSimulator.serve()
      const wire = yield* Wiretap.listen(simulator.baseUrl)
      const cache = { fresh: "1 hour" } as const
      yield* Effect.gen(function*() {
        const rates = yield* ExchangeRates
        assert.strictEqual((yield* rates.latest("EUR", "USD")).provenance._tag, "Fresh")
        for (const quote of ["GBP", "JPY", "PLN"]) {
          assert.strictEqual((yield* rates.latest("EUR", quote)).provenance._tag, "Cached")
        }
        const outside = yield* rates.latest("EUR", "USD").pipe(Provenance.withProvenance)
        assert.strictEqual(outside.provenance._tag, "Cached")
        assert.strictEqual(wire.exchanges.length, 1)
        // No answer may come from the cache.
        const again = yield* rates.latest("EUR", "PLN", { maxAge: 0 })
        assert.strictEqual(again.provenance._tag, "Fresh")
        assert.strictEqual(again.rate, (yield* rates.latest("EUR", "PLN")).rate)
      }).pipe(Effect.provide(layerOf(wire.baseUrl, { ...tight, cache })))
      assert.deepStrictEqual(wire.exchanges.map(({ answer }) => answer?.status), [200, 304])
    }))

  it.live.each<[string, unknown]>([
    ["another base", { ...table, base: "EUR" }],
    ["a rate of 0", { ...table, rates: { ...table.rates, EUR: 0 } }],
    ["a rate below 0", { ...table, rates: { ...table.rates, USD: -1 } }],
    ["a rate so small that the pair has none", { ...table, rates: { EUR: 1e-320, USD: 1 } }],
    ["a rate as text", { ...table, rates: { ...table.rates, EUR: "0.8" } }],
    ["NaN as text", { ...table, rates: { ...table.rates, GBP: "NaN" } }],
    ["no rates", { ...table, rates: undefined }],
    ["rates as a list", { ...table, rates: [0.8] }],
    ["no timestamp", { ...table, timestamp: undefined }],
    ["a timestamp as text", { ...table, timestamp: "2026-11-20" }],
    ["a timestamp that is no day", { ...table, timestamp: 1e15 }],
    ["an error", { error: true, status: 401, message: "invalid_app_id" }],
    ["nothing", null]
  ])("trusts no answer with %s", ([, body]) =>
    Effect.gen(function*() {
      const simulator = yield* OpenExchangeRatesSimulator.serve()
      yield* simulator.setFault(answers(200, body))
      const error = yield* vendorError(latest(simulator))
      assert.strictEqual(error.reason._tag, "InvalidResponse")
      assert.strictEqual(error.operation, "latest")
      assert.strictEqual(error.isRetryable, false)
    }))

  it.live("does not cache a rejected answer", () =>
    Effect.gen(function*() {
      const simulator = yield* OpenExchangeRatesSimulator.serve()
      yield* simulator.setFault({ ...answers(200, { ...table, rates: { EUR: 0, USD: 1 } }), times: 1 })
      yield* Effect.gen(function*() {
        const rates = yield* ExchangeRates
        assert.strictEqual((yield* vendorError(rates.latest("EUR", "USD"))).reason._tag, "InvalidResponse")
        assert.strictEqual((yield* rates.latest("EUR", "USD")).provenance._tag, "Fresh")
      }).pipe(Effect.provide(layerOf(simulator.baseUrl, { ...tight, cache: { fresh: "1 hour" } })))
    }))

  it.live("sends no request for an invalid currency code", () =>
    Effect.gen(function*() {
      const simulator = yield* OpenExchangeRatesSimulator.serve()
      for (const [base, quote] of [["eur", "USD"], ["EUR", "toString"], ["", "USD"]]) {
        const error = yield* vendorError(latest(simulator, base, quote))
        assert.strictEqual(error.reason._tag, "InvalidRequest")
      }
      assert.strictEqual(simulator.journal.count, 0)
    }))

  it.live.each<[string, Simulator.Fault, Reason["_tag"], boolean]>([
    ["missing_app_id", refusal(401, "missing_app_id"), "Unauthorized", false],
    ["invalid_app_id", refusal(401, "invalid_app_id"), "Unauthorized", false],
    ["not_allowed by the plan", refusal(429, "not_allowed"), "Unauthorized", false],
    ["not_allowed, forbidden", refusal(403, "not_allowed"), "Unauthorized", false],
    ["access_restricted for over-use", refusal(429, "access_restricted"), "RateLimited", false],
    ["access_restricted for another reason", refusal(403, "access_restricted"), "Unauthorized", false],
    ["a limit of the moment", answers(429, {}), "RateLimited", true],
    ["a limit that is no JSON", { kind: "status", status: 429, body: "slow down" }, "RateLimited", true],
    ["invalid_base", refusal(400, "invalid_base"), "RequestRejected", false],
    ["not_found", refusal(404, "not_found"), "RequestRejected", false],
    ["status 500", refusal(500, "internal_error"), "Unavailable", true],
    ["latency", { kind: "latency", millis: 5_000 }, "Timeout", true],
    ["refuse", { kind: "refuse" }, "ConnectFailed", true],
    ["resetBefore", { kind: "resetBefore" }, "ConnectionLost", true],
    ["halfBody", { kind: "halfBody" }, "ConnectionLost", true],
    ["endless", { kind: "endless" }, "ResponseTooLarge", false],
    ["malformed", { kind: "malformed" }, "InvalidResponse", false],
    ["wrongType", { kind: "wrongType" }, "InvalidResponse", false],
    // Every field that we read is required, and there are no others.
    ["drift", { kind: "drift" }, "InvalidResponse", false],
    ["rateLimit", { kind: "rateLimit", limit: 0, windowMillis: 60_000 }, "RateLimited", false]
  ])("ends as a typed error within the deadline: %s", ([, fault, reason, isRetryable]) =>
    Effect.gen(function*() {
      const simulator = yield* OpenExchangeRatesSimulator.serve()
      yield* simulator.setFault(fault)
      // The deadline, and as much again.
      const error = yield* within("4 seconds")(vendorError(latest(simulator)))
      assert.strictEqual(error.reason._tag, reason)
      assert.strictEqual(error.isRetryable, isRetryable)
      assert.strictEqual(error.vendor, "open-exchange-rates")
      assert.notInclude(JSON.stringify(error) + error.message, appId)
      assert.notInclude(JSON.stringify(error) + error.message, "words of theirs")
    }))
})

describe("Open Exchange Rates' simulator", () => {
  const ask = (baseUrl: string, path: string, authorization?: string) =>
    Effect.promise(async () => {
      const response = await fetch(
        `${baseUrl}${path}`,
        authorization === undefined ? {} : { headers: { authorization } }
      )
      return { status: response.status, json: await response.json() as { message?: string; base?: string } }
    })

  it.live("accepts an App ID in the header or in the query, which overrides it, and refuses as the reference says", () =>
    Effect.gen(function*() {
      const { baseUrl, journal } = yield* OpenExchangeRatesSimulator.serve()
      const token = `Token ${appId}`
      const cases = [
        [`/latest.json`, token, 200, undefined],
        [`/latest.json?app_id=${appId}`, undefined, 200, undefined],
        [`/latest.json?app_id=wrong`, token, 401, "invalid_app_id"],
        [`/latest.json`, undefined, 401, "missing_app_id"],
        [`/latest.json`, `Bearer ${appId}`, 401, "missing_app_id"],
        [`/latest.json`, "Token short", 401, "invalid_app_id"],
        [`/latest.json`, `Token ${appId.slice(1)}`, 401, "invalid_app_id"],
        [`/latest.json`, `Token ${appId}0`, 401, "invalid_app_id"],
        [`/latest.json?base=USD`, token, 200, undefined],
        [`/latest.json?base=EUR`, token, 429, "not_allowed"],
        [`/no-such-thing.json`, token, 404, "not_found"]
      ] as const
      for (const [path, authorization, status, message] of cases) {
        const answer = yield* ask(baseUrl, path, authorization)
        assert.deepStrictEqual([answer.status, answer.json.message], [status, message], path)
      }
      assert.strictEqual(journal.count, cases.length)
      assert.strictEqual(journal.requests.filter(({ operation }) => operation === "latest").length, cases.length - 1)
    }))
})

import { isVendorError, type Policy, type Reason, Vendor } from "@breakwater/core"
import type { Simulator } from "@breakwater/core/simulator"
import { UndiciTransport } from "@breakwater/core/transport"
import { ExchangeRates } from "@breakwater/vendors/exchange-rates/ExchangeRates"
import * as Frankfurter from "@breakwater/vendors/exchange-rates/frankfurter/Frankfurter"
import * as FrankfurterSimulator from "@breakwater/vendors/exchange-rates/frankfurter/Simulator"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import * as OwnClock from "../../drivers/OwnClock.ts"
import * as Wiretap from "../../watches/Wiretap.ts"
import { within } from "../../watches/Within.ts"
import * as PublishedSpec from "../PublishedSpec.ts"
import { suite } from "./ExchangeRatesSuite.ts"

const specPath = PublishedSpec.find("frankfurter-v2.json")

/** Our client, and the rates it gives, against a simulator. */
const layerOf = (baseUrl: string, policy?: Policy.Policy) =>
  Frankfurter.exchangeRates.pipe(
    Layer.provideMerge(
      Layer.effect(Frankfurter.Frankfurter, Vendor.make({ ...Frankfurter.Frankfurter.declaration, policy }))
    ),
    Layer.provideMerge(UndiciTransport.layer({ loopback: true })),
    Layer.provideMerge(ConfigProvider.layer(ConfigProvider.fromUnknown({ FRANKFURTER_BASE_URL: baseUrl })))
  )

suite("Frankfurter", Layer.unwrap(Effect.map(FrankfurterSimulator.serve(), ({ baseUrl }) => layerOf(baseUrl))))

const tight: Policy.Policy = {
  attemptTimeout: "2 seconds",
  deadline: "20 seconds",
  maxResponseSize: "16 KiB",
  retry: false
}

/** A simulator on a day that the test sets, and our client to it. */
const on = (day: string) =>
  Effect.gen(function*() {
    const clock = yield* OwnClock.make
    yield* clock.setTime(Date.parse(day))
    return yield* clock.on(FrankfurterSimulator.serve())
  })

const latest = (
  { baseUrl }: { readonly baseUrl: string },
  base = "EUR",
  quote = "USD",
  policy: Policy.Policy = tight
) => Effect.flatMap(ExchangeRates, (rates) => rates.latest(base, quote)).pipe(Effect.provide(layerOf(baseUrl, policy)))

/** The vendor error of a call for a rate. */
const vendorError = <A, E>(call: Effect.Effect<A, E>) =>
  Effect.map(
    Effect.orDie(Effect.flip(call)),
    (error) => isVendorError(error) ? error : assert.fail(`not a VendorError: ${String(error)}`)
  )

const rate = { date: "2026-11-20", base: "EUR", quote: "USD", rate: 1.0842 }

const answers = (status: number, body: unknown): Simulator.Fault => ({
  kind: "status",
  status,
  body: JSON.stringify(body)
})

describe("ExchangeRates by Frankfurter", () => {
  // 2026-11-20 is a Friday.
  it.live.each([
    ["2026-11-19T23:59:59Z", "2026-11-19"],
    ["2026-11-20T00:00:00Z", "2026-11-20"],
    ["2026-11-21T00:00:00Z", "2026-11-20"],
    ["2026-11-22T23:59:59Z", "2026-11-20"],
    ["2026-11-23T00:00:00Z", "2026-11-23"],
    ["2027-01-02T12:00:00Z", "2027-01-01"],
    ["2028-03-01T12:00:00Z", "2028-03-01"],
    ["2026-03-01T12:00:00Z", "2026-02-27"]
  ])("is as of the weekday before, at a weekend: on %s of %s", ([now, asOf]) =>
    Effect.gen(function*() {
      const simulator = yield* on(now!)
      assert.strictEqual((yield* latest(simulator)).asOf, asOf)
    }))

  it.live.each([
    ["2026-11-22", "2026-11-20"],
    ["2026-11-18", "2026-11-18"],
    ["2030-01-01", "2026-11-23"],
    ["1999-01-04", "1999-01-04"]
  ])("is asked for a day and answered with one that had rates: %s, %s", ([date, published]) =>
    Effect.gen(function*() {
      const simulator = yield* on("2026-11-23T12:00:00Z")
      const answer = yield* Effect.flatMap(
        Frankfurter.Frankfurter,
        (frankfurter) => frankfurter.rate({ params: { base: "EUR", quote: "USD" }, query: { date: date! } })
      ).pipe(Effect.provide(layerOf(simulator.baseUrl)))
      assert.strictEqual(answer.date, published)
    }))

  it.live("sends no request for an invalid currency code", () =>
    Effect.gen(function*() {
      const simulator = yield* FrankfurterSimulator.serve()
      for (const [base, quote] of [["eur", "USD"], ["EUR", "../currencies"], ["", "USD"]]) {
        const error = yield* vendorError(latest(simulator, base, quote))
        assert.strictEqual(error.reason._tag, "InvalidRequest")
      }
      assert.strictEqual(simulator.journal.count, 0)
    }))

  it.live("sends our user agent and no other identification", () =>
    Effect.gen(function*() {
      const simulator = yield* FrankfurterSimulator.serve()
      const wire = yield* Wiretap.listen(simulator.baseUrl)
      yield* latest(wire)
      const [{ body, headers, method, path, query }] = wire.exchanges as [Wiretap.Exchange]
      assert.deepStrictEqual({ body, headers: Object.fromEntries(headers), method, path, query: String(query) }, {
        body: "",
        headers: {
          accept: "application/json",
          "accept-encoding": "gzip, deflate, br, zstd",
          connection: "keep-alive",
          host: new URL(wire.baseUrl).host,
          "user-agent": "breakwater/0.1"
        },
        method: "GET",
        path: "/v2/rate/EUR/USD",
        query: ""
      })
    }))

  it.live.each<[string, unknown]>([
    ["another base", { ...rate, base: "GBP" }],
    ["another quote", { ...rate, quote: "GBP" }],
    ["the pair turned round", { ...rate, base: "USD", quote: "EUR" }],
    ["a rate of 0", { ...rate, rate: 0 }],
    ["a rate below 0", { ...rate, rate: -1.0842 }],
    ["a rate as text", { ...rate, rate: "1.0842" }],
    ["NaN as text", { ...rate, rate: "NaN" }],
    ["infinity as text", { ...rate, rate: "Infinity" }],
    ["no rate", { ...rate, rate: null }],
    ["no date", { ...rate, date: undefined }],
    ["a date with a time", { ...rate, date: "2026-11-20T00:00:00Z" }],
    ["a month that there is not", { ...rate, date: "2026-13-01" }],
    ["a day that there is not", { ...rate, date: "2026-02-30" }],
    ["a list", [rate]],
    ["an error", { message: "not found" }],
    ["nothing", null]
  ])("trusts no answer with %s", ([, body]) =>
    Effect.gen(function*() {
      const simulator = yield* FrankfurterSimulator.serve()
      yield* simulator.setFault(answers(200, body))
      const error = yield* vendorError(latest(simulator))
      assert.strictEqual(error.reason._tag, "InvalidResponse")
      assert.strictEqual(error.operation, "rate")
      assert.strictEqual(error.isRetryable, false)
      assert.strictEqual(error.mayHaveHappened, false)
    }))

  it.live("rejects an answer with NaN or a number too large, which is not JSON or not finite", () =>
    Effect.gen(function*() {
      const simulator = yield* FrankfurterSimulator.serve()
      for (const written of ["NaN", "Infinity", "1e999"]) {
        const body = JSON.stringify(rate).replace("1.0842", written)
        yield* simulator.setFault({ kind: "status", status: 200, body })
        const error = yield* vendorError(latest(simulator))
        assert.strictEqual(error.reason._tag, "InvalidResponse", written)
      }
    }))

  it.live("does not cache an answer for another pair, and caches the others", () =>
    Effect.gen(function*() {
      const simulator = yield* FrankfurterSimulator.serve()
      yield* simulator.setFault({ ...answers(200, { ...rate, quote: "GBP" }), times: 1 })
      yield* Effect.gen(function*() {
        const rates = yield* ExchangeRates
        assert.strictEqual((yield* vendorError(rates.latest("EUR", "USD"))).reason._tag, "InvalidResponse")
        assert.strictEqual((yield* rates.latest("EUR", "USD")).provenance._tag, "Fresh")
        assert.strictEqual((yield* rates.latest("EUR", "USD")).provenance._tag, "Cached")
        assert.strictEqual((yield* rates.latest("EUR", "USD", { maxAge: 0 })).provenance._tag, "Fresh")
      }).pipe(Effect.provide(layerOf(simulator.baseUrl, { ...tight, cache: { fresh: "1 hour" } })))
    }))

  it.live("does not read a proxy's page as an answer about the pair", () =>
    Effect.gen(function*() {
      const simulator = yield* FrankfurterSimulator.serve()
      const headers = { "content-type": "text/html" }
      yield* simulator.setFault({ kind: "status", status: 404, headers, body: "<html>not found</html>" })
      const error = yield* vendorError(latest(simulator))
      assert.strictEqual(error.reason._tag, "RequestRejected")
    }))

  it.live.each<[string, Simulator.Fault, Reason["_tag"]]>([
    ["latency", { kind: "latency", millis: 5_000 }, "Timeout"],
    ["refuse", { kind: "refuse" }, "ConnectFailed"],
    ["resetBefore", { kind: "resetBefore" }, "ConnectionLost"],
    ["resetAfter", { kind: "resetAfter" }, "ConnectionLost"],
    ["halfBody", { kind: "halfBody" }, "ConnectionLost"],
    ["drip", { kind: "drip", bytesPerSecond: 10 }, "Timeout"],
    ["endless", { kind: "endless" }, "ResponseTooLarge"],
    ["malformed", { kind: "malformed" }, "InvalidResponse"],
    ["wrongType", { kind: "wrongType" }, "InvalidResponse"],
    // Every field of a rate is required.
    ["drift", { kind: "drift" }, "InvalidResponse"],
    ["status 500", answers(500, { status: 500, message: "internal server error" }), "Unavailable"],
    ["status 503", answers(503, { status: 503, message: "timeout" }), "Unavailable"],
    ["rateLimit", { kind: "rateLimit", limit: 0, windowMillis: 60_000 }, "RateLimited"]
  ])("ends as a typed error within the deadline: %s", ([, fault, reason]) =>
    Effect.gen(function*() {
      const simulator = yield* FrankfurterSimulator.serve()
      yield* simulator.setFault(fault)
      // The deadline, and as much again.
      const error = yield* within("4 seconds")(vendorError(latest(simulator)))
      assert.strictEqual(error.reason._tag, reason)
      assert.strictEqual(error.vendor, "frankfurter")
      assert.strictEqual(error.mayHaveHappened, false)
    }))

  it.live.each<[string, Simulator.Fault]>([
    ["resetBefore", { kind: "resetBefore", times: 2 }],
    ["resetAfter", { kind: "resetAfter", times: 2 }],
    ["status 503", { ...answers(503, { message: "timeout" }), times: 2 }]
  ])("asks again when what failed may pass: %s", ([, fault]) =>
    Effect.gen(function*() {
      const simulator = yield* FrankfurterSimulator.serve()
      yield* simulator.setFault(fault)
      const { rate } = yield* latest(simulator, "EUR", "USD", { retry: { retries: 2, base: "5 millis" } })
      assert.strictEqual(rate, 1.0842)
      assert.strictEqual(simulator.journal.count, 3)
    }))
})

describe.skipIf(specPath === undefined)("Frankfurter's published description", () => {
  it.live("allows every request of our client and every answer of our simulator", () =>
    Effect.gen(function*() {
      const simulator = yield* on("2026-11-23T12:00:00Z")
      const wire = yield* Wiretap.listen(simulator.baseUrl)
      yield* latest(wire)
      yield* latest(wire, "CHF", "CHF")
      yield* Effect.flip(latest(wire, "EUR", "XXX"))
      yield* Effect.gen(function*() {
        const frankfurter = yield* Frankfurter.Frankfurter
        const params = { base: "JPY", quote: "GBP" }
        yield* frankfurter.rate({ params, query: { date: "2026-11-22" } })
        yield* Effect.flip(frankfurter.rate({ params, query: { date: "1990-01-01" } }))
      }).pipe(Effect.provide(layerOf(wire.baseUrl)))
      const ours = wire.exchanges.length
      for (const path of ["eur/USD", "EUR/EURO", "EUR/USD?date=yesterday", "EUR/USD?date=2026-02-30"]) {
        yield* Effect.promise(() => fetch(`${wire.baseUrl}/rate/${path}`))
      }

      const spec = PublishedSpec.load(specPath!)
      assert.deepStrictEqual(wire.exchanges.slice(0, ours).flatMap((exchange) => spec.request(exchange)), [])
      assert.deepStrictEqual(
        wire.exchanges.flatMap((exchange) =>
          spec.answer(exchange).map((wrong) => `${String(exchange.query)} ${wrong}`)
        ),
        []
      )
      assert.deepStrictEqual(wire.exchanges.map(({ answer }) => answer?.status), [
        200,
        200,
        404,
        200,
        404,
        422,
        422,
        422,
        422
      ])
      assert.deepStrictEqual(
        new Set(wire.exchanges.map((exchange) => spec.operationOf(exchange))),
        new Set([
          "GET /rate/{base}/{quote}"
        ])
      )
    }))

  it.live("rejects invalid traffic", () =>
    Effect.gen(function*() {
      const simulator = yield* FrankfurterSimulator.serve()
      const wire = yield* Wiretap.listen(simulator.baseUrl)
      yield* latest(wire)
      const spec = PublishedSpec.load(specPath!)
      const exchange = wire.exchanges[0]!
      const answered = (status: number, body: unknown) => ({
        ...exchange,
        answer: { ...exchange.answer!, status, body: JSON.stringify(body) }
      })
      assert.isEmpty(spec.answer(answered(200, rate)))
      assert.isNotEmpty(spec.answer(answered(200, { ...rate, rate: 0 })))
      assert.isNotEmpty(spec.answer(answered(200, { ...rate, date: "2026-02-30" })))
      assert.isNotEmpty(spec.answer(answered(200, [rate])))
      assert.isNotEmpty(spec.answer(answered(500, { message: "internal server error" })))
      assert.isNotEmpty(spec.request({ ...exchange, query: new URLSearchParams({ day: "2026-11-20" }) }))
      assert.isNotEmpty(spec.request({ ...exchange, query: new URLSearchParams({ date: "yesterday" }) }))
    }))
})

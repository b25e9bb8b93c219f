/** The suite that every implementation of `ExchangeRates` must pass, for all vendors. */
import * as Provenance from "@breakwater/core/Provenance"
import { ExchangeRates } from "@breakwater/vendors/exchange-rates/ExchangeRates"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"

/** The largest difference between vendors, as Open Exchange Rates' README states it. */
const tolerance = 0.005

/** The rates of the simulators' day, rounded to four digits. */
const published2026 = [
  ["EUR", "USD", 1.084],
  ["USD", "EUR", 0.9224],
  ["EUR", "GBP", 0.8623],
  ["GBP", "JPY", 189.6],
  ["CHF", "SEK", 11.82],
  ["INR", "PLN", 0.04416]
] as const

export const suite = <E>(name: string, layer: Layer.Layer<ExchangeRates, E>): void => {
  const behaves = <A, F>(behaviour: string, test: (rates: ExchangeRates["Service"]) => Effect.Effect<A, F>) =>
    it.live(behaviour, () => Effect.provide(Effect.flatMap(ExchangeRates, test), layer))

  describe(`ExchangeRates by ${name}`, () => {
    behaves(
      "gives the rate of a pair, with its day and its provenance",
      (rates) =>
        Effect.gen(function*() {
          const { rate, ...rest } = yield* rates.latest("EUR", "USD")
          assert.isAbove(rate, 0)
          assert.isBelow(rate, Infinity)
          assert.match(rest.asOf, /^\d{4}-\d{2}-\d{2}$/)
          assert.isAtMost(Date.parse(rest.asOf), Date.now())
          assert.deepStrictEqual({ ...rest, asOf: "" }, {
            base: "EUR",
            quote: "USD",
            asOf: "",
            provenance: { _tag: "Fresh" }
          })
        })
    )

    behaves("gives nearly the inverse rate for the inverse pair", (rates) =>
      Effect.gen(function*() {
        const there = yield* rates.latest("GBP", "JPY")
        const back = yield* rates.latest("JPY", "GBP")
        assert.closeTo(there.rate * back.rate, 1, 1e-3)
      }))

    behaves("gives 1 for a currency against itself", (rates) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* rates.latest("CHF", "CHF")).rate, 1)
      }))

    behaves(
      "has cross rates that agree with the way round by a third currency, nearly",
      (rates) =>
        Effect.gen(function*() {
          const direct = yield* rates.latest("EUR", "SEK")
          const first = yield* rates.latest("EUR", "PLN")
          const second = yield* rates.latest("PLN", "SEK")
          assert.closeTo(first.rate * second.rate / direct.rate, 1, 1e-3)
        })
    )

    behaves(
      "is within 0.5 % of the rates published for the simulators' day, for every vendor",
      (rates) =>
        Effect.gen(function*() {
          for (const [base, quote, published] of published2026) {
            const { rate } = yield* rates.latest(base, quote)
            assert.isBelow(Math.abs(rate / published - 1), tolerance, `${base}/${quote}`)
          }
        })
    )

    behaves("rejects an invalid currency code, on either side", (rates) =>
      Effect.gen(function*() {
        for (const [base, quote] of [["eur", "USD"], ["EUR", "constructor"], ["", "USD"]] as const) {
          const error = yield* Effect.flip(rates.latest(base, quote))
          assert.strictEqual(error._tag === "VendorError" ? error.reason._tag : error._tag, "InvalidRequest")
        }
      }))

    behaves("reports the provenance to an enclosing withProvenance too", (rates) =>
      Effect.gen(function*() {
        const { provenance, value } = yield* rates.latest("EUR", "CAD").pipe(Provenance.withProvenance)
        assert.deepStrictEqual(provenance, value.provenance)
      }))

    behaves("finds no rate for an unknown currency, on either side", (rates) =>
      Effect.gen(function*() {
        for (const [base, quote] of [["EUR", "XXX"], ["XXX", "EUR"], ["XXX", "XXX"]] as const) {
          const error = yield* Effect.flip(rates.latest(base, quote))
          if (error._tag !== "UnknownPair") return assert.fail(error.message)
          assert.deepStrictEqual({ base: error.base, quote: error.quote }, { base, quote })
        }
      }))
  })
}

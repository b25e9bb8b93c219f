/** What every implementation of `ExchangeRates` must do, whoever the vendor is: one suite over all of them. */
import { ExchangeRates } from "@breakwater/vendors/exchange-rates/ExchangeRates"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"

export const suite = <E>(name: string, layer: Layer.Layer<ExchangeRates, E>): void => {
  const behaves = <A, F>(behaviour: string, test: (rates: ExchangeRates["Service"]) => Effect.Effect<A, F>) =>
    it.live(behaviour, () => Effect.provide(Effect.flatMap(ExchangeRates, test), layer))

  describe(`ExchangeRates by ${name}`, () => {
    behaves(
      "says what one unit is worth in the other, for which day and from where",
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

    behaves("says of a pair turned round what one divided by it says, nearly", (rates) =>
      Effect.gen(function*() {
        const there = yield* rates.latest("GBP", "JPY")
        const back = yield* rates.latest("JPY", "GBP")
        assert.closeTo(there.rate * back.rate, 1, 1e-3)
      }))

    behaves("says that a currency is worth itself", (rates) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* rates.latest("CHF", "CHF")).rate, 1)
      }))

    behaves("knows nothing of a currency that there is not, on either side", (rates) =>
      Effect.gen(function*() {
        for (const [base, quote] of [["EUR", "XXX"], ["XXX", "EUR"], ["XXX", "XXX"]] as const) {
          const error = yield* Effect.flip(rates.latest(base, quote))
          if (error._tag !== "UnknownPair") return assert.fail(error.message)
          assert.deepStrictEqual({ base: error.base, quote: error.quote }, { base, quote })
        }
      }))
  })
}

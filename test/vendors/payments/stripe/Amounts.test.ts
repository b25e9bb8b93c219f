import { minorUnits } from "@breakwater/vendors"
import { fromStripe, isWhole, largestAmount, toStripe } from "@breakwater/vendors/payments/stripe/Amounts"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { intBetween } from "../../../drivers/IntBetween.ts"
import * as Effort from "../../../setup/Effort.ts"

/** https://docs.stripe.com/currencies#zero-decimal, in its order; UGX is a special case as well. */
const zeroDecimal = [
  "BIF",
  "CLP",
  "DJF",
  "GNF",
  "JPY",
  "KMF",
  "KRW",
  "MGA",
  "PYG",
  "RWF",
  "UGX",
  "VND",
  "VUV",
  "XAF",
  "XOF",
  "XPF"
]
/** https://docs.stripe.com/currencies#three-decimal */
const threeDecimal = ["BHD", "JOD", "KWD", "OMR", "TND"]
/** Currencies that Stripe counts in two ways, or does not offer. */
const refused = ["UGX", "IQD", "LYD", "CLF", "UYI", "UYW"]

/** The decimals of each currency, by Stripe's documentation alone. */
const published = (currency: string): number =>
  threeDecimal.includes(currency) ? 3 : zeroDecimal.includes(currency) ? 0 : 2

const currencies = Array.from(new Set([...Intl.supportedValuesOf("currency"), ...refused]))
const Currency = Schema.Literals(currencies)

describe("amounts as Stripe counts them", () => {
  it.each([
    // https://docs.stripe.com/currencies: 10 USD, 10 JPY, ¥500, 5 ISK, KWD to the nearest ten, HUF and TWD as charged.
    ["USD", 1_000, 1_000],
    ["JPY", 10, 10],
    ["JPY", 500, 500],
    ["ISK", 5, 500],
    ["KWD", 5_120, 5_120],
    ["KWD", 5_130, 5_130],
    ["HUF", 1_045, 1_045],
    ["TWD", 80_045, 80_045],
    // ISO 4217 gives the ariary two decimals, Stripe none: 500 MGA.
    ["MGA", 50_000, 500]
  ])("are as published: %s %i is %i", (currency, amount, expected) => {
    assert.strictEqual(toStripe({ amount, currency }), expected)
    assert.deepStrictEqual(fromStripe(expected, currency.toLowerCase()), { amount, currency })
  })

  it.each(zeroDecimal.filter((currency) => !refused.includes(currency)))(
    "are whole units of a zero-decimal currency: %s",
    (currency) => {
      assert.strictEqual(toStripe({ amount: 500 * 10 ** minorUnits(currency), currency }), 500)
    }
  )

  it.each(threeDecimal)("end in 0 in a three-decimal currency: %s", (currency) => {
    assert.strictEqual(toStripe({ amount: 5_120, currency }), 5_120)
    assert.deepStrictEqual(toStripe({ amount: 5_124, currency }), {
      field: "amount",
      issue: "must be a multiple of 10"
    })
  })

  it.each(refused)("are rejected where they could be off by a factor of a hundred: %s", (currency) => {
    assert.deepStrictEqual(toStripe({ amount: 500, currency }), { field: "currency", issue: "is not supported" })
  })

  it("have no fraction in a currency without decimals at Stripe", () => {
    assert.deepStrictEqual(toStripe({ amount: 150, currency: "MGA" }), {
      field: "amount",
      issue: "has no fraction in MGA"
    })
  })

  it("have eight digits at most", () => {
    const issue = "is above the largest amount"
    assert.strictEqual(toStripe({ amount: 99_999_999, currency: "EUR" }), 99_999_999)
    assert.deepStrictEqual(toStripe({ amount: 100_000_000, currency: "EUR" }), { field: "amount", issue })
    assert.strictEqual(toStripe({ amount: 999_999, currency: "ISK" }), 99_999_900)
    assert.deepStrictEqual(toStripe({ amount: 1_000_000, currency: "ISK" }), { field: "amount", issue })
    assert.deepStrictEqual(toStripe({ amount: Number.MAX_SAFE_INTEGER, currency: "USD" }), { field: "amount", issue })
  })

  it.prop(
    "stand for the same money in every currency, to the last unit, and come back as they went",
    { currency: Currency, amount: intBetween(0, 2 * largestAmount) },
    ({ amount, currency }) => {
      const sent = toStripe({ amount, currency })
      // Minor units of ISO 4217 and of Stripe, brought to a ten-thousandth.
      const exact = BigInt(amount) * 10n ** BigInt(4 - minorUnits(currency))
      const unit = 10n ** BigInt(4 - published(currency))
      if (typeof sent === "number") {
        assert.isTrue(Number.isInteger(sent) && sent >= 0 && sent <= largestAmount)
        assert.strictEqual(BigInt(sent) * unit, exact)
        assert.isTrue(isWhole(sent, currency))
        assert.deepStrictEqual(fromStripe(sent, currency.toLowerCase()), { amount, currency })
      } else if (sent.field === "currency") {
        assert.include(refused, currency)
      } else {
        const isFraction = exact % unit !== 0n
        const hasThirdDecimal = threeDecimal.includes(currency) && amount % 10 !== 0
        assert.isTrue(isFraction || hasThirdDecimal || exact / unit > BigInt(largestAmount), sent.issue)
      }
    },
    { arbitrary: { runs: Effort.runs(2_000) } }
  )

  it.prop(
    "are read as money without a fraction, for every amount that Stripe can charge",
    {
      currency: Schema.Literals(currencies.filter((currency) => !refused.includes(currency))),
      sent: intBetween(0, largestAmount)
    },
    ({ currency, sent }) => {
      const possible = threeDecimal.includes(currency)
        ? sent - sent % 10
        : isWhole(sent, currency)
        ? sent
        : sent - sent % 100
      const money = fromStripe(possible, currency.toLowerCase())
      assert.isTrue(Number.isSafeInteger(money.amount))
      assert.strictEqual(money.currency, currency)
      assert.strictEqual(toStripe(money), possible)
    },
    { arbitrary: { runs: Effort.runs(2_000) } }
  )
})

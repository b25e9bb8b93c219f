import { Amount, Currency, minorUnits } from "@breakwater/vendors"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"

/**
 * Differences between Node's list and ISO 4217. Node uses the Unicode CLDR, which has the decimals in daily use
 * (https://www.unicode.org/reports/tr35/tr35-numbers.html#Supplemental_Currency_Data), and ISO 4217 has those of the
 * legal unit. A vendor's amounts use the latter.
 */
const differences: Readonly<Record<string, { readonly iso: number; readonly cldr: number; readonly why: string }>> = {
  AFN: { iso: 2, cldr: 0, why: "the pul has no coin" },
  ALL: { iso: 2, cldr: 0, why: "the qindarka has no coin" },
  COP: { iso: 2, cldr: 0, why: "the centavo has no coin" },
  HUF: { iso: 2, cldr: 0, why: "the fillér is withdrawn" },
  IDR: { iso: 2, cldr: 0, why: "the sen has no coin" },
  IQD: { iso: 3, cldr: 0, why: "the fils has no coin" },
  IRR: { iso: 2, cldr: 0, why: "the hundredth of a rial has no coin" },
  KPW: { iso: 2, cldr: 0, why: "the chon is out of use" },
  LAK: { iso: 2, cldr: 0, why: "the att has no coin" },
  LBP: { iso: 2, cldr: 0, why: "the piastre is out of use" },
  MGA: { iso: 2, cldr: 0, why: "the iraimbilanja is a fifth of an ariary, which ISO writes with two decimals" },
  MMK: { iso: 2, cldr: 0, why: "the pya is out of use" },
  PKR: { iso: 2, cldr: 0, why: "the paisa is no longer legal tender" },
  SLL: { iso: 2, cldr: 0, why: "the cent was out of use before the leone was replaced" },
  SOS: { iso: 2, cldr: 0, why: "the senti is out of use" },
  SYP: { iso: 2, cldr: 0, why: "the piastre is out of use" },
  YER: { iso: 2, cldr: 0, why: "the fils is out of use" }
}

const decimalsInNode = (currency: string): number | undefined =>
  new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits

describe("Money", () => {
  it("counts the minor units of every currency as Node does, but for known reasons", () => {
    const currencies = Intl.supportedValuesOf("currency")
    assert.isAbove(currencies.length, 150)
    for (const currency of currencies) {
      const ours = minorUnits(currency)
      const nodes = decimalsInNode(currency)
      const difference = differences[currency]
      if (nodes === ours) continue
      assert.deepStrictEqual({ iso: ours, cldr: nodes }, { iso: difference?.iso, cldr: difference?.cldr }, currency)
    }
    for (const [currency, { iso }] of Object.entries(differences)) assert.strictEqual(minorUnits(currency), iso)
  })

  it.each([["UYI", 0], ["CLF", 4], ["UYW", 4]])(
    "counts those of ISO 4217's units of account, which Node's list may leave out: %s has %i",
    (currency, decimals) => {
      assert.strictEqual(minorUnits(currency), decimals)
    }
  )

  it.each(["constructor", "__proto__", "toString"])("has no special decimals for the word %s", (word) => {
    assert.strictEqual(minorUnits(word), 2)
    assert.isFalse(Schema.is(Currency)(word))
  })

  it("names currencies by three capital letters", () => {
    assert.isTrue(Schema.is(Currency)("EUR"))
    for (const wrong of ["", "eur", "EU", "EURO", "EUR ", "E1R", "ЕUR", "EUR\n"]) {
      assert.isFalse(Schema.is(Currency)(wrong), wrong)
    }
  })

  it("has whole amounts, from 0 to the largest integer that a double holds exactly", () => {
    for (const right of [0, 1, 1_999, Number.MAX_SAFE_INTEGER]) assert.isTrue(Schema.is(Amount)(right))
    for (const wrong of [-1, 0.5, 19.99, Number.NaN, Infinity, Number.MAX_SAFE_INTEGER + 1, "1999", 1n, null]) {
      assert.isFalse(Schema.is(Amount)(wrong), String(wrong))
    }
  })
})

/**
 * Money in whole minor units of a currency: 1999 EUR is 19.99 €, 500 JPY is ¥500. An amount is never a fraction, and two
 * currencies are never mixed.
 *
 * @example
 * ```ts
 * import { minorUnits } from "@breakwater/vendors"
 *
 * console.log(minorUnits("EUR"), minorUnits("JPY"), minorUnits("KWD")) // => 2 0 3
 * ```
 */
import * as Schema from "effect/Schema"

/** An ISO 4217 code in upper case. */
export const Currency = Schema.String.check(
  Schema.isPattern(/^[A-Z]{3}$/, { expected: "a currency code of three capital letters" })
)
export type Currency = typeof Currency.Type

/** A whole number of minor units, from 0 to the largest integer that a double holds exactly. */
export const Amount = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))

export const Money = Schema.Struct({ amount: Amount, currency: Currency })
export type Money = typeof Money.Type

/**
 * The number of decimals of a currency's minor unit, by ISO 4217 (list one, 2026). Currencies that are not listed have
 * two.
 */
export const minorUnits = (currency: Currency): number => exceptions.get(currency) ?? 2

const exceptions: ReadonlyMap<Currency, number> = new Map([
  ...[
    "BIF",
    "CLP",
    "DJF",
    "GNF",
    "ISK",
    "JPY",
    "KMF",
    "KRW",
    "PYG",
    "RWF",
    "UGX",
    "UYI",
    "VND",
    "VUV",
    "XAF",
    "XOF",
    "XPF"
  ]
    .map((code) => [code, 0] as const),
  ...["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"].map((code) => [code, 3] as const),
  ...["CLF", "UYW"].map((code) => [code, 4] as const)
])

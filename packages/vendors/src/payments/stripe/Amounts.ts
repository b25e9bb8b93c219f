/**
 * Conversion between Stripe's minor units and those of ISO 4217. For some currencies they differ by a factor of a hundred.
 * Currencies for which Stripe's documentation is unclear are rejected, rather than charged a hundredfold.
 * Source: https://docs.stripe.com/currencies (zero-decimal currencies, three-decimal currencies, special cases).
 */
import { type Currency, minorUnits, type Money } from "../../Money.ts"

const zeroDecimal = new Set([
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
  "VND",
  "VUV",
  "XAF",
  "XOF",
  "XPF"
])
const threeDecimal = new Set(["BHD", "JOD", "KWD", "OMR", "TND"])
/** Currencies that no longer have a minor unit, but are still written with two decimals, which must be 00. */
const formerlyTwoDecimal = new Set(["ISK"])
/** Stripe lists UGX both as a zero-decimal currency and as a special case. It does not offer the others. */
const unsupported = new Set(["UGX", "IQD", "LYD", "CLF", "UYI", "UYW"])

/** Eight digits in every currency: https://docs.stripe.com/api/payment_intents/create */
export const largestAmount = 99_999_999

const decimals = (currency: Currency): number => zeroDecimal.has(currency) ? 0 : threeDecimal.has(currency) ? 3 : 2

/** The amount in Stripe's units, or the field that is invalid and why. */
export const toStripe = (money: Money): number | { readonly field: "amount" | "currency"; readonly issue: string } => {
  const { amount, currency } = money
  if (unsupported.has(currency)) return { field: "currency", issue: "is not supported" }
  const scaled = amount * 10 ** (decimals(currency) - minorUnits(currency))
  if (!Number.isInteger(scaled)) return { field: "amount", issue: `has no fraction in ${currency}` }
  // Card networks process only two decimals of a three-decimal currency.
  if (threeDecimal.has(currency) && scaled % 10 !== 0) return { field: "amount", issue: "must be a multiple of 10" }
  return scaled > largestAmount ? { field: "amount", issue: "is above the largest amount" } : scaled
}

/** Converts an amount in Stripe's units to money. */
export const fromStripe = (amount: number, currency: string): Money => {
  const code = currency.toUpperCase()
  return { amount: amount * 10 ** (minorUnits(code) - decimals(code)), currency: code }
}

/** Whether Stripe accepts an amount in a currency that is written with two decimals, but has none. */
export const isWhole = (amount: number, currency: string): boolean =>
  !formerlyTwoDecimal.has(currency.toUpperCase()) || amount % 100 === 0

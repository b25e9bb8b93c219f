/**
 * Stripe's idea of minor units against ISO 4217's. They differ for some currencies, and by a factor of a hundred: where
 * Stripe's documentation is not clear we refuse rather than charge a hundredfold.
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
/** Has no minor unit any more, and is still written with two decimals that must be 00. */
const formerlyTwoDecimal = new Set(["ISK"])
/** UGX stands in the list of zero-decimal currencies and among the special cases; the others are not offered. */
const unsupported = new Set(["UGX", "IQD", "LYD", "CLF", "UYI", "UYW"])

/** Eight digits, whatever the currency: https://docs.stripe.com/api/payment_intents/create */
export const largestAmount = 99_999_999

const decimals = (currency: Currency): number => zeroDecimal.has(currency) ? 0 : threeDecimal.has(currency) ? 3 : 2

/** The amount as Stripe wants it, or what is wrong with the money. */
export const toStripe = (money: Money): number | { readonly field: "amount" | "currency"; readonly issue: string } => {
  const { amount, currency } = money
  if (unsupported.has(currency)) return { field: "currency", issue: "is not supported" }
  const scaled = amount * 10 ** (decimals(currency) - minorUnits(currency))
  if (!Number.isInteger(scaled)) return { field: "amount", issue: `has no fraction in ${currency}` }
  // Three-decimal amounts go through card networks that know two.
  if (threeDecimal.has(currency) && scaled % 10 !== 0) return { field: "amount", issue: "must be a multiple of 10" }
  return scaled > largestAmount ? { field: "amount", issue: "is above the largest amount" } : scaled
}

/** The money that an amount of Stripe's stands for. */
export const fromStripe = (amount: number, currency: string): Money => {
  const code = currency.toUpperCase()
  return { amount: amount * 10 ** (minorUnits(code) - decimals(code)), currency: code }
}

/** Whether Stripe takes an amount of a currency that is written with two decimals and has none. */
export const isWhole = (amount: number, currency: string): boolean =>
  !formerlyTwoDecimal.has(currency.toUpperCase()) || amount % 100 === 0

/**
 * Payment methods with a known fate. Source: https://docs.stripe.com/testing (cards by brand, declined payments, 3D
 * Secure). A name may carry its brand, `pm_card_visa_chargeDeclined`, or not.
 */

export type Fate =
  | { readonly _tag: "Succeeds" }
  | { readonly _tag: "Declines"; readonly code: string; readonly declineCode: string; readonly message: string }
  | { readonly _tag: "NeedsAction" }
  /** An addition of the simulator: takes the money, then answers 500. */
  | { readonly _tag: "Breaks" }

const declines = (code: string, declineCode: string, message: string): Fate => ({
  _tag: "Declines",
  code,
  declineCode,
  message
})

const fates: ReadonlyMap<string, Fate> = new Map(Object.entries<Fate>({
  chargeDeclined: declines("card_declined", "generic_decline", "Your card was declined."),
  chargeDeclinedInsufficientFunds: declines("card_declined", "insufficient_funds", "Your card has insufficient funds."),
  chargeDeclinedLostCard: declines("card_declined", "lost_card", "Your card was declined."),
  chargeDeclinedStolenCard: declines("card_declined", "stolen_card", "Your card was declined."),
  chargeDeclinedExpiredCard: declines("expired_card", "expired_card", "Your card has expired."),
  chargeDeclinedIncorrectCvc: declines("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect."),
  chargeDeclinedProcessingError: declines("processing_error", "processing_error", "Your card could not be processed."),
  authenticationRequired: { _tag: "NeedsAction" },
  threeDSecureRequired: { _tag: "NeedsAction" },
  threeDSecure2Required: { _tag: "NeedsAction" },
  simulatorBreaks: { _tag: "Breaks" }
}))

const brands = new Set([
  "visa",
  "visa_debit",
  "mastercard",
  "mastercard_debit",
  "amex",
  "discover",
  "diners",
  "jcb",
  "unionpay"
])

/** The fate of a payment with this method; `undefined` when no method has that name. */
export const fateOf = (paymentMethod: string): Fate | undefined => {
  if (!paymentMethod.startsWith("pm_card_")) return undefined
  const name = paymentMethod.slice("pm_card_".length)
  if (brands.has(name)) return { _tag: "Succeeds" }
  return fates.get(name.replace(/^(?:visa|mastercard|amex)_/, ""))
}

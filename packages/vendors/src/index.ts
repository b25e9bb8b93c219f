/**
 * Words that capabilities share. Each capability has an entry point of its own (`/payments`), each vendor
 * (`/payments/stripe`), each simulator (`/payments/stripe/simulator`), and each capability with several vendors its
 * layers (`/countries/layers`).
 */
export * as InOrder from "./InOrder.ts"
export { Amount, Currency, minorUnits, Money } from "./Money.ts"
export * as Use from "./Use.ts"

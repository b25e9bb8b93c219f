/**
 * Modules that capabilities share. Each capability has an entry point of its own (`/payments`), and so has each vendor
 * (`/payments/stripe`) and each simulator (`/payments/stripe/simulator`). A capability with several vendors also has one
 * for its layers (`/countries/layers`).
 */
export * as InOrder from "./InOrder.ts"
export { Amount, Currency, minorUnits, Money } from "./Money.ts"
export * as Use from "./Use.ts"

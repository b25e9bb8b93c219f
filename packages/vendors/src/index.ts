/** Capabilities in our own words, and the vendors behind them. Each module can be imported by its own path as well. */
export { Amount, Currency, minorUnits, Money } from "./Money.ts"

export * as ExchangeRates from "./exchange-rates/ExchangeRates.ts"
export * as Frankfurter from "./exchange-rates/frankfurter/Frankfurter.ts"
export * as FrankfurterSimulator from "./exchange-rates/frankfurter/Simulator.ts"

export * as Payments from "./payments/Payments.ts"
export * as StripeSimulator from "./payments/stripe/Simulator.ts"
export * as Stripe from "./payments/stripe/Stripe.ts"

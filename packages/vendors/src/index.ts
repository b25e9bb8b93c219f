/** Capabilities in our own words, and the vendors behind them. Each module can be imported by its own path as well. */
export * as InOrder from "./InOrder.ts"
export { Amount, Currency, minorUnits, Money } from "./Money.ts"
export * as Use from "./Use.ts"

export * as BundledCountries from "./countries/Bundled.ts"
export * as Countries from "./countries/Countries.ts"
export * as CountryStateCity from "./countries/country-state-city/CountryStateCity.ts"
export * as CountryStateCitySimulator from "./countries/country-state-city/Simulator.ts"
export * as CountriesLayers from "./countries/layers.ts"
export * as RestCountries from "./countries/rest-countries/RestCountries.ts"
export * as RestCountriesSimulator from "./countries/rest-countries/Simulator.ts"

export * as ExchangeRates from "./exchange-rates/ExchangeRates.ts"
export * as Frankfurter from "./exchange-rates/frankfurter/Frankfurter.ts"
export * as FrankfurterSimulator from "./exchange-rates/frankfurter/Simulator.ts"
export * as ExchangeRatesLayers from "./exchange-rates/layers.ts"
export * as OpenExchangeRates from "./exchange-rates/open-exchange-rates/OpenExchangeRates.ts"
export * as OpenExchangeRatesSimulator from "./exchange-rates/open-exchange-rates/Simulator.ts"

export * as Payments from "./payments/Payments.ts"
export * as StripeSimulator from "./payments/stripe/Simulator.ts"
export * as Stripe from "./payments/stripe/Stripe.ts"

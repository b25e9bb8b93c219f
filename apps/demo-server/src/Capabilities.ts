/** Configures rates and countries from the environment: how long they stay fresh, and how old they may be shown. */
import * as CountriesLayers from "@breakwater/vendors/countries/layers"
import * as ExchangeRatesLayers from "@breakwater/vendors/exchange-rates/layers"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { span } from "./DurationConfig.ts"

const fresh = {
  rates: span("RATES_FRESH", Duration.minutes(5)),
  countries: span("COUNTRIES_FRESH", Duration.hours(12))
}
const ratesStale = span("RATES_STALE", Duration.days(1))
const countriesStale = Duration.days(30)

/** The largest age of a rate that is shown. A fresh rate is always shown, even when `RATES_STALE` is shorter. */
export const ratesShown = Config.map(
  Config.all([fresh.rates, ratesStale]),
  ([fresh, stale]) => Duration.max(fresh, stale)
)

/** The largest age of a country that is shown. */
export const countriesShown = Config.map(fresh.countries, (fresh) => Duration.max(fresh, countriesStale))

/** `ExchangeRates` and `Countries`, each with all its vendors. */
export const layer = Layer.mergeAll(
  Layer.unwrap(
    Effect.map(
      Config.all([fresh.rates, ratesStale]),
      ([fresh, stale]) => ExchangeRatesLayers.failover({ fresh: cacheFor(fresh), stale })
    )
  ),
  Layer.unwrap(
    Effect.map(
      fresh.countries,
      (fresh) => CountriesLayers.failover({ fresh: cacheFor(fresh), stale: countriesStale })
    )
  )
)

/** A duration of 0 switches the cache off. */
const cacheFor = (fresh: Duration.Duration) => !Duration.isZero(fresh) && fresh

/** How rates and countries degrade, as the environment wants it: how long they are fresh, and how old they may be shown. */
import * as CountriesLayers from "@breakwater/vendors/countries/layers"
import * as ExchangeRatesLayers from "@breakwater/vendors/exchange-rates/layers"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** The largest age of a rate that is shown. */
export const ratesStale = Config.withDefault(Config.Duration("RATES_STALE"), Duration.days(1))

/** The largest age of a country that is shown. */
export const countriesStale = Duration.days(30)

const ratesFresh = Config.withDefault(Config.Duration("RATES_FRESH"), Duration.minutes(5))
const countriesFresh = Config.withDefault(Config.Duration("COUNTRIES_FRESH"), Duration.hours(12))

/** `ExchangeRates` and `Countries` by all their vendors. */
export const layer = Layer.mergeAll(
  Layer.unwrap(Effect.map(Config.all({ fresh: ratesFresh, stale: ratesStale }), ExchangeRatesLayers.failover)),
  Layer.unwrap(Effect.map(countriesFresh, (fresh) => CountriesLayers.failover({ fresh, stale: countriesStale })))
)

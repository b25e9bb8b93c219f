/** How rates and countries degrade, as the environment wants it: how long they are fresh, and how old they may be shown. */
import * as CountriesLayers from "@breakwater/vendors/countries/layers"
import * as Frankfurter from "@breakwater/vendors/exchange-rates/frankfurter/Frankfurter"
import * as ExchangeRatesLayers from "@breakwater/vendors/exchange-rates/layers"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"

/** The largest age of a rate that is shown. */
export const ratesStale = Config.withDefault(Config.Duration("RATES_STALE"), Duration.days(1))

/** The largest age of a country that is shown. */
export const countriesStale = Duration.days(30)

/** How long a rate is fresh; without it none is remembered, and Frankfurter alone is asked. */
const ratesFresh = Config.option(Config.Duration("RATES_FRESH"))
const countriesFresh = Config.withDefault(Config.Duration("COUNTRIES_FRESH"), Duration.hours(12))

/** `ExchangeRates`, by all its vendors where the environment says so, and `Countries`. */
export const layer = Layer.mergeAll(
  Layer.unwrap(
    Effect.map(Config.all({ fresh: ratesFresh, stale: ratesStale }), ({ fresh, stale }) =>
      Option.isNone(fresh)
        ? Frankfurter.layer
        : ExchangeRatesLayers.failover({ fresh: fresh.value, stale }))
  ),
  Layer.unwrap(Effect.map(countriesFresh, (fresh) => CountriesLayers.failover({ fresh, stale: countriesStale })))
)

/**
 * {@link Countries} by all there is: REST Countries first, Country State City when it cannot answer, each with a cache of its
 * own, and last what comes with the package, which is always there: the list of countries never fails.
 *
 * @example
 * ```ts
 * import { UndiciTransport } from "@breakwater/core/transport"
 * import * as Countries from "@breakwater/vendors/countries"
 * import * as CountriesLayers from "@breakwater/vendors/countries/layers"
 * import { ConfigProvider, Effect, Layer } from "effect"
 *
 * // Nobody listens at these.
 * const environment = ConfigProvider.layer(ConfigProvider.fromUnknown({
 *   REST_COUNTRIES_BASE_URL: "http://127.0.0.1:1",
 *   REST_COUNTRIES_API_KEY: "from the environment",
 *   COUNTRY_STATE_CITY_BASE_URL: "http://127.0.0.1:1",
 *   COUNTRY_STATE_CITY_API_KEY: "from the environment"
 * }))
 * const japan = Effect.flatMap(Countries.Countries, (countries) => countries.byCode("JP"))
 * const layer = CountriesLayers.failover().pipe(Layer.provide(UndiciTransport.layer({ loopback: true })))
 * const { provenance, value } = await Effect.runPromise(japan.pipe(Effect.provide(layer), Effect.provide(environment)))
 * console.log(value.name, JSON.stringify(provenance))
 * // => Japan {"_tag":"Fallback","from":"world-countries","because":"ConnectFailed"}
 * ```
 */
import type { Failover, Policy, Vendor } from "@breakwater/core"
import type { Transport } from "@breakwater/core/transport"
import type * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as InOrder from "../InOrder.ts"
import * as Bundled from "./Bundled.ts"
import { Countries } from "./Countries.ts"
import * as CountryStateCity from "./country-state-city/CountryStateCity.ts"
import * as RestCountries from "./rest-countries/RestCountries.ts"

/** Where a default names no source, it is ours. */
export interface FailoverOptions {
  /** How long an answer is within its time; longer than 0. `false` for no cache: every call asks a vendor. @default "12 hours" */
  readonly fresh?: Duration.Input | false | undefined
  /**
   * For how much longer it is given when its vendor cannot answer, or takes more than a second, to calls that accept its age;
   * at least 0. @default "30 days"
   */
  readonly stale?: Duration.Input | undefined
  /**
   * Whether the countries of the package `world-countries` are the last resort; `false` where it is not installed.
   * @default true
   */
  readonly bundled?: boolean | undefined
  /** When another vendor is asked first, and the first one again. @default as `Failover` has it */
  readonly failover?: Failover.FailoverOptions | undefined
}

/** An option that is out of its range is a defect when the layer is built. */
export const failover = (
  options: FailoverOptions = {}
): Layer.Layer<Countries, Config.ConfigError | Vendor.VendorMisconfigured, Transport.Transport> => {
  const policy: Policy.Policy = {
    // There is somebody else to ask.
    retry: { retries: 1, base: Duration.millis(200) },
    cache: options.fresh === false ? false : {
      fresh: options.fresh ?? Duration.hours(12),
      staleIfError: options.stale ?? Duration.days(30),
      softTimeout: Duration.seconds(1),
      negative: Duration.minutes(10)
    }
  }
  const inOrder = InOrder.make("countries", options.failover)
  return Layer.effect(
    Countries,
    Effect.gen(function*() {
      const ask = yield* inOrder
      const restCountries = yield* RestCountries.make
      const countryStateCity = yield* CountryStateCity.make
      const bundled = options.bundled === false ? undefined : yield* Bundled.make
      return Countries.of({
        list: Effect.fn("Countries.list")((use) =>
          ask({
            "rest-countries": restCountries.list(use),
            "country-state-city": countryStateCity.list(use),
            ...(bundled === undefined ? {} : { [Bundled.name]: bundled.list(use) })
          })
        ),
        byCode: Effect.fn("Countries.byCode")((iso2, use) =>
          ask({
            "rest-countries": restCountries.byCode(iso2, use),
            "country-state-city": countryStateCity.byCode(iso2, use),
            ...(bundled === undefined ? {} : { [Bundled.name]: bundled.byCode(iso2, use) })
          })
        )
      })
    })
  ).pipe(
    Layer.provide([
      RestCountries.RestCountries.layerWith({ list: policy, byCode: policy }),
      CountryStateCity.CountryStateCity.layerWith({ list: policy, byCode: policy })
    ])
  )
}

/**
 * {@link Countries} from all sources: REST Countries first, then Country State City, each with its own cache. The bundled data
 * of a package comes last and is always there, so the list of countries never fails.
 *
 * @example
 * ```ts
 * import { UndiciTransport } from "@breakwater/core/transport"
 * import * as Countries from "@breakwater/vendors/countries"
 * import * as CountriesLayers from "@breakwater/vendors/countries/layers"
 * import { ConfigProvider, Effect, Layer } from "effect"
 *
 * // Nothing listens on this port.
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

/** Defaults without a source are our own judgement. */
export interface FailoverOptions {
  /** How long an answer is fresh; above 0. `false` switches the cache off: every call goes to a vendor. @default "12 hours" */
  readonly fresh?: Duration.Input | false | undefined
  /**
   * How long a stale answer may still be served when its vendor fails or takes more than a second; at least 0. Only calls
   * that accept its age get it. @default "30 days"
   */
  readonly stale?: Duration.Input | undefined
  /**
   * Whether to fall back to the package `world-countries` at last. Set `false` when the package is not installed.
   * @default true
   */
  readonly bundled?: boolean | undefined
  /** When to prefer the next vendor, and when to return to the first one. @default the defaults of `Failover` */
  readonly failover?: Failover.FailoverOptions | undefined
}

/** An option out of range is a defect when the layer is built. */
export const failover = (
  options: FailoverOptions = {}
): Layer.Layer<Countries, Config.ConfigError | Vendor.VendorMisconfigured, Transport.Transport> => {
  const policy: Policy.Policy = {
    // One retry is enough: there is another vendor to call.
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

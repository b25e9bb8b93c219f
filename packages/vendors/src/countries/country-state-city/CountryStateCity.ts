/** Country State City: countries with their states and cities. Only the countries are used here. */
import {
  type Answer,
  InvalidResponse,
  isVendorError,
  RateLimited,
  type Reason,
  Unauthorized,
  Vendor,
  VendorError
} from "@breakwater/core"
import type { Transport } from "@breakwater/core/transport"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Use from "../../Use.ts"
import { Countries, type Country, Iso2, UnknownCountry } from "../Countries.ts"
import { callingCodeOf, currenciesOf, inOrder, regionOf, textOf } from "../CountryFields.ts"
import { type Country as CscCountry, CountryStateCityApi } from "./Api.ts"

const name = "country-state-city"

/**
 * A 429 with a `period` is the quota of a day or a month. No retry of this call can outlast it. A 403 means that the key's
 * plan lacks a feature.
 */
const classify = ({ json, retryAfterMillis, status }: Answer.Answer): Reason | undefined => {
  if (status === 403 && retryAfterMillis === undefined) return new Unauthorized(status)
  return status === 429 && Predicate.hasProperty(json, "period")
    ? new RateLimited(status, { retryAfterMillis, isRetryable: false })
    : undefined
}

/** The client. `COUNTRY_STATE_CITY_API_KEY` is its key; `COUNTRY_STATE_CITY_BASE_URL` overrides the public address. */
export class CountryStateCity extends Vendor.Service<CountryStateCity>()({
  name,
  api: CountryStateCityApi,
  baseUrl: "https://api.countrystatecity.in/v1",
  auth: { _tag: "Header", name: "x-cscapi-key" },
  policy: {
    // The limit of the free plan (https://docs.countrystatecity.in/api/introduction).
    rateLimit: { limit: 2, window: "1 second" }
  },
  classify
}) {}

/** {@link Countries} by a Country State City client. */
export const make: Effect.Effect<Countries["Service"], never, CountryStateCity> = Effect.map(
  CountryStateCity,
  (countryStateCity) => {
    const distrust = (operation: string, issue: string) =>
      Effect.suspend(() => {
        // An answer that is not trusted must not stay in the cache.
        Vendor.caches(countryStateCity).clear()
        const reason = new InvalidResponse(200, issue)
        return Effect.fail(new VendorError({ vendor: name, operation, safety: "Idempotent", reason, attempts: 1 }))
      })

    return Countries.of({
      list: Effect.fnUntraced(function*(use) {
        const { provenance, value } = yield* countryStateCity.list().pipe(Use.sourced(use))
        const countries = inOrder(value.filter(hasCode).map(toCountry))
        if (countries.length === 0) return yield* distrust("list", "the list of countries is empty")
        return { value: countries, provenance }
      }),

      byCode: Effect.fnUntraced(function*(iso2, use) {
        const { provenance, value } = yield* countryStateCity.byCode({ params: { iso2 } }).pipe(
          Effect.mapError((error) => isVendorError(error) ? error : new UnknownCountry({ iso2 })),
          Use.sourced(use)
        )
        if (value.iso2 !== iso2) return yield* distrust("byCode", "the answer is for another country")
        return { value: toCountry(value), provenance }
      })
    })
  }
)

const toCountry = (country: typeof CscCountry.Type): Country => ({
  name: country.name,
  iso2: country.iso2,
  iso3: textOf(country.iso3),
  isoNumeric: textOf(country.numeric_code),
  capital: textOf(country.capital),
  currencies: currenciesOf([country.currency]),
  callingCode: callingCodeOf(country.phonecode),
  region: regionOf(country.region),
  subregion: textOf(country.subregion)
})

const hasCode = ({ iso2 }: typeof CscCountry.Type): boolean => Schema.is(Iso2)(iso2)

/** {@link make} as a layer. */
export const countries: Layer.Layer<Countries, never, CountryStateCity> = Layer.effect(Countries, make)

/** {@link Countries} by Country State City, over the provided transport. */
export const layer: Layer.Layer<
  Countries,
  Config.ConfigError | Vendor.VendorMisconfigured,
  Transport.Transport
> = countries.pipe(Layer.provide(CountryStateCity.layer))

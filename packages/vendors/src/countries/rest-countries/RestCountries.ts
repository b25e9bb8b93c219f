/** REST Countries v5, which needs a key. Earlier versions needed no key; they were shut down in 2026. */
import {
  type Answer,
  InvalidResponse,
  isVendorError,
  Provenance,
  type Reason,
  Unauthorized,
  Unavailable,
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
import { type Country as RestCountry, fields, pageSize, RestCountriesApi } from "./Api.ts"

const name = "rest-countries"

/**
 * Reads three cases that the status alone does not tell. The demo key gets status 200 with one sample and a note (seen in
 * clients, not documented). A retired version answers 410 to every request, as four versions have done. A 403 is about the
 * account, which is paused or has used up its month.
 */
const classify = ({ json, retryAfterMillis, status }: Answer.Answer): Reason | undefined => {
  if (status === 403 && retryAfterMillis === undefined) return new Unauthorized(status)
  if (status === 410) return new Unavailable(status, { isRetryable: false })
  const data = Predicate.hasProperty(json, "data") ? json.data : undefined
  return status === 200 && Predicate.hasProperty(data, "_demo") ? new Unauthorized(status) : undefined
}

/** The client. `REST_COUNTRIES_API_KEY` is its key; `REST_COUNTRIES_BASE_URL` overrides the public address. */
export class RestCountries extends Vendor.Service<RestCountries>()({
  name,
  api: RestCountriesApi,
  baseUrl: "https://api.restcountries.com/countries",
  auth: { _tag: "Bearer" },
  classify
}) {}

/** There are about 250 countries, so a list with more pages than this never ends. */
const maxPages = 20

/** {@link Countries} by a REST Countries client. */
export const make: Effect.Effect<Countries["Service"], never, RestCountries> = Effect.map(
  RestCountries,
  (restCountries) => {
    const distrust = (operation: string, issue: string) =>
      Effect.suspend(() => {
        // An answer that is not trusted must not stay in the cache.
        Vendor.caches(restCountries).clear()
        const reason = new InvalidResponse(200, issue)
        return Effect.fail(new VendorError({ vendor: name, operation, safety: "Idempotent", reason, attempts: 1 }))
      })

    return Countries.of({
      list: Effect.fnUntraced(function*(use) {
        const countries: Array<Country> = []
        let provenance = Provenance.fresh
        for (let page = 0, offset = 0; page < maxPages; page++) {
          const answer = yield* restCountries.list({ query: { limit: pageSize, offset, response_fields: fields } })
            .pipe(
              Use.sourced(use)
            )
          // A list is as old as its oldest page, and stale when one of its pages is stale.
          provenance = Provenance.worse(provenance, answer.provenance)
          const { meta, objects } = answer.value.data
          countries.push(...objects.flatMap(toCountries))
          offset += objects.length
          if (meta.more && objects.length > 0) continue
          if (meta.more || countries.length === 0) break
          return { value: inOrder(countries), provenance }
        }
        return yield* distrust("list", "the list of countries is empty or does not end")
      }),

      byCode: Effect.fnUntraced(function*(iso2, use) {
        const { provenance, value } = yield* restCountries.byCode({
          params: { code: iso2 },
          query: { response_fields: fields }
        }).pipe(
          Effect.mapError((error) => isVendorError(error) ? error : new UnknownCountry({ iso2 })),
          Use.sourced(use)
        )
        if (value.data.objects.length === 0) return yield* new UnknownCountry({ iso2 })
        const country = value.data.objects.flatMap(toCountries).find((country) => country.iso2 === iso2)
        if (country === undefined) return yield* distrust("byCode", "the answer is for another country")
        return { value: country, provenance }
      })
    })
  }
)

const toCountries = (country: typeof RestCountry.Type): ReadonlyArray<Country> => {
  const { calling_codes, capitals, codes, currencies, names, region, subregion } = country
  if (!isCode(codes.alpha_2)) return []
  return [{
    name: names.common,
    iso2: codes.alpha_2,
    iso3: textOf(codes.alpha_3),
    isoNumeric: textOf(codes.ccn3),
    capital: textOf(capitals?.[0]?.name),
    currencies: currenciesOf(
      Array.isArray(currencies) ? currencies.map(({ code }) => code) : Object.keys(currencies ?? {})
    ),
    callingCode: callingCodeOf(calling_codes?.[0]),
    region: regionOf(region),
    subregion: textOf(subregion)
  }]
}

const isCode = Schema.is(Iso2)

/** {@link make} as a layer. */
export const countries: Layer.Layer<Countries, never, RestCountries> = Layer.effect(Countries, make)

/** {@link Countries} by REST Countries, over the provided transport. */
export const layer: Layer.Layer<
  Countries,
  Config.ConfigError | Vendor.VendorMisconfigured,
  Transport.Transport
> = countries.pipe(Layer.provide(RestCountries.layer))

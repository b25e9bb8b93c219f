/** `GET /countries`, `GET /countries/{iso2}` */
import * as Domain from "@breakwater/vendors/countries"
import * as Effect from "effect/Effect"
import { HttpApiBuilder } from "effect/http-api"
import { type Country, DemoApi } from "./Api.ts"
import { countriesShown } from "./Capabilities.ts"
import { Features } from "./Features.ts"
import * as Problem from "./Problem.ts"
import * as Provenance from "./Provenance.ts"

export const layer = HttpApiBuilder.group(
  DemoApi,
  "countries",
  Effect.fn(function*(handlers) {
    const countries = yield* Domain.Countries
    const features = yield* Features
    // The answer is only displayed, so a stale one will do.
    const display = { maxAge: yield* countriesShown }
    return handlers
      .handle("countries", () =>
        features.countries.call(countries.list(display)).pipe(
          Effect.map(({ provenance, value }) => ({
            countries: value.map(toView),
            provenance: Provenance.ofCountry(provenance)
          })),
          Effect.catchTags({ VendorError: Problem.ofVendorError, FeatureOff: Problem.ofFeatureOff })
        ))
      .handle("country", ({ params: { iso2 } }) =>
        features.countries.call(countries.byCode(iso2, display)).pipe(
          Effect.map(({ provenance, value }) => ({ ...toView(value), provenance: Provenance.ofCountry(provenance) })),
          Effect.catchTags({
            VendorError: Problem.ofVendorError,
            FeatureOff: Problem.ofFeatureOff,
            UnknownCountry: () => Effect.fail(Problem.notFound(`No country ${iso2}`))
          })
        ))
  })
)

/** A country in the form that our clients see. */
export const toView = (country: Domain.Country): typeof Country.Type => ({
  ...country,
  iso3: country.iso3 ?? null,
  isoNumeric: country.isoNumeric ?? null,
  capital: country.capital ?? null,
  callingCode: country.callingCode ?? null,
  region: country.region ?? null,
  subregion: country.subregion ?? null
})

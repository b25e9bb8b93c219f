/** `GET /countries`, `GET /countries/{iso2}` */
import { isVendorError } from "@breakwater/core"
import * as Domain from "@breakwater/vendors/countries/Countries"
import * as Effect from "effect/Effect"
import { HttpApiBuilder } from "effect/http-api"
import { type Country, DemoApi } from "./Api.ts"
import { countriesStale } from "./Degradation.ts"
import * as Problem from "./Problem.ts"
import * as Provenance from "./Provenance.ts"

/** It is shown, and nothing is decided by it. */
const display = { maxAge: countriesStale }

export const layer = HttpApiBuilder.group(
  DemoApi,
  "countries",
  Effect.fn(function*(handlers) {
    const countries = yield* Domain.Countries
    return handlers
      .handle("countries", () =>
        countries.list(display).pipe(
          Effect.map(({ provenance, value }) => ({
            countries: value.map(toView),
            provenance: Provenance.toView(provenance)
          })),
          Effect.mapError(Problem.fromVendorError)
        ))
      .handle("country", ({ params: { iso2 } }) =>
        countries.byCode(iso2, display).pipe(
          Effect.map(({ provenance, value }) => ({ ...toView(value), provenance: Provenance.toView(provenance) })),
          Effect.mapError((error) =>
            isVendorError(error) ? Problem.fromVendorError(error) : Problem.notFound(`No country ${iso2}`)
          )
        ))
  })
)

const toView = (country: Domain.Country): typeof Country.Type => ({
  ...country,
  iso3: country.iso3 ?? null,
  isoNumeric: country.isoNumeric ?? null,
  capital: country.capital ?? null,
  callingCode: country.callingCode ?? null,
  region: country.region ?? null,
  subregion: country.subregion ?? null
})

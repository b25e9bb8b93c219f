/** The part of the Country State City API that we use: https://docs.countrystatecity.in/api/introduction. */
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as Schema from "effect/Schema"

const text = Schema.optionalKey(Schema.NullOr(Schema.String))

/** The plan decides which of the optional fields a country has. */
export const Country = Schema.Struct({
  name: Schema.String,
  iso2: Schema.String,
  iso3: text,
  numeric_code: text,
  phonecode: text,
  capital: text,
  currency: text,
  region: text,
  subregion: text
})

const Problem = Schema.Struct({ error: Schema.String })

export const CountryStateCityApi = HttpApi.make("country-state-city").add(
  HttpApiGroup.make("countries", { topLevel: true }).add(
    HttpApiEndpoint.get("list", "/countries", { success: Schema.Array(Country) }),
    HttpApiEndpoint.get("byCode", "/countries/:iso2", {
      params: { iso2: Schema.String.check(Schema.isPattern(/^[A-Z]{2}$/, { expected: "a country code" })) },
      success: Country,
      error: Problem.pipe(HttpApiSchema.status(404))
    })
  )
)

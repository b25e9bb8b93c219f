/** The part of REST Countries v5 that we use: https://restcountries.com/docs. */
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as Schema from "effect/Schema"

const text = Schema.optionalKey(Schema.NullOr(Schema.String))

export const Country = Schema.Struct({
  names: Schema.Struct({ common: Schema.String }),
  /** Some listed territories have no code. */
  codes: Schema.Struct({ alpha_2: Schema.NullOr(Schema.String), alpha_3: text, ccn3: text }),
  capitals: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.Struct({ name: text })))),
  /** A list in the vendor's own examples, a map by code in those of other people. */
  currencies: Schema.optionalKey(Schema.NullOr(Schema.Union([
    Schema.Array(Schema.Struct({ code: text })),
    Schema.Record(Schema.String, Schema.Unknown)
  ]))),
  calling_codes: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String))),
  region: text,
  subregion: text
})

const Page = Schema.Struct({
  data: Schema.Struct({
    objects: Schema.Array(Country),
    /** Whether another page follows. */
    meta: Schema.Struct({ more: Schema.Boolean })
  })
})

const Found = Schema.Struct({ data: Schema.Struct({ objects: Schema.Array(Country) }) })

const Problem = Schema.Struct({ errors: Schema.Array(Schema.Struct({ message: Schema.String })) })

/** The largest size of a page. */
export const pageSize = 100

/** The requested fields. A complete country is about five kilobytes. */
export const fields =
  "names.common,codes.alpha_2,codes.alpha_3,codes.ccn3,capitals,currencies,calling_codes,region,subregion"

export const RestCountriesApi = HttpApi.make("rest-countries").add(
  HttpApiGroup.make("countries", { topLevel: true }).add(
    HttpApiEndpoint.get("list", "/v5", {
      query: {
        limit: Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: pageSize })),
        offset: Schema.FiniteFromString.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(0)),
        response_fields: Schema.String
      },
      success: Page
    }),
    HttpApiEndpoint.get("byCode", "/v5/codes.alpha_2/:code", {
      params: { code: Schema.String.check(Schema.isPattern(/^[A-Z]{2}$/, { expected: "a country code" })) },
      query: { response_fields: Schema.String },
      success: Found,
      error: Problem.pipe(HttpApiSchema.status(404))
    })
  )
)

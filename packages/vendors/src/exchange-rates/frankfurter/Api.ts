/** The part of Frankfurter's API v2 that we use: https://api.frankfurter.dev/v2, as specified for version 2.1.1. */
import { InvalidResponse, Operation } from "@breakwater/core"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as Schema from "effect/Schema"
import { Currency } from "../../Money.ts"

/** A day that exists: the 30th of February has the right form, but is rejected. */
const Day = Schema.String.check(
  Schema.makeFilter(
    (day) =>
      /^\d{4}-\d{2}-\d{2}$/.test(day) && !Number.isNaN(Date.parse(day)) && new Date(day).toISOString().startsWith(day),
    { expected: "a day as YYYY-MM-DD" }
  )
)

export const Rate = Schema.Struct({
  /** On or before the requested day: no rate is published at a weekend. */
  date: Day,
  base: Currency,
  quote: Currency,
  rate: Schema.Finite.check(Schema.isGreaterThan(0))
})

const Problem = Schema.Struct({ message: Schema.optionalKey(Schema.String) })

export const FrankfurterApi = HttpApi.make("frankfurter").add(
  HttpApiGroup.make("rates", { topLevel: true }).add(
    HttpApiEndpoint.get("rate", "/rate/:base/:quote", {
      params: { base: Currency, quote: Currency },
      query: { date: Schema.optionalKey(Day) },
      success: Rate,
      error: [Problem.pipe(HttpApiSchema.status(404)), Problem.pipe(HttpApiSchema.status(422))]
    }).pipe(
      Operation.check(({ base, quote }, { params }) =>
        base === params.base && quote === params.quote
          ? undefined
          : new InvalidResponse(200, "the answer is for another pair")
      )
    )
  )
)

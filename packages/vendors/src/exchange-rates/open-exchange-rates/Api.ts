/** The part of Open Exchange Rates that we use: https://docs.openexchangerates.org/reference/latest-json. */
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as Schema from "effect/Schema"

export const Latest = Schema.Struct({
  /** When the rates were published, in Unix seconds; up to the last second of the year 9999. */
  timestamp: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 253_402_300_799 })),
  /** The only base that we request: the free plan has no other. */
  base: Schema.Literal("USD"),
  /** Units of each currency for one US dollar. */
  rates: Schema.Record(Schema.String, Schema.Finite)
})

export const OpenExchangeRatesApi = HttpApi.make("open-exchange-rates").add(
  HttpApiGroup.make("rates", { topLevel: true }).add(
    HttpApiEndpoint.get("latest", "/latest.json", { success: Latest })
  )
)

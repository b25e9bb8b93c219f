/** `GET /rates/{base}/{quote}` */
import { isVendorError } from "@breakwater/core"
import { ExchangeRates } from "@breakwater/vendors/exchange-rates/ExchangeRates"
import * as Effect from "effect/Effect"
import { HttpApiBuilder } from "effect/http-api"
import { DemoApi } from "./Api.ts"
import * as Problem from "./Problem.ts"

export const layer = HttpApiBuilder.group(
  DemoApi,
  "rates",
  Effect.fn(function*(handlers) {
    const rates = yield* ExchangeRates
    return handlers.handle("rate", ({ params: { base, quote } }) =>
      rates.latest(base, quote).pipe(
        Effect.map((rate) => ({ ...rate, provenance: { kind: rate.provenance._tag } })),
        Effect.mapError((error) =>
          isVendorError(error) ? Problem.fromVendorError(error) : Problem.notFound(`No rate for ${base}/${quote}`)
        )
      ))
  })
)

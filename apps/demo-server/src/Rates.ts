/** `GET /rates/{base}/{quote}` */
import { isVendorError } from "@breakwater/core"
import { ExchangeRates } from "@breakwater/vendors/exchange-rates/ExchangeRates"
import * as Effect from "effect/Effect"
import { HttpApiBuilder } from "effect/http-api"
import { DemoApi } from "./Api.ts"
import { ratesStale } from "./Degradation.ts"
import * as Problem from "./Problem.ts"
import * as Provenance from "./Provenance.ts"

export const layer = HttpApiBuilder.group(
  DemoApi,
  "rates",
  Effect.fn(function*(handlers) {
    const rates = yield* ExchangeRates
    // It is shown: whoever prices something asks without.
    const display = { maxAge: yield* ratesStale }
    return handlers.handle("rate", ({ params: { base, quote } }) =>
      rates.latest(base, quote, display).pipe(
        Effect.map((rate) => ({ ...rate, provenance: Provenance.toView(rate.provenance) })),
        Effect.mapError((error) =>
          isVendorError(error) ? Problem.fromVendorError(error) : Problem.notFound(`No rate for ${base}/${quote}`)
        )
      ))
  })
)

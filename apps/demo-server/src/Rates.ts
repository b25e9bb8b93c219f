/** `GET /rates/{base}/{quote}` */
import { ExchangeRates } from "@breakwater/vendors/exchange-rates"
import * as Effect from "effect/Effect"
import { HttpApiBuilder } from "effect/http-api"
import { DemoApi } from "./Api.ts"
import { ratesShown } from "./Capabilities.ts"
import { Features } from "./Features.ts"
import * as Problem from "./Problem.ts"
import * as Provenance from "./Provenance.ts"

export const layer = HttpApiBuilder.group(
  DemoApi,
  "rates",
  Effect.fn(function*(handlers) {
    const rates = yield* ExchangeRates
    const features = yield* Features
    // The rate is only displayed. A call that prices something must not accept stale rates.
    const display = { maxAge: yield* ratesShown }
    return handlers.handle(
      "rate",
      ({ params: { base, quote } }) =>
        features.rates.call(rates.latest(base, quote, display)).pipe(
          Effect.map((rate) => ({ ...rate, provenance: Provenance.ofRate(rate.provenance) })),
          Effect.catchTags({
            VendorError: Problem.ofVendorError,
            FeatureOff: Problem.ofFeatureOff,
            UnknownPair: () => Effect.fail(Problem.notFound(`No rate for ${base}/${quote}`))
          })
        )
    )
  })
)

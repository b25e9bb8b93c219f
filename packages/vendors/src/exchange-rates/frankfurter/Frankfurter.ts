/** Frankfurter: reference rates of central banks, free and without a key. It asks its users to call it sparingly. */
import { isVendorError, Vendor } from "@breakwater/core"
import type { Transport } from "@breakwater/core/transport"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Use from "../../Use.ts"
import { ExchangeRates, UnknownPair } from "../ExchangeRates.ts"
import { FrankfurterApi } from "./Api.ts"

/** The client. `FRANKFURTER_BASE_URL` overrides the public address. */
export class Frankfurter extends Vendor.Service<Frankfurter>()({
  name: "frankfurter",
  api: FrankfurterApi,
  baseUrl: "https://api.frankfurter.dev/v2"
}) {}

/** {@link ExchangeRates} by a Frankfurter client. */
export const make: Effect.Effect<ExchangeRates["Service"], never, Frankfurter> = Effect.map(
  Frankfurter,
  (frankfurter) =>
    ExchangeRates.of({
      latest: (base, quote, use) =>
        frankfurter.rate({ params: { base, quote }, query: {} }).pipe(
          Effect.mapError((error) => isVendorError(error) ? error : new UnknownPair({ base, quote })),
          Use.sourced(use),
          Effect.map(({ provenance, value: { date, rate } }) => ({ base, quote, rate, asOf: date, provenance }))
        )
    })
)

/** {@link make} as a layer. */
export const exchangeRates: Layer.Layer<ExchangeRates, never, Frankfurter> = Layer.effect(ExchangeRates, make)

/** {@link ExchangeRates} by Frankfurter, over the provided transport. */
export const layer: Layer.Layer<
  ExchangeRates,
  Config.ConfigError | Vendor.VendorMisconfigured,
  Transport.Transport
> = exchangeRates.pipe(Layer.provide(Frankfurter.layer))

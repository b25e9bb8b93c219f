/**
 * Exchange rates as an authority publishes them, for display and for pricing. Each rate has the day it was published for and
 * its provenance. A call gets a stale rate only when it states the largest age it accepts: a display states one, a price
 * does not.
 *
 * @example
 * ```ts
 * import { UndiciTransport } from "@breakwater/core/transport"
 * import * as ExchangeRates from "@breakwater/vendors/exchange-rates"
 * import * as Frankfurter from "@breakwater/vendors/exchange-rates/frankfurter"
 * import * as FrankfurterSimulator from "@breakwater/vendors/exchange-rates/frankfurter/simulator"
 * import { ConfigProvider, Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const { baseUrl } = yield* FrankfurterSimulator.serve()
 *   const environment = ConfigProvider.layer(ConfigProvider.fromUnknown({ FRANKFURTER_BASE_URL: baseUrl }))
 *   const rates = Effect.flatMap(ExchangeRates.ExchangeRates, ({ latest }) => latest("EUR", "USD"))
 *   const layer = Frankfurter.layer.pipe(Layer.provide(UndiciTransport.layer({ loopback: true })), Layer.provide(environment))
 *   return yield* Effect.provide(rates, layer)
 * })
 * const { provenance, rate } = await Effect.runPromise(Effect.scoped(program))
 * console.log(rate, provenance._tag) // => 1.0842 Fresh
 * ```
 */
import type { Provenance, VendorError } from "@breakwater/core"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Currency } from "../Money.ts"
import type { UseOptions } from "../Use.ts"

export interface ExchangeRate {
  readonly base: Currency
  readonly quote: Currency
  /** Units of `quote` for one unit of `base`; more than 0. */
  readonly rate: number
  /** The day it was published for, `YYYY-MM-DD`. Central banks publish no rates at weekends. */
  readonly asOf: string
  readonly provenance: Provenance.Provenance
}

/** The vendor publishes no rate for this pair. */
export class UnknownPair extends Schema.TaggedError<UnknownPair>()("UnknownPair", {
  base: Currency,
  quote: Currency
}) {
  override get message() {
    return `no rate is published for ${this.base}/${this.quote}`
  }
}

export class ExchangeRates extends Context.Service<ExchangeRates, {
  /** The latest rate of a pair. For a display: `latest("EUR", "USD", { maxAge: "1 day" })`. */
  latest(base: Currency, quote: Currency, use?: UseOptions): Effect.Effect<ExchangeRate, UnknownPair | VendorError>
}>()("breakwater/vendors/ExchangeRates") {}

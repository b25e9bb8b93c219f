/**
 * {@link ExchangeRates} by all its vendors: Frankfurter first, then Open Exchange Rates, each with its own cache. While
 * Frankfurter is down, its cache answers as `Stale`, up to the age that the call accepts. After that Open Exchange Rates
 * answers as `Fallback`. When both are down the call fails.
 *
 * @example
 * ```ts
 * import { UndiciTransport } from "@breakwater/core/transport"
 * import * as ExchangeRates from "@breakwater/vendors/exchange-rates"
 * import * as FrankfurterSimulator from "@breakwater/vendors/exchange-rates/frankfurter/simulator"
 * import * as ExchangeRatesLayers from "@breakwater/vendors/exchange-rates/layers"
 * import * as OpenExchangeRatesSimulator from "@breakwater/vendors/exchange-rates/open-exchange-rates/simulator"
 * import { ConfigProvider, Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const first = yield* FrankfurterSimulator.serve()
 *   const second = yield* OpenExchangeRatesSimulator.serve()
 *   yield* first.setFault({ kind: "refuse" })
 *   const environment = ConfigProvider.layer(ConfigProvider.fromUnknown({
 *     FRANKFURTER_BASE_URL: first.baseUrl,
 *     OPEN_EXCHANGE_RATES_BASE_URL: second.baseUrl,
 *     OPEN_EXCHANGE_RATES_API_KEY: "0".repeat(32)
 *   }))
 *   const rates = Effect.flatMap(ExchangeRates.ExchangeRates, ({ latest }) => latest("EUR", "USD"))
 *   const layer = ExchangeRatesLayers.failover().pipe(Layer.provide(UndiciTransport.layer({ loopback: true })))
 *   return yield* rates.pipe(Effect.provide(layer), Effect.provide(environment))
 * })
 * const { provenance, rate } = await Effect.runPromise(Effect.scoped(program))
 * console.log(rate.toFixed(4), JSON.stringify(provenance))
 * // => 1.0840 {"_tag":"Fallback","from":"open-exchange-rates","because":"ConnectFailed"}
 * ```
 */
import type { Failover, Policy, Vendor } from "@breakwater/core"
import type { Transport } from "@breakwater/core/transport"
import type * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as InOrder from "../InOrder.ts"
import { ExchangeRates } from "./ExchangeRates.ts"
import * as Frankfurter from "./frankfurter/Frankfurter.ts"
import * as OpenExchangeRates from "./open-exchange-rates/OpenExchangeRates.ts"

/** Defaults without a source are our own judgement. */
export interface FailoverOptions {
  /** How long a rate is fresh; above 0. `false` switches the cache off: every call goes to a vendor. @default "5 minutes" */
  readonly fresh?: Duration.Input | false | undefined
  /**
   * How long a stale rate may still be served when its vendor fails or takes more than a second; at least 0. Only calls
   * that accept its age get it. @default "1 day"
   */
  readonly stale?: Duration.Input | undefined
  /** When to prefer the second vendor, and when to return to the first one. @default the defaults of `Failover` */
  readonly failover?: Failover.FailoverOptions | undefined
}

/** An option out of range is a defect when the layer is built. */
export const failover = (
  options: FailoverOptions = {}
): Layer.Layer<ExchangeRates, Config.ConfigError | Vendor.VendorMisconfigured, Transport.Transport> => {
  const policy: Policy.Policy = {
    // One retry is enough: there is another vendor to call.
    retry: { retries: 1, base: Duration.millis(200) },
    cache: options.fresh === false ? false : {
      fresh: options.fresh ?? Duration.minutes(5),
      staleIfError: options.stale ?? Duration.days(1),
      softTimeout: Duration.seconds(1),
      negative: Duration.minutes(1)
    }
  }
  const inOrder = InOrder.make("exchange-rates", options.failover)
  return Layer.effect(
    ExchangeRates,
    Effect.gen(function*() {
      const ask = yield* inOrder
      const frankfurter = yield* Frankfurter.make
      const openExchangeRates = yield* OpenExchangeRates.make
      return ExchangeRates.of({
        latest: Effect.fn("ExchangeRates.latest")((base, quote, use) =>
          ask({
            "frankfurter": frankfurter.latest(base, quote, use),
            "open-exchange-rates": openExchangeRates.latest(base, quote, use)
          })
        )
      })
    })
  ).pipe(
    Layer.provide([
      Frankfurter.Frankfurter.layerWith({ rate: policy }),
      OpenExchangeRates.OpenExchangeRates.layerWith({ latest: policy })
    ])
  )
}

/**
 * Open Exchange Rates: the price of a US dollar in some 170 currencies, published hourly. Any other pair is a cross rate of
 * two: EUR/USD is `1 / EUR`, EUR/GBP is `GBP / EUR`. The table has at least six decimals, so a cross rate is within 0.001 %
 * of the unrounded one wherever a dollar buys at least 0.1. Rates of other publishers differ by more (see the README).
 */
import {
  type Answer,
  InvalidRequest,
  InvalidResponse,
  RateLimited,
  type Reason,
  Unauthorized,
  Vendor,
  VendorError
} from "@breakwater/core"
import type { Transport } from "@breakwater/core/transport"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { Currency } from "../../Money.ts"
import * as Use from "../../Use.ts"
import { type ExchangeRate, ExchangeRates, UnknownPair } from "../ExchangeRates.ts"
import { OpenExchangeRatesApi } from "./Api.ts"

const name = "open-exchange-rates"

/**
 * Reads the meanings of a 429 (https://docs.openexchangerates.org/reference/errors). It can mean that the plan does not allow
 * the request, which no wait changes, or over-use, which is refused for longer than a call can wait. A 403 is about the plan
 * or the account as well: there are no objects that another account could own.
 */
const classify = ({ json, retryAfterMillis, status }: Answer.Answer): Reason | undefined => {
  if (status === 403 && retryAfterMillis === undefined) return new Unauthorized(status)
  if (status !== 429) return undefined
  switch (Predicate.hasProperty(json, "message") ? json.message : undefined) {
    case "not_allowed":
      return new Unauthorized(status)
    case "access_restricted":
      return new RateLimited(status, { retryAfterMillis, isRetryable: false })
    default:
      return undefined
  }
}

/** The client. `OPEN_EXCHANGE_RATES_API_KEY` is its App ID; `OPEN_EXCHANGE_RATES_BASE_URL` overrides the public address. */
export class OpenExchangeRates extends Vendor.Service<OpenExchangeRates>()({
  name,
  api: OpenExchangeRatesApi,
  baseUrl: "https://openexchangerates.org/api",
  // As a query parameter it would end up in logs (https://docs.openexchangerates.org/reference/authentication).
  auth: { _tag: "Header", name: "authorization", prefix: "Token " },
  classify
}) {}

/** {@link ExchangeRates} by an Open Exchange Rates client. It requests the whole table: one answer serves all pairs. */
export const make: Effect.Effect<ExchangeRates["Service"], never, OpenExchangeRates> = Effect.map(
  OpenExchangeRates,
  (openExchangeRates) =>
    ExchangeRates.of({
      latest: (base, quote, use) => {
        // The pair is not sent, so neither the contract nor the vendor checks it.
        if (!isCurrency(base) || !isCurrency(quote)) return Effect.fail(noCurrency)
        return openExchangeRates.latest().pipe(
          Use.sourced(use),
          Effect.flatMap((answer): Effect.Effect<ExchangeRate, UnknownPair | VendorError> => {
            const { provenance, value: { rates, timestamp } } = answer
            const from = rates[base]
            const to = rates[quote]
            if (from === undefined || to === undefined) return Effect.fail(new UnknownPair({ base, quote }))
            // An invalid entry fails its own pairs only. The next call fetches the table again.
            if (!isWorth(from) || !isWorth(to) || !isWorth(to / from)) {
              Vendor.caches(openExchangeRates).clear()
              return Effect.fail(worthless)
            }
            return Effect.succeed({ base, quote, rate: to / from, asOf: dayOf(timestamp), provenance })
          })
        )
      }
    })
)

const isCurrency = Schema.is(Currency)

const failure = (reason: Reason, attempts: number) =>
  new VendorError({ vendor: name, operation: "latest", safety: "Idempotent", reason, attempts })

const noCurrency = failure(new InvalidRequest("invalid currency: a code has three capital letters"), 0)

const worthless = failure(new InvalidResponse(200, "a rate is not a positive number"), 1)

const isWorth = (rate: number): boolean => rate > 0 && rate < Infinity

const dayOf = (seconds: number): string => new Date(seconds * 1_000).toISOString().slice(0, 10)

/** {@link make} as a layer. */
export const exchangeRates: Layer.Layer<ExchangeRates, never, OpenExchangeRates> = Layer.effect(ExchangeRates, make)

/** {@link ExchangeRates} by Open Exchange Rates, over the provided transport. */
export const layer: Layer.Layer<
  ExchangeRates,
  Config.ConfigError | Vendor.VendorMisconfigured,
  Transport.Transport
> = exchangeRates.pipe(Layer.provide(OpenExchangeRates.layer))

/**
 * Simulator of Open Exchange Rates: fixed rates, published at every full hour. It accepts any App ID of 32 hexadecimal
 * digits, as a header or in the query. Like the free plan, it has no base but the dollar.
 */
import { Simulator } from "@breakwater/core/simulator"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type * as Scope from "effect/Scope"
import { OpenExchangeRatesApi } from "./Api.ts"

/** Units of each currency for one US dollar. */
const perDollar: Readonly<Record<string, number>> = {
  AED: 3.6725,
  AUD: 1.537886,
  BRL: 5.677214,
  BTC: 0.000010834,
  CAD: 1.39452,
  CHF: 0.861297,
  CNY: 7.122514,
  CZK: 22.427121,
  DKK: 6.880965,
  EUR: 0.922509,
  GBP: 0.795479,
  HUF: 355.552103,
  INR: 88.721402,
  JPY: 150.849632,
  KWD: 0.306914,
  MXN: 18.373063,
  NOK: 10.832103,
  PLN: 3.917436,
  SEK: 10.177491,
  USD: 1
}

/** Serves the API until the scope ends. */
export const serve = (
  options?: { readonly port?: number; readonly seed?: number }
): Effect.Effect<Simulator.Simulator, never, Scope.Scope> =>
  Simulator.serve({
    vendor: "open-exchange-rates",
    api: OpenExchangeRatesApi,
    basePath: "/api",
    handlers,
    front,
    limited: problem(429, "access_restricted", "Access restricted for repeated over-use."),
    ...options
  })

const publishedAt = Effect.map(Clock.currentTimeMillis, (now) => Math.max(1, Math.floor(now / 3_600_000) * 3_600))

const handlers = HttpApiBuilder.group(
  OpenExchangeRatesApi,
  "rates",
  (rates) =>
    rates.handle(
      "latest",
      () => Effect.map(publishedAt, (timestamp) => ({ timestamp, base: "USD" as const, rates: perDollar }))
    )
)

const front: Simulator.Front = (request, next) => {
  const query = new URLSearchParams(request.search)
  // The query overrides the header (https://docs.openexchangerates.org/reference/authentication).
  const appId = query.get("app_id") ?? /^Token (.*)$/.exec(request.headers["authorization"] ?? "")?.[1]
  if (appId === undefined) return refuse(401, "missing_app_id", "No App ID provided.")
  if (!/^[0-9a-f]{32}$/i.test(appId)) return refuse(401, "invalid_app_id", "Invalid App ID provided.")
  if ((query.get("base") ?? "USD") !== "USD") {
    return refuse(429, "not_allowed", "Changing the base is not part of the plan.")
  }
  return Effect.gen(function*() {
    const etag = `"${yield* publishedAt}"`
    const response = yield* next
    if (response.status === 200 && request.headers["if-none-match"] === etag) {
      return { status: 304, headers: { etag }, body: new Uint8Array() }
    }
    return { ...response, headers: { ...response.headers, etag, "cache-control": "public" } }
  }).pipe(Effect.catch(unserved))
}

const unserved = ({ _tag }: Simulator.Unserved): Effect.Effect<Simulator.WireResponse> =>
  _tag === "Broken"
    ? refuse(500, "internal_error", "Something went wrong.")
    : refuse(404, "not_found", "There is nothing here.")

const refuse = (status: number, message: string, description: string) =>
  Effect.succeed(problem(status, message, description))

/** https://docs.openexchangerates.org/reference/errors */
const problem = (status: number, message: string, description: string): Simulator.WireResponse =>
  Simulator.json(status, { error: true, status, message, description })

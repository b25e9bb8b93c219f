/** Simulator of Frankfurter: fixed rates, published on weekdays. */
import { Simulator } from "@breakwater/core/simulator"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type * as Scope from "effect/Scope"
import { FrankfurterApi } from "./Api.ts"

/** Units of each currency for one euro. */
const perEuro: Readonly<Record<string, number>> = {
  EUR: 1,
  AUD: 1.6671,
  BRL: 6.1538,
  CAD: 1.5116,
  CHF: 0.9337,
  CNY: 7.7205,
  CZK: 24.3110,
  DKK: 7.4587,
  GBP: 0.8623,
  HUF: 385.42,
  INR: 96.1735,
  JPY: 163.52,
  MXN: 19.9164,
  NOK: 11.7420,
  PLN: 4.2465,
  SEK: 11.0325,
  USD: 1.0842
}

/** Serves Frankfurter's API until the scope ends. */
export const serve = (
  options?: { readonly port?: number; readonly seed?: number }
): Effect.Effect<Simulator.Simulator, never, Scope.Scope> =>
  Simulator.serve({
    vendor: "frankfurter",
    api: FrankfurterApi,
    basePath: "/v2",
    handlers,
    front,
    ...options
  })

const handlers = HttpApiBuilder.group(
  FrankfurterApi,
  "rates",
  (rates) =>
    rates.handle("rate", ({ params: { base, quote }, query }) =>
      Effect.gen(function*() {
        const today = dayOf(yield* Clock.currentTimeMillis)
        const from = perEuro[base]
        const to = perEuro[quote]
        if (from === undefined || to === undefined || (query.date ?? today) < "1999-01-04") {
          return yield* Effect.fail({ message: "not found" })
        }
        return {
          date: publishedBy(query.date === undefined || query.date > today ? today : query.date),
          base,
          quote,
          rate: Number((to / from).toPrecision(5))
        }
      }))
)

const front: Simulator.Front = (_request, next) =>
  next.pipe(
    Effect.map((response) => ({
      ...response,
      headers: { ...response.headers, "cache-control": "public, max-age=86400" }
    })),
    Effect.catch((unserved) => Effect.succeed(refusal(unserved)))
  )

const refusal = (unserved: Simulator.Unserved): Simulator.WireResponse => {
  switch (unserved._tag) {
    case "NoEndpoint":
      return Simulator.json(404, { status: 404, message: "not found" })
    case "Misfit":
      return Simulator.json(422, { status: 422, message: `invalid ${unserved.field}` })
    case "Broken":
      return Simulator.json(500, { status: 500, message: "internal server error" })
  }
}

const dayOf = (millis: number): string => new Date(millis).toISOString().slice(0, 10)

/** The latest weekday on or before a day. */
const publishedBy = (day: string): string => {
  const date = new Date(`${day}T00:00:00Z`)
  const weekday = date.getUTCDay()
  date.setUTCDate(date.getUTCDate() - (weekday === 0 ? 2 : weekday === 6 ? 1 : 0))
  return dayOf(date.getTime())
}

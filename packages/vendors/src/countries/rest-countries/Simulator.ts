/**
 * Simulator of REST Countries v5. It serves the bundled countries and accepts any key that begins with `rc_live_`. The demo
 * key gets one sample and a note, as it does from the vendor.
 */
import type { Vendor } from "@breakwater/core"
import { Simulator } from "@breakwater/core/simulator"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type * as Scope from "effect/Scope"
import * as Bundled from "../Bundled.ts"
import type { Country } from "../Countries.ts"
import { RestCountriesApi } from "./Api.ts"

/** Serves the API until the scope ends. Fails when the package `world-countries`, whose data it serves, is not installed. */
export const serve = (
  options?: { readonly port?: number; readonly seed?: number }
): Effect.Effect<Simulator.Simulator, Vendor.VendorMisconfigured, Scope.Scope> =>
  Effect.andThen(
    Bundled.servedBy("rest-countries"),
    Simulator.serve({
      vendor: "rest-countries",
      api: RestCountriesApi,
      basePath: "/countries",
      handlers,
      front,
      limited: problem(429, "Too many requests."),
      ...options
    })
  )

const handlers = HttpApiBuilder.group(RestCountriesApi, "countries", (countries) =>
  countries
    .handle("list", ({ query: { limit, offset } }) =>
      Effect.map(served, (all) => {
        const objects = all.slice(offset, offset + limit).map(written)
        const more = offset + objects.length < all.length
        return { data: { objects, meta: { total: all.length, count: objects.length, limit, offset, more } } }
      }))
    .handle("byCode", ({ params: { code } }) =>
      Effect.flatMap(served, (all) => {
        const found = all.find(({ iso2 }) => iso2 === code)
        return found === undefined
          ? Effect.fail({ errors: [{ message: "Country not found." }] })
          : Effect.succeed({ data: { objects: [written(found)] } })
      })))

/** That they are there was checked when the simulator started. */
const served = Effect.orDie(Bundled.countries)

const written = (country: Country) => ({
  names: { common: country.name },
  codes: { alpha_2: country.iso2, alpha_3: country.iso3 ?? null, ccn3: country.isoNumeric ?? null },
  capitals: country.capital === undefined ? [] : [{ name: country.capital }],
  currencies: country.currencies.map((code) => ({ code })),
  calling_codes: country.callingCode === undefined ? [] : [country.callingCode],
  region: country.region ?? null,
  subregion: country.subregion ?? null
})

const front: Simulator.Front = (request, next) => {
  const key = /^Bearer (.+)$/.exec(request.headers["authorization"] ?? "")?.[1] ??
    new URLSearchParams(request.search).get("api-key")
  if (key === null) return Effect.succeed(problem(401, "Authorization key required."))
  if (!key.startsWith("rc_live_")) return Effect.succeed(problem(401, "Authorization key is not valid."))
  if (key === "rc_live_demo") return Effect.map(served, demo)
  return next.pipe(Effect.catch((unserved) => Effect.succeed(refusal(unserved))))
}

const demo = (all: ReadonlyArray<Country>): Simulator.WireResponse => {
  const objects = all.filter(({ iso2 }) => iso2 === "CA").map(written)
  return Simulator.json(200, { data: { _demo: "Sign up for a key.", objects, meta: { more: false } } })
}

const refusal = (unserved: Simulator.Unserved): Simulator.WireResponse => {
  switch (unserved._tag) {
    case "NoEndpoint":
      return problem(404, "Unknown property or aggregate.")
    case "Misfit":
      return problem(400, `${unserved.field} is not valid.`)
    case "Broken":
      return problem(500, "Internal server error.")
  }
}

const problem = (status: number, message: string): Simulator.WireResponse =>
  Simulator.json(status, { errors: [{ message }] })

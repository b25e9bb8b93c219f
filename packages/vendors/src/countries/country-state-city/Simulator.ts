/**
 * Simulator of Country State City. It serves the bundled countries on a plan that has all fields, and accepts any key.
 */
import type { Vendor } from "@breakwater/core"
import { Simulator } from "@breakwater/core/simulator"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type * as Scope from "effect/Scope"
import * as Bundled from "../Bundled.ts"
import type { Country } from "../Countries.ts"
import { CountryStateCityApi } from "./Api.ts"

/** Serves the API until the scope ends. Fails when the package `world-countries`, whose data it serves, is not installed. */
export const serve = (
  options?: { readonly port?: number; readonly seed?: number }
): Effect.Effect<Simulator.Simulator, Vendor.VendorMisconfigured, Scope.Scope> =>
  Effect.andThen(
    Bundled.servedBy("country-state-city"),
    Simulator.serve({
      vendor: "country-state-city",
      api: CountryStateCityApi,
      basePath: "/v1",
      handlers,
      front,
      limited: Simulator.json(429, {
        error: "Daily limit exceeded",
        limit: 100,
        period: "daily",
        tier: "community"
      }),
      ...options
    })
  )

const handlers = HttpApiBuilder.group(CountryStateCityApi, "countries", (countries) =>
  countries
    .handle("list", () => Effect.map(served, (all) => all.map(written)))
    .handle("byCode", ({ params }) =>
      Effect.flatMap(served, (all) => {
        const found = all.find(({ iso2 }) => iso2 === params.iso2)
        return found === undefined
          ? Effect.fail({ error: "No Country/Countries found." })
          : Effect.succeed(written(found))
      })))

/** That they are there was checked when the simulator started. */
const served = Effect.orDie(Bundled.countries)

const written = (country: Country) => ({
  name: country.name,
  iso2: country.iso2,
  iso3: country.iso3 ?? null,
  numeric_code: country.isoNumeric ?? null,
  phonecode: country.callingCode?.slice(1) ?? "",
  capital: country.capital ?? "",
  currency: country.currencies[0] ?? "",
  region: country.region === "Antarctic" ? "Polar" : country.region ?? "",
  subregion: country.subregion ?? ""
})

const front: Simulator.Front = (request, next) =>
  (request.headers["x-cscapi-key"] ?? "") === ""
    ? Effect.succeed(problem(401, "Unauthorized. You shouldn't be here."))
    : next.pipe(Effect.catch((unserved) => Effect.succeed(refusal(unserved))))

const refusal = ({ _tag }: Simulator.Unserved): Simulator.WireResponse =>
  _tag === "Broken" ? problem(500, "Internal server error") : problem(404, "No such endpoint")

const problem = (status: number, error: string): Simulator.WireResponse => Simulator.json(status, { error })

/**
 * Simulators of all vendors, each on its own loopback port, and the configuration that points the vendors at them. The
 * environment overrides that configuration.
 */
import type { Vendor } from "@breakwater/core"
import { Credential, type Source } from "@breakwater/core/credentials"
import type { Simulator } from "@breakwater/core/simulator"
import * as CountryStateCity from "@breakwater/vendors/countries/country-state-city/simulator"
import * as RestCountries from "@breakwater/vendors/countries/rest-countries/simulator"
import * as Frankfurter from "@breakwater/vendors/exchange-rates/frankfurter/simulator"
import * as OpenExchangeRates from "@breakwater/vendors/exchange-rates/open-exchange-rates/simulator"
import * as Stripe from "@breakwater/vendors/payments/stripe/simulator"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"

export class Simulators extends Context.Service<Simulators, ReadonlyMap<string, Simulator.Simulator>>()(
  "breakwater/demo-server/Simulators"
) {}

export const layer: Layer.Layer<Simulators, Vendor.VendorMisconfigured> = Layer.effect(
  Simulators,
  Effect.map(
    Effect.all([
      Stripe.serve(),
      Frankfurter.serve(),
      OpenExchangeRates.serve(),
      RestCountries.serve(),
      CountryStateCity.serve()
    ], { concurrency: "unbounded" }),
    (simulators) => new Map(simulators.map((simulator) => [simulator.vendor, simulator]))
  )
)

/** Keys in each vendor's format that only its simulator accepts. */
const simulatedKeys: Readonly<Record<string, string>> = {
  "stripe": "sk_simulated",
  "open-exchange-rates": "0".repeat(32),
  "rest-countries": "rc_live_simulated",
  "country-state-city": "simulated"
}

const baseUrlOf = (vendor: string) => `${Credential.upperSnake(vendor)}_BASE_URL`

/** Configures the simulator's base URL for every vendor that has none in the environment. */
export const layerConfig: Layer.Layer<never, Config.ConfigError, Simulators> = Layer.unwrap(
  Effect.gen(function*() {
    const settings: Record<string, string> = {}
    for (const { baseUrl, vendor } of (yield* Simulators).values()) {
      const variable = baseUrlOf(vendor)
      if (Option.isSome(yield* Config.option(Config.String(variable)))) continue
      settings[variable] = baseUrl
    }
    return ConfigProvider.layerAdd(ConfigProvider.fromUnknown(settings))
  })
)

/** The keys of the simulated vendors. */
export const keys: Effect.Effect<Source.Source, Config.ConfigError, Simulators> = Effect.gen(function*() {
  const keys = new Map<string, Redacted.Redacted>()
  for (const { baseUrl, vendor } of (yield* Simulators).values()) {
    const key = simulatedKeys[vendor]
    if (key !== undefined && (yield* Config.String(baseUrlOf(vendor))) === baseUrl) keys.set(vendor, Redacted.make(key))
  }
  return {
    name: "simulators",
    fetch: ({ vendor }) => {
      const value = keys.get(vendor)
      return Effect.succeed(value === undefined ? undefined : { value })
    }
  }
})

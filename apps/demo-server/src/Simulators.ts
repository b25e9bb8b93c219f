/**
 * The simulators of every vendor, each on a loopback port of its own, and the configuration that makes the vendors use
 * them: whatever the environment says goes before it.
 */
import { Credential, type Simulator } from "@breakwater/core"
import * as CountryStateCity from "@breakwater/vendors/countries/country-state-city/Simulator"
import * as RestCountries from "@breakwater/vendors/countries/rest-countries/Simulator"
import * as Frankfurter from "@breakwater/vendors/exchange-rates/frankfurter/Simulator"
import * as OpenExchangeRates from "@breakwater/vendors/exchange-rates/open-exchange-rates/Simulator"
import * as Stripe from "@breakwater/vendors/payments/stripe/Simulator"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"

export class Simulators extends Context.Service<Simulators, ReadonlyMap<string, Simulator.Simulator>>()(
  "breakwater/demo-server/Simulators"
) {}

export const layer: Layer.Layer<Simulators> = Layer.effect(
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

/** Keys in the form that each vendor's have, which only a simulator takes. */
const simulatedKeys: Readonly<Record<string, string>> = {
  "stripe": "sk_simulated",
  "open-exchange-rates": "0".repeat(32),
  "rest-countries": "rc_live_simulated",
  "country-state-city": "simulated"
}

/** A vendor whose base URL the environment does not name is simulated, and gets a key that only a simulator takes. */
export const layerConfig: Layer.Layer<never, Config.ConfigError, Simulators> = Layer.unwrap(
  Effect.gen(function*() {
    const settings: Record<string, string> = {}
    for (const { baseUrl, vendor } of (yield* Simulators).values()) {
      const variable = `${Credential.upperSnake(vendor)}_BASE_URL`
      if (Option.isSome(yield* Config.option(Config.String(variable)))) continue
      settings[variable] = baseUrl
      const key = simulatedKeys[vendor]
      if (key !== undefined) settings[Credential.environmentName({ vendor, key: "" })] = key
    }
    return ConfigProvider.layerAdd(ConfigProvider.fromUnknown(settings))
  })
)

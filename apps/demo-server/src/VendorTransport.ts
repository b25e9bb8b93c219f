/**
 * The transport to the vendors. It allows loopback addresses only if some vendor runs on this machine: a simulator, or a
 * base URL that points here.
 */
import { Credential } from "@breakwater/core/credentials"
import { AddressGuard, type Transport, UndiciTransport } from "@breakwater/core/transport"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { Simulators } from "./Simulators.ts"

export const layer: Layer.Layer<
  Transport.Transport,
  Config.ConfigError | Transport.TransportMisconfigured,
  Simulators
> = Layer.unwrap(
  Effect.gen(function*() {
    let loopback = false
    for (const vendor of (yield* Simulators).keys()) {
      const baseUrl = yield* Config.option(Config.String(`${Credential.upperSnake(vendor)}_BASE_URL`))
      // The vendor's client refuses a text that is not a URL, and says which variable holds it.
      const url = URL.parse(Option.getOrElse(baseUrl, () => ""))
      if (url !== null && AddressGuard.isHere(url.hostname)) loopback = true
    }
    return UndiciTransport.layer({ loopback })
  })
)

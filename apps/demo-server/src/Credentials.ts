/** Keys of the vendors, from the sources in `CREDENTIALS`. A simulated vendor without a key there gets one of its simulator. */
import { Chain, Credential } from "@breakwater/core/credentials"
import { FromEnvironment } from "@breakwater/core/sources"
import { TransportHttpClient, UndiciTransport } from "@breakwater/core/transport"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Simulators from "./Simulators.ts"

/** The operator names the sources, so they may run on this machine, and at the private addresses in `CREDENTIALS_ALLOW`. */
const transport = Layer.unwrap(
  Effect.map(Config.option(Config.String("CREDENTIALS_ALLOW")), (allowed) => {
    const allow = Option.getOrElse(allowed, () => "").split(",").map((text) => text.trim()).filter((text) =>
      text !== ""
    )
    return UndiciTransport.layer({ loopback: true, allow })
  })
)

const http = TransportHttpClient.layer().pipe(Layer.provide(transport))

export const layer = Layer.effect(
  Credential.Credentials,
  Effect.gen(function*() {
    return Chain.make([yield* Credential.Credentials, yield* Simulators.keys])
  })
).pipe(Layer.provide(FromEnvironment.layer), Layer.provide(http))

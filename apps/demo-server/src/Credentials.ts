/** Keys of the vendors, from the sources in `CREDENTIALS`. A simulated vendor without a key there gets one of its simulator. */
import { Chain, Credential } from "@breakwater/core/credentials"
import { FromEnvironment } from "@breakwater/core/sources"
import * as Effect from "effect/Effect"
import { FetchHttpClient } from "effect/http"
import * as Layer from "effect/Layer"
import * as Simulators from "./Simulators.ts"

export const layer = Layer.effect(
  Credential.Credentials,
  Effect.gen(function*() {
    return Chain.make([yield* Credential.Credentials, yield* Simulators.keys])
  })
).pipe(Layer.provide(FromEnvironment.layer), Layer.provide(FetchHttpClient.layer))

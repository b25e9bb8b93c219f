/**
 * The demo server as a list of layers: each layer provides for those above it. On a signal to stop it finishes the requests
 * in flight, closes its sockets, flushes telemetry, and exits with code 0.
 */
import * as Stripe from "@breakwater/vendors/payments/stripe"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder, HttpApiScalar } from "effect/http-api"
import * as Layer from "effect/Layer"
import { DemoApi } from "./Api.ts"
import * as Degradation from "./Capabilities.ts"
import * as Checkout from "./Checkout.ts"
import * as Control from "./Control.ts"
import * as Countries from "./Countries.ts"
import * as Crash from "./Crash.ts"
import * as Credentials from "./Credentials.ts"
import * as Failures from "./Failures.ts"
import * as Features from "./Features.ts"
import * as Fleet from "./Fleet.ts"
import * as Health from "./Health.ts"
import * as Home from "./Home.ts"
import * as Listen from "./Listen.ts"
import * as Logs from "./Logs.ts"
import * as Methods from "./Methods.ts"
import * as Observability from "./Observability.ts"
import * as Payments from "./Payments.ts"
import * as Rates from "./Rates.ts"
import * as SameMachine from "./SameMachine.ts"
import * as Simulators from "./Simulators.ts"
import * as Outbound from "./VendorTransport.ts"

/** Pages beside the contract. Metrics hold the keys of tenants, so they are here only while the port is this machine's. */
const pages = (isLocal: boolean) => [Home.path, "/docs", "/openapi.json", ...(isLocal ? [Observability.path] : [])]

const routes = Layer.unwrap(Effect.map(Listen.host, (host) => {
  const isLocal = Listen.isLocal(host)
  return Layer.mergeAll(
    HttpApiBuilder.layer(DemoApi, { openapiPath: "/openapi.json" }),
    HttpApiScalar.layer(DemoApi, { path: "/docs", scalar: { withDefaultFonts: false, defaultOpenAllTags: true } }),
    Home.layer({ isLocal }),
    isLocal ? Observability.layerMetrics : Layer.empty,
    Failures.layer({
      methods: Methods.make(DemoApi, pages(isLocal)),
      ...(isLocal ? { refusalOf: SameMachine.refusalOfMain } : {})
    })
  )
})).pipe(Layer.provide([Rates.layer, Countries.layer, Checkout.layer, Payments.layer, Health.layer]))

const main = HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
  (served) => Layer.provideMerge(Listen.logAddress(Listen.host), served),
  Layer.provide(Listen.layer("PORT", 3000, Listen.host)),
  Layer.provide([Stripe.layer, Degradation.layer]),
  Layer.provide([Outbound.layer, Fleet.layer]),
  Layer.provide(Credentials.layer),
  Layer.provide(Control.layer),
  Layer.provide(Features.layer),
  Layer.provide(Simulators.layerConfig),
  Layer.provide(Simulators.layer),
  Layer.provide(Observability.layerTracing)
)

Crash.guard()

const launched = Layer.launch(main).pipe(
  Effect.provide(Logs.layerLevel),
  Effect.tapCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError(cause)),
  Effect.provide(Logs.layer)
)

NodeRuntime.runMain(launched, {
  // Its report would print the error without redaction, which `Logs` adds.
  disableErrorReporting: true,
  teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
})

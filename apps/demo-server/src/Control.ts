/**
 * The control API, on its own port and for this machine only. It shows the requests that the simulators received, sets and
 * lifts their faults, switches features by hand, and shows the metrics.
 */
import { Redaction } from "@breakwater/core"
import { Simulator } from "@breakwater/core/simulator"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { HttpRouter, HttpServer } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { FeatureReport, strict } from "./Api.ts"
import * as Failures from "./Failures.ts"
import { type Feature, Features } from "./Features.ts"
import * as Listen from "./Listen.ts"
import * as Methods from "./Methods.ts"
import * as Observability from "./Observability.ts"
import * as Problem from "./Problem.ts"
import * as SameMachine from "./SameMachine.ts"
import { Simulators } from "./Simulators.ts"

const vendor = { vendor: Schema.String }

const Journal = Schema.Struct({
  count: Schema.Int,
  requests: Schema.Array(Schema.Struct({
    at: Schema.String,
    method: Schema.String,
    path: Schema.String,
    operation: Schema.NullOr(Schema.String),
    status: Schema.NullOr(Schema.Int)
  }))
})

/** `FeatureSwitch` spells these `Automatic`, `On` and `Off`. */
const Mode = Schema.Struct({ mode: Schema.Literals(["automatic", "on", "off"]) })
const modes = { automatic: "Automatic", on: "On", off: "Off" } as const

const ControlApi = HttpApi.make("breakwater-simulators").add(
  HttpApiGroup.make("control").add(
    HttpApiEndpoint.get("simulators", "/_simulators", {
      success: Schema.Array(Schema.Struct({
        vendor: Schema.String,
        baseUrl: Schema.String,
        fault: Schema.NullOr(Simulator.Fault)
      }))
    }),
    HttpApiEndpoint.put("setFault", "/_faults/:vendor", {
      params: vendor,
      payload: Simulator.Fault,
      success: HttpApiSchema.NoContent,
      error: [Problem.NotFound, Problem.InvalidRequest]
    }),
    HttpApiEndpoint.delete("liftFault", "/_faults/:vendor", {
      params: vendor,
      success: HttpApiSchema.NoContent,
      error: Problem.NotFound
    }),
    HttpApiEndpoint.get("journal", "/_journal/:vendor", {
      params: vendor,
      success: Journal,
      error: Problem.NotFound
    }),
    HttpApiEndpoint.delete("clearJournal", "/_journal/:vendor", {
      params: vendor,
      success: HttpApiSchema.NoContent,
      error: Problem.NotFound
    }),
    HttpApiEndpoint.get("features", "/_features", { success: Schema.Array(FeatureReport) }),
    HttpApiEndpoint.put("setMode", "/_features/:feature", {
      params: { feature: Schema.String },
      payload: Mode,
      success: HttpApiSchema.NoContent,
      error: [Problem.NotFound, Problem.InvalidRequest]
    })
  )
).annotateMerge(strict)

const handlers = HttpApiBuilder.group(
  ControlApi,
  "control",
  Effect.fn(function*(handlers) {
    const simulators = yield* Simulators
    const features: ReadonlyMap<string, Feature> = new Map(Object.entries(yield* Features))

    const named = (vendor: string) => {
      const simulator = simulators.get(vendor)
      return simulator === undefined
        ? Effect.fail(Problem.notFound(`No such simulator; there are ${[...simulators.keys()].join(", ")}`))
        : Effect.succeed(simulator)
    }

    return handlers
      .handle("simulators", () =>
        Effect.forEach(
          simulators.values(),
          ({ baseUrl, fault, vendor }) => Effect.map(fault, (fault) => ({ vendor, baseUrl, fault: fault ?? null }))
        ))
      .handle(
        "setFault",
        ({ params, payload }) =>
          Effect.flatMap(
            named(params.vendor),
            ({ operations, setFault }) =>
              payload.operation === undefined || operations.includes(payload.operation)
                ? setFault(payload)
                : Effect.fail(Problem.invalidRequest("operation", `must be one of ${operations.join(", ")}`))
          )
      )
      .handle("liftFault", ({ params }) => Effect.flatMap(named(params.vendor), ({ setFault }) => setFault(undefined)))
      .handle("journal", ({ params }) =>
        Effect.map(named(params.vendor), ({ journal }) => ({
          count: journal.count,
          requests: journal.requests.map((entry) => ({
            ...entry,
            path: Redaction.url(entry.path),
            operation: entry.operation ?? null
          }))
        })))
      .handle("clearJournal", ({ params }) => Effect.map(named(params.vendor), ({ journal }) => journal.clear()))
      .handle("features", () => Effect.forEach(features.values(), ({ report }) => report))
      .handle("setMode", ({ params, payload }) =>
        features.get(params.feature)?.setMode(modes[payload.mode]) ??
          Effect.fail(Problem.notFound(`No such feature; there are ${[...features.keys()].join(", ")}`)))
  })
)

/** The port where the control API listens. */
export class ControlPort extends Context.Service<ControlPort, number>()("breakwater/demo-server/ControlPort") {}

const routes = Layer.mergeAll(
  HttpApiBuilder.layer(ControlApi).pipe(Layer.provide(handlers)),
  Observability.layerMetrics,
  Failures.layer({ methods: Methods.make(ControlApi, [Observability.path]), refusalOf: SameMachine.refusalOf })
)

const served = HttpRouter.serve(routes, { disableLogger: true }).pipe(
  Layer.provideMerge(Layer.effect(
    ControlPort,
    Effect.map(HttpServer.HttpServer, ({ address }) => address._tag === "UnixPathAddress" ? 0 : address.port)
  )),
  Layer.provide(Listen.layer("SIMULATORS_PORT", 4000, Listen.loopback))
)

/**
 * Serves the control API at `SIMULATORS_PORT`, on loopback only. It gives away nothing but its port: a server above it that
 * saw its router would serve its routes too. @default 4000
 */
export const layer = Layer.effect(
  ControlPort,
  Effect.map(Layer.build(served), (context) => Context.get(context, ControlPort))
)

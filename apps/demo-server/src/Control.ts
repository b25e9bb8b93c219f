/**
 * The control API, on its own port and for this machine only. It shows the requests that the simulators received, sets and
 * lifts their faults, and switches features by hand.
 */
import { Redaction } from "@breakwater/core"
import { Simulator } from "@breakwater/core/simulator"
import * as Effect from "effect/Effect"
import { HttpRouter, HttpServer } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { FeatureReport } from "./Api.ts"
import * as Failures from "./Failures.ts"
import { type Feature, Features } from "./Features.ts"
import * as Listen from "./Listen.ts"
import * as Problem from "./Problem.ts"
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
)

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
        ({ params, payload }) => Effect.flatMap(named(params.vendor), ({ setFault }) => setFault(payload))
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

/** Serves the control API at `SIMULATORS_PORT`. @default 4000 */
export const layer = HttpRouter.serve(
  HttpApiBuilder.layer(ControlApi).pipe(Layer.provide(handlers), Layer.provideMerge(Failures.layer)),
  { disableLogger: true, disableListenLog: true }
).pipe(
  HttpServer.withLogAddress,
  Layer.provide(Listen.layer("SIMULATORS_PORT", 4000, "127.0.0.1"))
)

/** `/health/live` and `/health/ready`: whether the process runs, and the state of its features and vendors. */
import { Telemetry } from "@breakwater/core"
import * as Effect from "effect/Effect"
import { HttpApiBuilder } from "effect/http-api"
import * as Metric from "effect/Metric"
import { DemoApi, type Dependency } from "./Api.ts"
import { Features } from "./Features.ts"

export const layer = HttpApiBuilder.group(
  DemoApi,
  "health",
  Effect.fn(function*(handlers) {
    const features = yield* Features
    return handlers
      .handle("live", () => Effect.succeed({ status: "live" as const }))
      // The server stays ready while a vendor is down. Restarting it or taking it out of rotation would repair nothing, and
      // would take away the routes that still work.
      .handle("ready", () =>
        Effect.all({
          status: Effect.succeed("ready" as const),
          features: Effect.forEach(Object.values(features), ({ report }) => report),
          dependencies
        }))
  })
)

/** The states of the metric, as the answer spells them. */
const circuits = { closed: "closed", half_open: "half-open", open: "open" } as const

const dependencies: Effect.Effect<ReadonlyArray<typeof Dependency.Type>> = Effect.map(
  Metric.snapshot,
  (metrics) =>
    metrics.flatMap((metric) =>
      metric.id === Telemetry.breakerState && metric.type === "Gauge" && Number(metric.state.value) === 1
        ? [{
          vendor: metric.attributes?.["vendor"] ?? "",
          operation: metric.attributes?.["operation"] ?? "",
          circuit: circuits[metric.attributes?.["state"] as keyof typeof circuits]
        }]
        : []
    )
)

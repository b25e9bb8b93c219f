/** `/health/live` and `/health/ready`: whether the process runs, and how its vendors are. */
import { Telemetry } from "@breakwater/core"
import * as Effect from "effect/Effect"
import { HttpApiBuilder } from "effect/http-api"
import * as Metric from "effect/Metric"
import { DemoApi, type Dependency } from "./Api.ts"

export const layer = HttpApiBuilder.group(DemoApi, "health", (handlers) =>
  handlers
    .handle("live", () => Effect.succeed({ status: "live" as const }))
    // A vendor that is out makes answers poorer, not the server unready: restarting it would help nobody.
    .handle("ready", () => Effect.map(dependencies, (dependencies) => ({ status: "ready" as const, dependencies }))))

const circuits = ["closed", "half-open", "open"] as const

const dependencies: Effect.Effect<ReadonlyArray<typeof Dependency.Type>> = Effect.map(
  Metric.snapshot,
  (metrics) =>
    metrics.flatMap((metric) =>
      metric.id === Telemetry.breakerState && metric.type === "Gauge"
        ? [{
          vendor: metric.attributes?.["vendor"] ?? "",
          operation: metric.attributes?.["operation"] ?? "",
          circuit: circuits[Number(metric.state.value)] ?? "closed"
        }]
        : []
    )
)

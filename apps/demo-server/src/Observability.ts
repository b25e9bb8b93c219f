/** Metrics for Prometheus, and traces over OTLP when `OTEL_EXPORTER_OTLP_ENDPOINT` says where to. */
import { Telemetry } from "@breakwater/core"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { PrometheusMetrics } from "effect/observability"
import * as Option from "effect/Option"

/** Prometheus wants the unit in the name, and counters to say that they are. */
const units: Readonly<Record<string, string>> = {
  [Telemetry.requestDuration]: "_seconds",
  [Telemetry.operationDuration]: "_seconds",
  [Telemetry.retries]: "_total",
  [Telemetry.hedges]: "_total",
  [Telemetry.refusals]: "_total",
  [Telemetry.breakerTransitions]: "_total",
  [Telemetry.capabilityAnswers]: "_total"
}

/** `GET /metrics` */
export const layerMetrics = PrometheusMetrics.layerHttp({
  path: "/metrics",
  metricNameMapper: (name) => `${name}${units[name] ?? ""}`
})

/** Traces; their packages are loaded only when somebody listens. */
export const layerTracing: Layer.Layer<never, Config.ConfigError> = Layer.unwrap(
  Effect.gen(function*() {
    const endpoint = yield* Config.option(Config.String("OTEL_EXPORTER_OTLP_ENDPOINT"))
    if (Option.isNone(endpoint)) return Layer.empty
    const [NodeSdk, { BatchSpanProcessor }, { OTLPTraceExporter }] = yield* Effect.promise(() =>
      Promise.all([
        import("@effect/opentelemetry/NodeSdk"),
        import("@opentelemetry/sdk-trace-base"),
        import("@opentelemetry/exporter-trace-otlp-http")
      ])
    )
    return NodeSdk.layer(() => ({
      resource: { serviceName: "breakwater-demo", serviceVersion: "0.1.0" },
      spanProcessor: new BatchSpanProcessor(
        new OTLPTraceExporter({ url: `${endpoint.value.replace(/\/$/, "")}/v1/traces` })
      )
    }))
  })
)

/** Metrics for Prometheus, and traces over OTLP to `OTEL_EXPORTER_OTLP_ENDPOINT` if it is set. */
import { Redaction, Telemetry } from "@breakwater/core"
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace-base"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { PrometheusMetrics } from "effect/observability"
import * as Option from "effect/Option"
import { printed } from "./RedactedOutput.ts"

export const path = "/metrics"

/** `GET /metrics` */
export const layerMetrics = PrometheusMetrics.layerHttp({
  path,
  metricNameMapper: Telemetry.prometheusName
})

/** Traces; their packages are loaded only when an endpoint is set. */
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
        redacting(new OTLPTraceExporter({ url: `${endpoint.value.replace(/\/$/, "")}/v1/traces` }))
      )
    }))
  })
)

/** Exports spans without their secrets. A request to us can hold one in its path, its query and other places. */
const redacting = (exporter: SpanExporter): SpanExporter => ({
  export: (spans, done) => exporter.export(spans.map(shown), done),
  shutdown: () => exporter.shutdown(),
  forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve()
})

const shown = (span: ReadableSpan): ReadableSpan =>
  Object.create(span, {
    name: { value: printed(span.name) },
    attributes: { value: attributes(span.attributes) },
    events: { value: span.events.map((event) => ({ ...event, attributes: attributes(event.attributes ?? {}) })) },
    status: { value: { ...span.status, message: printed(span.status.message ?? "") } }
  }) as ReadableSpan

const attributes = (given: ReadableSpan["attributes"]): ReadableSpan["attributes"] =>
  Object.fromEntries(Object.entries(given).map(([name, value]) => [name, attribute(name, value)]))

const attribute = (name: string, value: ReadableSpan["attributes"][string]) => {
  if (typeof value === "string" && name.startsWith("url.")) {
    return printed(name === "url.query" ? Redaction.form(value) : Redaction.url(value))
  }
  const kept = (Redaction.json({ [name]: value }) as ReadableSpan["attributes"])[name]
  return typeof kept === "string" ? printed(kept) : kept
}

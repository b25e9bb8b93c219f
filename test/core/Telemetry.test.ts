import * as Telemetry from "@breakwater/core/Telemetry"
import { assert, describe, it } from "@effect/vitest"
import { Context, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { readFileSync } from "node:fs"

const rows: ReadonlyArray<Telemetry.Metric> = Object.values(Telemetry.metrics)

const guide = readFileSync(new URL("../../docs/guides/metrics.md", import.meta.url), "utf8")

describe("the table of metrics", () => {
  it("is in the guide, row by row", () => {
    const table = rows.map(({ help, kind, labels, name }) => {
      const shown = labels.map((label) => `\`${label}\``).join(" ")
      return `| \`${name}\` | \`${Telemetry.prometheusName(name)}\` | ${kind} | ${shown} | ${help} |`
    })
    assert.include(guide, table.join("\n"))
  })

  it("names each metric once, with a help text, and a closed set only for one of its labels", () => {
    assert.strictEqual(new Set(rows.map(({ name }) => name)).size, rows.length)
    for (const { help, labels, name, values = {} } of rows) {
      assert.isNotEmpty(help, name)
      assert.includeMembers([...labels], Object.keys(values), name)
      // One closed set per metric: a series for every pair of two sets would be too many.
      assert.isAtMost(Object.keys(values).length, 1, name)
    }
  })

  it("puts the unit in the Prometheus name, and _total in that of each counter", () => {
    const names = Object.fromEntries(rows.map(({ name }) => [name, Telemetry.prometheusName(name)]))
    assert.deepStrictEqual(names, {
      "http.client.request.duration": "http_client_request_duration_seconds",
      "breakwater.operation.duration": "breakwater_operation_duration_seconds",
      "breakwater.operations": "breakwater_operations_total",
      "breakwater.key.operations": "breakwater_key_operations_total",
      "breakwater.retries": "breakwater_retries_total",
      "breakwater.hedges": "breakwater_hedges_total",
      "breakwater.refusals": "breakwater_refusals_total",
      "breakwater.cache.lookups": "breakwater_cache_lookups_total",
      "breakwater.cache.evictions": "breakwater_cache_evictions_total",
      "breakwater.cache.bypassed": "breakwater_cache_bypassed_total",
      "breakwater.shared_state.bypassed": "breakwater_shared_state_bypassed_total",
      "breakwater.cache.entries": "breakwater_cache_entries",
      "breakwater.cache.bytes": "breakwater_cache_bytes",
      "breakwater.capability.answers": "breakwater_capability_answers_total",
      "breakwater.breaker.state": "breakwater_breaker_state",
      "breakwater.breaker.circuits": "breakwater_breaker_circuits",
      "breakwater.breaker.transitions": "breakwater_breaker_transitions_total",
      "breakwater.bulkhead.running": "breakwater_bulkhead_running",
      "breakwater.bulkhead.waiting": "breakwater_bulkhead_waiting",
      "breakwater.adaptivelimit.limit": "breakwater_adaptivelimit_limit",
      "breakwater.adaptivelimit.running": "breakwater_adaptivelimit_running",
      "breakwater.adaptivelimit.waiting": "breakwater_adaptivelimit_waiting",
      "breakwater.throttle.probability": "breakwater_throttle_probability",
      "breakwater.ratelimit.waiting": "breakwater_ratelimit_waiting",
      "breakwater.retry.budget": "breakwater_retry_budget",
      "breakwater.feature.share": "breakwater_feature_share",
      "breakwater.feature.transitions": "breakwater_feature_transitions_total",
      "breakwater.credential.refusals": "breakwater_credential_refusals_total",
      "breakwater.credential.dead": "breakwater_credential_dead"
    })
    for (const { kind, name } of rows) {
      assert.strictEqual(Telemetry.prometheusName(name).endsWith("_total"), kind === "Counter", name)
    }
  })

  it("keeps the names of foreign metrics", () => {
    assert.strictEqual(Telemetry.prometheusName("process.uptime"), "process_uptime")
  })

  it("creates the counts of a closed set at 0, and keeps existing counts", () => {
    const context = Context.make(Metric.MetricRegistry, new Map())
    Telemetry.counter(context, Telemetry.capabilityAnswers, { capability: "rates", provenance: "Stale" }).count++
    Telemetry.begin(context, Telemetry.capabilityAnswers, { capability: "rates" })
    const text = PrometheusMetrics.formatUnsafe(context, { metricNameMapper: Telemetry.prometheusName })
    assert.deepStrictEqual(text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).toSorted(), [
      `breakwater_capability_answers_total{capability="rates",provenance="Cached"} 0`,
      `breakwater_capability_answers_total{capability="rates",provenance="Fallback"} 0`,
      `breakwater_capability_answers_total{capability="rates",provenance="Fresh"} 0`,
      `breakwater_capability_answers_total{capability="rates",provenance="Stale"} 1`
    ])
  })
})

/**
 * The table of all metrics: one row each, from which names, descriptions, registrations and the names for Prometheus
 * are made. A new metric is one new row here.
 */
import { Facts } from "../Reason.ts"

export interface Metric {
  readonly name: string
  /**
   * A `StateSet` shows 1 for the current state and 0 for every other, so that averages over time or instances make
   * sense.
   */
  readonly kind: "Counter" | "Gauge" | "Histogram" | "StateSet"
  /** In UCUM (https://ucum.org): `s`, `By`, `1` for a share; a word in braces names the counted things. */
  readonly unit: string
  readonly labels: ReadonlyArray<string>
  readonly help: string
  /**
   * The closed set of values of a label. Every series of it is created at 0, because Prometheus' `increase` misses a
   * series whose first value is 1. The values of a state set are ordered, with the best state first.
   */
  readonly values?: Readonly<Record<string, ReadonlyArray<string>>>
  /** The way to combine the numbers of several clients. @default "Sum" */
  readonly together?: "Sum" | "Max"
}

/** The ways an operation can end: an answer, an interruption or defect, or a reason. */
const outcomes = ["success", "declared", "interrupted", "defect", ...Facts.tags]

export const metrics = {
  // Named by OpenTelemetry's semantic conventions. Each status and error gets its series when it first occurs.
  requestDuration: {
    name: "http.client.request.duration",
    kind: "Histogram",
    unit: "s",
    labels: [
      "http.request.method",
      "server.address",
      "server.port",
      "http.response.status_code",
      "error.type",
      "vendor",
      "operation"
    ],
    help: "Duration of HTTP client requests, in seconds"
  },
  operationDuration: {
    name: "breakwater.operation.duration",
    kind: "Histogram",
    unit: "s",
    labels: ["vendor", "operation", "outcome"],
    help: "Duration of operations with all their attempts and waits, in seconds"
  },
  // Counted apart from their durations: a histogram of every outcome would be seventeen lines of zeros each.
  operations: {
    name: "breakwater.operations",
    kind: "Counter",
    unit: "{operation}",
    labels: ["vendor", "operation", "outcome"],
    help: "Operations, by how they ended",
    values: { outcome: outcomes }
  },
  // Keys are not known beforehand, so their series cannot be created at 0.
  keyOperations: {
    name: "breakwater.key.operations",
    kind: "Counter",
    unit: "{operation}",
    labels: ["vendor", "key", "outcome"],
    help: "Operations of each key"
  },
  retries: {
    name: "breakwater.retries",
    kind: "Counter",
    unit: "{attempt}",
    labels: ["vendor", "operation"],
    help: "Attempts after the first"
  },
  hedges: {
    name: "breakwater.hedges",
    kind: "Counter",
    unit: "{attempt}",
    labels: ["vendor", "operation"],
    help: "Extra attempts started beside a slow or failed attempt of the same call"
  },
  // The closed set is the operation's own gates, which the meter is told.
  refusals: {
    name: "breakwater.refusals",
    kind: "Counter",
    unit: "{call}",
    labels: ["vendor", "operation", "gate"],
    help: "Calls that a gate refused"
  },
  cacheLookups: {
    name: "breakwater.cache.lookups",
    kind: "Counter",
    unit: "{lookup}",
    labels: ["vendor", "operation", "result"],
    help: "Cache lookups, by result",
    values: { result: ["hits", "stale", "misses", "coalesced", "shared"] }
  },
  cacheEvictions: {
    name: "breakwater.cache.evictions",
    kind: "Counter",
    unit: "{answer}",
    labels: ["vendor", "operation"],
    help: "Entries evicted before they expired"
  },
  cacheBypassed: {
    name: "breakwater.cache.bypassed",
    kind: "Counter",
    unit: "{lookup}",
    labels: ["vendor", "operation"],
    help: "Lookups that bypassed the shared cache store"
  },
  sharedStateBypassed: {
    name: "breakwater.shared_state.bypassed",
    kind: "Counter",
    unit: "{decision}",
    labels: [],
    help: "Decisions that bypassed the fleet's shared state"
  },
  cacheEntries: {
    name: "breakwater.cache.entries",
    kind: "Gauge",
    unit: "{answer}",
    labels: ["vendor", "operation"],
    help: "Entries in the cache"
  },
  cacheBytes: {
    name: "breakwater.cache.bytes",
    kind: "Gauge",
    unit: "By",
    labels: ["vendor", "operation"],
    help: "Size of the cache entries, in bytes"
  },
  capabilityAnswers: {
    name: "breakwater.capability.answers",
    kind: "Counter",
    unit: "{answer}",
    labels: ["capability", "provenance"],
    help: "Answers of a capability, by provenance",
    values: { provenance: ["Fresh", "Cached", "Stale", "Fallback"] }
  },
  breakerState: {
    name: "breakwater.breaker.state",
    kind: "StateSet",
    unit: "1",
    labels: ["vendor", "operation", "state"],
    help: "State of an operation's circuit breaker: 1 for the worst state over all its keys, 0 for the others",
    values: { state: ["closed", "half_open", "open"] }
  },
  // Labelled by vendor, not by operation: closed circuits are many, and are counted without a visit to each.
  breakerCircuits: {
    name: "breakwater.breaker.circuits",
    kind: "Gauge",
    unit: "{circuit}",
    labels: ["vendor", "state"],
    help: "Circuits kept for a vendor's operations and keys, by state",
    values: { state: ["closed", "half_open", "open"] }
  },
  breakerTransitions: {
    name: "breakwater.breaker.transitions",
    kind: "Counter",
    unit: "{transition}",
    labels: ["vendor", "operation", "to"],
    help: "State changes of a circuit breaker",
    values: { to: ["Closed", "HalfOpen", "Open"] }
  },
  bulkheadRunning: {
    name: "breakwater.bulkhead.running",
    kind: "Gauge",
    unit: "{call}",
    labels: ["vendor"],
    help: "Calls running in the bulkhead"
  },
  bulkheadWaiting: {
    name: "breakwater.bulkhead.waiting",
    kind: "Gauge",
    unit: "{call}",
    labels: ["vendor"],
    help: "Calls waiting for a place in the bulkhead"
  },
  adaptiveLimit: {
    name: "breakwater.adaptivelimit.limit",
    kind: "Gauge",
    unit: "{attempt}",
    labels: ["vendor"],
    help: "Learnt limit on concurrent attempts"
  },
  adaptiveLimitRunning: {
    name: "breakwater.adaptivelimit.running",
    kind: "Gauge",
    unit: "{attempt}",
    labels: ["vendor"],
    help: "Attempts running under the adaptive limit"
  },
  adaptiveLimitWaiting: {
    name: "breakwater.adaptivelimit.waiting",
    kind: "Gauge",
    unit: "{attempt}",
    labels: ["vendor"],
    help: "Attempts waiting for a place in the adaptive limit"
  },
  throttleProbability: {
    name: "breakwater.throttle.probability",
    kind: "Gauge",
    unit: "1",
    labels: ["vendor"],
    help: "Share of attempts that the throttle refuses now: the largest over all keys",
    together: "Max"
  },
  rateLimitWaiting: {
    name: "breakwater.ratelimit.waiting",
    kind: "Gauge",
    unit: "{attempt}",
    labels: ["vendor"],
    help: "Calls waiting for permits of the rate limit, over all keys"
  },
  retryBudget: {
    name: "breakwater.retry.budget",
    kind: "Gauge",
    unit: "{attempt}",
    labels: ["vendor"],
    help: "Retries that the budget allows now"
  },
  featureShare: {
    name: "breakwater.feature.share",
    kind: "Gauge",
    unit: "1",
    labels: ["feature"],
    help: "Share of callers for whom a feature is on"
  },
  featureTransitions: {
    name: "breakwater.feature.transitions",
    kind: "Counter",
    unit: "{transition}",
    labels: ["feature", "to"],
    help: "State changes of a feature",
    values: { to: ["On", "Returning", "Off"] }
  },
  credentialRefusals: {
    name: "breakwater.credential.refusals",
    kind: "Counter",
    unit: "{refusal}",
    labels: ["vendor"],
    help: "Times the vendor refused a secret"
  },
  // Worth an alert above 0.
  credentialDead: {
    name: "breakwater.credential.dead",
    kind: "Gauge",
    unit: "{key}",
    labels: ["vendor"],
    help: "Keys whose secret the vendor refused and no source can replace"
  }
} as const satisfies Record<string, Metric>

/** The names of the table. */
export type Name = (typeof metrics)[keyof typeof metrics]["name"]

const byName: ReadonlyMap<string, Metric> = new Map(
  Object.values(metrics).map((metric: Metric) => [metric.name, metric])
)

/** The row of a name. */
export const metricOf = (name: Name): Metric => byName.get(name)!

/** Prometheus wants base units in names, in full (https://prometheus.io/docs/practices/naming). */
const suffixes: Readonly<Record<string, string>> = { s: "_seconds", By: "_bytes" }

/**
 * The Prometheus name of a metric: with its unit, and with `_total` for counters. In a name outside the table, only
 * invalid characters such as dots are replaced. Shares get no `_ratio` suffix, unlike in OpenTelemetry's own
 * translation.
 */
export const prometheusName = (name: string): string => {
  const row = byName.get(name)
  const flat = name.replaceAll(/[^a-zA-Z0-9_:]/g, "_")
  if (row === undefined) return flat
  const suffix = suffixes[row.unit] ?? ""
  return `${flat}${flat.endsWith(suffix) ? "" : suffix}${row.kind === "Counter" ? "_total" : ""}`
}

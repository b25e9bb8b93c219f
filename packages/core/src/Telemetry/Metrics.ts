/**
 * The table of every metric: one row each, from which names, descriptions, registrations and the names for Prometheus are
 * made. A new metric is one row here.
 */
import { Facts } from "../Reason.ts"

export interface Metric {
  readonly name: string
  /** A `StateSet` shows 1 for the state that is, and 0 for every other, so that a share over time or instances means something. */
  readonly kind: "Counter" | "Gauge" | "Histogram" | "StateSet"
  /** In UCUM (https://ucum.org): `s`, `By`, `1` for a share; a word in braces names the things that are counted. */
  readonly unit: string
  readonly labels: ReadonlyArray<string>
  readonly help: string
  /**
   * The closed set of values of a label: every series of it is made at 0, because Prometheus' `increase` does not see a series
   * that is born at 1. Of a state set in order, the best state first.
   */
  readonly values?: Readonly<Record<string, ReadonlyArray<string>>>
  /** How the numbers of several clients become one. @default "Sum" */
  readonly together?: "Sum" | "Max"
}

/** How an operation can end: an answer, nothing of the vendor's, or a reason. */
const outcomes = ["success", "declared", "interrupted", "defect", ...Facts.tags]

export const metrics = {
  // Named by OpenTelemetry's semantic conventions. A series for each status and error: made when it is met.
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
    help: "Duration of operations with all their attempts and waits, in seconds",
    values: { outcome: outcomes }
  },
  // Keys are not known beforehand, so that no series of theirs can be made at 0.
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
    help: "Attempts that joined a slow or failed one of the same call"
  },
  // The closed set is that of the operation's own gates: the meter is told which.
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
    help: "Answers asked of a cache",
    values: { result: ["hits", "stale", "misses", "coalesced", "shared"] }
  },
  cacheEvictions: {
    name: "breakwater.cache.evictions",
    kind: "Counter",
    unit: "{answer}",
    labels: ["vendor", "operation"],
    help: "Answers that had to go before their time"
  },
  cacheBypassed: {
    name: "breakwater.cache.bypassed",
    kind: "Counter",
    unit: "{lookup}",
    labels: ["vendor", "operation"],
    help: "How often the store that caches share was passed over"
  },
  sharedStateBypassed: {
    name: "breakwater.shared_state.bypassed",
    kind: "Counter",
    unit: "{decision}",
    labels: [],
    help: "How often the state that a fleet shares was passed over"
  },
  cacheEntries: {
    name: "breakwater.cache.entries",
    kind: "Gauge",
    unit: "{answer}",
    labels: ["vendor", "operation"],
    help: "Answers that are remembered"
  },
  cacheBytes: {
    name: "breakwater.cache.bytes",
    kind: "Gauge",
    unit: "By",
    labels: ["vendor", "operation"],
    help: "Size of the answers that are remembered, in bytes"
  },
  capabilityAnswers: {
    name: "breakwater.capability.answers",
    kind: "Counter",
    unit: "{answer}",
    labels: ["capability", "provenance"],
    help: "Answers of a capability, by where they come from",
    values: { provenance: ["Fresh", "Cached", "Stale", "Fallback"] }
  },
  breakerState: {
    name: "breakwater.breaker.state",
    kind: "StateSet",
    unit: "1",
    labels: ["vendor", "operation", "state"],
    help: "Whether the circuit breaker of an operation is in a state: the worst state over all its keys",
    values: { state: ["closed", "half_open", "open"] }
  },
  // By vendor, not by operation: the closed ones are many, and are told from the others without a visit to each.
  breakerCircuits: {
    name: "breakwater.breaker.circuits",
    kind: "Gauge",
    unit: "{circuit}",
    labels: ["vendor", "state"],
    help: "Circuits of a vendor's operations and keys that are remembered, by their state",
    values: { state: ["closed", "half_open", "open"] }
  },
  breakerTransitions: {
    name: "breakwater.breaker.transitions",
    kind: "Counter",
    unit: "{transition}",
    labels: ["vendor", "operation", "to"],
    help: "Changes of a circuit breaker's state",
    values: { to: ["Closed", "HalfOpen", "Open"] }
  },
  bulkheadRunning: {
    name: "breakwater.bulkhead.running",
    kind: "Gauge",
    unit: "{call}",
    labels: ["vendor"],
    help: "Calls that have a place in the bulkhead"
  },
  bulkheadWaiting: {
    name: "breakwater.bulkhead.waiting",
    kind: "Gauge",
    unit: "{call}",
    labels: ["vendor"],
    help: "Calls that wait for a place in the bulkhead"
  },
  adaptiveLimit: {
    name: "breakwater.adaptivelimit.limit",
    kind: "Gauge",
    unit: "{attempt}",
    labels: ["vendor"],
    help: "Attempts that may run at once, as learnt"
  },
  adaptiveLimitRunning: {
    name: "breakwater.adaptivelimit.running",
    kind: "Gauge",
    unit: "{attempt}",
    labels: ["vendor"],
    help: "Attempts that have a place in the adaptive limit"
  },
  adaptiveLimitWaiting: {
    name: "breakwater.adaptivelimit.waiting",
    kind: "Gauge",
    unit: "{attempt}",
    labels: ["vendor"],
    help: "Attempts that wait for a place in the adaptive limit"
  },
  throttleProbability: {
    name: "breakwater.throttle.probability",
    kind: "Gauge",
    unit: "1",
    labels: ["vendor"],
    help: "The share of attempts that the throttle refuses now: the largest over all keys",
    together: "Max"
  },
  rateLimitWaiting: {
    name: "breakwater.ratelimit.waiting",
    kind: "Gauge",
    unit: "{attempt}",
    labels: ["vendor"],
    help: "Calls that wait for permits of the rate limit, under all keys"
  },
  retryBudget: {
    name: "breakwater.retry.budget",
    kind: "Gauge",
    unit: "{attempt}",
    labels: ["vendor"],
    help: "Retries that could be paid for now"
  },
  featureShare: {
    name: "breakwater.feature.share",
    kind: "Gauge",
    unit: "1",
    labels: ["feature"],
    help: "The share of callers for whom a feature is on"
  },
  featureTransitions: {
    name: "breakwater.feature.transitions",
    kind: "Counter",
    unit: "{transition}",
    labels: ["feature", "to"],
    help: "Changes of a feature's state",
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
    help: "Keys whose secret the vendor has refused, without another to be had"
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
 * The name of a metric in Prometheus: with its unit, and with `_total` where it counts. A name that is not in the table only
 * loses its dots. Shares have no `_ratio`, which OpenTelemetry's own translation would give them.
 */
export const prometheusName = (name: string): string => {
  const row = byName.get(name)
  const flat = name.replaceAll(/[^a-zA-Z0-9_:]/g, "_")
  if (row === undefined) return flat
  const suffix = suffixes[row.unit] ?? ""
  return `${flat}${flat.endsWith(suffix) ? "" : suffix}${row.kind === "Counter" ? "_total" : ""}`
}

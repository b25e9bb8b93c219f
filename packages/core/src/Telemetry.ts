/**
 * Names of all metrics and span attributes, and the meters that record them. They follow the OpenTelemetry semantic
 * conventions for HTTP clients (v1.37) where those have a name, and are called `breakwater.*` elsewhere. The metrics
 * are one table, {@link metrics}, from which names and registrations are made.
 *
 * Telemetry costs almost nothing until an exporter or a tracer is there: counts are plain numbers that exporters read,
 * and spans are made only when the fibre has a tracer. No label or attribute holds a query, a header, a body or a path
 * parameter.
 *
 * @example
 * ```ts
 * import { Telemetry } from "@breakwater/core"
 * import { Context } from "effect"
 * import { PrometheusMetrics } from "effect/observability"
 *
 * Telemetry.counter(Context.empty(), "breakwater.credential.refusals", { vendor: "acme" }).count++
 * const text = PrometheusMetrics.formatUnsafe(Context.empty(), { metricNameMapper: Telemetry.prometheusName })
 * console.log(text.includes(`breakwater_credential_refusals_total{vendor="acme"} 1`)) // => true
 * ```
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Meter, type MeterOptions, type OperationLabels, type OperationMeter } from "./Telemetry/Meter.ts"
import { type Metric, metricOf, metrics, type Name } from "./Telemetry/Metrics.ts"
import { Count, countKey, type Labels, line, Live, type Reading, use } from "./Telemetry/Series.ts"

export {
  type MeterOptions,
  type OperationLabels,
  type OperationMeter,
  otherKeys,
  shownKeys
} from "./Telemetry/Meter.ts"
export { type Metric, metrics, type Name, prometheusName } from "./Telemetry/Metrics.ts"
export { durationBoundaries, type Labels, type Reading } from "./Telemetry/Series.ts"

/** The names of the metrics. {@link metrics} has the meaning of each. */
export const {
  adaptiveLimit: { name: adaptiveLimit },
  adaptiveLimitRunning: { name: adaptiveLimitRunning },
  adaptiveLimitWaiting: { name: adaptiveLimitWaiting },
  breakerCircuits: { name: breakerCircuits },
  breakerState: { name: breakerState },
  breakerTransitions: { name: breakerTransitions },
  bulkheadRunning: { name: bulkheadRunning },
  bulkheadWaiting: { name: bulkheadWaiting },
  cacheBypassed: { name: cacheBypassed },
  cacheBytes: { name: cacheBytes },
  cacheEntries: { name: cacheEntries },
  cacheEvictions: { name: cacheEvictions },
  cacheLookups: { name: cacheLookups },
  capabilityAnswers: { name: capabilityAnswers },
  credentialDead: { name: credentialDead },
  credentialRefusals: { name: credentialRefusals },
  featureShare: { name: featureShare },
  featureTransitions: { name: featureTransitions },
  hedges: { name: hedges },
  keyOperations: { name: keyOperations },
  operationDuration: { name: operationDuration },
  rateLimitWaiting: { name: rateLimitWaiting },
  refusals: { name: refusals },
  requestDuration: { name: requestDuration },
  retries: { name: retries },
  retryBudget: { name: retryBudget },
  sharedStateBypassed: { name: sharedStateBypassed },
  throttleProbability: { name: throttleProbability }
} = metrics

/**
 * The meter of an operation. Two clients of the same operation in one registry share it, so that both are counted. It
 * is never removed; the meter of a client, {@link Series.meter}, is removed with the client.
 */
export const operationMeter = (
  context: Context.Context<never>,
  labels: OperationLabels,
  options: MeterOptions = {}
): OperationMeter => use(context, meterKey(labels), () => new Meter(context, labels))[0].begin(options)

const meterKey = ({ operation, vendor }: OperationLabels): string => `${vendor}/${operation}`

/** A count that only grows. */
export interface Counter {
  count: number
}

/** A count, shared like {@link operationMeter} and shown from now on. */
export const counter = (context: Context.Context<never>, name: Name, labels: Labels): Counter =>
  use(context, countKey(metricOf(name), labels), () => new Count(context, metricOf(name), labels))[0]

/** Creates every count of a metric's closed set, each at 0. */
export const begin = (context: Context.Context<never>, name: Name, labels: Labels): void => {
  for (const each of closedSet(metricOf(name), labels)) counter(context, name, each)
}

/** The labels of every series of a closed set. */
const closedSet = ({ values = {} }: Metric, labels: Labels): ReadonlyArray<Labels> =>
  Object.entries(values).reduce<ReadonlyArray<Labels>>(
    (sets, [label, each]) => sets.flatMap((set) => each.map((value) => ({ ...set, [label]: value }))),
    [labels]
  )

/** Shows a number that is read on each export; of several with the same name and labels, the latest is shown. */
export const show = (context: Context.Context<never>, name: Name, labels: Labels, read: () => number): void => {
  line(context, metricOf(name), labels, read)
}

/**
 * The series of one client. Series of the same vendor in one registry add up; of states and shares the worst is shown.
 * They are removed with the last client, except counts above 0. A later export, as at the end of a short process, still
 * finds those counts, and a new client continues them.
 */
export interface Series {
  /** The meter of an operation. */
  meter(labels: OperationLabels, options: MeterOptions): OperationMeter
  /** A count, shown at 0 from now on. */
  counter(name: Name, labels: Labels): Counter
  /** Shows numbers that are read on each export. An `of` that several clients share counts once. */
  observe(metric: Metric, labels: Labels, of: object, read: () => Reading): void
  /** Runs a function when the client is closed. */
  atEnd(finalizer: () => void): void
}

/** Makes the series of a client, which are removed when the scope closes. */
export const series: Effect.Effect<Series, never, Scope.Scope> = Effect.acquireRelease(
  Effect.map(Effect.context<never>(), (context) => new ClientSeries(context)),
  (client) => Effect.sync(() => client.close())
)

class ClientSeries implements Series {
  private readonly context: Context.Context<never>
  private readonly finalizers: Array<() => void> = []

  constructor(context: Context.Context<never>) {
    this.context = context
  }
  meter(labels: OperationLabels, options: MeterOptions): OperationMeter {
    return this.use(meterKey(labels), () => new Meter(this.context, labels)).begin(options)
  }
  counter(name: Name, labels: Labels): Counter {
    const metric = metricOf(name)
    return this.use(countKey(metric, labels), () => new Count(this.context, metric, labels))
  }
  observe(metric: Metric, labels: Labels, of: object, read: () => Reading): void {
    const live = this.use(countKey(metric, labels), () => new Live(this.context, metric, labels))
    this.finalizers.push(live.add({ of, read }))
  }
  atEnd(finalizer: () => void): void {
    this.finalizers.push(finalizer)
  }
  close(): void {
    // In reverse, so that a source is removed before its series.
    for (const finalizer of this.finalizers.splice(0).toReversed()) finalizer()
  }

  private use<A extends Meter | Count | Live>(key: string, make: () => A): A {
    const [used, release] = use(this.context, key, make)
    this.finalizers.push(release)
    return used
  }
}

/**
 * Every name under which Breakwater can be seen, and what counts. Spans and metrics follow the OpenTelemetry semantic
 * conventions for HTTP clients (v1.37) where they have a name, and `breakwater.*` where they have none.
 *
 * Nothing is paid when nobody listens: counts are plain numbers that exporters read when they come by, and spans are
 * made only when the fibre has a tracer. No label and no attribute holds a query, a header, a body or a path parameter.
 */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"

/** Metrics of attempts, as the semantic conventions name them. Durations are in seconds. */
export const requestDuration = "http.client.request.duration"
/** From the call to its end, over all its attempts and waits, in seconds; by `vendor`, `operation`, `outcome`. */
export const operationDuration = "breakwater.operation.duration"
/**
 * Operations of each key; by `vendor`, `key`, `outcome`. Keys are shown: they are names, never secrets. The first
 * {@link shownKeys} of a vendor have a series of their own, all further ones are counted under {@link otherKeys}.
 */
export const keyOperations = "breakwater.key.operations"
/** How many keys of a vendor are told apart, so that a client with many tenants does not flood its exporter (ours). */
export const shownKeys = 200
/** The `key` of all that are not told apart. */
export const otherKeys = "(other)"
/** Attempts after the first; by `vendor`, `operation`. */
export const retries = "breakwater.retries"
/** Attempts that joined a slow or failed one of the same call; by `vendor`, `operation`. */
export const hedges = "breakwater.hedges"
/** Calls a gate refused; by `vendor`, `operation`, `gate`. */
export const refusals = "breakwater.refusals"
/** Answers asked of a cache; by `vendor`, `operation`, `result`: `hits`, `stale`, `misses`, those that `coalesced`, those `shared` by another process. */
export const cacheLookups = "breakwater.cache.lookups"
/** Answers that had to go before their time; by `vendor`, `operation`. */
export const cacheEvictions = "breakwater.cache.evictions"
/** How often the store that caches share was passed over; by `vendor`, `operation`. */
export const cacheBypassed = "breakwater.cache.bypassed"
/** How often the state that a fleet shares was passed over. */
export const sharedStateBypassed = "breakwater.shared_state.bypassed"
/** Answers that are remembered; by `vendor`, `operation`. */
export const cacheEntries = "breakwater.cache.entries"
/** Their size together, in bytes; by `vendor`, `operation`. */
export const cacheBytes = "breakwater.cache.bytes"
/** Answers of a capability with several vendors; by `capability`, `provenance`. */
export const capabilityAnswers = "breakwater.capability.answers"
/** 0 closed, 1 half-open, 2 open; by `vendor`, `operation`. */
export const breakerState = "breakwater.breaker.state"
/** Changes of a breaker's state; by `vendor`, `to`. */
export const breakerTransitions = "breakwater.breaker.transitions"
/** Calls that have a place in the bulkhead; by `vendor`. */
export const bulkheadRunning = "breakwater.bulkhead.running"
/** Calls that wait for a place; by `vendor`. */
export const bulkheadWaiting = "breakwater.bulkhead.waiting"
/** Attempts that may run at once, as learnt; by `vendor`. */
export const adaptiveLimit = "breakwater.adaptivelimit.limit"
/** Attempts that have a place in the adaptive limit; by `vendor`. */
export const adaptiveLimitRunning = "breakwater.adaptivelimit.running"
/** Attempts that wait for a place in it; by `vendor`. */
export const adaptiveLimitWaiting = "breakwater.adaptivelimit.waiting"
/** The share of attempts that the throttle refuses now; by `vendor`. */
export const throttleProbability = "breakwater.throttle.probability"
/** The share of callers for whom a feature is on; by `feature`. */
export const featureShare = "breakwater.feature.share"
/** Changes of a feature's state; by `feature`, `to`. */
export const featureTransitions = "breakwater.feature.transitions"
/** Calls that wait for permits; by `vendor`. */
export const rateLimitWaiting = "breakwater.ratelimit.waiting"
/** Retries that could be paid for now; by `vendor`. */
export const retryBudget = "breakwater.retry.budget"
/** Times the vendor refused a secret (401); by `vendor`. */
export const credentialRefusals = "breakwater.credential.refusals"
/** Keys whose secret the vendor has refused and no other is to be had; by `vendor`. Worth an alert above 0. */
export const credentialDead = "breakwater.credential.dead"

/** The bucket boundaries that the semantic conventions advise for `http.client.request.duration`, in seconds. */
export const durationBoundaries: ReadonlyArray<number> = [
  0.005,
  0.01,
  0.025,
  0.05,
  0.075,
  0.1,
  0.25,
  0.5,
  0.75,
  1,
  2.5,
  5,
  7.5,
  10
]

const descriptions: Record<string, string> = {
  [requestDuration]: "Duration of HTTP client requests, in seconds",
  [operationDuration]: "Duration of operations with all their attempts and waits, in seconds",
  [keyOperations]: "Operations of each key",
  [retries]: "Attempts after the first",
  [hedges]: "Attempts that joined a slow or failed one of the same call",
  [refusals]: "Calls that a gate refused",
  [cacheLookups]: "Answers asked of a cache",
  [cacheEvictions]: "Answers that had to go before their time",
  [cacheBypassed]: "How often the store that caches share was passed over",
  [sharedStateBypassed]: "How often the state that a fleet shares was passed over",
  [cacheEntries]: "Answers that are remembered",
  [cacheBytes]: "Size of the answers that are remembered, in bytes",
  [capabilityAnswers]: "Answers of a capability, by where they come from",
  [breakerState]: "0 closed, 1 half-open, 2 open",
  [breakerTransitions]: "Changes of a circuit breaker's state",
  [bulkheadRunning]: "Calls that have a place in the bulkhead",
  [bulkheadWaiting]: "Calls that wait for a place in the bulkhead",
  [adaptiveLimit]: "Attempts that may run at once, as learnt",
  [adaptiveLimitRunning]: "Attempts that have a place in the adaptive limit",
  [adaptiveLimitWaiting]: "Attempts that wait for a place in the adaptive limit",
  [throttleProbability]: "The share of attempts that the throttle refuses now",
  [featureShare]: "The share of callers for whom a feature is on",
  [featureTransitions]: "Changes of a feature's state",
  [rateLimitWaiting]: "Calls that wait for permits of the rate limit",
  [retryBudget]: "Retries that could be paid for now",
  [credentialRefusals]: "Times the vendor refused a secret",
  [credentialDead]: "Keys whose secret the vendor has refused, without another to be had"
}

type Labels = Readonly<Record<string, string>>

/** What can be counted about the calls of one operation. */
export interface OperationMeter {
  /** An attempt ended. `errorType` is the reason's tag or the status, as the conventions want it; absent on success. */
  attempt(durationMillis: number, status: number | undefined, errorType: string | undefined): void
  /**
   * The operation ended: `success`, `declared`, `interrupted`, `defect`, or the tag of the reason it failed for. A `key`
   * is counted apart, unless it is empty.
   */
  operation(durationMillis: number, outcome: string, key?: string): void
  retry(): void
  hedge(): void
  refusal(gate: string): void
}

/** Where the attempts of an operation go, in the conventions' words. */
export interface OperationLabels {
  readonly vendor: string
  readonly operation: string
  readonly method: string
  readonly address: string
  readonly port: number
}

/**
 * The meter of an operation. Two clients of the same operation in one registry share it, so that neither hides the
 * other's counts.
 */
export const operationMeter = (context: Context.Context<never>, labels: OperationLabels): OperationMeter =>
  shared(context, `${labels.vendor}/${labels.operation}`, () => new Meter(context, labels))

/** A count that only grows; shared like {@link operationMeter}. */
export interface Counter {
  count: number
}

export const counter = (context: Context.Context<never>, name: string, labels: Labels): Counter =>
  shared(context, `${name} ${JSON.stringify(labels)}`, () => {
    const series: Counter = { count: 0 }
    countOf(context, name, labels, () => series.count)
    return series
  })

/** Shows a count that somebody else keeps; it is read when an exporter comes by. */
export const countOf = (context: Context.Context<never>, name: string, labels: Labels, read: () => number): void => {
  Metric.registerUnsafe(
    Metric.counter(name, { description: descriptions[name], attributes: labels, incremental: true }),
    context,
    lazily(() => ({ count: read(), incremental: true }))
  )
}

/** Shows a number that is read when an exporter comes by; the latest of a name and its labels is the one shown. */
export const gauge = (context: Context.Context<never>, name: string, labels: Labels, read: () => number): void => {
  Metric.registerUnsafe(
    Metric.gauge(name, { description: descriptions[name], attributes: labels }),
    context,
    lazily(() => ({ value: read() }))
  )
}

class Meter implements OperationMeter {
  private readonly context: Context.Context<never>
  private readonly labels: OperationLabels
  private readonly attempts = new Map<number | undefined, Map<string | undefined, Histogram>>()
  private readonly operations = new Map<string, Histogram>()
  // Attempts and operations mostly end as the one before did.
  private lastAttempt: Histogram | undefined = undefined
  private lastStatus: number | undefined = undefined
  private lastErrorType: string | undefined = undefined
  private lastOperation: Histogram | undefined = undefined
  private lastOutcome = ""
  private readonly refusals = new Map<string, Counter>()
  private readonly retries: Counter
  private hedges: Counter | undefined = undefined
  private byKey: Map<string, Map<string, Counter>> | undefined = undefined

  constructor(context: Context.Context<never>, labels: OperationLabels) {
    this.context = context
    this.labels = labels
    this.retries = counter(context, retries, this.own())
  }

  attempt(durationMillis: number, status: number | undefined, errorType: string | undefined) {
    let series = this.lastAttempt
    if (series === undefined || status !== this.lastStatus || errorType !== this.lastErrorType) {
      const byType = getOrMake(this.attempts, status, () => new Map<string | undefined, Histogram>())
      series = getOrMake(byType, errorType, () => this.histogram(requestDuration, this.http(status, errorType)))
      this.lastAttempt = series
      this.lastStatus = status
      this.lastErrorType = errorType
    }
    series.record(durationMillis)
  }
  operation(durationMillis: number, outcome: string, key = "") {
    let series = this.lastOperation
    if (series === undefined || outcome !== this.lastOutcome) {
      series = getOrMake(this.operations, outcome, () => this.histogram(operationDuration, { ...this.own(), outcome }))
      this.lastOperation = series
      this.lastOutcome = outcome
    }
    series.record(durationMillis)
    if (key !== "") this.countKey(key, outcome)
  }
  retry() {
    this.retries.count++
  }
  hedge() {
    this.hedges ??= counter(this.context, hedges, this.own())
    this.hedges.count++
  }
  refusal(gate: string) {
    getOrMake(this.refusals, gate, () => counter(this.context, refusals, { ...this.own(), gate })).count++
  }

  private countKey(key: string, outcome: string): void {
    const { vendor } = this.labels
    const byKey = this.byKey ??= shared(this.context, `${keyOperations} ${vendor}`, () => new Map())
    const shown = byKey.has(key) || byKey.size < shownKeys ? key : otherKeys
    const byOutcome = getOrMake(byKey, shown, () => new Map<string, Counter>())
    getOrMake(byOutcome, outcome, () => counter(this.context, keyOperations, { vendor, key: shown, outcome })).count++
  }
  private own(): Labels {
    return { vendor: this.labels.vendor, operation: this.labels.operation }
  }
  private http(status: number | undefined, errorType: string | undefined): Labels {
    return {
      "http.request.method": this.labels.method,
      "server.address": this.labels.address,
      "server.port": String(this.labels.port),
      ...(status === undefined ? {} : { "http.response.status_code": String(status) }),
      ...(errorType === undefined ? {} : { "error.type": errorType }),
      ...this.own()
    }
  }
  private histogram(name: string, labels: Labels): Histogram {
    const series = new Histogram()
    Metric.registerUnsafe(
      Metric.histogram(name, {
        description: descriptions[name],
        attributes: labels,
        boundaries: durationBoundaries
      }),
      this.context,
      lazily(() => series.state())
    )
    return series
  }
}

/** Counted in milliseconds, shown in seconds. */
const boundariesMillis = durationBoundaries.map((seconds) => Math.round(seconds * 1_000))

/** The counts of a histogram over {@link durationBoundaries}. */
class Histogram {
  private readonly counts = new Float64Array(durationBoundaries.length + 1)
  private count = 0
  private sum = 0
  private min = Number.MAX_VALUE
  private max = -Number.MAX_VALUE

  record(millis: number) {
    let bucket = 0
    while (bucket < boundariesMillis.length && millis > boundariesMillis[bucket]!) bucket++
    this.counts[bucket]!++
    this.count++
    this.sum += millis
    if (millis < this.min) this.min = millis
    if (millis > this.max) this.max = millis
  }
  state(): Metric.HistogramState {
    let cumulated = 0
    return {
      buckets: durationBoundaries.map((boundary, i) => [boundary, cumulated += this.counts[i]!]),
      count: this.count,
      min: this.count === 0 ? this.min : this.min / 1_000,
      max: this.count === 0 ? this.max : this.max / 1_000,
      sum: this.sum / 1_000
    }
  }
}

const lazily = <State>(get: () => State): Metric.Metric.Hooks<unknown, State> => ({
  get,
  update() {},
  modify() {}
})

const getOrMake = <K, V>(map: Map<K, V>, key: K, make: () => V): V => {
  let value = map.get(key)
  if (value === undefined) map.set(key, value = make())
  return value
}

const sharedByRegistry = new WeakMap<object, Map<string, unknown>>()

const shared = <A>(context: Context.Context<never>, key: string, make: () => A): A => {
  const registry = Context.get(context, Metric.MetricRegistry)
  let series = sharedByRegistry.get(registry)
  if (series === undefined) sharedByRegistry.set(registry, series = new Map())
  return getOrMake(series, key, make) as A
}

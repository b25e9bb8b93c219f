/**
 * Series in a metric registry, shared by all clients that count the same thing: two clients of one vendor add up, and
 * neither hides the other.
 */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { Metric as Row } from "./Metrics.ts"

export type Labels = Readonly<Record<string, string>>

/** Something that clients share in a registry, such as a count. */
export interface Shared {
  /** Number of clients that use it. A use that is never released keeps it for ever. */
  users: number
  /** Shows its series again, when a client uses it after the last one left. */
  join(): void
  /** Removes its empty series from the registry. Returns whether it may be forgotten as well. */
  leave(): boolean
}

/**
 * The shared values of a registry hang on the registry itself, under a name that every copy of this module knows: two
 * copies in one process would hide each other's series.
 */
const sharedKey = Symbol.for("breakwater/Telemetry/shared/1")

const sharedOf = (context: Context.Context<never>): Map<string, unknown> => {
  const registry = Context.get(context, Metric.MetricRegistry) as { [sharedKey]?: Map<string, Map<string, unknown>> }
  const byAttributes = registry[sharedKey] ??= new Map()
  // Effect adds these to every series, so that clients with others have series of their own.
  const attributes = Context.get(context, Metric.CurrentMetricAttributes)
  return getOrMake(byAttributes, JSON.stringify(attributes), () => new Map<string, unknown>())
}

/** The shared value of a key in a registry, made on first use. */
export const shared = <A>(context: Context.Context<never>, key: string, make: () => A): A =>
  getOrMake(sharedOf(context), key, make as () => unknown) as A

/** Uses a shared value until the returned function is called. */
export const use = <A extends Shared>(
  context: Context.Context<never>,
  key: string,
  make: () => A
): readonly [used: A, release: () => void] => {
  const known = sharedOf(context)
  const used = getOrMake(known, key, make as () => unknown) as A
  if (used.users++ === 0) used.join()
  return [used, () => {
    if (--used.users === 0 && used.leave() && known.get(key) === used) known.delete(key)
  }]
}

interface Store<K, V> {
  get(key: K): V | undefined
  set(key: K, value: V): unknown
}

export const getOrMake = <K, V>(map: Store<K, V>, key: K, make: () => V): V => {
  let value = map.get(key)
  if (value === undefined) map.set(key, value = make())
  return value
}

const lazily = <State>(get: () => State): Metric.Metric.Hooks<unknown, State> => ({
  get,
  update() {},
  modify() {}
})

const showCount = (context: Context.Context<never>, row: Row, attributes: Labels, read: () => number) =>
  Metric.registerUnsafe(
    Metric.counter(row.name, { description: row.help, attributes, incremental: true }),
    context,
    lazily(() => ({ count: read(), incremental: true }))
  )

const showNumber = (context: Context.Context<never>, row: Row, attributes: Labels, read: () => number) =>
  Metric.registerUnsafe(
    Metric.gauge(row.name, { description: row.help, attributes }),
    context,
    lazily(() => ({ value: read() }))
  )

/** Shows a number that is read on each export; of several with the same name and labels, the latest is shown. */
export const line = (context: Context.Context<never>, row: Row, labels: Labels, read: () => number) =>
  row.kind === "Counter" ? showCount(context, row, labels, read) : showNumber(context, row, labels, read)

/** A count that only grows. */
export class Count implements Shared {
  count = 0
  users = 0
  private readonly show: () => Metric.Registration
  private line: Metric.Registration | undefined

  constructor(context: Context.Context<never>, row: Row, labels: Labels) {
    this.show = () => showCount(context, row, labels, () => this.count)
    this.line = this.show()
  }
  join(): void {
    this.line ??= this.show()
  }
  /** A count above 0 stays, because it may not be exported yet, as at the end of a short process. */
  leave(): boolean {
    if (this.count === 0) {
      this.line?.remove()
      this.line = undefined
    }
    // It is never forgotten: a call that outlives its client still counts, and must not be counted from 0 again.
    return false
  }
}

/** The key of the shared count of a metric and its labels. */
export const countKey = (row: Row, labels: Labels): string => `${row.name} ${JSON.stringify(labels)}`

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

/** Counted in milliseconds, shown in seconds. */
const boundariesMillis = durationBoundaries.map((seconds) => Math.round(seconds * 1_000))

/** The counts of a histogram over {@link durationBoundaries}. */
export class Histogram {
  private readonly counts = new Float64Array(durationBoundaries.length + 1)
  private count = 0
  private sum = 0
  private min = Number.MAX_VALUE
  private max = -Number.MAX_VALUE

  constructor(context: Context.Context<never>, row: Row, attributes: Labels) {
    Metric.registerUnsafe(
      Metric.histogram(row.name, { description: row.help, attributes, boundaries: durationBoundaries }),
      context,
      lazily(() => this.state())
    )
  }
  record(millis: number) {
    let bucket = 0
    while (bucket < boundariesMillis.length && millis > boundariesMillis[bucket]!) bucket++
    this.counts[bucket]!++
    this.count++
    this.sum += millis
    if (millis < this.min) this.min = millis
    if (millis > this.max) this.max = millis
  }
  private state(): Metric.HistogramState {
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

/** A number, the current state of a state set, or a number for each value of a metric's closed set. */
export type Reading = number | string | Readonly<Record<string, number>>

interface Source {
  readonly of: object
  readonly read: () => Reading
}

/** The live sources of a number. Its series combine all of them and are removed with the last. */
export class Live implements Shared {
  users = 0
  private readonly row: Row
  private readonly sources = new Set<Source>()
  private readonly lines: ReadonlyArray<Metric.Registration>
  /** The counts of sources that were removed. */
  private left = 0

  constructor(context: Context.Context<never>, row: Row, labels: Labels) {
    this.row = row
    const [[label, values] = ["", []]] = Object.entries(row.values ?? {})
    // If the labels already name a value, it is one series of the closed set.
    this.lines = values.length === 0 || label in labels
      ? [line(context, row, labels, () => this.total())]
      : values.map((value) => line(context, row, { ...labels, [label]: value }, () => this.at(value, values)))
  }

  add(source: Source): () => void {
    this.sources.add(source)
    return () => {
      if (this.row.kind === "Counter") this.left += Number(source.read())
      this.sources.delete(source)
    }
  }
  join(): void {}
  leave(): boolean {
    if (this.left > 0) return false
    for (const line of this.lines) line.remove()
    return true
  }

  private total(): number {
    return this.left + this.combined(this.readings().map(Number))
  }
  private at(value: string, values: ReadonlyArray<string>): number {
    const readings = this.readings()
    if (this.row.kind !== "StateSet") {
      return this.combined(readings.map((reading) => (reading as Readonly<Record<string, number>>)[value] ?? 0))
    }
    const worst = Math.max(0, ...readings.map((reading) => values.indexOf(reading as string)))
    return values[worst] === value ? 1 : 0
  }
  private combined(numbers: ReadonlyArray<number>): number {
    return this.row.together === "Max" ? Math.max(0, ...numbers) : numbers.reduce((sum, number) => sum + number, 0)
  }
  /** A gate that two clients share is read once. */
  private readings(): ReadonlyArray<Reading> {
    const seen = new Set<object>()
    const readings: Array<Reading> = []
    for (const { of, read } of this.sources) {
      if (seen.has(of)) continue
      seen.add(of)
      readings.push(read())
    }
    return readings
  }
}

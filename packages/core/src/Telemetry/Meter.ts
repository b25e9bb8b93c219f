/** The meter of one operation: plain counts of how its attempts and calls ended. */
import type * as Context from "effect/Context"
import { type Metric, metrics } from "./Metrics.ts"
import { Count, getOrMake, Histogram, type Labels, type Shared, shared } from "./Series.ts"

/** The counts of one operation: its attempts, its calls, its refusals. */
export interface OperationMeter {
  /** An attempt ended. `errorType` is the reason's tag or the status, as the conventions require; absent on success. */
  attempt(durationMillis: number, status: number | undefined, errorType: string | undefined): void
  /**
   * The operation ended: `success`, `declared`, `interrupted`, `defect`, or the tag of the reason it failed for. A
   * `key` is counted separately, unless it is empty.
   */
  operation(durationMillis: number, outcome: string, key?: string): void
  retry(): void
  hedge(): void
  refusal(gate: string): void
}

/** The target of an operation's attempts, in the words of the conventions. */
export interface OperationLabels {
  readonly vendor: string
  readonly operation: string
  readonly method: string
  readonly address: string
  readonly port: number
}

/** The events of an operation besides its outcomes; each of them gets a series before it first occurs. */
export interface MeterOptions {
  /** The names of the gates that may refuse the operation. @default none */
  readonly gates?: ReadonlyArray<string> | undefined
  /** Whether the operation may be hedged. @default false */
  readonly hedged?: boolean | undefined
}

/**
 * Number of keys of a vendor that get their own series, so that a client with many tenants does not flood its exporter.
 */
export const shownKeys = 200
/** The `key` label of all other keys. */
export const otherKeys = "(other)"

export class Meter implements OperationMeter, Shared {
  users = 0
  private readonly context: Context.Context<never>
  private readonly labels: OperationLabels
  private readonly attempts = new Map<number | undefined, Map<string | undefined, Histogram>>()
  private readonly operations = new Map<string, Histogram>()
  // Attempts and operations mostly end like the previous one.
  private lastAttempt: Histogram | undefined = undefined
  private lastStatus: number | undefined = undefined
  private lastErrorType: string | undefined = undefined
  private lastOperation: Histogram | undefined = undefined
  private lastCount: Count | undefined = undefined
  private lastOutcome = ""
  private readonly refusals = new Map<string, Count>()
  private readonly outcomes = new Map<string, Count>()
  private readonly retries: Count
  private hedges: Count | undefined = undefined
  private byKey: Map<string, Map<string, Count>> | undefined = undefined

  constructor(context: Context.Context<never>, labels: OperationLabels) {
    this.context = context
    this.labels = labels
    this.retries = this.count(metrics.retries)
  }

  join(): void {}
  /** Creates the series that are known beforehand, at 0. */
  begin({ gates = [], hedged = false }: MeterOptions): this {
    for (const outcome of metrics.operations.values.outcome) this.outcomeOf(outcome).join()
    for (const gate of gates) this.refusalOf(gate).join()
    this.retries.join()
    if (hedged) this.hedgeCount().join()
    return this
  }
  /** Hides the counts that are still 0. The meter itself stays: a call that outlives its client still counts. */
  leave(): boolean {
    for (const count of [...this.outcomes.values(), ...this.refusals.values(), this.retries]) count.leave()
    this.hedges?.leave()
    return false
  }

  attempt(durationMillis: number, status: number | undefined, errorType: string | undefined) {
    let series = this.lastAttempt
    if (series === undefined || status !== this.lastStatus || errorType !== this.lastErrorType) {
      const byType = getOrMake(this.attempts, status, () => new Map<string | undefined, Histogram>())
      series = getOrMake(
        byType,
        errorType,
        () => new Histogram(this.context, metrics.requestDuration, this.http(status, errorType))
      )
      this.lastAttempt = series
      this.lastStatus = status
      this.lastErrorType = errorType
    }
    series.record(durationMillis)
  }
  operation(durationMillis: number, outcome: string, key = "") {
    let series = this.lastOperation
    if (series === undefined || outcome !== this.lastOutcome) {
      series = this.operationOf(outcome)
      this.lastOperation = series
      this.lastCount = this.outcomeOf(outcome)
      this.lastOutcome = outcome
    }
    series.record(durationMillis)
    this.grow(this.lastCount!)
    if (key !== "") this.countKey(key, outcome)
  }
  retry() {
    this.grow(this.retries)
  }
  hedge() {
    this.grow(this.hedgeCount())
  }
  refusal(gate: string) {
    this.grow(this.refusalOf(gate))
  }

  /** A count that grows is shown, even if its client has closed. */
  private grow(count: Count): void {
    if (count.count++ === 0) count.join()
  }
  private hedgeCount(): Count {
    return this.hedges ??= this.count(metrics.hedges)
  }
  private outcomeOf(outcome: string): Count {
    return getOrMake(this.outcomes, outcome, () => this.count(metrics.operations, { outcome }))
  }

  private operationOf(outcome: string): Histogram {
    return getOrMake(
      this.operations,
      outcome,
      () => new Histogram(this.context, metrics.operationDuration, { ...this.own(), outcome })
    )
  }
  private refusalOf(gate: string): Count {
    return getOrMake(this.refusals, gate, () => this.count(metrics.refusals, { gate }))
  }
  private count(row: Metric, more: Labels = {}): Count {
    return new Count(this.context, row, { ...this.own(), ...more })
  }
  private countKey(key: string, outcome: string): void {
    const { vendor } = this.labels
    const byKey = this.byKey ??= shared(this.context, `${metrics.keyOperations.name} ${vendor}`, () => new Map())
    const shown = byKey.has(key) || byKey.size < shownKeys ? key : otherKeys
    const byOutcome = getOrMake(byKey, shown, () => new Map<string, Count>())
    getOrMake(byOutcome, outcome, () => new Count(this.context, metrics.keyOperations, { vendor, key: shown, outcome }))
      .count++
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
}

/**
 * Compares how long calls take now with how long they have taken for long, and shrinks the limit by as much as they have
 * become slower: `gradient × limit + queue`, smoothed. The numbers are those of `Gradient2Limit` of Netflix's
 * concurrency-limits inside its `WindowedLimit`.
 *
 * Three things differ. Netflix's lets the long average follow a lasting overload, and the limit with it, up to its largest;
 * here, while the vendor is slow, the limit is now and then halved for one window, and what that shows becomes the average.
 * Netflix's takes a drop for an answer; here a window with a tenth of drops or more counts as one twice as slow, and drops
 * have no part in the average. And a window that has seen too few calls goes on, where Netflix's is thrown away.
 */
import { type Bounds, clamp, type Learner, restAfterRounds, restShare, type Sample } from "./Learner.ts"
import { Round } from "./Round.ts"

export interface GradientSettings {
  readonly smoothing: number
  readonly queueSize: number
  readonly longWindow: number
  readonly tolerance: number
  readonly windowMillis: number
  readonly minimumCalls: number
}

/** The least that a limit is multiplied by, before smoothing (Netflix). */
const steepest = 0.5
/** How many of the first samples the average takes for equals (Netflix). */
const warmUp = 10

export class Gradient implements Learner {
  readonly learnsAtRest = true
  private readonly bounds: Bounds
  private readonly settings: GradientSettings
  private readonly long: Average
  private estimate: number
  /** Windows since the average was known to be that of a vendor at rest, while it has been slow. */
  private slowWindows = 0
  private restAfter = restAfterRounds
  /** Since when the limit has been halved; `undefined` while it is not. */
  private restingSince: number | undefined = undefined
  private window = new Round()

  constructor(bounds: Bounds, settings: GradientSettings) {
    this.bounds = bounds
    this.settings = settings
    this.estimate = bounds.initial
    this.long = new Average(settings.longWindow)
  }
  get limit(): number {
    const limit = Math.floor(this.estimate)
    return this.restingSince === undefined ? limit : Math.ceil(limit * restShare)
  }
  update(sample: Sample, random: () => number): void {
    if (this.restingSince !== undefined && sample.startedAt <= this.restingSince) return
    const { window } = this
    const { minimumCalls, windowMillis } = this.settings
    window.add(sample)
    const endedAt = sample.startedAt + sample.rttMillis
    if (window.calls < minimumCalls || endedAt - window.since < windowMillis) return
    this.window = new Round()
    this.judge(window, endedAt, random)
  }

  private judge(window: Round, now: number, random: () => number): void {
    const { isBad } = window
    if (this.restingSince !== undefined) {
      this.restingSince = undefined
      this.slowWindows = 0
      if (!isBad) return this.long.reset(window.rttMillis)
    }
    if (window.dropped < window.calls) {
      this.long.add(window.rttMillis)
      // Fast again after long: what was learnt in bad times is forgotten sooner.
      if (this.long.value / window.rttMillis > 2) this.long.value *= 0.95
    }
    if (window.inflight < this.estimate / 2) return
    const gradient = isBad
      ? steepest
      : Math.max(steepest, Math.min(1, this.settings.tolerance * this.long.value / window.rttMillis))
    const next = this.estimate * gradient + this.settings.queueSize
    const { smoothing } = this.settings
    this.estimate = clamp(this.estimate * (1 - smoothing) + next * smoothing, this.bounds)
    if (gradient < 1 && ++this.slowWindows >= this.restAfter) {
      this.restingSince = now
      this.restAfter = restAfterRounds * (0.5 + random() / 2)
    }
  }
}

/** An average that weighs the first samples alike and forgets slowly from then on (Netflix's ExpAvgMeasurement). */
export class Average {
  value = 0
  private readonly factor: number
  private count = 0
  private sum = 0

  constructor(window: number) {
    this.factor = 2 / (window + 1)
  }
  add(sample: number): number {
    if (this.count < warmUp) {
      this.sum += sample
      this.value = this.sum / ++this.count
    } else this.value += (sample - this.value) * this.factor
    return this.value
  }
  /** Begins anew with a value of which nothing is doubted. */
  reset(value: number): void {
    this.value = value
    this.count = warmUp
  }
}

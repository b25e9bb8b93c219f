/**
 * Compares recent answer times with their long-term average, and shrinks the limit by the same ratio as they got
 * slower: `gradient × limit + queue`, smoothed. The numbers are those of `Gradient2Limit` in Netflix's
 * concurrency-limits, inside its `WindowedLimit`.
 *
 * Three things differ from Netflix's version. There, the long average follows a lasting overload, and the limit with
 * it, up to its maximum. Here, while the vendor is slow, the limit is sometimes halved for one window, and the result
 * becomes the average. There, a drop counts as an answer. Here, a window with a tenth of drops or more counts as one
 * twice as slow, and drops do not enter the average. And a window with too few calls continues here, where Netflix's is
 * discarded.
 */
import { type Bounds, clamp, type Learner, restAfter, restAfterRounds, restShare, type Sample } from "./Learner.ts"
import { Round } from "./Round.ts"

export interface GradientSettings {
  readonly smoothing: number
  readonly queueSize: number
  readonly longWindow: number
  readonly tolerance: number
  readonly windowMillis: number
  readonly minimumCalls: number
}

/** The smallest factor applied to the limit, before smoothing (Netflix). */
const steepest = 0.5
/** Number of first samples that the average weighs equally (Netflix). */
const warmUp = 10

export class Gradient implements Learner {
  readonly learnsAtRest = true
  private readonly bounds: Bounds
  private readonly settings: GradientSettings
  private readonly long: Average
  private estimate: number
  /** Slow windows since the average was last measured at rest. */
  private slowWindows = 0
  private restAfter = restAfterRounds
  /** The time since when the limit has been halved; `undefined` while it is not. */
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
      // Much faster than the average again: the slow past is forgotten sooner.
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
      this.restAfter = restAfter(random)
    }
  }
}

/** An average that weighs the first samples equally and forgets slowly from then on (Netflix's ExpAvgMeasurement). */
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
  /** Restarts from a value that counts as certain. */
  reset(value: number): void {
    this.value = value
    this.count = warmUp
  }
}

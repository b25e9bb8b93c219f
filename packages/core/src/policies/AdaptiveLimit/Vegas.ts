/**
 * Estimates how many of our calls wait inside the vendor, `limit × (1 − rtt at rest / rtt)`, and keeps that between two
 * bounds (Brakmo and Peterson, "TCP Vegas: End to End Congestion Avoidance on a Global Internet", 1995). The numbers
 * are those of `VegasLimit` in Netflix's concurrency-limits, whose bounds grow with the logarithm of the limit.
 *
 * Two things differ from Netflix's version. It takes a step with every call, even one that began before its last step,
 * and so it oscillates. Here there is one step per round trip, as in the paper, from the mean of as many calls as the
 * limit allows. And from time to time Netflix's takes the next call as one at rest, with its queue, so under lasting
 * load the queue grows each time. Here the limit is halved for a round.
 */
import { type Bounds, clamp, type Learner, restAfter, restShare, type Sample } from "./Learner.ts"
import { Round } from "./Round.ts"

export interface VegasSettings {
  /** The bounds of the queue, for a limit. */
  readonly alpha: (limit: number) => number
  readonly beta: (limit: number) => number
}

/** The logarithm that all steps are based on: whole, and at least 1. */
export const log10 = (limit: number): number => Math.max(1, Math.floor(Math.log10(limit)))

export class Vegas implements Learner {
  readonly learnsAtRest = true
  private readonly bounds: Bounds
  private readonly settings: VegasSettings
  private estimate: number
  /** The answer time while none of our calls waits inside the vendor. */
  private restMillis = Infinity
  private isResting = false
  private rounds = 0
  private restAfter: number | undefined = undefined
  private round = new Round()
  /** The start of the round; calls that began earlier belong to no round. */
  private roundSince = -Infinity

  constructor(bounds: Bounds, settings: VegasSettings) {
    this.bounds = bounds
    this.settings = settings
    this.estimate = bounds.initial
  }
  get limit(): number {
    return this.isResting ? Math.ceil(this.estimate * restShare) : this.estimate
  }
  update(sample: Sample, random: () => number): void {
    const { round } = this
    if (sample.startedAt < this.roundSince) return
    round.add(sample)
    if (round.calls < this.limit) return
    this.round = new Round()
    this.roundSince = sample.startedAt + sample.rttMillis
    this.restAfter ??= restAfter(random)
    if (this.isResting) {
      this.isResting = false
      this.rounds = 0
      this.restAfter = undefined
      if (!round.isBad) this.restMillis = round.rttMillis
      return
    }
    this.estimate = clamp(this.estimate + this.step(round), this.bounds)
    this.isResting = ++this.rounds >= this.restAfter
  }

  private step(round: Round): number {
    const { estimate } = this
    if (round.isBad) return -log10(estimate)
    if (round.rttMillis < this.restMillis) {
      this.restMillis = round.rttMillis
      return 0
    }
    if (round.inflight * 2 < estimate) return 0
    const queue = Math.ceil(estimate * (1 - this.restMillis / round.rttMillis))
    const beta = this.settings.beta(estimate)
    if (queue <= log10(estimate)) return beta
    if (queue < this.settings.alpha(estimate)) return log10(estimate)
    return queue > beta ? -log10(estimate) : 0
  }
}

/** Calls that are judged together. Drops are counted, but do not enter the answer time. */
import type { Sample } from "./Learner.ts"

/** The share of drops that makes a round a bad one. Our own judgement; for Netflix's limits one drop is enough. */
const badShare = 0.1

export class Round {
  calls = 0
  dropped = 0
  /** The largest number of running calls when one of them began. */
  inflight = 0
  /** The time when the first of them ended. */
  since = Infinity
  private sum = 0

  add(sample: Sample): void {
    this.since = Math.min(this.since, sample.startedAt + sample.rttMillis)
    this.inflight = Math.max(this.inflight, sample.inflight)
    this.calls++
    if (sample.dropped) this.dropped++
    else this.sum += sample.rttMillis
  }
  /** The mean answer time; `NaN` when there was no answer. */
  get rttMillis(): number {
    return this.sum / (this.calls - this.dropped)
  }
  get isBad(): boolean {
    return this.dropped / this.calls >= badShare
  }
}

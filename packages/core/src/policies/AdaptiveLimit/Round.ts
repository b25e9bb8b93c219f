/** Calls that are looked at together. Drops count, but say nothing of how long an answer takes. */
import type { Sample } from "./Learner.ts"

/** The share of drops that makes a round a bad one (ours; for Netflix's limits one drop does). */
const badShare = 0.1

export class Round {
  calls = 0
  dropped = 0
  /** The most that were running when one of them began. */
  inflight = 0
  /** When the first of them ended. */
  since = Infinity
  private sum = 0

  add(sample: Sample): void {
    this.since = Math.min(this.since, sample.startedAt + sample.rttMillis)
    this.inflight = Math.max(this.inflight, sample.inflight)
    this.calls++
    if (sample.dropped) this.dropped++
    else this.sum += sample.rttMillis
  }
  /** The mean time of an answer; not a number when there was none. */
  get rttMillis(): number {
    return this.sum / (this.calls - this.dropped)
  }
  get isBad(): boolean {
    return this.dropped / this.calls >= badShare
  }
}

/**
 * Latencies of recent answers, in two histograms that take turns: one is filled while the other is still read, so that
 * half of the window expires at a time. Buckets grow by a twentieth. A quantile is the upper bound of its bucket, so it
 * is at most 5 % too long and never too short.
 */

const growth = 1.05
/** The first bucket ends at a tenth of a millisecond, the last begins after an hour and a half. */
const smallest = 0.1
const buckets = 360

export class Latencies {
  private readonly halfMillis: number
  private filling = new Uint32Array(buckets)
  private full = new Uint32Array(buckets)
  private filled = 0
  private total = 0
  private since = -Infinity
  /** The latest quantile, cached: every call needs it, and it changes slowly. */
  private answer = Infinity
  private answeredAt = -Infinity
  private answeredFor = 0

  constructor(windowMillis: number) {
    this.halfMillis = windowMillis / 2
  }

  record(durationMillis: number, now: number): void {
    this.turn(now)
    const bucket = Math.ceil(Math.log(durationMillis / smallest) / Math.log(growth) - 1e-9)
    this.filling[Math.max(0, Math.min(buckets - 1, bucket || 0))]!++
    this.filled++
    this.total++
  }
  /** Number of remembered answers. */
  count(now: number): number {
    this.turn(now)
    return this.total
  }
  /** The time within which this share of the answers came, in milliseconds. */
  quantile(share: number, now: number): number {
    this.turn(now)
    if (now - this.answeredAt < this.halfMillis / 100 && this.answeredFor === share) return this.answer
    let left = Math.ceil(share * this.total)
    let bucket = 0
    for (; bucket < buckets - 1; bucket++) {
      left -= this.filling[bucket]! + this.full[bucket]!
      if (left <= 0) break
    }
    this.answer = smallest * growth ** bucket
    this.answeredAt = now
    this.answeredFor = share
    return this.answer
  }

  private turn(now: number): void {
    if (now - this.since < this.halfMillis) return
    const isLongAgo = now - this.since >= 2 * this.halfMillis
    const emptied = this.full.fill(0)
    this.full = isLongAgo ? this.filling.fill(0) : this.filling
    this.filling = emptied
    this.total = isLongAgo ? 0 : this.filled
    this.filled = 0
    this.since = now
    this.answeredAt = -Infinity
  }
}

/**
 * Sliding window by a log of what was taken: in no span of `window` are more than `limit` permits granted, wherever the
 * span begins. It remembers one entry per call of the last window; choose `TokenBucket` for very large limits.
 */
import type { Meter } from "./Meter.ts"

export class SlidingWindow implements Meter {
  readonly capacity: number
  readonly interval: number
  private readonly windowMillis: number
  /** A ring of what was taken, oldest first. */
  private times = new Float64Array(8)
  private costs = new Float64Array(8)
  private first = 0
  private length = 0
  private used = 0

  constructor(limit: number, windowMillis: number) {
    this.capacity = limit
    this.interval = windowMillis / limit
    this.windowMillis = windowMillis
  }

  delay(now: number, cost: number) {
    this.expire(now)
    let missing = this.used + cost - this.capacity
    if (missing <= 0) return 0
    for (let i = 0; i < this.length; i++) {
      const at = this.index(i)
      missing -= this.costs[at]!
      if (missing <= 0) return this.times[at]! + this.windowMillis - now
    }
    return this.windowMillis
  }
  take(now: number, cost: number) {
    this.expire(now)
    if (cost === 0) return
    if (this.length === this.times.length) this.grow()
    const at = this.index(this.length++)
    this.times[at] = now
    this.costs[at] = cost
    this.used += cost
  }
  giveBack(takenAt: number, cost: number) {
    let left = cost
    for (let i = this.length - 1; i >= 0 && left > 0; i--) {
      const at = this.index(i)
      if (this.times[at]! < takenAt) break
      if (this.times[at]! > takenAt) continue
      const part = Math.min(this.costs[at]!, left)
      this.costs[at]! -= part
      this.used -= part
      left -= part
    }
    // Calls that are refused further on, as by an open breaker, give back at once: without this the log has no bound.
    while (this.length > 0 && this.costs[this.index(this.length - 1)] === 0) this.length--
  }
  tighten(now: number, remaining: number) {
    this.expire(now)
    const surplus = this.capacity - this.used - remaining
    if (surplus > 0) this.take(now, surplus)
  }

  private index(i: number) {
    return (this.first + i) % this.times.length
  }
  private expire(now: number) {
    while (this.length > 0 && now - this.times[this.first]! >= this.windowMillis) {
      this.used -= this.costs[this.first]!
      this.first = this.index(1)
      this.length--
    }
    // What fractions leave behind in rounding would never expire.
    if (this.length === 0) this.used = 0
  }
  private grow() {
    const times = new Float64Array(this.times.length * 2)
    const costs = new Float64Array(this.times.length * 2)
    for (let i = 0; i < this.length; i++) {
      times[i] = this.times[this.index(i)]!
      costs[i] = this.costs[this.index(i)]!
    }
    this.times = times
    this.costs = costs
    this.first = 0
  }
}

/**
 * Sliding window by a log of taken permits: no span of `window`, wherever it begins, has more than `limit` permits
 * granted. It remembers one entry per call of the last window; choose `TokenBucket` for very large limits.
 */
import type { Meter } from "./Meter.ts"

export class SlidingWindow implements Meter {
  readonly capacity: number
  readonly interval: number
  private readonly windowMillis: number
  /** A ring of taken permits, oldest first: the time and the cost of each call. */
  private log = new Float64Array(8)
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
      missing -= this.log[at + 1]!
      if (missing <= 0) return this.log[at]! + this.windowMillis - now
    }
    return this.windowMillis
  }
  take(now: number, cost: number) {
    this.expire(now)
    if (cost === 0) return
    if (2 * this.length === this.log.length) this.grow()
    this.append(now, cost)
  }
  giveBack(takenAt: number, cost: number) {
    let left = cost
    for (let i = this.length - 1; i >= 0 && left > 0; i--) {
      const at = this.index(i)
      if (this.log[at]! < takenAt) break
      if (this.log[at]! > takenAt) continue
      const part = Math.min(this.log[at + 1]!, left)
      this.log[at + 1]! -= part
      this.used -= part
      left -= part
    }
    // Calls refused at a later gate, as by an open breaker, give back at once: without this the log would grow without
    // bound.
    while (this.length > 0 && this.log[this.index(this.length - 1) + 1] === 0) this.length--
  }
  pack(now: number) {
    this.expire(now)
    return Array.from({ length: 2 * this.length }, (_, i) => this.log[this.index(i >> 1) + i % 2]!)
  }
  unpack(numbers: ReadonlyArray<number>) {
    if (numbers.length > this.log.length) this.log = new Float64Array(2 ** Math.ceil(Math.log2(numbers.length)))
    for (let i = 0; i < numbers.length; i += 2) this.append(numbers[i]!, numbers[i + 1]!)
  }

  private index(i: number) {
    return (this.first + 2 * i) % this.log.length
  }
  private append(at: number, cost: number) {
    const index = this.index(this.length++)
    this.log[index] = at
    this.log[index + 1] = cost
    this.used += cost
  }
  private expire(now: number) {
    while (this.length > 0 && now - this.log[this.first]! >= this.windowMillis) {
      this.used -= this.log[this.first + 1]!
      this.first = this.index(1)
      this.length--
    }
    // Rounding errors of fractional costs would never expire.
    if (this.length === 0) this.used = 0
  }
  private grow() {
    const log = new Float64Array(2 * this.log.length)
    log.set(this.log.subarray(this.first))
    log.set(this.log.subarray(0, this.first), this.log.length - this.first)
    this.log = log
    this.first = 0
  }
}

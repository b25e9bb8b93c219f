/**
 * Token bucket by the generic cell rate algorithm (ITU-T I.371): one number a key, no refill task. In any span of time
 * it grants at most `burst` plus what flows in during that span; two bursts can meet at the edge of a vendor's own
 * fixed window, where `SlidingWindow` is exact.
 */
import type { Meter } from "./Meter.ts"

export class TokenBucket implements Meter {
  readonly capacity: number
  readonly interval: number
  /** The theoretical arrival time: when the bucket will be full again. */
  private fullAgainAt = -Infinity
  /** When the bucket was last seen full; what was taken before has flowed back since. */
  private lastFullAt = -Infinity

  constructor(limit: number, windowMillis: number, burst: number) {
    this.capacity = burst
    this.interval = windowMillis / limit
  }

  delay(now: number, cost: number) {
    const due = Math.max(this.fullAgainAt, now) + (cost - this.capacity) * this.interval - now
    return due <= resolution ? 0 : due
  }
  take(now: number, cost: number) {
    if (this.fullAgainAt <= now) this.fullAgainAt = this.lastFullAt = now
    this.fullAgainAt += cost * this.interval
  }
  giveBack(takenAt: number, cost: number) {
    if (takenAt >= this.lastFullAt) this.fullAgainAt -= cost * this.interval
  }
  tighten(now: number, remaining: number) {
    this.fullAgainAt = Math.max(this.fullAgainAt, now + (this.capacity - remaining) * this.interval)
  }
}

/** A microsecond, in milliseconds: shorter waits are rounding errors of the arithmetic, not waits. */
const resolution = 1e-3

/**
 * Token bucket by the generic cell rate algorithm (ITU-T I.371): one number per key, no refill task. In any span of
 * time it grants at most `burst` plus the permits refilled during that span. Two bursts can meet at the edge of a
 * vendor's own fixed window, where `SlidingWindow` is exact.
 */
import type { Meter } from "./Meter.ts"

export class TokenBucket implements Meter {
  readonly capacity: number
  readonly interval: number
  /** The theoretical arrival time: when the bucket will be full again. */
  private fullAgainAt = -Infinity
  private lastTakenAt = -Infinity

  constructor(limit: number, windowMillis: number, burst: number) {
    this.capacity = burst
    this.interval = windowMillis / limit
  }

  delay(now: number, cost: number) {
    const due = Math.max(this.fullAgainAt, now) + (cost - this.capacity) * this.interval - now
    return due <= resolution ? 0 : due
  }
  take(now: number, cost: number) {
    this.fullAgainAt = Math.max(this.fullAgainAt, now) + cost * this.interval
    this.lastTakenAt = now
  }
  giveBack(takenAt: number, cost: number) {
    // Without this call the bucket might have been full for that long before the last call, and a full bucket loses its
    // refill. So the permits refilled between the two calls are not given back.
    this.fullAgainAt -= Math.max(0, cost * this.interval - (this.lastTakenAt - takenAt))
  }
  pack(now: number) {
    return this.fullAgainAt <= now ? [] : [this.fullAgainAt]
  }
  unpack([fullAgainAt = -Infinity]: ReadonlyArray<number>) {
    this.fullAgainAt = fullAgainAt
  }
}

/** A microsecond, in milliseconds: a shorter wait is a rounding error, not a wait. */
const resolution = 1e-3

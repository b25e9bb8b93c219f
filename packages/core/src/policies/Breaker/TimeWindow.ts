/**
 * The calls of the last span of time, counted in equal buckets. A call leaves with its bucket, so that the window is
 * between one bucket less than its span and its span. Reading expires as writing does: after an idle hour it is empty.
 */
import { exceeds, type Thresholds, type Window } from "./Window.ts"

/** More than a bucket ever counts, with room below the end of its 32 bits. */
const largestCount = 2 ** 31

export class TimeWindow implements Window {
  private readonly thresholds: Thresholds
  private readonly bucketMillis: number
  private readonly all: Uint32Array
  private readonly failed: Uint32Array
  private readonly slow: Uint32Array
  /** The number of the newest bucket since the origin of time; its slot is this modulo the number of buckets. */
  private newest = -Infinity
  private sumAll = 0
  private sumFailed = 0
  private sumSlow = 0

  constructor(windowMillis: number, buckets: number, thresholds: Thresholds) {
    this.thresholds = thresholds
    this.bucketMillis = windowMillis / buckets
    this.all = new Uint32Array(buckets)
    this.failed = new Uint32Array(buckets)
    this.slow = new Uint32Array(buckets)
  }
  record(now: number, failed: boolean, slow: boolean) {
    this.advance(now)
    this.add(this.slot(this.newest), 1, failed ? 1 : 0, slow ? 1 : 0)
  }
  calls(now: number) {
    this.advance(now)
    return this.sumAll
  }
  failures(now: number) {
    this.advance(now)
    return this.sumFailed
  }
  slowCalls(now: number) {
    this.advance(now)
    return this.sumSlow
  }
  isTripped(now: number) {
    return exceeds(this, this.thresholds, now)
  }
  clear() {
    this.all.fill(0)
    this.failed.fill(0)
    this.slow.fill(0)
    this.sumAll = this.sumFailed = this.sumSlow = 0
  }
  /** Three numbers a bucket, oldest first. */
  dump(now: number) {
    this.advance(now)
    return Array.from({ length: this.all.length }, (_, i) => this.slot(this.newest + 1 + i)).flatMap((slot) => [
      this.all[slot]!,
      this.failed[slot]!,
      this.slow[slot]!
    ])
  }
  load(now: number, content: ReadonlyArray<number>) {
    this.clear()
    this.advance(now)
    if (content.length !== this.all.length * 3) return
    const buckets = Array.from(this.all, (_, i) => content.slice(3 * i, 3 * i + 3) as [number, number, number])
    if (!buckets.every(([all, failed, slow]) => all <= largestCount && failed <= all && slow <= all)) return
    buckets.forEach(([all, failed, slow], i) => this.add(this.slot(this.newest + 1 + i), all, failed, slow))
  }

  private slot(bucket: number) {
    const { length } = this.all
    return ((bucket % length) + length) % length
  }
  private add(slot: number, all: number, failed: number, slow: number) {
    this.all[slot]! += all
    this.failed[slot]! += failed
    this.slow[slot]! += slow
    this.sumAll += all
    this.sumFailed += failed
    this.sumSlow += slow
  }
  private advance(now: number) {
    const bucket = Math.floor(now / this.bucketMillis)
    if (bucket <= this.newest) return
    if (bucket - this.newest >= this.all.length) {
      this.clear()
    } else {
      for (let passed = this.newest + 1; passed <= bucket; passed++) {
        const slot = this.slot(passed)
        this.add(slot, -this.all[slot]!, -this.failed[slot]!, -this.slow[slot]!)
      }
    }
    this.newest = bucket
  }
}

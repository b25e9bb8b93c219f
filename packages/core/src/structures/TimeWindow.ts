/**
 * Counts of the calls in the last span of time, in equal buckets. A bucket expires as a whole, so the window covers its
 * span or up to one bucket less. Reading expires old buckets as writing does: after an idle hour the window is empty.
 */
import { exceeds, type Thresholds, type Window } from "./Window.ts"

/** A bound on the count of a bucket, well below the limit of its 32 bits. */
const largestCount = 2 ** 31

/** One more than the largest packed count: three packed counts fit in a number of 53 bits. */
const packedCount = 2 ** 17

export class TimeWindow implements Window {
  private readonly thresholds: Thresholds
  private readonly bucketMillis: number
  private readonly buckets: number
  /** Three counts per bucket: all, failed, slow. Not allocated while all calls are in the newest bucket. */
  private counts: Uint32Array | undefined = undefined
  /** The number of the newest bucket since the origin of time; its slot is this modulo the number of buckets. */
  private newest = -Infinity
  /** The time when the next bucket begins. */
  private newestUntil = -Infinity
  private sumAll = 0
  private sumFailed = 0
  private sumSlow = 0

  constructor(windowMillis: number, buckets: number, thresholds: Thresholds) {
    this.thresholds = thresholds
    this.bucketMillis = windowMillis / buckets
    this.buckets = buckets
  }
  record(now: number, failed: boolean, slow: boolean) {
    this.advance(now)
    this.add(this.newest, 1, failed ? 1 : 0, slow ? 1 : 0)
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
    this.counts = undefined
    this.sumAll = this.sumFailed = this.sumSlow = 0
  }
  /** Three numbers per bucket, oldest first. */
  dump(now: number) {
    this.advance(now)
    return Array.from({ length: this.buckets }, (_, i) => this.bucket(this.newest - this.buckets + 1 + i)).flat()
  }
  load(now: number, content: ReadonlyArray<number>) {
    this.clear()
    this.advance(now)
    if (content.length !== this.buckets * 3) return
    const buckets = Array.from({ length: this.buckets }, (_, i) => content.slice(3 * i, 3 * i + 3) as Counts)
    if (!buckets.every(([all, failed, slow]) => all <= largestCount && failed <= all && slow <= all)) return
    buckets.forEach((counts, i) => this.add(this.newest - this.buckets + 1 + i, ...counts))
  }
  /**
   * The number of the newest bucket, followed by one number per bucket, from the newest back to the oldest with calls.
   */
  pack() {
    if (this.sumAll === 0) return []
    const numbers = [this.newest]
    for (let left = this.sumAll; left > 0;) {
      const [all, failed, slow] = this.bucket(this.newest - numbers.length + 1)
      if (all >= packedCount) return undefined
      numbers.push((slow * packedCount + failed) * packedCount + all)
      left -= all
    }
    return numbers
  }
  unpack([newest, ...numbers]: ReadonlyArray<number>) {
    if (newest === undefined) return
    this.newest = newest
    numbers.forEach((number, back) => {
      const failedAndSlow = Math.floor(number / packedCount)
      this.add(
        newest - back,
        number % packedCount,
        failedAndSlow % packedCount,
        Math.floor(failedAndSlow / packedCount)
      )
    })
  }

  private bucket(bucket: number): Counts {
    const { counts } = this
    if (counts === undefined) return bucket === this.newest ? [this.sumAll, this.sumFailed, this.sumSlow] : [0, 0, 0]
    const slot = this.slot(bucket)
    return [counts[slot]!, counts[slot + 1]!, counts[slot + 2]!]
  }
  private slot(bucket: number) {
    // The modulo, correct for negative numbers too; faster than the operator for numbers with a fraction.
    return 3 * (bucket - this.buckets * Math.floor(bucket / this.buckets))
  }
  private add(bucket: number, all: number, failed: number, slow: number) {
    if (this.counts !== undefined || bucket !== this.newest) {
      const counts = this.counts ??= this.spread()
      const slot = this.slot(bucket)
      counts[slot]! += all
      counts[slot + 1]! += failed
      counts[slot + 2]! += slow
    }
    this.sumAll += all
    this.sumFailed += failed
    this.sumSlow += slow
  }
  /** Spreads the totals, which were all in the newest bucket, over an array of buckets. */
  private spread() {
    const counts = new Uint32Array(3 * this.buckets)
    counts.set(this.bucket(this.newest), this.slot(this.newest))
    return counts
  }
  private advance(now: number) {
    if (now < this.newestUntil) return
    const bucket = Math.floor(now / this.bucketMillis)
    if (bucket <= this.newest) return
    if (this.sumAll === 0 || bucket - this.newest >= this.buckets) {
      this.clear()
    } else {
      this.counts ??= this.spread()
      for (let passed = this.newest + 1; passed <= bucket; passed++) {
        const [all, failed, slow] = this.bucket(passed)
        this.add(passed, -all, -failed, -slow)
      }
    }
    this.newest = bucket
    this.newestUntil = (bucket + 1) * this.bucketMillis
  }
}

type Counts = [all: number, failed: number, slow: number]

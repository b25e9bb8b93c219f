/**
 * Counts of requests and accepted calls in the last span of time, in equal buckets. Calls expire one bucket at a time.
 */
import type { Priority } from "../../Priority.ts"

/** The priorities in the order in which they are shed. */
export const priorities: ReadonlyArray<Priority> = ["Sheddable", "Normal", "Critical"]

export class Counts {
  private readonly bucketMillis: number
  /** For each bucket, the requests of each priority and the accepted calls. */
  private readonly buckets: Uint32Array
  private readonly sums = [0, 0, 0, 0]
  private newest = -Infinity

  constructor(windowMillis: number, buckets: number) {
    this.bucketMillis = windowMillis / buckets
    this.buckets = new Uint32Array(4 * buckets)
  }
  request(now: number, priority: Priority): void {
    this.add(now, priorities.indexOf(priority))
  }
  accept(now: number): void {
    this.add(now, 3)
  }
  /** Requests of a priority, or of all of them. */
  requests(now: number, priority?: Priority): number {
    this.advance(now)
    const [sheddable, normal, critical] = this.sums
    return priority === undefined ? sheddable! + normal! + critical! : this.sums[priorities.indexOf(priority)]!
  }
  accepts(now: number): number {
    this.advance(now)
    return this.sums[3]!
  }

  private add(now: number, column: number): void {
    this.advance(now)
    this.buckets[this.offset(this.newest) + column]!++
    this.sums[column]!++
  }
  private offset(bucket: number): number {
    const size = this.buckets.length / 4
    return 4 * (((bucket % size) + size) % size)
  }
  private advance(now: number): void {
    const bucket = Math.floor(now / this.bucketMillis)
    if (bucket <= this.newest) return
    const size = this.buckets.length / 4
    for (let passed = Math.max(this.newest + 1, bucket - size + 1); passed <= bucket; passed++) {
      const offset = this.offset(passed)
      for (let column = 0; column < 4; column++) {
        this.sums[column]! -= this.buckets[offset + column]!
        this.buckets[offset + column] = 0
      }
    }
    this.newest = bucket
  }
}

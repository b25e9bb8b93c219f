/** The last `size` calls, one byte each in a ring. */
import { exceeds, type Thresholds, type Window } from "../../structures/Window.ts"

const failedBit = 1
const slowBit = 2
/** Number of calls, two bits each, packed into one number of 53 bits. */
const callsInNumber = 26

export class CountWindow implements Window {
  private readonly thresholds: Thresholds
  private readonly ring: Uint8Array
  private next = 0
  private length = 0
  private failed = 0
  private slow = 0

  constructor(size: number, thresholds: Thresholds) {
    this.ring = new Uint8Array(size)
    this.thresholds = thresholds
  }
  record(_now: number, failed: boolean, slow: boolean) {
    this.push((failed ? failedBit : 0) | (slow ? slowBit : 0))
  }
  calls() {
    return this.length
  }
  failures() {
    return this.failed
  }
  slowCalls() {
    return this.slow
  }
  isTripped(now: number) {
    return exceeds(this, this.thresholds, now)
  }
  clear() {
    this.next =
      this.length =
      this.failed =
      this.slow =
        0
  }
  dump() {
    const { length: size } = this.ring
    return Array.from({ length: this.length }, (_, i) => this.ring[(this.next - this.length + i + size) % size]!)
  }
  load(_now: number, content: ReadonlyArray<number>) {
    this.clear()
    if (content.some((bits) => bits > (failedBit | slowBit))) return
    for (const bits of content) this.push(bits)
  }
  pack() {
    const calls = this.dump()
    const numbers = calls.length === 0 ? [] : [calls.length]
    for (let from = 0; from < calls.length; from += callsInNumber) {
      numbers.push(calls.slice(from, from + callsInNumber).reduceRight((number, bits) => number * 4 + bits, 0))
    }
    return numbers
  }
  unpack([length = 0, ...numbers]: ReadonlyArray<number>) {
    for (let i = 0; i < length; i++) {
      this.push(Math.floor(numbers[Math.floor(i / callsInNumber)]! / 4 ** (i % callsInNumber)) % 4)
    }
  }

  private push(bits: number) {
    if (this.length === this.ring.length) this.count(this.ring[this.next]!, -1)
    else this.length++
    this.ring[this.next] = bits
    this.next = (this.next + 1) % this.ring.length
    this.count(bits, 1)
  }
  private count(bits: number, by: number) {
    if ((bits & failedBit) !== 0) this.failed += by
    if ((bits & slowBit) !== 0) this.slow += by
  }
}

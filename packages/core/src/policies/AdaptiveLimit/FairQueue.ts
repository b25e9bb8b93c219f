/**
 * A queue with one line per key, served in turn, so that a heavy sender queues behind its own calls and not ahead of
 * everyone else's. Every operation is O(1), except `longest`, which looks at each line.
 */
import { Waiter, WaitQueue } from "../../structures/WaitQueue.ts"

export abstract class FairWaiter extends Waiter {
  /** The key of its line. */
  readonly key: string
  constructor(key: string) {
    super()
    this.key = key
  }
}

class Line<W extends FairWaiter> extends Waiter {
  readonly key: string
  readonly waiters = new WaitQueue<W>()
  constructor(key: string) {
    super()
    this.key = key
  }
}

export class FairQueue<W extends FairWaiter> {
  length = 0
  private readonly lines = new Map<string, Line<W>>()
  /** The lines in the order of service. */
  private readonly turns = new WaitQueue<Line<W>>()

  /** Number of calls waiting under a key. */
  waiting(key: string): number {
    return this.lines.get(key)?.waiters.length ?? 0
  }
  push(waiter: W): void {
    let line = this.lines.get(waiter.key)
    if (line === undefined) {
      this.lines.set(waiter.key, line = new Line(waiter.key))
      this.turns.push(line)
    }
    line.waiters.push(waiter)
    this.length++
  }
  /** Removes and returns the first call of the next line. */
  shift(): W | undefined {
    const line = this.turns.shift()
    if (line === undefined) return undefined
    const waiter = line.waiters.shift()!
    this.length--
    if (line.waiters.length === 0) this.lines.delete(line.key)
    else this.turns.push(line)
    return waiter
  }
  /** Removes a waiter from this queue. */
  remove(waiter: W): void {
    const line = this.lines.get(waiter.key)
    if (line === undefined || waiter.queue === undefined) return
    line.waiters.remove(waiter)
    this.left(line)
  }
  /** The key of the longest line. */
  get longest(): string | undefined {
    let longest: Line<W> | undefined
    for (const line of this.lines.values()) {
      if (longest === undefined || line.waiters.length > longest.waiters.length) longest = line
    }
    return longest?.key
  }
  /** Removes and returns the last call of a line. */
  pop(key: string): W | undefined {
    const line = this.lines.get(key)
    const last = line?.waiters.pop()
    if (line !== undefined) this.left(line)
    return last
  }

  private left(line: Line<W>): void {
    this.length--
    if (line.waiters.length > 0) return
    this.lines.delete(line.key)
    this.turns.remove(line)
  }
}

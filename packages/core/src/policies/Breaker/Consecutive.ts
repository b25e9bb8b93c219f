/**
 * Trips after this many failures in a row. It suits vendors that are called rarely, because it needs no rate and no
 * window.
 */
import type { Window } from "../../structures/Window.ts"

export class Consecutive implements Window {
  private readonly threshold: number
  private inARow = 0

  constructor(threshold: number) {
    this.threshold = threshold
  }
  record(_now: number, failed: boolean, slow: boolean) {
    this.inARow = failed || slow ? this.inARow + 1 : 0
  }
  calls() {
    return this.inARow
  }
  failures() {
    return this.inARow
  }
  slowCalls() {
    return 0
  }
  isTripped() {
    return this.inARow >= this.threshold
  }
  clear() {
    this.inARow = 0
  }
  dump() {
    return [this.inARow]
  }
  load(_now: number, content: ReadonlyArray<number>) {
    this.inARow = content.length === 1 ? Math.max(0, Math.trunc(content[0]!)) : 0
  }
  pack() {
    return this.inARow === 0 ? [] : [this.inARow]
  }
  unpack([inARow = 0]: ReadonlyArray<number>) {
    this.inARow = inARow
  }
}

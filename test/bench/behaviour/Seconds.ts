/** Counts per second of a run. */
import type { Point } from "../Plot.ts"

export interface Second {
  readonly second: number
  /** Calls that were made in it. */
  readonly calls: number
  /** Attempts that reached the vendor in it. */
  readonly attempts: number
  /** Calls that were answered in it. */
  readonly answered: number
}

export class Seconds {
  private readonly begin = performance.now()
  private readonly counts: Array<{ calls: number; attempts: number; answered: number }>

  constructor(length: number) {
    this.counts = Array.from({ length }, () => ({ calls: 0, attempts: 0, answered: 0 }))
  }
  /** Seconds since the begin. */
  since(): number {
    return (performance.now() - this.begin) / 1_000
  }
  count(what: "calls" | "attempts" | "answered"): void {
    const now = this.counts[Math.floor(this.since())]
    if (now !== undefined) now[what]++
  }
  all(): ReadonlyArray<Second> {
    return this.counts.map((counts, second) => ({ second, ...counts }))
  }
}

const windowSeconds = 5

/**
 * How many seconds after `from` nine calls in ten are answered, over five seconds and for good; `undefined` when that
 * never comes.
 */
export const recoveredAfter = (seconds: ReadonlyArray<Second>, from: number): number | undefined => {
  const last = seconds.length - windowSeconds
  for (let at = last; at >= from; at--) {
    const window = seconds.slice(at, at + windowSeconds)
    const total = (of: (second: Second) => number) => window.reduce((sum, second) => sum + of(second), 0)
    if (total(({ answered }) => answered) < 0.9 * total(({ calls }) => calls)) {
      return at === last ? undefined : at + 1 - from
    }
  }
  return 0
}

/** The mean of so many seconds at a time, as points. */
export const means = (
  seconds: ReadonlyArray<Second>,
  of: "calls" | "attempts" | "answered",
  width: number
): ReadonlyArray<Point> =>
  Array.from({ length: Math.floor(seconds.length / width) }, (_, at) => {
    const part = seconds.slice(at * width, (at + 1) * width)
    return { x: (at + 0.5) * width, y: part.reduce((sum, second) => sum + second[of], 0) / width }
  })

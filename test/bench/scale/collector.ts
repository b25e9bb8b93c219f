/** Pauses of the garbage collector, measured to tell them apart from ours. */
import { PerformanceObserver } from "node:perf_hooks"

export interface Span {
  readonly from: number
  readonly to: number
}

export interface Collector {
  /** Milliseconds of a span that were not the collector's. To be asked after {@link Collector.settled}. */
  own(span: Span): number
  /** Milliseconds of its longest pause so far. */
  longest(): number
  /** Waits until all that was collected is known: observers hear of it later. */
  settled(): Promise<void>
  stop(): void
}

export const watchCollector = (): Collector => {
  const spans: Array<Span> = []
  const observer = new PerformanceObserver((list) => {
    for (const { duration, startTime } of list.getEntries()) spans.push({ from: startTime, to: startTime + duration })
  })
  observer.observe({ entryTypes: ["gc"] })
  return {
    own: ({ from, to }) =>
      spans.reduce((left, span) => left - Math.max(0, Math.min(span.to, to) - Math.max(span.from, from)), to - from),
    longest: () => spans.reduce((most, { from, to }) => Math.max(most, to - from), 0),
    settled: () => new Promise((resolve) => setTimeout(resolve, 20)),
    stop: () => observer.disconnect()
  }
}

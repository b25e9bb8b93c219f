/** The recent calls that a closed breaker remembers. */
export interface Window {
  /** Adds one finished call. */
  record(now: number, failed: boolean, slow: boolean): void
  /** Number of calls in the window, after expired ones have left it. */
  calls(now: number): number
  failures(now: number): number
  slowCalls(now: number): number
  /** Whether the remembered calls are reason enough to open. */
  isTripped(now: number): boolean
  clear(): void
  /** The content as plain numbers, for {@link Window.load} of a window with the same settings. */
  dump(now: number): ReadonlyArray<number>
  /** Loads a dumped content; a content that this window could not have dumped counts as empty. */
  load(now: number, content: ReadonlyArray<number>): void
  /** The content in as few numbers as possible, to be stored for a while; `undefined` when it is too large. */
  pack(): ReadonlyArray<number> | undefined
  /** Restores a packed content into an empty window. */
  unpack(numbers: ReadonlyArray<number>): void
}

/** The thresholds of a window with rates: it trips at or above either rate, once it has enough calls. */
export interface Thresholds {
  readonly minimumCalls: number
  readonly failureRate: number
  readonly slowCallRate: number
}

export const exceeds = (window: Window, thresholds: Thresholds, now: number): boolean => {
  const calls = window.calls(now)
  // Quotients, because a product can miss the exact share: 0.07 * 100 is a little more than 7.
  return calls >= thresholds.minimumCalls && (
    window.failures(now) / calls >= thresholds.failureRate || window.slowCalls(now) / calls >= thresholds.slowCallRate
  )
}

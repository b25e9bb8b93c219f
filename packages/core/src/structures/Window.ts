/** What a breaker remembers of the calls while it is closed. */
export interface Window {
  /** Adds one finished call. */
  record(now: number, failed: boolean, slow: boolean): void
  /** Calls in the window, once what is too old has left it. */
  calls(now: number): number
  failures(now: number): number
  slowCalls(now: number): number
  /** Whether what is remembered is reason enough to open. */
  isTripped(now: number): boolean
  clear(): void
  /** The content as plain numbers, for {@link Window.load} of a window with the same settings. */
  dump(now: number): ReadonlyArray<number>
  /** Takes over a content; one that this window could not have dumped counts as empty. */
  load(now: number, content: ReadonlyArray<number>): void
  /** The content in as few numbers as possible, to be laid aside for a while; `undefined` when it is too large. */
  pack(): ReadonlyArray<number> | undefined
  /** Takes a content up again that was laid aside, into a window that has seen nothing. */
  unpack(numbers: ReadonlyArray<number>): void
}

/** When a window with rates trips: at or above either rate, once it has seen enough calls. */
export interface Thresholds {
  readonly minimumCalls: number
  readonly failureRate: number
  readonly slowCallRate: number
}

export const exceeds = (window: Window, thresholds: Thresholds, now: number): boolean => {
  const calls = window.calls(now)
  // Quotients, because a product can miss the very share that was asked for: 0.07 * 100 is a little more than 7.
  return calls >= thresholds.minimumCalls && (
    window.failures(now) / calls >= thresholds.failureRate || window.slowCalls(now) / calls >= thresholds.slowCallRate
  )
}

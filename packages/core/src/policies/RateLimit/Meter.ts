/** What a rate limit is measured with: how long until so many permits are due, and taking them. */
export interface Meter {
  /** The most permits that can ever be due at once. */
  readonly capacity: number
  /** How fast permits flow in: milliseconds for each. */
  readonly interval: number
  /** Milliseconds from `now` until `cost` permits are due; 0 when they are due now. `cost` is at most `capacity`. */
  delay(now: number, cost: number): number
  /** Takes permits that are due. */
  take(now: number, cost: number): void
  /** Gives back permits that were taken at `takenAt` and not used. */
  giveBack(takenAt: number, cost: number): void
  /** Lowers what is due now to `remaining` permits, because the vendor says so. */
  tighten(now: number, remaining: number): void
  /** What was taken, in as few numbers as possible, to be laid aside while no permit is out. */
  pack(now: number): ReadonlyArray<number>
  /** Takes up again what was laid aside, into a meter of which nothing was taken. */
  unpack(numbers: ReadonlyArray<number>): void
}

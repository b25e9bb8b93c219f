/** The algorithm of a rate limit: tells how long until permits are due, and takes them. */
export interface Meter {
  /** The most permits that can ever be due at once; `Infinity` without a limit. */
  readonly capacity: number
  /** Time in which one permit is refilled, in milliseconds. */
  readonly interval: number
  /** Milliseconds from `now` until `cost` permits are due; 0 when they are due now. `cost` is at most `capacity`. */
  delay(now: number, cost: number): number
  /** Takes permits that are due. */
  take(now: number, cost: number): void
  /** Gives back permits that were taken at `takenAt` and not used. */
  giveBack(takenAt: number, cost: number): void
  /** The permits taken, in as few numbers as possible, to be stored while no permit is in use. */
  pack(now: number): ReadonlyArray<number>
  /** Restores packed numbers into an unused meter. */
  unpack(numbers: ReadonlyArray<number>): void
}

/** No limit: every permit is due. */
export const unlimited: Meter = {
  capacity: Infinity,
  interval: 0,
  delay: () => 0,
  take() {},
  giveBack() {},
  pack: () => [],
  unpack() {}
}

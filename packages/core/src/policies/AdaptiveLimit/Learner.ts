/** What learns how many calls may run at once. */

/** What one call, or the calls of a window together, have shown. Times are in milliseconds. */
export interface Sample {
  /** When it began. */
  readonly startedAt: number
  /** How long the vendor took. */
  readonly rttMillis: number
  /** How many calls were running when it began, with itself. */
  readonly inflight: number
  /** Whether the vendor gave no answer in time, or said that it has too much to do. */
  readonly dropped: boolean
}

export interface Learner {
  /** Calls that may run at once now; a whole number of at least 1. */
  readonly limit: number
  /** Whether a call that was made while the limit was not in use can teach it something. */
  readonly learnsAtRest: boolean
  /** `random` gives numbers from 0 to just below 1. */
  update(sample: Sample, random: () => number): void
}

/** The bounds of every limit. */
export interface Bounds {
  readonly initial: number
  readonly min: number
  readonly max: number
}

export const clamp = (limit: number, { max, min }: Bounds): number => Math.max(min, Math.min(max, limit))

/**
 * How often the vendor is measured at rest: after so many rounds of calls (Netflix's VegasLimit), times a random number
 * from 0.5 to 1, so that many processes do not do it together.
 */
export const restAfterRounds = 30

/**
 * The share of the limit that is left while the vendor is measured at rest (as BBR's later versions do, where the first
 * went down to 4): up to a limit of twice what the vendor can do, nothing of ours waits there then.
 */
export const restShare = 0.5

/** The interface of the algorithms that learn a concurrency limit. */

/** The evidence of one call, or of the calls of a window together. Times are in milliseconds. */
export interface Sample {
  /** The start of the call. */
  readonly startedAt: number
  /** How long the vendor took. */
  readonly rttMillis: number
  /** Number of calls running when it began, including itself. */
  readonly inflight: number
  /** Whether the vendor gave no answer in time, or reported overload. */
  readonly dropped: boolean
}

export interface Learner {
  /** Calls that may run at once now; a whole number of at least 1. */
  readonly limit: number
  /** Whether a call made while the limit was not in use also counts as evidence. */
  readonly learnsAtRest: boolean
  /** `random` returns numbers of at least 0 and below 1. */
  update(sample: Sample, random: () => number): void
}

/** The bounds of every limit. */
export interface Bounds {
  readonly initial: number
  readonly min: number
  readonly max: number
}

export const clamp = (limit: number, { max, min }: Bounds): number => Math.max(min, Math.min(max, limit))

/** Rounds of calls between two measurements of the vendor at rest (Netflix's VegasLimit). */
export const restAfterRounds = 30

/** The same, times a random number from 0.5 to 1, so that many processes do not measure at the same time. */
export const restAfter = (random: () => number): number => restAfterRounds * (0.5 + random() / 2)

/**
 * The share of the limit kept while the vendor is measured at rest (as in BBR's later versions; the first went down to
 * 4). Up to a limit of twice the vendor's capacity, none of our calls then waits inside the vendor.
 */
export const restShare = 0.5

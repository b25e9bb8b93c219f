/**
 * Jitter for the end of a pause, so that callers who were told the same time do not all come back in the same moment.
 * It only adds: a time that a vendor has named is never cut short. A delay of our own choosing needs more, and has full
 * jitter (`Retry.backoff`).
 */

/** The largest share of a pause that is added, and the most that is added, in milliseconds. Our own judgement. */
const share = 0.25
const mostMillis = 5_000

/** A pause in milliseconds, and up to a quarter or 5 seconds more. `random` is at least 0 and below 1. */
export const later = (millis: number, random: number): number => millis + random * Math.min(millis * share, mostMillis)

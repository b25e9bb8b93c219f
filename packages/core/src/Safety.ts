/**
 * What it means to send the same operation twice, and what became of the first time. An endpoint declares the one, every
 * failure says the other; retry, hedge and failover obey both.
 *
 * @example
 * ```ts
 * import { Safety } from "@breakwater/core"
 *
 * console.log(Safety.mayRepeat("Keyed", "Unknown")) // => true
 * console.log(Safety.mayRepeat("Unsafe", "Unknown")) // => false
 * console.log(Safety.mayRepeat("Unsafe", "NotSent")) // => true
 * ```
 */

/**
 * - `Idempotent`: a read, or a write that says the same thing twice; may be repeated whatever became of the first.
 * - `Keyed`: a write with an idempotency key; may be repeated at the same vendor with the same key.
 * - `Unsafe`: a write the vendor cannot de-duplicate; may be repeated only when nothing was sent.
 */
export type Safety = "Idempotent" | "Keyed" | "Unsafe"

/**
 * - `NotSent`: no byte of it reached the vendor.
 * - `Rejected`: the vendor answered that it did nothing.
 * - `Unknown`: bytes left and no trustworthy answer came back, so the vendor may have acted.
 */
export type Fate = "NotSent" | "Rejected" | "Unknown"

const severity: Record<Fate, number> = { NotSent: 0, Rejected: 1, Unknown: 2 }

/** The fate of two attempts of one call: what may have happened in either may have happened. */
export const worstFate = (a: Fate, b: Fate): Fate => severity[a] >= severity[b] ? a : b

/** Whether a call whose attempts met this fate may be sent again, to the same vendor. */
export const mayRepeat = (safety: Safety, fate: Fate): boolean => safety !== "Unsafe" || fate === "NotSent"

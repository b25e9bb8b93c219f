/**
 * Safety is whether an operation may be sent twice, and fate is what became of an attempt. An endpoint declares its
 * safety and every failure carries a fate; retry, hedge and failover obey both.
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
 * - `Idempotent`: a read, or a write that has the same effect when repeated; may be repeated after any fate.
 * - `Keyed`: a write with an idempotency key; may be repeated at the same vendor with the same key.
 * - `Unsafe`: a write that the vendor cannot de-duplicate; may be repeated only when nothing was sent.
 */
export type Safety = "Idempotent" | "Keyed" | "Unsafe"

/**
 * - `NotSent`: no byte of the request reached the vendor.
 * - `Rejected`: the vendor responded that it did nothing.
 * - `Unknown`: bytes were sent and no trustworthy response came back, so the vendor may have acted.
 */
export type Fate = "NotSent" | "Rejected" | "Unknown"

const severity: Record<Fate, number> = { NotSent: 0, Rejected: 1, Unknown: 2 }

/** Whether a value is a fate. */
export const isFate = (u: unknown): u is Fate => typeof u === "string" && Object.hasOwn(severity, u)

/** The combined fate of two attempts of one call: the worse of the two. */
export const worstFate = (a: Fate, b: Fate): Fate => severity[a] >= severity[b] ? a : b

/** Whether a call with this fate may be sent again to the same vendor. */
export const mayRepeat = (safety: Safety, fate: Fate): boolean => safety !== "Unsafe" || fate === "NotSent"

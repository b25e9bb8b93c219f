/**
 * What it means to send the same operation twice. An endpoint declares it; retry, hedge and failover obey it.
 */
import type { Fate } from "./VendorError.ts"

/**
 * - `Idempotent`: a read, or a write that says the same thing twice; may be repeated whatever became of the first.
 * - `Keyed`: a write with an idempotency key; may be repeated at the same vendor with the same key.
 * - `Unsafe`: a write the vendor cannot de-duplicate; may be repeated only when nothing was sent.
 */
export type Safety = "Idempotent" | "Keyed" | "Unsafe"

/** Whether a call whose last attempt met this fate may be sent again, to the same vendor. */
export const mayRepeat = (safety: Safety, fate: Fate): boolean => safety !== "Unsafe" || fate === "NotSent"

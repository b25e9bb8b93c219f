/** The steps of an attempt, whose they are, and what became of an attempt that ends in one. */
import type { Fate } from "./Safety.ts"

/**
 * What an attempt is waiting for. In the first two steps the vendor has no part, so they are no evidence about it:
 *
 * - `Queue`: one of our own queues, for a free connection or for the permit of a further request.
 * - `Secret`: the source of its credential.
 * - `Connect`: a connection to the vendor.
 * - `Headers`: the first header of the response.
 * - `Body`: the end of the body.
 */
export type Phase = "Queue" | "Secret" | "Connect" | "Headers" | "Body"

/** Whether an attempt waits for our own side, and not for the vendor. */
export const isOwnPhase = (phase: Phase): phase is "Queue" | "Secret" => phase === "Queue" || phase === "Secret"

/** What became of an attempt that ends while it is waiting. */
export const fateIn = (phase: Phase): Fate => phase === "Headers" || phase === "Body" ? "Unknown" : "NotSent"

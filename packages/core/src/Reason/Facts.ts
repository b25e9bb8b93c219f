/**
 * The table of reasons: one row each, with its meaning for the vendor's health and load, for retry and for failover. Every
 * policy reads its own column, so that a new reason is one row here, and a missing row is a type error.
 */
import type { Reason } from "../Reason.ts"

/** The vendor's load, as far as a failed attempt shows it; see {@link loadOf}. */
export type Load = "Accepted" | "TurnedAway" | "Overloaded" | "Unknown"

export interface Facts {
  /**
   * Where the reason comes from. `Gate` and `Caller` are our own side: the same call is not repeated at once, because it
   * would meet the same gate, or the same lack of time.
   */
  readonly from: "Gate" | "Caller" | "Network" | "Vendor" | "Credential"
  /** The vendor's health, as the reason shows it. */
  readonly health: "Success" | "Failure" | "Ignored"
  /** Whether another vendor may do better: the reason is about this vendor, now, and not about the request or its time. */
  readonly movesOn: boolean
  /** The vendor's load, as the reason shows it. */
  readonly load: Load
}

/** One row for each reason, in the order of their declaration. */
const facts: { readonly [Tag in Reason["_tag"]]: Facts } = {
  CircuitOpen: { from: "Gate", health: "Ignored", movesOn: true, load: "Unknown" },
  RateLimitExceeded: { from: "Gate", health: "Ignored", movesOn: true, load: "Unknown" },
  BulkheadFull: { from: "Gate", health: "Ignored", movesOn: true, load: "Unknown" },
  Throttled: { from: "Gate", health: "Ignored", movesOn: true, load: "Unknown" },
  // A failure, but evidence only of an attempt that had a fair share of its time: the stack passes on no other (see
  // stack/Stack/AttemptRing). Another vendor would have no more time.
  DeadlineExceeded: { from: "Caller", health: "Failure", movesOn: false, load: "Overloaded" },
  Timeout: { from: "Network", health: "Failure", movesOn: true, load: "Overloaded" },
  // It answers nothing, which may have causes besides too much to do.
  ConnectFailed: { from: "Network", health: "Failure", movesOn: true, load: "TurnedAway" },
  ConnectionLost: { from: "Network", health: "Failure", movesOn: true, load: "TurnedAway" },
  // Which of its statuses say that there is too much to do is in `loadOf`.
  Unavailable: { from: "Vendor", health: "Failure", movesOn: true, load: "TurnedAway" },
  // The vendor is well: a limit is about us. The rate limiter hears it.
  RateLimited: { from: "Vendor", health: "Ignored", movesOn: true, load: "Overloaded" },
  // The call that it conflicts with is still running there: another vendor would do it a second time.
  Conflict: { from: "Vendor", health: "Success", movesOn: false, load: "Accepted" },
  // A well-formed answer, so the vendor is up; but another vendor has another credential.
  Unauthorized: { from: "Vendor", health: "Success", movesOn: true, load: "Accepted" },
  RequestRejected: { from: "Vendor", health: "Success", movesOn: false, load: "Accepted" },
  InvalidRequest: { from: "Caller", health: "Ignored", movesOn: false, load: "Unknown" },
  // An answer that cannot be used is a failure, yet the vendor took the call on.
  InvalidResponse: { from: "Vendor", health: "Failure", movesOn: true, load: "Accepted" },
  ResponseTooLarge: { from: "Vendor", health: "Failure", movesOn: true, load: "Accepted" },
  // On our side, but no gate: a source that cannot be reached now is worth a retry.
  CredentialUnavailable: { from: "Credential", health: "Ignored", movesOn: true, load: "Unknown" }
}

/** Bad gateway, unavailable, gateway timeout, overloaded, and 408: any other 5xx says that something is broken. */
const overloadStatuses: ReadonlySet<number> = new Set([408, 502, 503, 504, 529])

/**
 * The vendor's load, as a reason shows it.
 *
 * - `Accepted`: it took the call on, and answered well or badly.
 * - `TurnedAway`: it did not take the call on.
 * - `Overloaded`: it did not, and because it has too much to do.
 * - `Unknown`: it was not asked.
 */
export const loadOf = (reason: Reason): Load =>
  reason._tag === "Unavailable" && overloadStatuses.has(reason.status) ? "Overloaded" : facts[reason._tag].load

/** The row of a reason: the same for every reason of its kind. */
export const of = (reason: Reason): Facts => facts[reason._tag]

/** Whether a reason comes from our own side: a gate, or the caller's request or time. */
export const isOurs = (reason: Reason): boolean => {
  const { from } = of(reason)
  return from === "Gate" || from === "Caller"
}

/** The tags of all reasons. */
export const tags: ReadonlyArray<Reason["_tag"]> = Object.keys(facts) as Array<Reason["_tag"]>

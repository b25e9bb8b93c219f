/**
 * The table of reasons: one row each, with its meaning for vendor health, vendor load, retry and failover. Every policy
 * reads its own column. A new reason is one new row here, and a missing row is a type error.
 */
import { isOwnPhase } from "../Phase.ts"
import type { Reason } from "../Reason.ts"

/** The vendor's load, as far as a failed attempt shows it. See {@link loadOf}. */
export type Load = "Accepted" | "TurnedAway" | "Overloaded" | "Unknown"

export interface Facts {
  /**
   * The side the reason comes from. After a reason from `Gate` or `Caller`, our own side, the same call is not repeated
   * at once: it would meet the same gate, or the same lack of time.
   */
  readonly from: "Gate" | "Caller" | "Network" | "Vendor" | "Credential"
  /** The vendor's health, as the reason shows it. */
  readonly health: "Success" | "Failure" | "Ignored"
  /**
   * Whether another vendor may do better: the reason is about this vendor now, and not about the request or its
   * deadline.
   */
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
  // Another vendor would have no more time.
  DeadlineExceeded: { from: "Caller", health: "Failure", movesOn: false, load: "Overloaded" },
  Timeout: { from: "Network", health: "Failure", movesOn: true, load: "Overloaded" },
  // The vendor did not respond, which may have causes other than overload.
  ConnectFailed: { from: "Network", health: "Failure", movesOn: true, load: "TurnedAway" },
  ConnectionLost: { from: "Network", health: "Failure", movesOn: true, load: "TurnedAway" },
  // `loadOf` decides which of its statuses mean overload.
  Unavailable: { from: "Vendor", health: "Failure", movesOn: true, load: "TurnedAway" },
  // The vendor is healthy: its limit is about our calls. The rate limiter is told.
  RateLimited: { from: "Vendor", health: "Ignored", movesOn: true, load: "Overloaded" },
  // The conflicting call is still running at this vendor, so another vendor would do the work a second time.
  Conflict: { from: "Vendor", health: "Success", movesOn: false, load: "Accepted" },
  // A well-formed response, so the vendor is up. Another vendor has another credential.
  Unauthorized: { from: "Vendor", health: "Success", movesOn: true, load: "Accepted" },
  RequestRejected: { from: "Vendor", health: "Success", movesOn: false, load: "Accepted" },
  InvalidRequest: { from: "Caller", health: "Ignored", movesOn: false, load: "Unknown" },
  // An unusable response is a failure, although the vendor accepted the call.
  InvalidResponse: { from: "Vendor", health: "Failure", movesOn: true, load: "Accepted" },
  ResponseTooLarge: { from: "Vendor", health: "Failure", movesOn: true, load: "Accepted" },
  // On our side, but not a gate: a source that cannot be reached now is worth a retry.
  CredentialUnavailable: { from: "Credential", health: "Ignored", movesOn: true, load: "Unknown" },
  // We cut the attempt ourselves. Another vendor has another credential.
  CredentialRevoked: { from: "Credential", health: "Ignored", movesOn: true, load: "Unknown" }
}

/**
 * Request timeout, bad gateway, unavailable, gateway timeout, overloaded. Any other 5xx means that something is broken.
 */
const overloadStatuses: ReadonlySet<number> = new Set([408, 502, 503, 504, 529])

/**
 * The vendor's load, as a reason shows it.
 *
 * - `Accepted`: the vendor accepted the call and responded, well or badly.
 * - `TurnedAway`: the vendor did not accept the call.
 * - `Overloaded`: the vendor did not accept the call because it has too much to do.
 * - `Unknown`: the vendor was not called.
 */
export const loadOf = (reason: Reason): Load =>
  reason._tag === "Unavailable" && overloadStatuses.has(reason.status) ? "Overloaded" : of(reason).load

/** The row of a reason, shared by all reasons of its kind. */
export const of = (reason: Reason): Facts => {
  if (reason._tag === "DeadlineExceeded" && !reason.wasFair) return hurried
  if (reason._tag === "Timeout" && isOwnPhase(reason.phase)) return ownWait
  return Object.hasOwn(facts, reason._tag) ? facts[reason._tag] : unknown
}

/** A deadline that left the vendor no fair share of the time. */
const hurried: Facts = { ...facts.DeadlineExceeded, health: "Ignored", load: "Unknown" }

/** A timeout while the attempt waited for our own side. */
const ownWait: Facts = { ...facts.Timeout, health: "Ignored", load: "Unknown" }

/** The row of a reason that this version does not know: another copy of the package, a newer one, may have made it. */
const unknown: Facts = { from: "Vendor", health: "Ignored", movesOn: false, load: "Unknown" }

/** Whether a reason comes from our own side: a gate, or the caller's request or time. */
export const isOurs = (reason: Reason): boolean => {
  const { from } = of(reason)
  return from === "Gate" || from === "Caller"
}

/** The tags of all reasons. */
export const tags: ReadonlyArray<Reason["_tag"]> = Object.keys(facts) as Array<Reason["_tag"]>

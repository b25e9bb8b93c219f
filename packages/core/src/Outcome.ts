/**
 * The result of an attempt, as evidence about the vendor. An attempt is classified once, here, and every policy reads
 * the same classification.
 *
 * A well-formed response is a success of the vendor even when it rejects the call. A declined card, an unknown id or a
 * wrong key shows that the vendor is up. An attempt that the caller cut short says nothing about the vendor.
 *
 * @example
 * ```ts
 * import { Outcome, Timeout, Unauthorized } from "@breakwater/core"
 *
 * console.log(Outcome.classify(new Timeout("Headers", 3_000))) // => Failure
 * console.log(Outcome.classify(new Unauthorized(401))) // => Success
 * ```
 */
import { Facts, type Reason } from "./Reason.ts"

/** The caller's allowance, read from the headers of the vendor's responses. */
export interface Quota {
  /** Calls left until the reset. */
  readonly remaining: number
  /** Milliseconds until the allowance is full again. */
  readonly resetMillis: number
}

export class Outcome {
  declare readonly _tag: "Success" | "Failure" | "Ignored"
  /** Time from the start of the attempt to its end. */
  declare readonly durationMillis: number
  /** The reason for the failure; `undefined` when the vendor gave an answer of the contract. */
  declare readonly reason: Reason | undefined
  declare readonly quota: Quota | undefined

  constructor(
    tag: Outcome["_tag"],
    durationMillis: number,
    reason: Reason | undefined,
    quota: Quota | undefined
  ) {
    this._tag = tag
    this.durationMillis = durationMillis
    this.reason = reason
    this.quota = quota
  }
}

/** The vendor gave an answer that its contract declares: a success or a declared error. */
export const answered = (durationMillis: number, quota?: Quota): Outcome =>
  new Outcome("Success", durationMillis, undefined, quota)

/** The caller stopped waiting. */
export const abandoned = (durationMillis: number): Outcome =>
  new Outcome("Ignored", durationMillis, undefined, undefined)

/** The attempt failed for this reason. */
export const failed = (durationMillis: number, reason: Reason, quota?: Quota): Outcome =>
  new Outcome(classify(reason), durationMillis, reason, quota)

/** The vendor's health, as a reason shows it. */
export const classify = (reason: Reason): Outcome["_tag"] => Facts.of(reason).health

/** The vendor's load, as an attempt shows it. A throttle and an adaptive limit read it. */
export const load = ({ _tag, reason }: Outcome): Facts.Load => {
  if (reason === undefined) return _tag === "Success" ? "Accepted" : "Unknown"
  return Facts.loadOf(reason)
}

/**
 * What a failed call shows to an observer outside its gates, such as a failover or a feature switch. An open circuit and
 * a throttle are no evidence to themselves, but to others they report what they have seen.
 */
export const seenFromOutside = (reason: Reason): Outcome["_tag"] =>
  reason._tag === "CircuitOpen" || reason._tag === "Throttled" ? "Failure" : classify(reason)

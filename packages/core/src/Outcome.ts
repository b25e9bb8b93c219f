/**
 * What an attempt came to, as evidence about the vendor: classified once, here, and everybody asks this one answer.
 *
 * A well-formed answer is a success of the vendor even when it is a refusal of the caller: a declined card, an unknown
 * id or a wrong key says that the vendor is up. Being cut short by the caller says nothing about the vendor.
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

/** What a vendor says about the caller's allowance, read from the headers of its answers. */
export interface Quota {
  /** Calls that are left until the reset. */
  readonly remaining: number
  /** Milliseconds until the allowance is whole again. */
  readonly resetMillis: number
}

export class Outcome {
  declare readonly _tag: "Success" | "Failure" | "Ignored"
  /** From the start of the attempt to its end. */
  declare readonly durationMillis: number
  /** Why there is no answer of the contract; `undefined` when there is one. */
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

/** The vendor gave an answer its contract declares: a success or a declared error. */
export const answered = (durationMillis: number, quota?: Quota): Outcome =>
  new Outcome("Success", durationMillis, undefined, quota)

/** The caller went away. */
export const abandoned = (durationMillis: number): Outcome =>
  new Outcome("Ignored", durationMillis, undefined, undefined)

/** The attempt ended for a reason. */
export const failed = (durationMillis: number, reason: Reason, quota?: Quota): Outcome =>
  new Outcome(classify(reason), durationMillis, reason, quota)

/** What a reason says about the vendor's health. */
export const classify = (reason: Reason): Outcome["_tag"] => Facts.of(reason).health

/** The vendor's load, as an attempt shows it: a throttle and an adaptive limit ask this. */
export const load = ({ _tag, reason }: Outcome): Facts.Load => {
  if (reason === undefined) return _tag === "Success" ? "Accepted" : "Unknown"
  // An operation that was cut off says something only when the attempt had a fair share of its time.
  if (reason._tag === "DeadlineExceeded" && _tag !== "Failure") return "Unknown"
  return Facts.loadOf(reason)
}

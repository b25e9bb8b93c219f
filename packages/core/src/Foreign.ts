/**
 * The edge to foreign code: a vendor's `classify`, an operation's check, the `classify` of a guard. Their results are checked
 * before anything acts on them, and an exception harms its own call only.
 */
import { isReason, type Reason } from "./Reason.ts"

/** Returns a reason as it is; throws when a function has returned anything else. */
export const reasonFrom = (name: string, returned: unknown): Reason | undefined => {
  if (returned === undefined || isReason(returned)) return returned
  throw new TypeError(`${name} must return a reason or undefined`)
}

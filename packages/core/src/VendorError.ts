/**
 * The one error a vendor call can fail with besides the errors its contract declares. It names the vendor, the
 * operation and the reason, and says whether the vendor may have acted.
 *
 * @example
 * ```ts
 * import { isVendorError, Unavailable, VendorError } from "@breakwater/core"
 * import { Effect } from "effect"
 *
 * const charge = Effect.fail(
 *   new VendorError({ vendor: "stripe", operation: "charge", safety: "Keyed", reason: new Unavailable(503) })
 * )
 * const message = charge.pipe(
 *   Effect.catchIf(isVendorError, (error) => Effect.succeed(`${error.message}; may have happened: ${error.mayHaveHappened}`))
 * )
 * console.log(await Effect.runPromise(message))
 * // => stripe charge: the vendor is unavailable (status 503); may have happened: true
 * ```
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import { isReason, type Reason } from "./Reason.ts"
import type { Fate, Safety } from "./Safety.ts"

export * from "./Reason.ts"

/**
 * A vendor call that failed.
 *
 * It is an `Error` and can be yielded in `Effect.gen`. Its prototype chain is that of Effect's own errors, but no stack
 * trace is captured, because the trace of a vendor call is its span.
 */
export interface VendorError extends Cause.YieldableError {
  readonly _tag: "VendorError"
  readonly vendor: string
  readonly operation: string
  readonly reason: Reason
  /** Whether it is safe to send the operation twice. */
  readonly safety: Safety
  /** What became of the whole call, over all its attempts. */
  readonly fate: Fate
  /** Number of attempts started; 0 when the call was refused before the first. */
  readonly attempts: number
  /** Whether the vendor may have acted: a write was sent, and its result is unknown. */
  readonly mayHaveHappened: boolean
  readonly isRetryable: boolean
  readonly retryAfter: Duration.Duration | undefined
}

interface VendorErrorConstructor {
  new(fields: {
    readonly vendor: string
    readonly operation: string
    readonly safety: Safety
    readonly reason: Reason
    readonly fate?: Fate | undefined
    readonly attempts?: number | undefined
  }): VendorError
  readonly prototype: VendorError
}

/**
 * Marks the errors of every copy of this module: a bundle and an installed package may share a process. A symbol, which no
 * JSON of a vendor can hold.
 */
const brand = Symbol.for("breakwater/VendorError")

export const VendorError: VendorErrorConstructor = (() => {
  class VendorError {
    readonly _tag = "VendorError"
    declare readonly vendor: string
    declare readonly operation: string
    declare readonly safety: Safety
    declare readonly reason: Reason
    declare readonly fate: Fate
    declare readonly attempts: number

    constructor(fields: ConstructorParameters<VendorErrorConstructor>[0]) {
      this.vendor = fields.vendor
      this.operation = fields.operation
      this.safety = fields.safety
      this.reason = fields.reason
      this.fate = fields.fate ?? fields.reason.fate
      this.attempts = fields.attempts ?? 0
    }
    get [brand]() {
      return true
    }
    get name() {
      return "VendorError"
    }
    get message() {
      return `${this.vendor} ${this.operation}: ${this.reason.message}`
    }
    get stack() {
      return `VendorError: ${this.message}`
    }
    get mayHaveHappened() {
      return this.fate === "Unknown" && this.safety !== "Idempotent"
    }
    get isRetryable() {
      return this.reason.isRetryable
    }
    get retryAfter() {
      return this.reason.retryAfter
    }
    toJSON() {
      return {
        _tag: this._tag,
        vendor: this.vendor,
        operation: this.operation,
        safety: this.safety,
        reason: this.reason,
        fate: this.fate,
        attempts: this.attempts
      }
    }
  }
  Object.setPrototypeOf(VendorError.prototype, Data.Error.prototype)
  return VendorError as unknown as VendorErrorConstructor
})()

/** Whether a value is a {@link VendorError}, from this copy of the package or another one. */
export const isVendorError = (u: unknown): u is VendorError => {
  try {
    if (u instanceof VendorError) return true
    return Predicate.hasProperty(u, brand) && u[brand] === true && Predicate.hasProperty(u, "reason") &&
      isReason(u.reason)
  } catch {
    // A foreign object may throw when it is looked at.
    return false
  }
}

/**
 * Failures that come out in words of their own: an error that a contract declares for a 503, or the error of a guarded
 * effect. The caller gets that error. Everything around the call reads the vendor error behind it, which the cause
 * carries along.
 *
 * @example
 * ```ts
 * import { Unavailable, VendorError, vendorErrorOf } from "@breakwater/core"
 * import { Cause } from "effect"
 *
 * const reason = new Unavailable(503, { retryAfterMillis: 30_000 })
 * const error = new VendorError({ vendor: "acme", operation: "ring", safety: "Idempotent", reason })
 * console.log(vendorErrorOf(Cause.fail(error))?.reason.message)
 * // => the vendor is unavailable (status 503); come back in 30s
 * ```
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import { isVendorError, type VendorError } from "./VendorError.ts"

class Behind extends Context.Service<Behind, VendorError>()("breakwater/DeclaredFailure/Behind") {}

/** The same failure, behind which there is a vendor error. */
export const carry = <A, E>(exit: Exit.Exit<A, E>, behind: VendorError): Exit.Exit<A, E> =>
  Exit.isSuccess(exit) ? exit : Exit.failCause(Cause.annotate(exit.cause, Context.make(Behind, behind)))

/**
 * The vendor error of a failed call: the error itself, or the one behind an error of another type. `undefined` for an
 * answer of the contract, and for every other failure. It survives `Effect.mapError`.
 */
export const vendorErrorOf = (cause: Cause.Cause<unknown>): VendorError | undefined => {
  for (const reason of cause.reasons) {
    if (reason._tag !== "Fail") continue
    if (isVendorError(reason.error)) return reason.error
    const behind = Context.getOrUndefined(Cause.reasonAnnotations(reason), Behind)
    if (behind !== undefined) return behind
  }
  return undefined
}

/**
 * Failures of a vendor that its contract declares, such as a 503 with a typed body. The caller gets the declared error.
 * Everything around the call reads the vendor error behind it: the cause of the error carries it along.
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

/** Fails with a declared error, behind which there is a vendor error. */
export const fail = <E>(error: E, behind: VendorError): Exit.Exit<never, E> =>
  Exit.failCause(Cause.annotate(Cause.fail(error), Context.make(Behind, behind)))

/**
 * The vendor error of a failed call: the error itself, or the one behind a declared error. `undefined` for an answer of
 * the contract, and for every other failure. It survives `Effect.mapError`.
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

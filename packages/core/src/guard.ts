/**
 * Guards for any effect, without HTTP: the vocabulary of a call, the policies, and the stack that orders them.
 * `@breakwater/core` has all of this and the vendor client; this entry point loads a fraction of it.
 */

// The vocabulary of a call.
export * as Deadline from "./Deadline.ts"
export { vendorErrorOf } from "./DeclaredFailure.ts"
export * as Gate from "./Gate.ts"
export * as IdempotencyKey from "./IdempotencyKey.ts"
export * as Outcome from "./Outcome.ts"
export * as Priority from "./Priority.ts"
export * as Provenance from "./Provenance.ts"
export * as Redaction from "./Redaction.ts"
export * as Safety from "./Safety.ts"
export * as Telemetry from "./Telemetry.ts"
export * as Timeline from "./Timeline.ts"
export * from "./VendorError.ts"

export * from "./policies/index.ts"
export * from "./stack/index.ts"

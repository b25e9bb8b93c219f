/**
 * Breakwater: guarded calls to third parties, for services written with Effect. Declare a vendor with `Vendor`, or
 * guard any effect with `Stack`.
 *
 * Other entry points hold the parts that not every service loads: `/credentials` and `/sources` (secrets), `/transport`
 * (the socket), `/fleet` (state shared between processes), `/simulator`, `/testing`, and `/guard` (the stack alone).
 */
export * from "./caching/index.ts"
export * from "./client/index.ts"
export * from "./degradation/index.ts"
export * from "./guard.ts"
// The transport interface. `/transport` exports it too, beside the implementation that loads undici.
export * as Transport from "./transport/Transport.ts"

/**
 * `Retry-After` (RFC 9110, section 10.2.3): how long a server asks its callers to wait.
 */
import { header } from "./Headers.ts"
import * as HttpDate from "./HttpDate.ts"
import type { ResponseHeaders } from "./Transport.ts"

/**
 * The requested wait in milliseconds; `undefined` if the header is absent or invalid. A date is compared with the
 * response's own `Date`, so a wrong clock on either side does not matter. Without a `Date`, it is compared with our
 * clock. Decimals are accepted besides the whole seconds of the RFC.
 */
export const millis = (headers: ResponseHeaders, wallClockMillis: number): number | undefined => {
  const value = header(headers, "retry-after")?.trim() ?? ""
  if (/^\d+(?:\.\d+)?$/.test(value)) return Number(value) * 1_000
  const until = HttpDate.parse(value)
  return until === undefined ? undefined : Math.max(0, until - (HttpDate.ofResponse(headers) ?? wallClockMillis))
}

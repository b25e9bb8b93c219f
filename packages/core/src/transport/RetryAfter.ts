/**
 * `Retry-After` (RFC 9110, section 10.2.3): how long a server asks its callers to stay away.
 */
import { header } from "./Headers.ts"
import * as HttpDate from "./HttpDate.ts"
import type { ResponseHeaders } from "./Transport.ts"

/**
 * The pause that a response asks for, in milliseconds; `undefined` where it asks for none that can be read. A date is
 * read against the response's own `Date`, so that a wrong clock on either side does not matter, and against our clock
 * where there is none. Decimals are accepted beside the whole seconds of the RFC.
 */
export const millis = (headers: ResponseHeaders, wallClockMillis: number): number | undefined => {
  const value = header(headers, "retry-after")?.trim() ?? ""
  if (/^\d+(?:\.\d+)?$/.test(value)) return Number(value) * 1_000
  const until = HttpDate.parse(value)
  return until === undefined ? undefined : Math.max(0, until - (HttpDate.ofResponse(headers) ?? wallClockMillis))
}

/**
 * `Retry-After` (RFC 9110, section 10.2.3): how long a server asks its callers to wait.
 */
import { header } from "./Headers.ts"
import * as HttpDate from "./HttpDate.ts"
import type { ResponseHeaders } from "./Transport.ts"

/**
 * The requested wait in milliseconds; `undefined` if the header is absent or invalid. A date is compared with the
 * response's own `Date`, so a wrong clock on either side does not matter. Without a `Date`, it is compared with our
 * clock. Decimals are accepted besides the whole seconds of the RFC, and so is a Unix time.
 */
export const millis = (headers: ResponseHeaders, wallClockMillis: number): number | undefined => {
  const value = header(headers, "retry-after")?.trim() ?? ""
  if (isNumber(value)) return ofNumber(Number(value), headers, wallClockMillis)
  const until = HttpDate.parse(value)
  return until === undefined ? undefined : Math.max(0, until - (HttpDate.ofResponse(headers) ?? wallClockMillis))
}

/** Whether a text is a number as {@link ofNumber} takes it. */
export const isNumber = (text: string): boolean => /^\d+(?:\.\d+)?$/.test(text)

/**
 * The milliseconds until a time that a server gives as a number: a Unix time in seconds, milliseconds or microseconds if
 * its size is that of one, from 10^9 to 10^17, and else seconds from now.
 */
export const ofNumber = (number: number, headers: ResponseHeaders, wallClockMillis: number): number => {
  if (number <= 1e9 || number > 1e17) return number * 1_000
  const until = number <= 1e11 ? number * 1_000 : number <= 1e14 ? number : number / 1_000
  return Math.max(0, until - (HttpDate.ofResponse(headers) ?? wallClockMillis))
}

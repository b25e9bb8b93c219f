/**
 * `Retry-After` (RFC 9110, section 10.2.3): how long a server asks its callers to wait. The reader of its times also
 * reads the reset of a quota.
 */
import { headerValues } from "./Headers.ts"
import * as HttpDate from "./HttpDate.ts"
import type { ResponseHeaders } from "./Transport.ts"

/**
 * The requested wait in milliseconds; `undefined` if the header is absent. Of several values, the longest counts. A
 * value that nobody can read is a wait of {@link floorMillis}: the server did ask its callers to wait.
 */
export const millis = (headers: ResponseHeaders, wallClockMillis: number): number | undefined => {
  const values = headerValues(headers, "retry-after")
  return values.length === 0
    ? undefined
    : Math.max(...values.map((value) => millisUntil(value, headers, wallClockMillis) ?? floorMillis))
}

/** The wait for a header that cannot be read, in milliseconds: the shortest that a server can ask for. */
export const floorMillis = 1_000

/**
 * The milliseconds until a time in a header; `undefined` if it cannot be read or is implausible. It is a number as in
 * {@link ofNumber}, a date of HTTP, or an ISO date with a zone. A date is compared with the response's own `Date`, so a
 * wrong clock on either side does not matter. Without a `Date`, it is compared with our clock.
 */
export const millisUntil = (text: string, headers: ResponseHeaders, wallClockMillis: number): number | undefined => {
  const now = HttpDate.ofResponse(headers) ?? wallClockMillis
  if (/^\d+(?:\.\d+)?$/.test(text)) return ofNumber(Number(text), now)
  const until = HttpDate.parse(text) ?? HttpDate.parseIso(text)
  return until === undefined ? undefined : Math.max(0, until - now)
}

/**
 * A number up to 10⁹ counts seconds from now, with decimals besides the whole seconds of the RFC. A larger one is a Unix
 * time in seconds, milliseconds, microseconds or nanoseconds, if that is within a year of now.
 */
const ofNumber = (number: number, now: number): number | undefined => {
  if (number <= 1e9) return number * 1_000
  const until = unixUnits.map((perMilli) => number / perMilli).find((unix) => Math.abs(unix - now) <= yearMillis)
  return until === undefined ? undefined : Math.max(0, until - now)
}

/** Seconds, milliseconds, microseconds and nanoseconds, each per millisecond. */
const unixUnits = [1 / 1_000, 1, 1_000, 1_000_000]

/** A leap year. The longest periods of a quota that vendors publish are months. */
const yearMillis = 366 * 86_400_000

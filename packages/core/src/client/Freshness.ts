/** Freshness lifetime of an answer, from its own headers, for a cache of one client (RFC 9111). */
import { header, headerValues } from "../transport/Headers.ts"
import * as HttpDate from "../transport/HttpDate.ts"
import type { ResponseHeaders } from "../transport/Transport.ts"

/** The caching instructions in an answer's headers. */
export interface Freshness {
  /** Freshness lifetime in milliseconds; `undefined` if the headers do not give one. */
  readonly millis: number | undefined
  readonly isKept: boolean
}

/** Reads the freshness lifetime of an answer, for a cache of one client (RFC 9111, section 4.2). */
export const freshnessOf = (headers: ResponseHeaders, wallClockMillis: number): Freshness => {
  // Several lines are one list (RFC 9110, section 5.3).
  const control = headerValues(headers, "cache-control").join(",").toLowerCase()
  const has = (directive: string) => new RegExp(`(?:^|[\\s,])${directive}(?:$|[\\s,=])`).test(control)
  if (has("no-store")) return { millis: 0, isKept: false }
  if (has("no-cache")) return { millis: 0, isKept: true }
  const maxAge = /(?:^|[\s,])max-age="?(\d+)/.exec(control)
  const expires = header(headers, "expires")
  const life = maxAge !== null
    ? seconds(maxAge[1]) * 1_000
    : expires === undefined
    ? undefined
    // An invalid date counts as one that has passed (section 5.3).
    : (HttpDate.parse(expires) ?? 0) - (HttpDate.ofResponse(headers) ?? wallClockMillis)
  const age = /^\d+$/.exec(header(headers, "age") ?? "")
  return {
    millis: life === undefined ? undefined : Math.max(0, life - seconds(age?.[0]) * 1_000),
    isKept: true
  }
}

/** Seconds as a number of at most 2³¹: a cache takes a larger one for that (RFC 9111, section 1.2.2). */
const seconds = (digits = "0"): number => Math.min(Number(digits), 2 ** 31)

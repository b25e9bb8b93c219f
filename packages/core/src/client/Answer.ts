/**
 * What an HTTP answer says besides its body: by its status, by `Retry-After`, by the headers about rate limits.
 */
import type { Quota } from "../Outcome.ts"
import {
  Conflict,
  InvalidResponse,
  RateLimited,
  type Reason,
  RequestRejected,
  Unauthorized,
  Unavailable
} from "../Reason.ts"
import { header, type ResponseHeaders } from "../transport/Transport.ts"

/** An answer, as a vendor's `classify` sees it. */
export interface Answer {
  readonly status: number
  readonly headers: ResponseHeaders
  /** The body as JSON; `undefined` when it is none. Parsed on first use. */
  readonly json: unknown
  /** Milliseconds to stay away, from `Retry-After`. */
  readonly retryAfterMillis: number | undefined
}

/**
 * The reason an answer stands for when its contract declares nothing for its status. A redirect is an invalid answer:
 * it is not followed, because nobody has said where to.
 */
export const reasonOf = (status: number, retryAfterMillis: number | undefined): Reason => {
  if (status === 401 || status === 403) return new Unauthorized(status)
  if (status === 408 || status === 425) return new Unavailable(status, { retryAfterMillis })
  if (status === 409) return new Conflict(status, { retryAfterMillis, isRetryable: false })
  if (status === 429) return new RateLimited(status, { retryAfterMillis })
  if (status >= 500) {
    return new Unavailable(status, { retryAfterMillis, isRetryable: status !== 501 && status !== 505 })
  }
  if (status >= 400) return new RequestRejected(status)
  return new InvalidResponse(status, `status ${status} is not part of the contract`)
}

/**
 * `Retry-After` in milliseconds: seconds or an HTTP date (RFC 9110, section 10.2.3). A date is read against the answer's
 * own `Date`, so that a wrong clock on either side does not matter.
 */
export const retryAfterMillis = (headers: ResponseHeaders, wallClockMillis: number): number | undefined => {
  const value = header(headers, "retry-after")?.trim()
  if (value === undefined || value === "") return undefined
  if (/^\d+(?:\.\d+)?$/.test(value)) return Number(value) * 1_000
  const at = parseDate(value)
  if (Number.isNaN(at)) return undefined
  return Math.max(0, at - dateOf(headers, wallClockMillis))
}

/** The answer's own `Date`, or our clock. */
export const dateOf = (headers: ResponseHeaders, wallClockMillis: number): number => {
  const date = parseDate(header(headers, "date") ?? "")
  return Number.isNaN(date) ? wallClockMillis : date
}

/**
 * A date in one of HTTP's three formats (RFC 9110, section 5.6.7), or NaN. `Date.parse` alone takes almost any text with a
 * number in it for a date, and reads asctime, the format without a zone, in local time.
 */
export const parseDate = (value: string): number => {
  if (/^[A-Z][a-z]+, \d{1,2}[ -][A-Z][a-z]{2}[ -]\d{2,4} \d{2}:\d{2}:\d{2} GMT$/.test(value)) return Date.parse(value)
  return /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/.test(value) ? Date.parse(`${value} GMT`) : NaN
}

/**
 * What is left of the caller's allowance, in the dialects in use: `RateLimit: "default";r=50;t=30` (IETF httpapi draft
 * 8 and later), `RateLimit-Remaining` and `-Reset` (earlier drafts), `X-RateLimit-…`. Vendors disagree on the unit of the
 * reset: a number beyond 10^9 is a Unix time, any other the seconds that are left.
 */
export const quotaOf = (headers: ResponseHeaders, wallClockMillis: number): Quota | undefined => {
  const combined = header(headers, "ratelimit")
  if (combined !== undefined) {
    const remaining = /(?:^|[;,\s])r(?:emaining)?=(\d+)/.exec(combined)
    const reset = /(?:^|[;,\s])(?:t|reset)=(\d+)/.exec(combined)
    return remaining === null || reset === null
      ? undefined
      : { remaining: Number(remaining[1]), resetMillis: Number(reset[1]) * 1_000 }
  }
  const remaining = header(headers, "ratelimit-remaining") ?? header(headers, "x-ratelimit-remaining")
  const reset = header(headers, "ratelimit-reset") ?? header(headers, "x-ratelimit-reset")
  if (remaining === undefined || reset === undefined || !/^\d+$/.test(remaining) || !/^\d+(?:\.\d+)?$/.test(reset)) {
    return undefined
  }
  const seconds = Number(reset)
  return {
    remaining: Number(remaining),
    resetMillis: seconds > 1e9
      ? Math.max(0, seconds * 1_000 - dateOf(headers, wallClockMillis))
      : seconds * 1_000
  }
}

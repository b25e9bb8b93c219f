/**
 * The meaning of an HTTP response apart from its body: its status, and its headers about rate limits.
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
import { header } from "../transport/Headers.ts"
import * as HttpDate from "../transport/HttpDate.ts"
import type { ResponseHeaders } from "../transport/Transport.ts"

/** A response, as a vendor's `classify` receives it. */
export interface Answer {
  readonly status: number
  readonly headers: ResponseHeaders
  /** The body as JSON; `undefined` if it is not valid JSON. Parsed on first use. */
  readonly json: unknown
  /** How long to stay away, in milliseconds, from `Retry-After`. */
  readonly retryAfterMillis: number | undefined
}

/**
 * The reason for a response whose status the contract does not declare. A redirect is an invalid response: it is not
 * followed, because the contract does not declare where it may lead.
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
 * The rest of the caller's quota, in the dialects in use: `RateLimit: "default";r=50;t=30` (IETF httpapi draft 8 and
 * later), `RateLimit-Remaining` and `-Reset` (earlier drafts), `X-RateLimit-…`. Vendors disagree on the unit of the
 * reset: a number beyond 10^9 is a Unix time, any other the seconds that remain.
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
      ? Math.max(0, seconds * 1_000 - (HttpDate.ofResponse(headers) ?? wallClockMillis))
      : seconds * 1_000
  }
}

/**
 * The meaning of an HTTP answer besides its body: by its status, and by the headers about rate limits.
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
      ? Math.max(0, seconds * 1_000 - (HttpDate.ofResponse(headers) ?? wallClockMillis))
      : seconds * 1_000
  }
}

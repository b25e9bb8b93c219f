/**
 * The meaning of an HTTP response apart from its body: its status, and its headers about rate limits.
 */
import type { Quota } from "../Outcome.ts"
import {
  Conflict,
  Facts,
  InvalidResponse,
  RateLimited,
  type Reason,
  RequestRejected,
  Unauthorized,
  Unavailable
} from "../Reason.ts"
import { headerValues } from "../transport/Headers.ts"
import * as RetryAfter from "../transport/RetryAfter.ts"
import type { ResponseHeaders } from "../transport/Transport.ts"

/** A response, as a vendor's `classify` receives it. */
export interface Answer {
  readonly status: number
  readonly headers: ResponseHeaders
  /** The body as JSON; `undefined` if it is not valid JSON. Parsed on first use. */
  readonly json: unknown
  /** How long to stay away, in milliseconds, from `Retry-After`. */
  readonly retryAfterMillis: number | undefined
  /** The rest of the caller's quota, from the headers about it. */
  readonly quota: Quota | undefined
}

/**
 * The reason for a response, by its status and its headers about limits. A 403 is a rate limit if it says when to come
 * back, or that nothing of the quota is left. Any other 403 is about the request: mostly, the object is somebody else's.
 * A redirect is an invalid response: it is not followed, because the contract does not declare where it may lead.
 */
export const reasonOf = (
  { quota, retryAfterMillis, status }: Pick<Answer, "status" | "retryAfterMillis" | "quota">
): Reason => {
  if (status === 401) return new Unauthorized(status)
  if (status === 408 || status === 425) return new Unavailable(status, { retryAfterMillis })
  if (status === 409) return new Conflict(status, { retryAfterMillis, isRetryable: false })
  if (status === 429 || status === 403) {
    const limitMillis = retryAfterMillis ??
      (quota !== undefined && quota.remaining <= 0 ? quota.resetMillis : undefined)
    return status === 429 || limitMillis !== undefined
      ? new RateLimited(status, { retryAfterMillis: limitMillis })
      : new RequestRejected(status)
  }
  if (status >= 500) {
    return new Unavailable(status, { retryAfterMillis, isRetryable: status !== 501 && status !== 505 })
  }
  if (status >= 400) return new RequestRejected(status)
  return new InvalidResponse(status, `status ${status} is not part of the contract`)
}

/**
 * An error that the contract declares for a failure of the vendor or of the credential, such as a 503. The caller gets
 * the error, and every policy reads the reason.
 */
export class Declared {
  readonly _tag = "Declared"
  readonly error: unknown
  readonly reason: Reason
  constructor(error: unknown, reason: Reason) {
    this.error = error
    this.reason = reason
  }
}

/** The failure that a declared error stands for; `undefined` for an answer about the request, such as a 404. */
export const failureBehind = (error: unknown, answer: Parameters<typeof reasonOf>[0]): Declared | undefined => {
  if (answer.status < 400) return undefined
  const reason = reasonOf(answer)
  return Facts.of(reason).movesOn ? new Declared(error, reason) : undefined
}

/** Statuses about the credential, the moment or the order of requests (RFC 9110, 8470, 4918, 6585). */
const passing: ReadonlySet<number> = new Set([401, 403, 407, 408, 409, 421, 423, 425, 429])

/** Whether a declared error says something lasting about the resource, such as a 404 or a 410, and may be cached. */
export const isLasting = (status: number): boolean => status >= 400 && status < 500 && !passing.has(status)

/**
 * The rest of the caller's quota, in the dialects in use: `RateLimit: "default";r=50;t=30` (IETF httpapi draft 8 and
 * later), `RateLimit-Remaining` and `-Reset` (earlier drafts), `X-RateLimit-…`. Vendors disagree on the form of the
 * reset, which is read as in `Retry-After`. Of several values the most cautious count: the least left, the last reset.
 */
export const quotaOf = (headers: ResponseHeaders, wallClockMillis: number): Quota | undefined => {
  const until = (text: string) => RetryAfter.millisUntil(text, headers, wallClockMillis)
  const policies = policiesOf(headers)
  if (policies.length > 0) {
    const quotas = policies.flatMap((policy): ReadonlyArray<Quota> => {
      const remaining = /(?:^|[;,\s])r(?:emaining)?=(\d+)/.exec(policy)
      const resetMillis = until(/(?:^|[;,\s])(?:t|reset)=(\d+)/.exec(policy)?.[1] ?? "")
      return remaining === null || resetMillis === undefined ? [] : [{ remaining: Number(remaining[1]), resetMillis }]
    })
    return quotas.toSorted((a, b) => a.remaining - b.remaining || b.resetMillis - a.resetMillis)[0]
  }
  const valuesOf = (name: string) => {
    const values = headerValues(headers, `ratelimit-${name}`)
    return values.length > 0 ? values : headerValues(headers, `x-ratelimit-${name}`)
  }
  const remaining = valuesOf("remaining")
  const resets = valuesOf("reset").map(until)
  if (remaining.length === 0 || resets.length === 0 || !remaining.every((text) => /^\d+$/.test(text))) return undefined
  const known = resets.filter((reset) => reset !== undefined)
  return known.length < resets.length
    ? undefined
    : { remaining: Math.min(...remaining.map(Number)), resetMillis: Math.max(...known) }
}

/**
 * The members of `RateLimit`, each a policy of its own, without their quoted names. The form of earlier drafts,
 * `limit=100, remaining=50, reset=30`, is one policy.
 */
const policiesOf = (headers: ResponseHeaders): ReadonlyArray<string> => {
  const lines = headers["ratelimit"] ?? []
  const list = (typeof lines === "string" ? [lines] : lines).join(", ").replace(/"(?:[^"\\]|\\.)*"/g, "name")
  return /(?:^|[;,\s])remaining=/.test(list) ? [list] : list.split(",").filter((member) => member.trim() !== "")
}

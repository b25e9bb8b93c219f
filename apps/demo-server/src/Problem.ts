/**
 * What our own clients hear when something is wrong: a code, a sentence, and nothing of a vendor's words, status or ids.
 */
import type { VendorError } from "@breakwater/core"
import { HttpApiSchema } from "effect/http-api"
import * as Schema from "effect/Schema"

const plain = <const Code extends string, const Fields extends Schema.Struct.Fields>(
  status: number,
  code: Code,
  fields: Fields
) =>
  Schema.Struct({ error: Schema.Literal(code), message: Schema.String, ...fields }).pipe(HttpApiSchema.status(status))

/** Adds `Retry-After`, in seconds. */
const comeBack = <S extends Schema.Top>(schema: S) =>
  HttpApiSchema.WithHeaders(schema, { "retry-after": Schema.String })

/** `outcome` is there when a write may have happened: repeat it with the same Idempotency-Key to learn. */
const outcome = { outcome: Schema.optionalKey(Schema.Literal("unknown")) }

export const InvalidRequest = plain(400, "INVALID_REQUEST", { field: Schema.String })
export const Declined = plain(402, "PAYMENT_DECLINED", { reason: Schema.String })
export const NotFound = plain(404, "NOT_FOUND", {})
export const StateConflict = plain(409, "STATE_CONFLICT", {})
export const KeyReused = plain(422, "IDEMPOTENCY_KEY_REUSED", {})
const InProgress = plain(409, "REQUEST_IN_PROGRESS", outcome)
const TooManyRequests = comeBack(plain(429, "TOO_MANY_REQUESTS", {}))
const Internal = plain(500, "INTERNAL_ERROR", {})
const BadGateway = plain(502, "BAD_GATEWAY", outcome)
const Unavailable = comeBack(plain(503, "SERVICE_UNAVAILABLE", outcome))
const GatewayTimeout = plain(504, "GATEWAY_TIMEOUT", outcome)

/** Every way a vendor call can end for our clients. */
export const ofVendor = [InProgress, TooManyRequests, Internal, BadGateway, Unavailable, GatewayTimeout] as const
export type OfVendor = typeof ofVendor[number]["Type"]

export const invalidRequest = (field: string, message: string): typeof InvalidRequest.Type => ({
  error: "INVALID_REQUEST",
  message,
  field
})

export const notFound = (message: string): typeof NotFound.Type => ({ error: "NOT_FOUND", message })

export const internal: typeof Internal.Type = { error: "INTERNAL_ERROR", message: "Something went wrong on our side" }

/** What to tell about a vendor call that failed. */
export const fromVendorError = (error: VendorError): OfVendor => {
  const seen = error.mayHaveHappened ? { outcome: "unknown" as const } : {}
  const later = { "retry-after": String(secondsToWait(error)) }
  switch (error.reason._tag) {
    case "RateLimitExceeded":
      return HttpApiSchema.withHeaders({
        body: { error: "TOO_MANY_REQUESTS", message: "Too many requests" },
        headers: later
      })
    case "Conflict":
      return { error: "REQUEST_IN_PROGRESS", message: "The same request is still being processed", ...seen }
    case "Timeout":
    case "DeadlineExceeded":
      return { error: "GATEWAY_TIMEOUT", message: "External service did not answer in time", ...seen }
    case "InvalidResponse":
    case "ResponseTooLarge":
    case "RequestRejected":
      return { error: "BAD_GATEWAY", message: "External service gave an answer that cannot be used", ...seen }
    case "InvalidRequest":
      return internal
    case "CircuitOpen":
    case "BulkheadFull":
    case "Throttled":
    case "ConnectFailed":
    case "ConnectionLost":
    case "Unavailable":
    case "RateLimited":
    case "Unauthorized":
    case "CredentialUnavailable":
      return HttpApiSchema.withHeaders({
        body: { error: "SERVICE_UNAVAILABLE", message: "External service temporarily unavailable", ...seen },
        headers: later
      })
  }
}

/** Whole seconds, at least one; five when nobody said. */
const secondsToWait = ({ reason: { retryAfterMillis } }: VendorError): number =>
  retryAfterMillis === undefined ? 5 : Math.max(1, Math.ceil(retryAfterMillis / 1_000))

/**
 * Error responses to our own clients: a code and a sentence, never the words, status or ids of a vendor.
 */
import type { Reason, VendorError } from "@breakwater/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { HttpApiSchema } from "effect/http-api"
import * as Schema from "effect/Schema"

const coded = <const Code extends string, const Fields extends Schema.Struct.Fields>(code: Code, fields: Fields) =>
  Schema.Struct({ error: Schema.Literal(code), message: Schema.String, ...fields })

const plain = <const Code extends string, const Fields extends Schema.Struct.Fields>(
  status: number,
  code: Code,
  fields: Fields
) => coded(code, fields).pipe(HttpApiSchema.status(status))

/** Adds `Retry-After`, in seconds. */
const comeBack = <S extends Schema.Top>(schema: S) =>
  HttpApiSchema.WithHeaders(schema, { "retry-after": Schema.String })

/** `outcome` is present when a write may have happened. Repeat it with the same Idempotency-Key to find out. */
const outcome = { outcome: Schema.optionalKey(Schema.Literal("unknown")) }

export const InvalidRequest = plain(400, "INVALID_REQUEST", { field: Schema.String })
export const Declined = plain(402, "PAYMENT_DECLINED", { reason: Schema.String })
export const NotFound = plain(404, "NOT_FOUND", {})
export const StateConflict = plain(409, "STATE_CONFLICT", {})
export const KeyReused = plain(422, "IDEMPOTENCY_KEY_REUSED", {})
export const Forbidden = plain(403, "FORBIDDEN", {})
const InProgress = plain(409, "REQUEST_IN_PROGRESS", outcome)
const TooManyRequests = comeBack(plain(429, "TOO_MANY_REQUESTS", {}))
const Internal = plain(500, "INTERNAL_ERROR", {})
const BadGateway = plain(502, "BAD_GATEWAY", outcome)
const Unavailable = comeBack(
  Schema.Union([
    coded("SERVICE_UNAVAILABLE", outcome),
    // No vendor was called, so nothing can have happened.
    coded("FEATURE_OFF", { feature: Schema.String })
  ]).pipe(HttpApiSchema.status(503))
)
const GatewayTimeout = plain(504, "GATEWAY_TIMEOUT", outcome)

/** All error responses to a call of a feature. */
export const ofVendor = [InProgress, TooManyRequests, Internal, BadGateway, Unavailable, GatewayTimeout] as const
export type OfVendor = typeof ofVendor[number]["Type"]

export const invalidRequest = (field: string, message: string): typeof InvalidRequest.Type => ({
  error: "INVALID_REQUEST",
  message,
  field
})

export const notFound = (message: string): typeof NotFound.Type => ({ error: "NOT_FOUND", message })

export const forbidden = (header: string): typeof Forbidden.Type => ({
  error: "FORBIDDEN",
  message: `Only this machine may use this port, and ${header} names another site`
})

export const methodNotAllowed = { error: "METHOD_NOT_ALLOWED", message: "The path has no such method" }

export const tooLarge = { error: "REQUEST_TOO_LARGE", message: "The body is larger than 1 MiB" }

export const tooSlow = { error: "REQUEST_TIMEOUT", message: "The request did not arrive in time" }

export const internal: typeof Internal.Type = { error: "INTERNAL_ERROR", message: "Something went wrong on our side" }

/** The error response for a failed vendor call. */
export const ofVendorError = (error: VendorError): Effect.Effect<never, OfVendor> => Effect.fail(fromVendorError(error))

const fromVendorError = (error: VendorError): OfVendor => {
  const seen = error.mayHaveHappened ? { outcome: "unknown" as const } : {}
  const { retryAfter, reason: { _tag } } = error
  const message = messageOf(_tag)
  switch (codeOf(_tag)) {
    case "TOO_MANY_REQUESTS":
      return later({ error: "TOO_MANY_REQUESTS", message }, retryAfter)
    case "REQUEST_IN_PROGRESS":
      return { error: "REQUEST_IN_PROGRESS", message, ...seen }
    case "GATEWAY_TIMEOUT":
      return { error: "GATEWAY_TIMEOUT", message, ...seen }
    case "BAD_GATEWAY":
      return { error: "BAD_GATEWAY", message, ...seen }
    case "INTERNAL_ERROR":
      return internal
    case "SERVICE_UNAVAILABLE":
      return later({ error: "SERVICE_UNAVAILABLE", message, ...seen }, retryAfter)
  }
}

/** The error response for a call that was not made, because its feature is off. */
export const ofFeatureOff = (
  { feature, returnsIn }: { readonly feature: string; readonly returnsIn: Duration.Duration | undefined }
): Effect.Effect<never, OfVendor> =>
  Effect.fail(later({ error: "FEATURE_OFF", message: offMessage, feature }, returnsIn))

export const offMessage = "This feature is switched off for now"

/** A sentence about a vendor's failure that may be shown to anyone. */
export const messageOf = (reason: Reason["_tag"]): string => messages[codeOf(reason)]

/** The longest wait that a response states, in seconds. A wait without an end counts as a day. */
const longestWait = 86_400

/** Whole seconds, from one to a day; five when the wait is unknown. */
export const secondsToWait = (retryAfter: Duration.Duration | undefined): number =>
  retryAfter === undefined ? 5 : Math.min(Math.max(1, Math.ceil(Duration.toSeconds(retryAfter))), longestWait)

const later = <const Body>(body: Body, retryAfter: Duration.Duration | undefined) =>
  HttpApiSchema.withHeaders({ body, headers: { "retry-after": String(secondsToWait(retryAfter)) } })

const messages = {
  TOO_MANY_REQUESTS: "Too many requests",
  REQUEST_IN_PROGRESS: "The same request is still being processed",
  GATEWAY_TIMEOUT: "External service did not answer in time",
  BAD_GATEWAY: "External service gave an invalid answer",
  INTERNAL_ERROR: internal.message,
  SERVICE_UNAVAILABLE: "External service temporarily unavailable"
} as const

const codeOf = (reason: Reason["_tag"]): keyof typeof messages => {
  switch (reason) {
    case "RateLimitExceeded":
      return "TOO_MANY_REQUESTS"
    case "Conflict":
      return "REQUEST_IN_PROGRESS"
    case "Timeout":
    case "DeadlineExceeded":
      return "GATEWAY_TIMEOUT"
    case "InvalidResponse":
    case "ResponseTooLarge":
    case "RequestRejected":
      return "BAD_GATEWAY"
    case "InvalidRequest":
      return "INTERNAL_ERROR"
    case "CircuitOpen":
    case "BulkheadFull":
    case "Throttled":
    case "ConnectFailed":
    case "ConnectionLost":
    case "Unavailable":
    case "RateLimited":
    case "Unauthorized":
    case "CredentialUnavailable":
    case "CredentialRevoked":
      return "SERVICE_UNAVAILABLE"
  }
}

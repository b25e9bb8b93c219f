/** A token endpoint (RFC 6749, 3.2): one request, and either a token or the reason why it was refused. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { sourceRefusal, type SourceUnavailable, sourceUnavailable } from "../../credentials/Source.ts"
import * as Range from "../../Range.ts"
import * as HttpDate from "../../transport/HttpDate.ts"
import * as SecretRequest from "../SecretRequest.ts"
import * as ClientAuth from "./ClientAuth.ts"
import { sourceName } from "./ClientAuth.ts"

export interface TokenEndpointOptions extends SecretRequest.SecretRequestOptions {
  /** The URL of the token endpoint; https, or http to this machine. */
  readonly tokenUrl: string
  readonly client: ClientAuth.ClientAuth
  /** The scopes of the token, separated by spaces. @default the server's own default */
  readonly scope?: string | undefined
  /** The audience of the token, for servers with such a parameter. @default none */
  readonly audience?: string | undefined
  /** The resources of the token (RFC 8707). @default none */
  readonly resource?: string | ReadonlyArray<string> | undefined
  /**
   * How long before its expiry a token is no longer used; at least 0, at most half of its lifetime.
   * @default 30 seconds, at most a tenth of its lifetime
   */
  readonly margin?: Duration.Input | undefined
  /** The lifetime of a token if the server does not state it, or states 0; longer than 0. @default until it is refused */
  readonly expiresIn?: Duration.Input | undefined
}

export interface Token {
  readonly accessToken: Redacted.Redacted
  /** A new refresh token, if the server rotates them. */
  readonly refreshToken: Redacted.Redacted | undefined
  /** Unix time in milliseconds, minus the margin; `undefined` if the server does not state it. */
  readonly expiresAt: number | undefined
  readonly issuedAt: number
}

/** Why a token endpoint refuses a request: RFC 6749, 5.2, RFC 8707, 2, or any other error. */
export type TokenRefusal = typeof refusals[number] | "other"

/** The token endpoint has responded and refuses a token; a repetition would change nothing. */
export interface TokenRefused extends SourceUnavailable {
  readonly isRefusal: true
  readonly error: TokenRefusal
}

export const isTokenRefused = (failure: SourceUnavailable): failure is TokenRefused => "error" in failure

export interface TokenEndpoint {
  /** Asks for a token. The grant decides whether the request may be repeated: it spends a refresh token. */
  ask(
    parameters: ReadonlyArray<readonly [name: string, value: string]>,
    isRepeatable: boolean
  ): Effect.Effect<Token, SourceUnavailable | TokenRefused>
  /** The longest possible duration of `ask`, in milliseconds. */
  readonly patience: number
}

export const make = (options: TokenEndpointOptions): Effect.Effect<TokenEndpoint, never, HttpClient> =>
  Effect.gen(function*() {
    const { audience, client, scope } = options
    const url = SecretRequest.endpointUrl("tokenUrl", options.tokenUrl)
    const margin = options.margin === undefined ? undefined : Range.durationOrZero("margin", options.margin)
    const unsaid = options.expiresIn === undefined ? undefined : Range.duration("expiresIn", options.expiresIn)
    const inquiry = yield* SecretRequest.make(sourceName, options)
    const resources = typeof options.resource === "string" ? [options.resource] : options.resource ?? []
    const always: ReadonlyArray<readonly [string, string]> = [
      ...(scope === undefined ? [] : [["scope", scope] as const]),
      ...(audience === undefined ? [] : [["audience", audience] as const]),
      ...resources.map((resource) => ["resource", resource] as const)
    ]
    /** How far the server's clock is ahead of ours, in milliseconds. */
    let ahead = 0

    const ask = (
      parameters: ReadonlyArray<readonly [string, string]>,
      isRepeatable: boolean,
      isCorrected: boolean
    ): Effect.Effect<Token, SourceUnavailable | TokenRefused> =>
      Effect.gen(function*() {
        const show = yield* Effect.timeoutOrElse(ClientAuth.read(client, url), {
          duration: longestReading,
          orElse: () => Effect.fail(sourceUnavailable(sourceName, "the client's secret was not available in time"))
        })
        const reply = yield* inquiry.ask((now) => {
          const shown = show(now + ahead)
          return {
            method: "POST",
            url,
            headers: { ...shown.headers, "content-type": "application/x-www-form-urlencoded" },
            body: new URLSearchParams([...parameters, ...always, ...shown.parameters].map(([...pair]) => pair))
              .toString(),
            isRepeatable
          }
        }, verdict)
        // Some servers report an error with status 200.
        if (reply.status === 200 && errorOf(reply) === "") return yield* tokenOf(reply, margin, unsaid)
        const at = reply.askedAt + ahead
        const skew = (HttpDate.ofResponse(reply.headers) ?? at) - at
        const corrected = ahead + skew
        // An assertion that is expired or not yet valid is refused like one of an unknown client.
        const isLate = client._tag === "PrivateKey" && !isCorrected && Math.abs(skew) > tolerance &&
          Math.abs(corrected) < longestSkew
        if (!isLate || errorOf(reply) !== "invalid_client") return yield* Effect.fail(failed(reply))
        ahead = corrected
        return yield* ask(parameters, isRepeatable, true)
      })

    return {
      ask: (parameters, isRepeatable) => ask(parameters, isRepeatable, false),
      patience: (inquiry.patience + longestReading) * 2
    }
  })

/** RFC 6749, 5.1. Some servers write the seconds as a string, say 0 for no end, or leave out the type. */
const answer = SecretRequest.decoder(
  Schema.Struct({
    access_token: Schema.String.check(Schema.isPattern(/^[\x21-\x7e]{1,16384}$/)),
    token_type: Schema.optional(Schema.NullOr(Schema.String)),
    expires_in: Schema.optional(
      Schema.NullOr(Schema.Union([Schema.Finite, Schema.String.check(Schema.isPattern(/^\d{1,10}$/))]))
    ),
    refresh_token: Schema.optional(Schema.NullOr(Schema.NonEmptyString))
  })
)

const tokenOf = Effect.fnUntraced(function*(reply: SecretRequest.Reply, margin?: number, unsaid?: number) {
  const token = answer(reply)
  if (token === undefined) return yield* Effect.fail(strange)
  if ((token.token_type ?? "bearer").toLowerCase() !== "bearer") {
    return yield* Effect.fail(sourceUnavailable(sourceName, "its token type is not bearer"))
  }
  const seconds = Number(token.expires_in ?? 0)
  if (seconds < 0) return yield* Effect.fail(sourceUnavailable(sourceName, "its token has already expired"))
  const life = seconds === 0 ? unsaid : Math.min(seconds, longestLife) * 1_000
  return {
    accessToken: Redacted.make(token.access_token),
    refreshToken: token.refresh_token == null ? undefined : Redacted.make(token.refresh_token),
    // Counted from the time of the request: the server counts from some time after that.
    expiresAt: life === undefined
      ? undefined
      : reply.askedAt + life - Math.min(margin ?? 30_000, life / (margin === undefined ? 10 : 2)),
    issuedAt: reply.askedAt
  } satisfies Token
})

const strange = sourceUnavailable(sourceName, "its response does not match RFC 6749")

/** A century, so that sums of it stay exact. */
const longestLife = 3_155_760_000

/** RFC 7523 leaves the leeway to the server; ours is half of an assertion's lifetime. */
const tolerance = 30_000

/** In milliseconds; the client's secret may come from another source. */
const longestReading = 10_000

/** The largest clock difference to correct: a server that reports another day is not followed. */
const longestSkew = 86_400_000

const refusals = [
  "invalid_request",
  "invalid_client",
  "invalid_grant",
  "unauthorized_client",
  "unsupported_grant_type",
  "invalid_scope",
  "invalid_target"
] as const

const errorAnswer = SecretRequest.decoder(Schema.Struct({ error: Schema.String }))

const errorOf = (reply: SecretRequest.Reply): string => errorAnswer(reply)?.error ?? ""

/** Errors of the authorization endpoint (RFC 6749, 4.1.2.1), which some servers return here too, with any status. */
const verdict = (reply: SecretRequest.Reply): SecretRequest.Verdict => {
  const error = errorOf(reply)
  return error === "temporarily_unavailable"
    ? "Busy"
    : error === "server_error"
    ? "Broken"
    : SecretRequest.byStatus(reply)
}

const failed = (reply: SecretRequest.Reply): SourceUnavailable | TokenRefused => {
  const said = errorOf(reply)
  const isRefusal = verdict(reply) === "Answered" && [200, 400, 401, 403].includes(reply.status)
  if (!isRefusal) {
    return sourceUnavailable(
      sourceName,
      `it does not answer as expected (status ${reply.status})`,
      reply.retryAfterMillis
    )
  }
  const error = refusals.find((one) => one === said) ?? "other"
  const issue = `it gives no token (${error === "other" ? `status ${reply.status}` : error})`
  return { ...sourceRefusal(sourceName, issue), isRefusal: true, error }
}

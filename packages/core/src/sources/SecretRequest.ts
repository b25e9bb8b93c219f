/**
 * A request to a secret service over HTTP: limited in time and size, and repeated if the failure is transient and a
 * repetition is safe. It uses the `HttpClient` in its context, best that of our transport (`TransportHttpClient`), which
 * has proxy, TLS settings and address guard. It follows no redirects. Requests and responses are
 * secret here, so neither spans nor errors show any part of them. Defaults without a source are our own judgement.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type SourceUnavailable, sourceUnavailable } from "../credentials/Source.ts"
import * as Jitter from "../Jitter.ts"
import * as Range from "../Range.ts"
import { isReason } from "../Reason.ts"
import * as Charset from "../transport/Charset.ts"
import * as HttpUrl from "../transport/HttpUrl.ts"
import * as Json from "../transport/Json.ts"
import * as Loopback from "../transport/Loopback.ts"
import * as RetryAfter from "../transport/RetryAfter.ts"

export interface SecretRequestOptions {
  /** The time limit of one request, including its whole response; longer than 0. @default 5 seconds */
  readonly timeout?: Duration.Input | undefined
  /** How often a request is repeated after a transient failure; at least 0. @default 2 */
  readonly retries?: number | undefined
  /**
   * The pause before the first repetition, then doubling, with jitter of a fifth; at least 0. @default 200 milliseconds
   */
  readonly pause?: Duration.Input | undefined
  /** The largest response in bytes; at least 1. @default 1 MiB */
  readonly maxBytes?: number | undefined
}

export interface Question {
  readonly method: "GET" | "POST"
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
  /** Whether the request may be sent twice. If not, it is repeated only if the first one certainly had no effect. */
  readonly isRepeatable: boolean
}

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
  /** Unix times in milliseconds at which the request was sent and its response was complete. */
  readonly askedAt: number
  readonly answeredAt: number
  /** How long the service asks its callers to wait, in milliseconds; `undefined` if it does not say. */
  readonly retryAfterMillis: number | undefined
}

/** The meaning of a response for a repetition: it is final, the request was not accepted, or the service has failed. */
export type Verdict = "Answered" | "Busy" | "Broken"

export interface SecretRequest {
  /**
   * Sends a request. Fails only if there is no response; every status counts as one. A function makes the request anew
   * for each attempt, from the time by our clock.
   */
  ask(
    question: Question | ((now: number) => Question),
    verdict?: (reply: Reply) => Verdict
  ): Effect.Effect<Reply, SourceUnavailable>
  /** The longest possible duration of `ask`, in milliseconds. */
  readonly patience: number
}

/** Makes requests for a source, whose name appears in errors. Throws if an option is out of its range. */
export const make = (source: string, options: SecretRequestOptions = {}): Effect.Effect<
  SecretRequest,
  never,
  HttpClient.HttpClient
> => {
  const timeout = Range.duration("timeout", options.timeout ?? "5 seconds")
  const retries = Range.whole("retries", options.retries ?? 2, 0)
  const pause = Range.durationOrZero("pause", options.pause ?? "200 millis")
  const maxBytes = Range.whole("maxBytes", options.maxBytes ?? 1_048_576, 1)
  const schedule = Schedule.exponential(pause).pipe(
    Schedule.jittered,
    Schedule.setInputType<Trouble>(),
    Schedule.modifyDelay(({ duration, input }) =>
      Effect.map(
        Random.next,
        (random) => Duration.max(duration, Duration.millis(Jitter.later(input.comeBackMillis, random)))
      )
    )
  )
  return Effect.map(HttpClient.HttpClient, (client): SecretRequest => {
    const scoped = HttpClient.withScope(client)
    const attempt = (asked: Question | ((now: number) => Question), verdict: (reply: Reply) => Verdict) =>
      Effect.flatMap(
        Clock.currentTimeMillis,
        (askedAt) => attemptOf(typeof asked === "function" ? asked(askedAt) : asked, askedAt, verdict)
      )
    const attemptOf = (question: Question, askedAt: number, verdict: (reply: Reply) => Verdict) =>
      Effect.gen(function*() {
        const response = yield* scoped.execute(requestOf(question))
        const body = yield* bodyOf(response, maxBytes)
        if (body === undefined) {
          return yield* Effect.fail(trouble(`its response is larger than ${maxBytes} bytes`, false))
        }
        const answeredAt = yield* Clock.currentTimeMillis
        const retryAfterMillis = RetryAfter.millis(response.headers, answeredAt)
        const { headers, status } = response
        const reply: Reply = { status, headers, body, askedAt, answeredAt, retryAfterMillis }
        const said = verdict(reply)
        if (said === "Answered") return reply
        const comeBack = retryAfterMillis ?? 0
        return yield* Effect.fail(
          trouble(
            `it answered with status ${reply.status}`,
            comeBack <= longestPause && (said === "Busy" || question.isRepeatable),
            comeBack,
            reply
          )
        )
      }).pipe(
        Effect.scoped,
        Effect.timeoutOrElse({
          duration: timeout,
          orElse: () => Effect.fail(trouble(`no response within ${timeout} ms`, question.isRepeatable))
        }),
        Effect.catchTag("HttpClientError", (error) =>
          Effect.fail(
            trouble(unreached(error), isPassing(error) && (question.isRepeatable || neverLeft(error)))
          )),
        // The client threw; its exception may hold the request.
        Effect.catchDefect(() => Effect.fail(trouble("its HTTP client has failed", false)))
      )
    return {
      // Pauses double and are up to a fifth longer, and a response may ask for longer ones, which have their own jitter.
      patience: timeout * (retries + 1) + retries * Jitter.later(longestPause, 1) + pause * (2 ** retries - 1) * 1.2,
      ask: (question, verdict = byStatus) =>
        attempt(question, verdict).pipe(
          Effect.retry({ schedule, times: retries, while: (failed: Trouble) => failed.passes }),
          Effect.catch((failed) =>
            failed.reply === undefined
              ? Effect.fail(sourceUnavailable(source, failed.issue))
              : Effect.succeed(failed.reply)
          ),
          quietly
        )
    }
  })
}

/**
 * 412, 429 and 503 say that the request had no effect, as does Vault's 473 (a standby). 5xx and 408 leave it open.
 */
export const byStatus = ({ status }: Reply): Verdict =>
  status === 412 || status === 429 || status === 473 || status === 503
    ? "Busy"
    : status === 408 || (status >= 500 && status !== 501)
    ? "Broken"
    : "Answered"

/** Decodes a response as JSON; `undefined` if it does not fit. The mismatch is not described: it may hold a secret. */
export const decoder = <S extends Schema.ConstraintDecoder<unknown>>(schema: S) => {
  const decode = Schema.decodeUnknownOption(schema)
  return ({ body }: Reply): S["Type"] | undefined => Option.getOrUndefined(decode(Json.parseText(body)))
}

/** A base URL without a trailing slash. Throws unless it is https, or http to this machine, without a query. */
export const baseUrl = (name: string, given: string): string => {
  const url = endpointUrl(name, given)
  if (new URL(url).search !== "") throw new Error(`${name} must have no query`)
  return url.replace(/\/+$/, "")
}

/** A URL as given. Throws unless it is https, or http to this machine, without a user or a fragment. */
export const endpointUrl = (name: string, given: string): string => {
  const url = URL.parse(given)
  if (url === null) throw new Error(`${name} must be a URL that begins with https://`)
  const flaw = HttpUrl.flawOf(url, Loopback.isHereForAnyClient)
  if (flaw !== undefined) throw new Error(`${name} ${HttpUrl.flaws[flaw]}`)
  return url.href
}

/** The longest pause, in milliseconds; a source that asks for more is not waited for. */
const longestPause = 10_000

interface Trouble {
  readonly issue: string
  readonly passes: boolean
  readonly comeBackMillis: number
  readonly reply: Reply | undefined
}

const trouble = (issue: string, passes: boolean, comeBackMillis = 0, reply?: Reply): Trouble => ({
  issue,
  passes,
  comeBackMillis,
  reply
})

const requestOf = ({ body, headers, method, url }: Question): HttpClientRequest.HttpClientRequest => {
  const request = HttpClientRequest.make(method)(url, { headers: { accept: "application/json", ...headers } })
  return body === undefined
    ? request
    : HttpClientRequest.bodyText(request, body, headers["content-type"] ?? "application/json")
}

/** Reads a body up to the limit; `undefined` if it is larger. */
const bodyOf = Effect.fnUntraced(function*(response: HttpClientResponse, maxBytes: number) {
  const chunks: Array<Uint8Array> = []
  let bytes = 0
  const keep = (chunk: Uint8Array) => {
    bytes += chunk.byteLength
    chunks.push(chunk)
    return bytes <= maxBytes
  }
  yield* response.stream.pipe(
    Stream.takeWhile(keep),
    Stream.runDrain,
    Effect.catchIf((error) => error.reason._tag === "EmptyBodyError", () => Effect.void)
  )
  // A source answers in JSON; a page of a proxy in another charset is told by its status.
  return bytes <= maxBytes ? Charset.text(Buffer.concat(chunks), response.headers["content-type"]) ?? "" : undefined
})

const isForbidden = (cause: unknown): boolean =>
  isReason(cause) && cause._tag === "ConnectFailed" && cause.failure === "Forbidden"

const isPassing = ({ reason }: HttpClientError): boolean =>
  (reason._tag === "TransportError" && !isForbidden(reason.cause)) || reason._tag === "DecodeError"

const unreached = (error: HttpClientError): string =>
  isForbidden(error.reason.cause)
    ? "its address is not allowed: private, loopback or reserved"
    : error.reason._tag === "TransportError"
    ? "it cannot be reached"
    : error.reason._tag === "DecodeError"
    ? "its response was cut off"
    : "the request cannot be sent"

/** Whether no byte was sent: our transport says so, or the connection was refused, or the name is unknown. */
const neverLeft = (error: HttpClientError): boolean => {
  if (isReason(error.reason.cause)) return error.reason.cause.fate === "NotSent"
  for (let cause: unknown = error, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth++) {
    if ("code" in cause && /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN)$/.test(String(cause.code))) return true
  }
  return false
}

/** Disables spans, trace headers and redirects, even in a client that would follow them itself. */
const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  effect.pipe(
    Effect.provideService(HttpClient.TracerDisabledWhen, () => true),
    Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" })
  )

/**
 * A question to a service that keeps secrets, over HTTP: timed, bounded, repeated while the reason passes and repeating
 * is safe. It goes through whatever `HttpClient` is given, follows no redirect, and leaves no trace: what is asked and
 * answered here is secret, so neither spans nor errors show any of it.
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
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type SourceUnavailable, sourceUnavailable } from "../credentials/Source.ts"
import * as Range from "../Range.ts"
import * as Charset from "../transport/Charset.ts"
import * as HttpUrl from "../transport/HttpUrl.ts"
import * as Json from "../transport/Json.ts"
import * as RetryAfter from "../transport/RetryAfter.ts"

export interface SecretRequestOptions {
  /** How long one request may take, its whole answer included; longer than 0. @default 5 seconds (ours) */
  readonly timeout?: Duration.Input | undefined
  /** How often a request is repeated that failed for a reason that passes; at least 0. @default 2 (ours) */
  readonly retries?: number | undefined
  /** The pause before the first repetition, doubling, give or take a fifth; at least 0. @default 200 milliseconds (ours) */
  readonly pause?: Duration.Input | undefined
  /** Bytes of the largest answer that is read; at least 1. @default 1 MiB (ours) */
  readonly maxBytes?: number | undefined
}

export interface Question {
  readonly method: "GET" | "POST"
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
  /** Whether asking twice does no more than asking once. If not, it is repeated only when nothing was done for certain. */
  readonly isRepeatable: boolean
}

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
  /** Unix time in milliseconds at which it was asked for, and at which it was there. */
  readonly askedAt: number
  readonly answeredAt: number
}

/** What an answer says about asking again: it is one, it was not accepted (nothing was done), or it broke. */
export type Verdict = "Answered" | "Busy" | "Broken"

export interface SecretRequest {
  /**
   * Fails when there is no answer at all; an answer of any status is one. What is asked may be made anew for every
   * attempt, from the time by our clock.
   */
  ask(
    question: Question | ((now: number) => Question),
    verdict?: (reply: Reply) => Verdict
  ): Effect.Effect<Reply, SourceUnavailable>
  /** The longest that it can take, in milliseconds. */
  readonly patience: number
}

/** Needs the name of the source for its errors. Throws when an option is out of its range. */
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
      Effect.succeed(Duration.max(duration, Duration.millis(input.comeBackMillis)))
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
        if (body === undefined) return yield* Effect.fail(trouble(`its answer is larger than ${maxBytes} bytes`, false))
        const answeredAt = yield* Clock.currentTimeMillis
        const reply: Reply = { status: response.status, headers: response.headers, body, askedAt, answeredAt }
        const said = verdict(reply)
        if (said === "Answered") return reply
        const comeBack = RetryAfter.millis(reply.headers, answeredAt) ?? 0
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
          orElse: () => Effect.fail(trouble(`no answer within ${timeout} ms`, question.isRepeatable))
        }),
        Effect.catchTag("HttpClientError", (error) =>
          Effect.fail(
            trouble(unreached(error), (question.isRepeatable && isPassing(error)) || neverLeft(error))
          )),
        // A client that throws: what it throws may hold the request.
        Effect.catchDefect(() => Effect.fail(trouble("its client is broken", false)))
      )
    return {
      // Pauses double, are up to a fifth longer, and an answer may ask for longer ones.
      patience: timeout * (retries + 1) + retries * longestPause + pause * (2 ** retries - 1) * 1.2,
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
 * 412, 429 and 503 say that nothing was done, and so does Vault's 473 (a standby); 5xx and 408 leave it open.
 */
export const byStatus = ({ status }: Reply): Verdict =>
  status === 412 || status === 429 || status === 473 || status === 503
    ? "Busy"
    : status === 408 || (status >= 500 && status !== 501)
    ? "Broken"
    : "Answered"

/** The answer as JSON of a shape; `undefined` when it is not. What it is instead is never told: it may hold a secret. */
export const decoder = <S extends Schema.ConstraintDecoder<unknown>>(schema: S) => {
  const decode = Schema.decodeUnknownOption(schema)
  return ({ body }: Reply): S["Type"] | undefined => Option.getOrUndefined(decode(Json.parseText(body)))
}

/** The base of an address, without a slash at its end. Throws unless it is https, or http to this machine. */
export const baseUrl = (name: string, given: string): string => {
  const url = endpointUrl(name, given)
  if (new URL(url).search !== "") throw new Error(`${name} must have no query`)
  return url.replace(/\/+$/, "")
}

/** An address as it is given. Throws unless it is https, or http to this machine, without a user or a fragment. */
export const endpointUrl = (name: string, given: string): string => {
  const url = URL.parse(given)
  if (url === null) throw new Error(`${name} must be a URL that begins with https://`)
  const flaw = HttpUrl.flawOf(url)
  if (flaw !== undefined) throw new Error(`${name} ${HttpUrl.flaws[flaw]}`)
  return url.href
}

/** A source is not waited for longer than this, whatever it asks for (ours). */
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

/** Stops reading at the limit: `undefined` says that there is more. */
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
  return bytes <= maxBytes ? Charset.text(Buffer.concat(chunks)) : undefined
})

const isPassing = ({ reason }: HttpClientError): boolean =>
  reason._tag === "TransportError" || reason._tag === "DecodeError"

const unreached = (error: HttpClientError): string =>
  error.reason._tag === "TransportError"
    ? "it cannot be reached"
    : error.reason._tag === "DecodeError"
    ? "its answer broke off"
    : "the request cannot be sent"

/** Nobody listens, or nobody is known by that name: not a byte has left. */
const neverLeft = (error: unknown): boolean => {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth++) {
    if ("code" in cause && /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN)$/.test(String(cause.code))) return true
  }
  return false
}

/** No span, no header that tells of one, and no redirect, also with a client that follows them by itself. */
const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  effect.pipe(
    Effect.provideService(HttpClient.TracerDisabledWhen, () => true),
    Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" })
  )

/**
 * Effect's `HttpClient` over our transport, so that code written for it runs on the hardened socket. Requests are
 * checked before they are sent, bounded in time and size, and cancelled at once; responses are decompressed under a
 * limit.
 *
 * It applies no vendor policies and buffers the whole response. To guard a third party, declare a `Vendor` instead.
 * Defaults without a source are our own judgement.
 *
 * @example
 * ```ts
 * import * as FrankfurterSimulator from "@breakwater/vendors/exchange-rates/frankfurter/simulator"
 * import { TransportHttpClient, UndiciTransport } from "@breakwater/core/transport"
 * import { Effect, Layer } from "effect"
 * import { HttpClient } from "effect/http"
 *
 * const rate = Effect.gen(function*() {
 *   const { baseUrl } = yield* FrankfurterSimulator.serve()
 *   const client = HttpClient.filterStatusOk(yield* HttpClient.HttpClient)
 *   const response = yield* client.get(`${baseUrl}/rate/EUR/USD`)
 *   return yield* response.json
 * })
 *
 * const transport = UndiciTransport.layer({ loopback: true })
 * const layer = TransportHttpClient.layer({ timeout: "2 seconds" }).pipe(Layer.provide(transport))
 * console.log(Object.keys(await Effect.runPromise(Effect.scoped(Effect.provide(rate, layer))) ?? {}).join())
 * // => date,base,quote,rate
 * ```
 */
import * as ByteSize from "effect/ByteSize"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Range from "../Range.ts"
import { InvalidRequest, InvalidResponse, type Phase, type Reason, Timeout } from "../Reason.ts"
import * as Timeline from "../Timeline.ts"
import * as HttpUrl from "./HttpUrl.ts"
import { type Receiver, type ResponseHeaders, Transport } from "./Transport.ts"
import { isTransportReason } from "./TransportReason.ts"

/** Options of the client. Every duration must be longer than 0 and finite. */
export interface TransportHttpClientOptions {
  /** The limit of the whole request, to the end of the response's body. @default "8 seconds" */
  readonly timeout?: Duration.Input | undefined
  /** The limit for a new connection; at most `timeout`. @default "1 second" */
  readonly connectTimeout?: Duration.Input | undefined
  /** The limit from the first byte sent to the first header received; at most `timeout`. @default `timeout` */
  readonly headersTimeout?: Duration.Input | undefined
  /** The longest pause between two pieces of the body; at most `timeout`. @default `timeout` */
  readonly bodyIdleTimeout?: Duration.Input | undefined
  /** The largest request body in bytes, at least 1; a stream is buffered up to this size. @default 8 MiB */
  readonly maxRequestSize?: ByteSize.Input | undefined
  /** The largest response body in bytes, at least 1. A smaller `MaxBodySize` of Effect overrides it. @default 8 MiB */
  readonly maxResponseSize?: ByteSize.Input | undefined
  /** The most redirects followed; a whole number from 0 to 10. @default 0 */
  readonly maxRedirects?: number | undefined
}

/** The client. Dies if an option is out of its range. */
export const layer = (
  options: TransportHttpClientOptions = {}
): Layer.Layer<HttpClient.HttpClient, never, Transport> =>
  HttpClient.layerMergedContext(Effect.gen(function*() {
    const transport = yield* Transport
    const limits = limitsOf(options)
    return HttpClient.make((request, url, _signal, fiber) =>
      HttpUrl.hasUserInfo(url)
        ? Effect.fail(encodeError(request, new InvalidRequest("the URL holds user info; send it as a header")))
        : Effect.flatMap(
          contentOf(request, limits.maxRequestBytes),
          (content) => exchange(transport.send, limits, request, url, content, fiber)
        )
    )
  }))

interface Limits {
  readonly wholeMillis: number
  readonly phaseMillis: Readonly<Record<Phase, number>>
  readonly bodyIdleMillis: number
  readonly maxRequestBytes: number
  readonly maxResponseBytes: number
  readonly maxRedirects: number
}

const limitsOf = (options: TransportHttpClientOptions): Limits => {
  const span = (name: string, input: Duration.Input) => Range.duration(`TransportHttpClient: ${name}`, input)
  const wholeMillis = span("timeout", options.timeout ?? "8 seconds")
  const within = (
    name: string,
    input: Duration.Input | undefined,
    fallback: number
  ) => {
    const millis = input === undefined ? Math.min(fallback, wholeMillis) : span(name, input)
    if (millis > wholeMillis) {
      throw new Error(`TransportHttpClient: ${name} (${millis} ms) is longer than timeout (${wholeMillis} ms)`)
    }
    return millis
  }
  const size = (name: string, input: ByteSize.Input | undefined) =>
    input === undefined
      ? 8 * 1024 * 1024
      : Range.whole(`TransportHttpClient: ${name}`, ByteSize.toNumberUnsafe(ByteSize.fromInputUnsafe(input)), 1)
  const maxRedirects = Range.whole("TransportHttpClient: maxRedirects", options.maxRedirects ?? 0, 0)
  if (maxRedirects > 10) throw new Error(`TransportHttpClient: maxRedirects must be at most 10, got ${maxRedirects}`)
  return {
    wholeMillis,
    phaseMillis: {
      Queue: wholeMillis,
      Secret: wholeMillis,
      Connect: within("connectTimeout", options.connectTimeout, 1_000),
      Headers: within("headersTimeout", options.headersTimeout, wholeMillis),
      Body: wholeMillis
    },
    bodyIdleMillis: within("bodyIdleTimeout", options.bodyIdleTimeout, wholeMillis),
    maxRequestBytes: size("maxRequestSize", options.maxRequestSize),
    maxResponseBytes: size("maxResponseSize", options.maxResponseSize),
    maxRedirects
  }
}

// ------------------------------------------------------------------------------------------------------- the request

/** An encoded body, and the headers that go with it. */
interface Content {
  readonly headers: ReadonlyArray<string>
  readonly body: string | Uint8Array | undefined
}

type Failed = HttpClientError.HttpClientError

const contentOf = (
  request: HttpClientRequest.HttpClientRequest,
  maxBytes: number
): Effect.Effect<Content, Failed> => {
  const { body } = request
  switch (body._tag) {
    case "Empty":
      return Effect.succeed({ headers: headersOf(request), body: undefined })
    case "Uint8Array":
      return bounded(request, headersOf(request), body.body, maxBytes)
    case "Stream":
      return Effect.flatMap(
        collected(request, body.stream, maxBytes),
        (bytes) => bounded(request, headersOf(request), bytes, maxBytes)
      )
    case "FormData":
      return webBody(request, body.formData, maxBytes)
    case "Raw":
      return typeof body.body === "string" || body.body instanceof Uint8Array
        ? bounded(request, headersOf(request), body.body, maxBytes)
        : webBody(request, body.body as WebBody, maxBytes)
  }
}

/** Headers without `content-length`, which the transport writes itself. */
const headersOf = (request: HttpClientRequest.HttpClientRequest): ReadonlyArray<string> => {
  const headers: Array<string> = []
  for (const [name, value] of Object.entries(request.headers)) {
    if (name !== "content-length") headers.push(name, value)
  }
  return headers
}

const bounded = (
  request: HttpClientRequest.HttpClientRequest,
  headers: ReadonlyArray<string>,
  body: string | Uint8Array,
  maxBytes: number
): Effect.Effect<Content, Failed> =>
  (typeof body === "string" ? Buffer.byteLength(body) : body.byteLength) > maxBytes
    ? Effect.fail(encodeError(request, tooLarge(maxBytes)))
    : Effect.succeed({ headers, body })

type WebBody = ConstructorParameters<typeof Response>[0]

/** Bodies that the platform encodes: forms with files, blobs, search parameters, streams. */
const webBody = (
  request: HttpClientRequest.HttpClientRequest,
  init: WebBody,
  maxBytes: number
): Effect.Effect<Content, Failed> =>
  Effect.try({ try: () => new Response(init), catch: (cause) => encodeError(request, cause) }).pipe(
    Effect.flatMap((encoded): Effect.Effect<Content, Failed> => {
      const { body } = encoded
      const contentType = encoded.headers.get("content-type")
      const headers = contentType === null || request.headers["content-type"] !== undefined
        ? headersOf(request)
        : [...headersOf(request), "content-type", contentType]
      return body === null
        ? Effect.succeed({ headers, body: undefined })
        : Effect.map(
          collected(
            request,
            Stream.fromReadableStream({ evaluate: () => body, onError: (cause) => cause }),
            maxBytes
          ),
          (body) => ({ headers, body })
        )
    })
  )

const collected = (
  request: HttpClientRequest.HttpClientRequest,
  stream: Stream.Stream<Uint8Array, unknown>,
  maxBytes: number
): Effect.Effect<Uint8Array, Failed> =>
  Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    let size = 0
    return stream.pipe(
      Stream.runForEach((chunk) => {
        size += chunk.byteLength
        if (size > maxBytes) return Effect.fail(tooLarge(maxBytes))
        chunks.push(chunk)
        return Effect.void
      }),
      Effect.mapError((cause) => encodeError(request, cause)),
      Effect.map(() => Buffer.concat(chunks, size))
    )
  })

const tooLarge = (maxBytes: number) => new InvalidRequest(`the body is larger than ${maxBytes} bytes`)

// --------------------------------------------------------------------------------------------------------- the answer

const exchange = (
  send: Transport["Service"]["send"],
  limits: Limits,
  request: HttpClientRequest.HttpClientRequest,
  url: URL,
  { body, headers }: Content,
  fiber: Fiber.Fiber<unknown, unknown>
): Effect.Effect<HttpClientResponse.HttpClientResponse, Failed> =>
  Effect.callback((resume) => {
    const maxBodySize = fiber.getRef(HttpIncomingMessage.MaxBodySize)
    const call = new ClientExchange(request, limits, Timeline.of(fiber), resume)
    call.start(() =>
      send({
        method: request.method,
        origin: url.origin,
        path: url.pathname + url.search,
        headers,
        body,
        connectTimeoutMillis: limits.phaseMillis.Connect,
        maxBodyBytes: maxBodySize === undefined
          ? limits.maxResponseBytes
          : Math.min(limits.maxResponseBytes, ByteSize.toNumberUnsafe(maxBodySize)),
        maxRedirects: limits.maxRedirects
      }, call)
    )
    return Effect.sync(() => call.cancel())
  })

/** One request, with its timers. */
class ClientExchange implements Receiver {
  private readonly request: HttpClientRequest.HttpClientRequest
  private readonly limits: Limits
  private readonly timeline: Timeline.Timeline
  private readonly resume: (effect: Effect.Effect<HttpClientResponse.HttpClientResponse, Failed>) => void
  private readonly beganAt: number
  private phase: Phase = "Connect"
  private phaseAt: number
  private progressAt = 0
  private timer: Timeline.Timer | undefined = undefined
  private cancelSend: () => void = () => {}
  private status = 0
  private headers: ResponseHeaders = {}

  constructor(
    request: HttpClientRequest.HttpClientRequest,
    limits: Limits,
    timeline: Timeline.Timeline,
    resume: ClientExchange["resume"]
  ) {
    this.request = request
    this.limits = limits
    this.timeline = timeline
    this.resume = resume
    this.beganAt = this.phaseAt = timeline.now()
  }

  start(send: () => () => void): void {
    this.cancelSend = send()
    this.arm()
  }

  cancel(): void {
    this.timer?.cancel()
    this.cancelSend()
  }

  onQueued(): void {
    this.enter("Queue")
  }

  onSent(): void {
    this.enter("Headers")
  }

  onHeaders(status: number, headers: ResponseHeaders): void {
    this.status = status
    this.headers = headers
    this.enter("Body")
  }

  onProgress(): void {
    this.progressAt = this.timeline.now()
  }

  onEnd(body: Uint8Array): void {
    this.timer?.cancel()
    this.resume(
      this.status > 599
        ? Effect.fail(transportError(this.request, new InvalidResponse(this.status, "a status beyond 599")))
        : Effect.succeed(this.response(body))
    )
  }

  onError(reason: Reason): void {
    this.timer?.cancel()
    this.resume(Effect.fail(this.error(reason)))
  }

  private enter(phase: Phase): void {
    this.phase = phase
    this.phaseAt = this.progressAt = this.timeline.now()
    this.arm()
  }

  private due(): number {
    const whole = this.beganAt + this.limits.wholeMillis
    const phase = Math.min(whole, this.phaseAt + this.limits.phaseMillis[this.phase])
    return this.phase === "Body" ? Math.min(phase, this.progressAt + this.limits.bodyIdleMillis) : phase
  }

  private arm(): void {
    this.timer?.cancel()
    this.timer = this.timeline.after(Math.max(0, this.due() - this.timeline.now()), () => {
      const now = this.timeline.now()
      if (now < this.due()) return this.arm()
      this.cancelSend()
      this.onError(new Timeout(this.phase, this.limitAt(now)))
    })
  }

  /** The limit that has been reached. */
  private limitAt(now: number): number {
    const { bodyIdleMillis, phaseMillis, wholeMillis } = this.limits
    if (now >= this.beganAt + wholeMillis) return wholeMillis
    return this.phase === "Body" ? bodyIdleMillis : phaseMillis[this.phase]
  }

  private response(body: Uint8Array): HttpClientResponse.HttpClientResponse {
    const headers = new Headers()
    for (const [name, value] of Object.entries(this.headers)) {
      for (const one of typeof value === "string" ? [value] : value ?? []) headers.append(name, one)
    }
    return HttpClientResponse.fromWeb(
      this.request,
      new Response(bodiless.has(this.status) ? null : body as Uint8Array<ArrayBuffer>, { status: this.status, headers })
    )
  }

  /** Maps a reason to an error: unreadable bodies keep their status, anything else is an error of the transport. */
  private error(reason: Reason): Failed {
    if (!isTransportReason(reason)) return transportError(this.request, reason)
    switch (reason._tag) {
      case "InvalidRequest":
        return encodeError(this.request, reason)
      case "InvalidResponse":
      case "ResponseTooLarge":
        return this.phase !== "Body" || this.status > 599
          ? transportError(this.request, reason)
          : new HttpClientError.HttpClientError({
            reason: new HttpClientError.DecodeError({
              request: this.request,
              response: this.response(new Uint8Array()),
              cause: reason,
              description: reason.message
            })
          })
      case "Timeout":
      case "ConnectFailed":
      case "ConnectionLost":
        return transportError(this.request, reason)
    }
  }
}

/** Statuses with which `Response` rejects any body, even an empty one (Fetch, "null body status"). */
const bodiless: ReadonlySet<number> = new Set([204, 205, 304])

const transportError = (request: HttpClientRequest.HttpClientRequest, reason: Reason): Failed =>
  new HttpClientError.HttpClientError({
    reason: new HttpClientError.TransportError({ request, cause: reason, description: reason.message })
  })

const encodeError = (request: HttpClientRequest.HttpClientRequest, cause: unknown): Failed =>
  new HttpClientError.HttpClientError({
    reason: new HttpClientError.EncodeError({
      request,
      cause,
      ...(cause instanceof InvalidRequest ? { description: cause.message } : {})
    })
  })

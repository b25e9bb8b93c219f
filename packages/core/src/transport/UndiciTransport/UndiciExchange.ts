/** One request and its response, over undici. */
import {
  ConnectFailed,
  type ConnectFailure,
  ConnectionLost,
  InvalidRequest,
  InvalidResponse,
  type Phase,
  type Reason,
  ResponseTooLarge,
  Timeout
} from "../../Reason.ts"
import * as ContentCoding from "../ContentCoding.ts"
import type { MessageLimits } from "../MessageLimits.ts"
import { NoConnection } from "../NoConnection.ts"
import type { Receiver, ResponseHeaders, TransportRequest } from "../Transport.ts"
import { type Agent, type Dispatcher, errors } from "./Undici.ts"

/** The error that aborts a request in undici once its caller is gone. */
export const abandoned = new Error("The request was abandoned")

/** The most interim responses (1xx) before the final one. */
const maxProvisional = 16

export class UndiciExchange implements Dispatcher.DispatchHandler {
  private readonly request: TransportRequest
  private readonly receiver: Receiver
  private readonly limits: MessageLimits
  private controller: Dispatcher.DispatchController | undefined = undefined
  private phase: "Connect" | "Headers" | "Body" = "Connect"
  /** The outcome is known, but not reported yet. */
  private ending = false
  private over = false
  private provisional = 0
  private status = 0
  private size = 0
  private chunks: Array<Buffer> = []
  private layers: ReadonlyArray<ContentCoding.ContentCoding> = []
  private cancelUnpacking: (() => void) | undefined = undefined

  constructor(request: TransportRequest, receiver: Receiver, limits: MessageLimits) {
    this.request = request
    this.receiver = receiver
    this.limits = limits
  }

  start(agent: Agent): void {
    const { body, headers, method, origin, path } = this.request
    const hasRoom = agent.dispatch(
      {
        method,
        origin,
        path,
        headers: withAcceptEncoding(headers, this.limits.compression),
        body: body ?? null
      },
      this
    )
    if (hasRoom || this.receiver.onQueued === undefined || !hasQueue(agent, origin)) return
    queueMicrotask(() => {
      if (this.phase === "Connect" && !this.ending && !this.over) this.receiver.onQueued?.()
    })
  }

  cancel(): void {
    if (this.over) return
    this.over = true
    if (this.cancelUnpacking === undefined) this.controller?.abort(abandoned)
    else this.cancelUnpacking()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
    if (this.over) return controller.abort(abandoned)
    this.phase = "Headers"
    this.receiver.onSent()
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: ResponseHeaders): void {
    if (this.ending || this.over) return
    if (status < 200) {
      // undici passes these on although it rejects them itself, and then fails an assertion (8.12).
      if (status <= 101) this.refuse(controller, new InvalidResponse(undefined, `not HTTP (status ${status})`))
      else if (++this.provisional > maxProvisional) {
        this.refuse(controller, new InvalidResponse(undefined, `more than ${maxProvisional} interim responses (1xx)`))
      }
      return
    }
    this.phase = "Body"
    this.status = status
    const issue = this.headersIssue(controller, headers)
    if (issue !== undefined) return this.refuse(controller, new InvalidResponse(status, issue))
    this.receiver.onHeaders(status, headers)
    if (this.over || this.request.method === "HEAD" || status === 204 || status === 304) return
    const reason = this.bodyRefusal(headers)
    if (reason !== undefined) this.refuse(controller, reason)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.ending || this.over) return
    this.size += chunk.length
    if (this.size > this.request.maxBodyBytes) {
      return this.refuse(controller, new ResponseTooLarge(this.request.maxBodyBytes))
    }
    this.chunks.push(chunk)
    this.receiver.onProgress()
  }

  onResponseEnd(): void {
    if (this.ending || this.over) return
    const { chunks, layers, request, size } = this
    const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size)
    this.chunks = []
    if (layers.length === 0 || size === 0) return this.settle(() => this.receiver.onEnd(body))
    // The connection is free again; only the body is still being decompressed.
    this.ending = true
    this.cancelUnpacking = ContentCoding.unpack(layers, body, request.maxBodyBytes, (unpacked) => {
      this.over = true
      switch (unpacked._tag) {
        case "Body":
          return this.receiver.onEnd(unpacked.body)
        case "TooLarge":
          return this.receiver.onError(new ResponseTooLarge(request.maxBodyBytes))
        case "Broken":
          return this.receiver.onError(new InvalidResponse(this.status, unpacked.issue))
      }
    })
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.settle(() => this.receiver.onError(this.reason(error)))
  }

  /** The flaw in the headers that makes the rest of the response unreliable; `undefined` without a flaw. */
  private headersIssue(controller: Dispatcher.DispatchController, headers: ResponseHeaders): string | undefined {
    const { maxResponseHeaders } = this.limits
    const { rawHeaders } = controller
    const count = Array.isArray(rawHeaders) ? rawHeaders.length / 2 : Object.keys(headers).length
    if (count > maxResponseHeaders) return `more than ${maxResponseHeaders} headers`
    // llhttp reads chunks if `chunked` is the last coding, and to the end of the connection otherwise. A body that is
    // encoded once more, or that a proxy may read differently, is rejected rather than guessed at.
    const coding = headers["transfer-encoding"]
    if (coding === undefined || (typeof coding === "string" && coding.toLowerCase() === "chunked")) return undefined
    return "a transfer-encoding other than chunked"
  }

  /** Why a body is rejected by its headers alone; `undefined` if it is not. */
  private bodyRefusal(headers: ResponseHeaders): Reason | undefined {
    const { maxBodyBytes } = this.request
    if (Number(headers["content-length"]) > maxBodyBytes) return new ResponseTooLarge(maxBodyBytes)
    const contentEncoding = headers["content-encoding"]
    if (contentEncoding === undefined) return undefined
    const layers = ContentCoding.parse(contentEncoding)
    if (layers === undefined || (layers.length > 0 && !this.limits.compression)) {
      return new InvalidResponse(this.status, "a content-encoding that was not asked for")
    }
    this.layers = layers
    return undefined
  }

  private refuse(controller: Dispatcher.DispatchController, reason: Reason): void {
    this.settle(() => this.receiver.onError(reason))
    controller.abort(abandoned)
  }

  /**
   * Reports the end of an exchange one microtask later. undici rejects some requests synchronously, and the receiver
   * may start its next request at once, which inside undici's callback would be a reentrant call.
   */
  private settle(tell: () => void): void {
    if (this.ending) return
    this.ending = true
    queueMicrotask(() => {
      if (this.over) return
      this.over = true
      tell()
    })
  }

  private reason(error: Error & { readonly code?: unknown }): Reason {
    if (error instanceof NoConnection) return error.reason
    const code = typeof error.code === "string" ? error.code : ""
    if (this.phase === "Connect") {
      switch (code) {
        case "UND_ERR_CONNECT_TIMEOUT":
          return new Timeout("Connect", this.request.connectTimeoutMillis)
        // Requests that undici refuses to write: control characters in a header, a malformed path.
        case "UND_ERR_INVALID_ARG":
        case "UND_ERR_NOT_SUPPORTED":
        case "UND_ERR_REQ_CONTENT_LENGTH_MISMATCH":
          return new InvalidRequest("a header or the path holds characters HTTP forbids")
        default:
          return new ConnectFailed(connectFailure(code))
      }
    }
    const issue = protocolIssue(error, code, this.phase)
    return issue === undefined
      ? new ConnectionLost(this.phase)
      : new InvalidResponse(this.status === 0 ? undefined : this.status, `not HTTP (${issue})`)
  }
}

/** Whether requests to an origin wait for one of its connections. */
const hasQueue = (agent: Agent, origin: string): boolean => {
  const stats = agent.stats[origin]
  return stats !== undefined && "queued" in stats && stats.queued > 0
}

/** The caller's own `Accept-Encoding` overrides ours. */
const withAcceptEncoding = (headers: ReadonlyArray<string>, compression: boolean): Array<string> => {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]!.length === 15 && headers[i]!.toLowerCase() === "accept-encoding") return headers as Array<string>
  }
  return [...headers, "accept-encoding", compression ? ContentCoding.accepted : "identity"]
}

/** The violation of HTTP in a response, in the parser's words; `undefined` if the response was cut short. */
const protocolIssue = (error: Error, code: string, phase: Phase): string | undefined => {
  if (code === "UND_ERR_HEADERS_OVERFLOW") return "the headers are too large"
  // undici (8.12) reports this for headers that it cannot parse, if one of them was a length.
  if (code === "UND_ERR_RES_CONTENT_LENGTH_MISMATCH" && phase === "Headers") return "the headers cannot be parsed"
  // Reported for `100 Continue` and `101 Switching Protocols` without a request for them (undici 8.12).
  if (error.message === "bad response" || error.message === "bad upgrade") return "a status that was not asked for"
  // The parser's errors should have codes, but do not (undici 8.12).
  if (!(error instanceof errors.HTTPParserError)) return undefined
  const words = /\(([^()]*)\)$/.exec(error.message)?.[1] ?? "no reason given"
  return words === "Invalid EOF state" ? undefined : words
}

/** Node's codes for an untrusted certificate or a failed handshake; a weak key has no code of its own. */
const verdict =
  /CERT|TLS|SSL|SELF_SIGNED|ISSUER|SIGNATURE|CRL|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|HOSTNAME_MISMATCH|UNSPECIFIED|EPROTO/

const connectFailure = (code: string): ConnectFailure => {
  switch (code) {
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "Dns"
    case "ECONNREFUSED":
      return "Refused"
    default:
      return verdict.test(code) ? "Tls" : "Unreachable"
  }
}

/** One request and its answer on the wire of undici. */
import { type Agent, type Dispatcher, errors } from "@effect/platform-node/Undici"
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
import type { Receiver, TransportRequest } from "../Transport.ts"
import { NoConnection } from "./NoConnection.ts"

/** What undici is told when nobody waits for a request any more. */
export const abandoned = new Error("The request was abandoned")

export class Exchange implements Dispatcher.DispatchHandler {
  private readonly request: TransportRequest
  private readonly receiver: Receiver
  private controller: Dispatcher.DispatchController | undefined = undefined
  private phase: "Connect" | "Headers" | "Body" = "Connect"
  private over = false
  private status = 0
  private size = 0
  private chunks: Array<Buffer> = []

  constructor(request: TransportRequest, receiver: Receiver) {
    this.request = request
    this.receiver = receiver
  }

  start(agent: Agent): void {
    const { body, headers, method, origin, path } = this.request
    agent.dispatch(
      {
        method,
        origin,
        path,
        headers: headers as Array<string>,
        body: body ?? null
      },
      this
    )
  }

  cancel(): void {
    if (this.over) return
    this.over = true
    this.controller?.abort(abandoned)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
    if (this.over) return controller.abort(abandoned)
    this.phase = "Headers"
    this.receiver.onSent()
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | Array<string> | undefined>
  ): void {
    // 1xx are no answers.
    if (this.over || status < 200) return
    this.phase = "Body"
    this.status = status
    this.receiver.onHeaders(status, headers)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.over) return
    this.size += chunk.length
    if (this.size > this.request.maxBodyBytes) {
      this.settle(() => this.receiver.onError(new ResponseTooLarge(this.request.maxBodyBytes)))
      return controller.abort(abandoned)
    }
    this.chunks.push(chunk)
    this.receiver.onProgress()
  }

  onResponseEnd(): void {
    const { chunks, size } = this
    this.settle(() => this.receiver.onEnd(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size)))
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.settle(() => this.receiver.onError(this.reason(error)))
  }

  /**
   * The end of an exchange is told a microtask later: undici refuses some requests while it is being asked, and the
   * receiver may start its next request at once, which inside undici's callback would be a call within a call.
   */
  private settle(tell: () => void): void {
    if (this.over) return
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
        // What undici would not write: control characters in a header, a malformed path.
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

/** What about an answer is not HTTP, in the parser's words; `undefined` when it was cut short. */
const protocolIssue = (error: Error, code: string, phase: Phase): string | undefined => {
  if (code === "UND_ERR_HEADERS_OVERFLOW") return "the headers are too large"
  // What undici (8.12) says of headers that it cannot parse, when there was a length among them.
  if (code === "UND_ERR_RES_CONTENT_LENGTH_MISMATCH" && phase === "Headers") return "the headers cannot be parsed"
  // The parser's errors ought to have codes, but have none (undici 8.12).
  if (!(error instanceof errors.HTTPParserError)) return undefined
  const words = /\(([^()]*)\)$/.exec(error.message)?.[1] ?? "no reason given"
  return words === "Invalid EOF state" ? undefined : words
}

/** What Node calls it when it cannot trust a certificate or agree on how to speak; a weak key has no name of its own. */
const verdict = /CERT|TLS|SSL|SELF_SIGNED|ISSUER|SIGNATURE|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|UNSPECIFIED|EPROTO/

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

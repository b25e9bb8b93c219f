/**
 * Redirects, for vendors that need them: as many as the request allows, under the rules of the first request at every
 * hop, and nothing secret ever crosses an origin.
 *
 * Methods and bodies go as RFC 9110, section 15.4, says and as every client does it: 303 turns what is no HEAD into a
 * GET, 301 and 302 turn a POST into one, 307 and 308 repeat the request as it was. To another origin goes only a GET or
 * a HEAD, with no header but those that say what is understood; a request that would take a body or a write elsewhere
 * is refused.
 */
import { ConnectFailed, InvalidResponse, type Reason, Timeout } from "../Reason.ts"
import type { Fate } from "../Safety.ts"
import * as HttpUrl from "./HttpUrl.ts"
import type { Receiver, ResponseHeaders, Send, TransportRequest } from "./Transport.ts"

/** Follows the redirects that a request allows; every hop goes through `send`. */
export const following = (send: Send): Send => (request, receiver) => {
  if (request.maxRedirects === 0) return send(request, receiver)
  const chain = new Chain(send, request, receiver)
  chain.start()
  return () => chain.cancel()
}

/** A request and those that it is redirected to, as one. */
class Chain implements Receiver {
  private readonly send: Send
  private readonly receiver: Receiver
  private request: TransportRequest
  private cancelHop: () => void = () => {}
  /** Where the answer that is being read redirects to. */
  private next: TransportRequest | InvalidResponse | undefined = undefined
  private hops = 0
  private isOver = false
  /** What became of the requests that were answered with a redirect. */
  private fate: Fate = "NotSent"

  constructor(send: Send, request: TransportRequest, receiver: Receiver) {
    this.send = send
    this.request = request
    this.receiver = receiver
  }

  start(): void {
    this.cancelHop = this.send(this.request, this)
  }

  cancel(): void {
    this.isOver = true
    this.cancelHop()
  }

  onSent(): void {
    if (this.hops === 0) this.receiver.onSent()
  }

  onHeaders(status: number, headers: ResponseHeaders): void {
    const { location } = headers
    if (!redirects.has(status) || location === undefined) return this.receiver.onHeaders(status, headers)
    if (++this.hops > this.request.maxRedirects) {
      this.next = new InvalidResponse(status, `redirected more than ${this.request.maxRedirects} times`)
    } else if (typeof location === "string") {
      this.next = redirected(this.request, status, location)
    } else {
      this.next = new InvalidResponse(status, "redirected to several places")
    }
    // A repetition was asked for, so this time nothing was done; any other redirect may follow a deed.
    if (this.fate !== "Unknown") this.fate = status === 307 || status === 308 ? "Rejected" : "Unknown"
    if (this.next instanceof InvalidResponse) {
      const reason = this.next
      this.cancelHop()
      queueMicrotask(() => {
        if (!this.isOver) this.receiver.onError(reason)
      })
    }
  }

  onProgress(): void {
    this.receiver.onProgress()
  }

  onEnd(body: Uint8Array): void {
    const { next } = this
    if (next === undefined) return this.receiver.onEnd(body)
    this.next = undefined
    this.request = next as TransportRequest
    // The connection that has brought the redirect is free one turn later, and is the one to follow it.
    const turn = setImmediate(() => this.start())
    this.cancelHop = () => clearImmediate(turn)
  }

  onError(reason: Reason): void {
    this.receiver.onError(this.hops === 0 ? reason : afterRedirect(reason, this.fate))
  }
}

/** What fails after a redirect may have been done before it. */
const afterRedirect = (reason: Reason, fate: Fate): Reason => {
  switch (reason._tag) {
    case "ConnectFailed":
      return new ConnectFailed(reason.failure, fate)
    case "Timeout":
      return reason.fate === "NotSent" ? new Timeout(reason.phase, reason.limitMillis, fate) : reason
    case "InvalidRequest":
      return new InvalidResponse(undefined, `redirected to where nothing can be sent: ${reason.issue}`)
    case "InvalidResponse":
    case "ResponseTooLarge":
    case "ConnectionLost":
    // A transport gives no others.
    case "CircuitOpen":
    case "RateLimitExceeded":
    case "BulkheadFull":
    case "Throttled":
    case "DeadlineExceeded":
    case "Unavailable":
    case "RateLimited":
    case "Conflict":
    case "Unauthorized":
    case "RequestRejected":
    case "CredentialUnavailable":
      return reason
  }
}

const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** The request that a redirect asks for, or why it is not made. No place is named: a vendor may have put a secret in it. */
const redirected = (
  request: TransportRequest,
  status: number,
  location: string
): TransportRequest | InvalidResponse => {
  const url = URL.parse(location, request.origin + request.path)
  if (url === null) return new InvalidResponse(status, "redirected to what is no URL")
  if (url.protocol !== "https:" && !(url.protocol === "http:" && request.origin.startsWith("http:"))) {
    return new InvalidResponse(status, "redirected to what is not https")
  }
  if (HttpUrl.hasUserInfo(url)) {
    return new InvalidResponse(status, "redirected to a URL with user info")
  }
  const toGet = status === 303
    ? request.method !== "GET" && request.method !== "HEAD"
    : (status === 301 || status === 302) && request.method === "POST"
  const method = toGet ? "GET" : request.method
  const body = toGet ? undefined : request.body
  const crosses = url.origin !== request.origin
  if (crosses && ((method !== "GET" && method !== "HEAD") || body !== undefined)) {
    return new InvalidResponse(status, "redirected with a write to another origin")
  }
  return {
    ...request,
    method,
    body,
    origin: url.origin,
    path: url.pathname + url.search,
    headers: crosses
      ? only(request.headers, (name) => harmless.has(name))
      : toGet
      ? only(request.headers, (name) => !name.startsWith("content-"))
      : request.headers
  }
}

/** What another origin may hear: what is understood, and who asks. */
const harmless: ReadonlySet<string> = new Set(["accept", "accept-encoding", "accept-language", "user-agent"])

const only = (headers: ReadonlyArray<string>, mayPass: (name: string) => boolean): ReadonlyArray<string> =>
  headers.filter((_, index) => mayPass(headers[index & ~1]!.toLowerCase()))

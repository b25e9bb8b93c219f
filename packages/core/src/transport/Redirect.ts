/**
 * Follows redirects, up to the request's limit. Every hop obeys the rules of the first request, and no secret crosses
 * to another origin.
 *
 * Methods and bodies follow RFC 9110, section 15.4, and the habits of all clients. 303 turns every request but a HEAD
 * into a GET; 301 and 302 turn a POST into one. 307 and 308 repeat the request unchanged. Another origin gets only a
 * GET or a HEAD, with content negotiation and `User-Agent` as its only headers. A redirect that would send a body or a
 * write to another origin is refused.
 */
import { ConnectFailed, InvalidResponse, type Reason, Timeout } from "../Reason.ts"
import type { Fate } from "../Safety.ts"
import * as HttpUrl from "./HttpUrl.ts"
import type { Receiver, ResponseHeaders, Send, TransportRequest } from "./Transport.ts"
import { isTransportReason } from "./TransportReason.ts"

/** Follows the redirects that a request allows; every hop goes through `send`. */
export const following = (send: Send): Send => (request, receiver) => {
  if (request.maxRedirects === 0) return send(request, receiver)
  const chain = new Chain(send, request, receiver)
  chain.start()
  return () => chain.cancel()
}

/** A request and its redirects, as one. */
class Chain implements Receiver {
  private readonly send: Send
  private readonly receiver: Receiver
  private request: TransportRequest
  private cancelHop: () => void = () => {}
  /** The target of the redirect whose body is being read. */
  private next: TransportRequest | InvalidResponse | undefined = undefined
  private hops = 0
  private isOver = false
  /** The fate of the requests that were answered with a redirect. */
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

  onQueued(): void {
    if (this.hops === 0) this.receiver.onQueued?.()
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
      this.next = new InvalidResponse(status, "redirected to several URLs")
    }
    // 307 and 308 ask for a repetition, so nothing was done yet; any other redirect may follow a completed write.
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
    // The connection that delivered the redirect is free one turn later, and can be reused.
    const turn = setImmediate(() => {
      const go = () => {
        if (!this.isOver) this.start()
      }
      this.cancelHop = () => {}
      if (this.receiver.onRedirect === undefined) go()
      else this.receiver.onRedirect(this.fate, go)
    })
    this.cancelHop = () => clearImmediate(turn)
  }

  onError(reason: Reason): void {
    this.receiver.onError(this.hops === 0 ? reason : afterRedirect(reason, this.fate))
  }
}

/** A failure after a redirect: the request before it may have had an effect. */
const afterRedirect = (reason: Reason, fate: Fate): Reason => {
  if (!isTransportReason(reason)) return reason
  switch (reason._tag) {
    case "ConnectFailed":
      return new ConnectFailed(reason.failure, fate)
    case "Timeout":
      return reason.fate === "NotSent" ? new Timeout(reason.phase, reason.limitMillis, fate) : reason
    case "InvalidRequest":
      return new InvalidResponse(undefined, `the redirect cannot be followed: ${reason.issue}`)
    case "InvalidResponse":
    case "ResponseTooLarge":
    case "ConnectionLost":
      return reason
  }
}

const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** The request that a redirect asks for, or why it is not made. The target is not named: it may hold a secret. */
const redirected = (
  request: TransportRequest,
  status: number,
  location: string
): TransportRequest | InvalidResponse => {
  const url = URL.parse(location, request.origin + request.path)
  if (url === null) return new InvalidResponse(status, "redirected to an invalid URL")
  if (url.protocol !== "https:" && !(url.protocol === "http:" && request.origin.startsWith("http:"))) {
    return new InvalidResponse(status, "redirected to a URL that is not https")
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

/** The headers that another origin may see: content negotiation and `User-Agent`. */
const harmless: ReadonlySet<string> = new Set(["accept", "accept-encoding", "accept-language", "user-agent"])

const only = (headers: ReadonlyArray<string>, mayPass: (name: string) => boolean): ReadonlyArray<string> =>
  headers.filter((_, index) => mayPass(headers[index & ~1]!.toLowerCase()))

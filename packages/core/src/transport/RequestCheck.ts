/**
 * Rejects requests that a server, or a proxy on the way, could read differently from their meaning. A line break in a
 * value starts another header, and a header about framing starts another request.
 */
import { InvalidRequest } from "../Reason.ts"
import * as Headers from "./Headers.ts"
import type { MessageLimits } from "./MessageLimits.ts"
import type { Send, TransportRequest } from "./Transport.ts"

/** Passes valid requests on to `send`; the receiver of any other request gets an `InvalidRequest`. */
export const checked = (limits: MessageLimits, send: Send): Send => (request, receiver) => {
  const invalid = check(request, limits)
  if (invalid === undefined) return send(request, receiver)
  let isCancelled = false
  queueMicrotask(() => {
    if (!isCancelled) receiver.onError(invalid)
  })
  return () => {
    isCancelled = true
  }
}

/** The flaw of a request; it names the place, never the value. */
export const check = (request: TransportRequest, limits: MessageLimits): InvalidRequest | undefined => {
  const { body, headers, method, origin, path } = request
  if (!Headers.isToken(method) || method === "CONNECT") return new InvalidRequest("invalid method")
  if (body !== undefined && body.length > 0 && bodiless.has(method)) {
    return new InvalidRequest(`a ${method} must not have a body`)
  }
  if (typeof body === "string" && half.test(body)) return new InvalidRequest("the body holds half a surrogate pair")
  if (!target.test(path)) return new InvalidRequest("the path holds characters that must be encoded")
  if (origin.length + path.length > limits.maxUrlLength) {
    return new InvalidRequest(`the URL is longer than ${limits.maxUrlLength} characters`)
  }
  return checkHeaders(headers, limits)
}

const checkHeaders = (headers: ReadonlyArray<string>, limits: MessageLimits): InvalidRequest | undefined => {
  let bytes = 0
  let singular = 0
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    const value = headers[i + 1]
    const kind = kindOf(name)
    if (kind === notToken) return new InvalidRequest("invalid header name")
    if (kind === framing) return new InvalidRequest(`the header ${name} must not be set by the caller`)
    if (value === undefined) return new InvalidRequest(`the header ${name} has no value`)
    if (!Headers.isFieldValue(value)) {
      return new InvalidRequest(`the header ${name} holds characters that cannot be sent`)
    }
    if (kind > framing) {
      if ((singular & kind) !== 0) return new InvalidRequest(`the header ${name} is set twice`)
      singular |= kind
    }
    // As written: name, colon, space, value, line break.
    bytes += name.length + value.length + 4
  }
  return bytes > limits.maxRequestHeaderBytes
    ? new InvalidRequest(`the headers are larger than ${limits.maxRequestHeaderBytes} bytes`)
    : undefined
}

/** UTF-8 cannot carry it (RFC 3629, section 3), and the encoder would replace it. */
const half = /\p{Surrogate}/u

/** A path and a query, without a fragment. */
const target = /^\/[\x21\x22\x24-\x7e]*$/

/** A server that expects no body reads its bytes as the next request. */
const bodiless: ReadonlySet<string> = new Set(["GET", "HEAD", "TRACE"])

/** Headers that control the end of a message, its target or its connection (RFC 9110, section 7.6.1). */
const framingNames: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade"
])

// Kinds above `framing` are bits, one for each header that must not appear twice.
const ordinary = 0
const notToken = 1
const framing = 2
const singularNames: ReadonlyMap<string, number> = new Map([["authorization", 4], ["content-type", 8]])

/** Caches the kinds of names: there are few names, and every request uses them. */
const kinds = new Map<string, number>()
const maxKinds = 1_000

const kindOf = (name: string): number => {
  const known = kinds.get(name)
  if (known !== undefined) return known
  const lower = name.toLowerCase()
  const kind = !Headers.isToken(name)
    ? notToken
    : framingNames.has(lower)
    ? framing
    : singularNames.get(lower) ?? ordinary
  if (kinds.size < maxKinds) kinds.set(name, kind)
  return kind
}

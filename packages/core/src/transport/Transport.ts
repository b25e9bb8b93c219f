/**
 * The socket, as the rest of the house sees it: one request, one whole answer or one reason, cancellable at any moment.
 * It knows nothing of vendors, policies or schemas.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type { Reason } from "../Reason.ts"

export { header } from "./Headers.ts"

/** A request, ready to be written. */
export interface TransportRequest {
  readonly method: string
  /** Scheme, host and port. */
  readonly origin: string
  /** Path and query, encoded; begins with a slash. */
  readonly path: string
  /** Names and values in turn. */
  readonly headers: ReadonlyArray<string>
  readonly body: string | Uint8Array | undefined
  /** How long a new connection may take to come about, in milliseconds. */
  readonly connectTimeoutMillis: number
  /** The largest body that is read, as it travels and as it is unpacked. */
  readonly maxBodyBytes: number
  /** How many redirects are followed; 0 for none. */
  readonly maxRedirects: number
}

/** Header names in lower case; a name that came several times has several values. */
export type ResponseHeaders = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

/**
 * Hears what becomes of a request: `onSent`, `onHeaders`, `onProgress` for each piece of the body and `onEnd` in this
 * order, or `onError` after any of them.
 */
export interface Receiver {
  /** There is a connection, and the first byte is about to leave. Not told again when a redirect is followed. */
  onSent(): void
  /** Status and headers of the answer have come; not of a redirect that is followed. */
  onHeaders(status: number, headers: ResponseHeaders): void
  /** A piece of the body has come. */
  onProgress(): void
  /** The body is whole. */
  onEnd(body: Uint8Array): void
  /** There will be no answer. */
  onError(reason: Reason): void
}

/**
 * Starts a request. The receiver is never called before `send` has returned, and never after the returned function has
 * been called, which ends the request and gives back its socket.
 */
export type Send = (request: TransportRequest, receiver: Receiver) => () => void

export class Transport
  extends Context.Service<Transport, { readonly send: Send }>()("breakwater/transport/Transport")
{}

/** The environment does not let the transport be what it promises, or it cannot be understood; no value is shown. */
export class TransportMisconfigured extends Data.TaggedError("TransportMisconfigured")<{
  readonly message: string
}> {}

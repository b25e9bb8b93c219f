/**
 * The transport interface: one request, one complete response or one reason, cancellable at any time. It knows nothing
 * of vendors, policies or schemas.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type { Reason } from "../Reason.ts"
import type { Fate } from "../Safety.ts"

export { header } from "./Headers.ts"

/** A request, ready to be sent. */
export interface TransportRequest {
  readonly method: string
  /** Scheme, host and port. */
  readonly origin: string
  /** Path and query, encoded; begins with a slash. */
  readonly path: string
  /** Names and values in turn. */
  readonly headers: ReadonlyArray<string>
  readonly body: string | Uint8Array | undefined
  /** The limit for a new connection, in milliseconds. */
  readonly connectTimeoutMillis: number
  /** The largest body in bytes, both as received and decompressed. */
  readonly maxBodyBytes: number
  /** The most redirects followed; 0 for none. */
  readonly maxRedirects: number
}

/** Header names in lower case; a repeated header has several values. */
export type ResponseHeaders = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

/**
 * Receives the progress of a request: `onSent`, `onHeaders`, `onProgress` for each piece of the body and `onEnd` in
 * this order, or `onError` after any of them.
 */
export interface Receiver {
  /** All connections are in use, and the request waits for one. @default not told */
  onQueued?(): void
  /**
   * The response is a redirect that is followed: `go` sends the next request, at once or later. `fate` is what became of
   * the requests so far. @default at once
   */
  onRedirect?(fate: Fate, go: () => void): void
  /** A connection is ready, and the first byte is about to be sent. Not repeated for a redirect that is followed. */
  onSent(): void
  /** Status and headers of the response have arrived. Not called for a redirect that is followed. */
  onHeaders(status: number, headers: ResponseHeaders): void
  /** A piece of the body has arrived. */
  onProgress(): void
  /** The body is complete. */
  onEnd(body: Uint8Array): void
  /** The request has failed; no response follows. */
  onError(reason: Reason): void
}

/**
 * Starts a request and returns a function that cancels it and releases its socket. The receiver is never called before
 * `send` has returned, and never after the request was cancelled.
 */
export type Send = (request: TransportRequest, receiver: Receiver) => () => void

export class Transport extends Context.Service<Transport, {
  readonly send: Send
  /**
   * Why the settings of this transport rule out every request to a base URL, as a sentence that names the option;
   * `undefined` if they do not. Clients ask when they are made.
   * @default plain http is for this machine only
   */
  readonly refusal?: ((baseUrl: URL) => string | undefined) | undefined
}>()("breakwater/transport/Transport") {}

/** Unsafe or invalid settings in the environment. The message shows no value. */
export class TransportMisconfigured extends Data.TaggedError("TransportMisconfigured")<{
  readonly message: string
}> {}

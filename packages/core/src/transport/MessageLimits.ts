/** Limits on requests and responses, apart from the size of their bodies, and the switch for compressed bodies. */
import * as Range from "../Range.ts"

export interface MessageOptions {
  /**
   * The longest URL sent, in characters; a whole number of at least 1.
   * @default 8_192 (RFC 9110, section 4.1: support at least 8000)
   */
  readonly maxUrlLength?: number | undefined
  /**
   * The largest headers sent, in bytes; a whole number of at least 1. @default 16_384 (the limit of a server in Node)
   */
  readonly maxRequestHeaderBytes?: number | undefined
  /** The most headers of a response; a whole number of at least 1. @default 256 */
  readonly maxResponseHeaders?: number | undefined
  /**
   * Whether responses may be compressed: gzip, deflate, br or zstd. If `false`, a compressed response is rejected.
   * @default true
   */
  readonly compression?: boolean | undefined
}

/** The options, complete. */
export interface MessageLimits {
  readonly maxUrlLength: number
  readonly maxRequestHeaderBytes: number
  readonly maxResponseHeaders: number
  readonly compression: boolean
}

/** Completes the options. Throws if one is out of its range. */
export const make = (options: MessageOptions): MessageLimits => ({
  maxUrlLength: Range.whole("UndiciTransport: maxUrlLength", options.maxUrlLength ?? 8_192, 1),
  maxRequestHeaderBytes: Range.whole(
    "UndiciTransport: maxRequestHeaderBytes",
    options.maxRequestHeaderBytes ?? 16_384,
    1
  ),
  maxResponseHeaders: Range.whole("UndiciTransport: maxResponseHeaders", options.maxResponseHeaders ?? 256, 1),
  compression: options.compression ?? true
})

/** How large requests and answers may be, apart from their bodies, and whether bodies may come packed. */
import * as Range from "../Range.ts"

export interface MessageOptions {
  /** The longest URL that is sent, in characters; a whole number of at least 1. @default 8_192 (RFC 9110, section 4.1, asks of everybody to take 8000) */
  readonly maxUrlLength?: number | undefined
  /** The largest headers that are sent, in bytes; a whole number of at least 1. @default 16_384 (what a server in Node takes) */
  readonly maxRequestHeaderBytes?: number | undefined
  /** How many headers an answer may have; a whole number of at least 1. @default 256 (ours) */
  readonly maxResponseHeaders?: number | undefined
  /**
   * Whether bodies may come packed: gzip, deflate, br or zstd. Where they may not, an answer that is packed nevertheless is
   * no answer. @default true (ours)
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

/** Completes the options. Throws when one is out of its range. */
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

/**
 * The text of a body. It is read as UTF-8 and no other charset, even where its media type names one (RFC 9110, section
 * 8.3.2); JSON allows no other (RFC 8259, section 8.1). A shape or a log that only looks at the first bytes reads them one by one.
 */

/**
 * Reads a body as the web does ("UTF-8 decode" of the Encoding Standard): drops one byte order mark, and puts U+FFFD in
 * place of bytes that are not UTF-8.
 */
export const text = (body: Uint8Array): string => lenient.decode(body)

/** Reads a body that has to be UTF-8, byte order mark and all; `undefined` when it is not. */
export const strictText = (body: Uint8Array): string | undefined => {
  try {
    return strict.decode(body)
  } catch {
    return undefined
  }
}

/** The first bytes of a body as one character each (ISO 8859-1), for a body that may be anything. */
export const head = (body: Uint8Array, bytes: number): string =>
  Buffer.from(body.buffer, body.byteOffset, Math.min(body.byteLength, bytes)).toString("latin1")

const lenient = new TextDecoder()
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

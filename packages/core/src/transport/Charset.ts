/**
 * The text of a body, always read as UTF-8, even if its media type names another charset (RFC 9110, section 8.3.2).
 * JSON allows no other charset (RFC 8259, section 8.1). A shape or a log that needs only the first bytes reads each as
 * one character.
 */

/**
 * Decodes a body like the web ("UTF-8 decode" of the Encoding Standard): drops one byte order mark, and replaces
 * invalid bytes with U+FFFD.
 */
export const text = (body: Uint8Array): string => lenient.decode(body)

/** Decodes a body that must be UTF-8, and keeps its byte order mark; `undefined` if it is not UTF-8. */
export const strictText = (body: Uint8Array): string | undefined => {
  try {
    return strict.decode(body)
  } catch {
    return undefined
  }
}

/** The first bytes of any body, each as one character (ISO 8859-1). */
export const head = (body: Uint8Array, bytes: number): string =>
  Buffer.from(body.buffer, body.byteOffset, Math.min(body.byteLength, bytes)).toString("latin1")

const lenient = new TextDecoder()
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

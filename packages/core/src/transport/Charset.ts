/**
 * The text of a body, in the charset that it is in: by its byte order mark, by its media type (RFC 9110, section 8.3.2),
 * by an XML declaration (RFC 7303, section 3.2), else UTF-8. Bytes that are no text in that charset are never replaced.
 * A shape or a log that needs only the first bytes reads each as one character.
 */

/**
 * Decodes a body, without its byte order mark; `undefined` if the bytes are not a text in that charset, or if the
 * charset has no name of the Encoding Standard.
 */
export const text = (body: Uint8Array, contentType?: string): string | undefined =>
  decode(body, markOf(body) ?? charsetOf(contentType) ?? xmlCharsetOf(body, contentType) ?? "utf-8")

/** Decodes a body that must be UTF-8, and keeps its byte order mark; `undefined` if it is not UTF-8. */
export const strictText = (body: Uint8Array): string | undefined => {
  try {
    return strict.decode(body)
  } catch {
    return undefined
  }
}

/** Decodes a body in a charset, without its byte order mark; `undefined` if that is impossible. */
export const decode = (body: Uint8Array, charset: string): string | undefined => {
  try {
    return new TextDecoder(charset, { fatal: true }).decode(body)
  } catch {
    return undefined
  }
}

/** The charset that a media type names; `undefined` if it names none. */
export const charsetOf = (contentType = ""): string | undefined =>
  /;\s*charset\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s;]*))/i.exec(contentType)?.slice(1).find((name) => name !== undefined)

/** The first bytes of any body, each as one character (ISO 8859-1). */
export const head = (body: Uint8Array, bytes: number): string =>
  Buffer.from(body.buffer, body.byteOffset, Math.min(body.byteLength, bytes)).toString("latin1")

/** A byte order mark overrides every declaration (Encoding Standard, section 6). */
const markOf = ([first, second, third]: Uint8Array): string | undefined => {
  if (first === 0xef && second === 0xbb && third === 0xbf) return "utf-8"
  if (first === 0xfe && second === 0xff) return "utf-16be"
  return first === 0xff && second === 0xfe ? "utf-16le" : undefined
}

const xmlCharsetOf = (body: Uint8Array, contentType = ""): string | undefined =>
  /^[^;]*[/+]xml\s*(?:;|$)/i.test(contentType)
    ? /^<\?xml[^>]*?\sencoding\s*=\s*["']([\w.:-]+)["']/.exec(head(body, 256))?.[1]
    : undefined

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

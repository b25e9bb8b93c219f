/**
 * Parses JSON bodies (RFC 8259). Clients, secret sources, simulators and recordings share it, so all of them accept the
 * same bodies.
 */
import * as Charset from "./Charset.ts"

/**
 * The value of a body; `undefined` if it is not JSON in UTF-8. Ignores one byte order mark at the start, as section 8.1
 * permits.
 */
export const parse = (body: Uint8Array): unknown => {
  const text = Charset.strictText(body)
  return text === undefined ? undefined : parseText(text.charCodeAt(0) === byteOrderMark ? text.slice(1) : text)
}

/** The value of a text without a byte order mark; `undefined` if it is not JSON. */
export const parseText = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const byteOrderMark = 0xfeff

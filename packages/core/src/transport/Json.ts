/**
 * The JSON of a body (RFC 8259). Clients, secret sources, simulators and recordings read it here, so that all of them
 * understand the same bodies.
 */
import * as Charset from "./Charset.ts"

/**
 * The value of a body; `undefined` when it is not JSON in UTF-8. One byte order mark before it is ignored, as section 8.1
 * lets every parser do.
 */
export const parse = (body: Uint8Array): unknown => {
  const text = Charset.strictText(body)
  return text === undefined ? undefined : parseText(text.charCodeAt(0) === byteOrderMark ? text.slice(1) : text)
}

/** The value of a text without a byte order mark; `undefined` when it is not JSON. */
export const parseText = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const byteOrderMark = 0xfeff

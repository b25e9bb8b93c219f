/**
 * Parses JSON bodies (RFC 8259). Clients, secret sources, simulators and recordings share it, so all of them accept the
 * same bodies. An integer that a double would change becomes a text of its digits: a schema that expects a number
 * rejects it, and `ExactInteger` reads it.
 */
import * as Charset from "./Charset.ts"

/**
 * The value of a body; `undefined` if it is not JSON. It is read as UTF-8 (section 8.1), and if it is not UTF-8, in the
 * charset of its content type. Ignores one byte order mark at the start, as that section permits.
 */
export const parse = (body: Uint8Array, contentType?: string): unknown => {
  const text = Charset.strictText(body)
  const value = text === undefined ? undefined : parseText(text)
  const charset = value === undefined ? Charset.charsetOf(contentType) : undefined
  return charset === undefined ? value : parseText(Charset.decode(body, charset) ?? "")
}

/** The value of a text, with or without a byte order mark; `undefined` if it is not JSON. */
export const parseText = (given: string): unknown => {
  const text = given.charCodeAt(0) === byteOrderMark ? given.slice(1) : given
  try {
    const value: unknown = JSON.parse(text)
    return maybeInexact.test(text) ? JSON.parse(text.replace(tokens, exact)) : value
  } catch {
    return undefined
  }
}

/** An integer of fewer digits is always exact. */
const maybeInexact = /\d{16}/

/** Strings and numbers of a text that is known to be JSON. */
const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g

const exact = (token: string): string => {
  if (!/^-?\d{16,}$/.test(token) || isExact(token)) return token
  return token.length <= longest ? `"${token}"` : `${token.startsWith("-") ? "-" : ""}1e999`
}

/** No id has more digits: 128 bits are 39. A longer integer is infinite, which no schema takes for a number or a text. */
const longest = 40

/** Whether a double holds an integer, or is at least written as the same digits again. */
const isExact = (digits: string): boolean => {
  const number = Number(digits)
  return Number.isFinite(number) && (String(number) === digits || BigInt(number) === BigInt(digits))
}

const byteOrderMark = 0xfeff

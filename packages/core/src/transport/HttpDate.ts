/**
 * Dates of HTTP (RFC 9110, section 5.6.7), as Unix time in milliseconds. `Date.parse` alone accepts almost any text
 * with a number in it (`5` is the year 2001). It also reads asctime, the format without a zone, as local time.
 */
import { header } from "./Headers.ts"
import type { ResponseHeaders } from "./Transport.ts"

/** Reads a date in any of the three formats that a recipient must accept; `undefined` for any other text. */
export const parse = (text: string): number | undefined => {
  const dated = zoned.test(text) ? text : asctime.test(text) ? `${text} GMT` : undefined
  const millis = dated === undefined ? NaN : Date.parse(dated)
  return Number.isNaN(millis) ? undefined : millis
}

/** The time of a response by its server's clock (section 6.6.1); `undefined` if it has no valid `Date`. */
export const ofResponse = (headers: ResponseHeaders): number | undefined => parse(header(headers, "date") ?? "")

/** IMF-fixdate, and the format of RFC 850. */
const zoned = /^[A-Z][a-z]+, \d{1,2}[ -][A-Z][a-z]{2}[ -]\d{2,4} \d{2}:\d{2}:\d{2} GMT$/

const asctime = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/

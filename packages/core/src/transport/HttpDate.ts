/**
 * Dates of HTTP (RFC 9110, section 5.6.7), as Unix time in milliseconds. `Date.parse` alone takes almost any text with a
 * number in it for a date (`5` is the year 2001), and reads asctime, the format without a zone, in local time.
 */
import { header } from "./Headers.ts"
import type { ResponseHeaders } from "./Transport.ts"

/** Reads a date in any of the three formats that a recipient must accept; `undefined` for any other text. */
export const parse = (text: string): number | undefined => {
  const dated = zoned.test(text) ? text : asctime.test(text) ? `${text} GMT` : undefined
  const millis = dated === undefined ? NaN : Date.parse(dated)
  return Number.isNaN(millis) ? undefined : millis
}

/** When a response was made, by the clock of its server (section 6.6.1); `undefined` where it does not say. */
export const ofResponse = (headers: ResponseHeaders): number | undefined => parse(header(headers, "date") ?? "")

/** IMF-fixdate, and the format of RFC 850. */
const zoned = /^[A-Z][a-z]+, \d{1,2}[ -][A-Z][a-z]{2}[ -]\d{2,4} \d{2}:\d{2}:\d{2} GMT$/

const asctime = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/

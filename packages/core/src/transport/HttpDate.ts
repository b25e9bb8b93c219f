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

/**
 * Reads an ISO date with a zone (RFC 3339, section 5.6), which some servers write instead; `undefined` for any other
 * text. A date without a zone is not a time.
 */
export const parseIso = (text: string): number | undefined => {
  const parts = iso.exec(text.toUpperCase())
  if (parts === null) return undefined
  const [, day = "", time = "", seconds = ":00", zone = ""] = parts
  // The engine reads the 31st of February as the 3rd of March.
  const midnight = Date.parse(day)
  if (Number.isNaN(midnight) || !new Date(midnight).toISOString().startsWith(day)) return undefined
  // The engine reads three decimals at most everywhere, and a zone with a colon.
  const millis = Date.parse(`${day}T${time}${seconds.slice(0, 7)}${zone.replace(/(\d\d)(\d\d)$/, "$1:$2")}`)
  return Number.isNaN(millis) ? undefined : millis
}

/** The time of a response by its server's clock (section 6.6.1); `undefined` if it has no valid `Date`. */
export const ofResponse = (headers: ResponseHeaders): number | undefined => parse(header(headers, "date") ?? "")

/** IMF-fixdate, and the format of RFC 850. */
const zoned = /^[A-Z][a-z]+, \d{1,2}[ -][A-Z][a-z]{2}[ -]\d{2,4} \d{2}:\d{2}:\d{2} GMT$/

const asctime = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/

const iso = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d(?:\.\d+)?)? ?(Z|[+-]\d\d:?\d\d)$/

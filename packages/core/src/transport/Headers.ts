/**
 * Header fields (RFC 9110, section 5): reads one from a response, and checks which names and values are safe to send.
 */
import type { ResponseHeaders } from "./Transport.ts"

/** The value of a header, by its name in lower case; the first value of a repeated header. */
export const header = (headers: ResponseHeaders, name: string): string | undefined => {
  const value = headers[name]
  return value === undefined || typeof value === "string" ? value : value[0]
}

/**
 * The values of a header, by its name in lower case: those of each line, and the members of a list (section 5.6.1). The
 * comma behind the day of a date is not one between members. A header without a value has one that is empty.
 */
export const headerValues = (headers: ResponseHeaders, name: string): ReadonlyArray<string> => {
  const lines = headers[name]
  if (lines === undefined) return []
  return (typeof lines === "string" ? [lines] : lines).flatMap((line) => {
    const members = line.split(comma).map((member) => member.trim()).filter((member) => member !== "")
    return members.length === 0 ? [""] : members
  })
}

/** Whether a text is a token (section 5.6.2): the name of a header (section 5.1) or a method (section 9.1). */
export const isToken = (text: string): boolean => token.test(text)

/**
 * Whether a value arrives as it was sent: visible ASCII with spaces and tabs inside, none at either end. This is
 * stricter than section 5.5, which leaves bytes beyond ASCII to each reader and lets every reader strip spaces.
 */
export const isFieldValue = (value: string): boolean =>
  !invisible.test(value) && !isBlank(value.charCodeAt(0)) && !isBlank(value.charCodeAt(value.length - 1))

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

const invisible = /[^\t\x20-\x7e]/

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09

const comma = /(?<!\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*),/

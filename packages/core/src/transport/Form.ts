/**
 * Parses bodies of forms (URL Standard, section 5.1), in the charset of their content type. `URLSearchParams` replaces
 * what is not UTF-8.
 */
import * as Charset from "./Charset.ts"

/** The names and values of a form, in order; `undefined` if one is no text in the form's charset. */
export const parse = (
  body: Uint8Array,
  contentType?: string
): ReadonlyArray<readonly [name: string, value: string]> | undefined => {
  const charset = Charset.charsetOf(contentType) ?? "utf-8"
  const fields: Array<readonly [string, string]> = []
  for (const field of Buffer.from(body).toString("latin1").split("&")) {
    if (field === "") continue
    const end = field.indexOf("=")
    const name = decode(end < 0 ? field : field.slice(0, end), charset)
    const value = decode(end < 0 ? "" : field.slice(end + 1), charset)
    if (name === undefined || value === undefined) return undefined
    fields.push([name, value])
  }
  return fields
}

const decode = (part: string, charset: string): string | undefined => {
  const bytes = part.replaceAll("+", " ").replace(
    /%([0-9a-f]{2})/gi,
    (_, code) => String.fromCharCode(parseInt(code, 16))
  )
  return Charset.decode(Buffer.from(bytes, "latin1"), charset)
}

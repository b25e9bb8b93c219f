/**
 * What an answer looked like, without anything it said: names and types, no values. Safe to log.
 */

/** Characters of a shape, how deep it goes, and how many fields or items of one level it shows (ours). */
const maxLength = 1_000
const maxDepth = 4
const maxItems = 20

/** The shape of a JSON value, bounded in depth, width and length. */
export const ofJson = (json: unknown): string => clip(shape(json, 0))

/** The shape of a body that is no JSON. */
export const ofBytes = (bytes: Uint8Array, contentType: string | undefined): string => {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 256)).toString("latin1")
  const kind = bytes.byteLength === 0 ? "empty" : /^\s*<(?:!doctype html|html)/i.test(head) ? "html" : "not json"
  return clip(`<${kind}, ${bytes.byteLength} bytes, ${mediaType(contentType)}>`)
}

/** A media type is a vendor's word too: only what one can look like is repeated. */
const mediaType = (contentType: string | undefined): string =>
  /^[\w.+-]+\/[\w.+-]+/.exec(contentType ?? "")?.[0].slice(0, 60) ?? "no content type"

const shape = (json: unknown, depth: number): string => {
  if (json === null) return "null"
  if (Array.isArray(json)) {
    return json.length === 0 ? "[]" : depth >= maxDepth ? "[…]" : `[${shape(json[0], depth + 1)} × ${json.length}]`
  }
  if (typeof json !== "object") return typeof json
  if (depth >= maxDepth) return "{…}"
  const keys = Object.keys(json)
  const shown = keys.slice(0, maxItems).map((key) =>
    `${isName(key) ? key : "<key>"}: ${shape((json as Record<string, unknown>)[key], depth + 1)}`
  )
  return `{ ${[...shown, ...(keys.length > maxItems ? ["…"] : [])].join(", ")} }`
}

/** Whether a key looks like a field's name. It can also be data (an id, an address), which is not to be repeated. */
export const isName = (key: string): boolean => /^[A-Za-z_$][\w$-]{0,39}$/.test(key)

const clip = (text: string): string => text.length <= maxLength ? text : `${text.slice(0, maxLength - 1)}…`

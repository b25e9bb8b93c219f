/**
 * The shape of a response, safe to log: names and types of its fields, without any value.
 */
import * as Redaction from "../Redaction.ts"
import * as Charset from "../transport/Charset.ts"

/** The most characters of a shape, its greatest depth, and the most fields or items shown per level. */
const maxLength = 1_000
const maxDepth = 4
const maxItems = 20

/** The shape of a JSON value, bounded in depth, width and length. */
export const ofJson = (json: unknown): string => clip(shape(json, 0))

/** The shape of a body that is not JSON. */
export const ofBytes = (bytes: Uint8Array, contentType: string | undefined): string => {
  const head = Charset.head(bytes, 256)
  const kind = bytes.byteLength === 0 ? "empty" : /^\s*<(?:!doctype html|html)/i.test(head) ? "html" : "not json"
  return clip(`<${kind}, ${bytes.byteLength} bytes, ${mediaType(contentType)}>`)
}

/** A media type comes from the vendor too, so only well-known types are repeated. */
const mediaType = (contentType: string | undefined): string => {
  const [, type = "", subtype = ""] = /^([a-z]+)\/([a-z0-9.+-]+)(?![^;\s])/i.exec(contentType ?? "") ?? []
  if (type === "") return "no content type"
  if (!mainTypes.test(type)) return "another content type"
  return `${type}/${subtypes.test(subtype) ? subtype : "…"}`.toLowerCase()
}

/** The top-level types of IANA's registry, and the subtypes that APIs answer with. */
const mainTypes = /^(?:application|audio|font|image|message|model|multipart|text|video)$/i
const subtypes =
  /^(?:json|xml|html|plain|css|csv|javascript|octet-stream|pdf|png|jpeg|gif|webp|svg\+xml|zip|gzip|protobuf|ndjson|x-ndjson|yaml|event-stream|form-data|mixed|x-www-form-urlencoded|(?:problem|hal|ld|geo|soap|atom|rss|vnd\.api)\+(?:json|xml))$/i

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

/**
 * Whether a key looks like a field's name. A key can also be data (an id, an address, a secret), which must not be
 * repeated. A name has no long run of digits and letters mixed.
 */
export const isName = (key: string): boolean =>
  /^[A-Za-z_$][\w$-]{0,39}$/.test(key) && Redaction.text(key) === key && !mixed.test(key)

/** Ids and secrets of any vendor: twelve characters in which digits appear between letters more than once. */
const mixed = /(?=[A-Za-z0-9]{12})[A-Za-z]*\d+[A-Za-z]+\d+[A-Za-z0-9]*/

const clip = (text: string): string => text.length <= maxLength ? text : `${text.slice(0, maxLength - 1)}…`

/**
 * Removes secrets from headers, URLs, JSON and text before they are logged or recorded. Headers pass by an allow-list.
 * Queries, forms and JSON are judged by field names and the shapes of values. Free text is judged by shapes and by
 * anything that looks like a field. It accepts any input, never throws, and takes time in proportion to the input.
 *
 * It is the second safety net, not the first: a secret is `Redacted` from its source to its header and never reaches a
 * log. A secret with neither a telling name nor a shape of its own is missed; {@link survives} finds secrets that are
 * known. Limits without a source are our own judgement.
 *
 * @example
 * ```ts
 * import { Redaction } from "@breakwater/core"
 *
 * console.log(Redaction.url("https://ada:lovelace@api.example/v1/orders?limit=5&access_token=t-17#top"))
 * // => https://<redacted>@api.example/v1/orders?limit=5&access_token=<redacted>
 * console.log(Redaction.json({ id: "pi_17", card: { brand: "visa", number: "4242" } }))
 * // => { id: 'pi_17', card: { brand: 'visa', number: '<redacted>' } }
 * console.log(Redaction.survives("token: YWRhOmxvdmVsYWNl", ["lovelace"]))
 * // => { encoding: 'base64', secret: 0 }
 * ```
 */
import * as Redacted from "effect/Redacted"
import * as Names from "./Redaction/Names.ts"
import * as Shapes from "./Redaction/Shapes.ts"

export { type Encoding, type Survival, survives } from "./Redaction/Search.ts"

/** Is told each text that was hidden as a whole. */
export type OnHidden = (secret: string) => void

const nobody: OnHidden = () => {}

/** The text that replaces a secret. */
export const redacted = Shapes.redacted

// ------------------------------------------------------------------------------------------------------------ headers

/**
 * The headers whose values are shown; all others are hidden. They are grouped by purpose, and none can hold a secret.
 */
const shownHeaders: ReadonlyArray<string> = [
  // The encoding of the body.
  "content-type",
  "content-length",
  "content-encoding",
  "content-language",
  "transfer-encoding",
  "accept",
  "accept-encoding",
  "accept-language",
  "accept-charset",
  "accept-ranges",
  "vary",
  "allow",
  // Dates and validity.
  "date",
  "age",
  "expires",
  "last-modified",
  "etag",
  "cache-control",
  "deprecation",
  "sunset",
  // Time to wait.
  "retry-after",
  // Ids by which the vendor's support finds a request.
  "request-id",
  "x-request-id",
  "x-correlation-id",
  "x-amzn-requestid",
  "x-amz-request-id",
  "cf-ray",
  "traceparent",
  // The parties and the connection.
  "user-agent",
  "server",
  "host",
  "connection",
  "keep-alive"
]

const shown = new Set(shownHeaders)
/** Headers that are a URL, or contain URLs in angle brackets (RFC 8288). */
const locations = new Set(["location", "content-location", "link"])

const none: ReadonlySet<string> = new Set()

/**
 * The value of a header, hidden unless it may be shown. `also` lists further names, in lower case, whose values may be
 * shown.
 */
export const header = (name: string, value: string, also = none): string => {
  const lower = name.toLowerCase()
  if (locations.has(lower)) {
    return lower === "link" ? value.replaceAll(/<([^<>]*)>/g, (_, link) => `<${url(link as string)}>`) : url(value)
  }
  return shown.has(lower) || also.has(lower) || /^(?:x-)?ratelimit(?:-[a-z-]{1,40})?$/.test(lower)
    ? Shapes.hideDefinite(value)
    : redacted
}

/** The name of a header. An invalid name is arbitrary text from the vendor and may repeat a secret, so it is hidden. */
const headerName = (name: string): string =>
  /^[\w-]{1,64}$/.test(name) && !Shapes.isSecret(name) ? name.toLowerCase() : redacted

/** Headers with lower-case names and only those values that may be shown. */
export const headers = (
  given: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>,
  also = none
): Record<string, string | ReadonlyArray<string>> =>
  Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) =>
      value === undefined
        ? []
        : [[
          headerName(name),
          typeof value === "string" ? header(name, value, also) : value.map((one) => header(name, one, also))
        ]]
    )
  )

// --------------------------------------------------------------------------------------------------------- URLs, forms

/**
 * A URL, or a path with a query: without user info and fragment, and without the secrets in its query and path. It is
 * neither parsed nor normalised, so it need not be valid.
 */
export const url = (given: string, onHidden: OnHidden = nobody): string => {
  // RFC 3986, appendix B.
  const [, scheme = "", authority = "", path = "", query] =
    /^([A-Za-z][A-Za-z0-9+.-]{0,60}:)?(\/\/[^/?#]*)?([^?#]*)(?:\?([^#]*))?/.exec(given) ?? []
  const at = authority.lastIndexOf("@")
  const host = at < 0 ? authority : `//${redacted}@${authority.slice(at + 1)}`
  return scheme + Shapes.hide(host) + Shapes.hide(path).split("/").map(segment).join("/") +
    (query === undefined ? "" : `?${form(query, onHidden)}`)
}

const segment = (given: string): string => Shapes.isSecret(decode(given)) ? redacted : given

/** A query or a form body, `a=1&b[c]=2`. Parts without a secret stay as they were. */
export const form = (given: string, onHidden: OnHidden = nobody): string =>
  given.split("&").map((one) => pair(one, onHidden)).join("&")

const pair = (given: string, onHidden: OnHidden): string => {
  const equals = given.indexOf("=")
  if (equals < 0) return segment(given)
  const name = given.slice(0, equals)
  const value = decode(given.slice(equals + 1))
  return `${segment(name)}=${field(decode(name), "", value, onHidden) === value ? given.slice(equals + 1) : redacted}`
}

/** Percent-decoding that leaves an invalid encoding as it is. */
const decode = (text: string): string => {
  const spaced = text.replaceAll("+", " ")
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced
  }
}

// --------------------------------------------------------------------------------------------------------------- JSON

/** The greatest depth of a value that is shown, and the greatest number of its fields and items. */
const maxDepth = 32
const maxNodes = 100_000

/**
 * A copy of any value, without the secrets in its fields. Values that are not JSON work too: a cycle, a getter that
 * throws, bytes and functions are replaced by a note that says so.
 */
export const json = (given: unknown, onHidden: OnHidden = nobody): unknown => new Copy(onHidden).of(given, "", "", 0)

class Copy {
  private readonly onHidden: OnHidden
  private nodes = 0
  private readonly above = new Set<object>()

  constructor(onHidden: OnHidden) {
    this.onHidden = onHidden
  }

  of(value: unknown, name: string, parent: string, depth: number): unknown {
    if (++this.nodes > maxNodes) return "<more>"
    switch (typeof value) {
      case "string":
        return field(name, parent, value, this.onHidden)
      case "number":
        return number(name, parent, value)
      case "bigint":
        return number(name, parent, value.toString())
      case "object":
        return value === null ? null : this.object(value, name, parent, depth)
      case "boolean":
      case "undefined":
        return value
      case "function":
      case "symbol":
        return `<${typeof value}>`
    }
  }

  private object(value: object, name: string, parent: string, depth: number): unknown {
    try {
      if (Redacted.isRedacted(value) || Names.kindOf(name, parent) === "Secret") return redacted
      if (ArrayBuffer.isView(value)) return `<${value.byteLength} bytes>`
      if (this.above.has(value)) return "<cycle>"
      if (depth >= maxDepth) return "<deeper>"
      this.above.add(value)
      try {
        return Array.isArray(value) ? this.array(value, name, parent, depth) : this.record(value, name, depth)
      } finally {
        this.above.delete(value)
      }
    } catch {
      return "<unreadable>"
    }
  }

  private array(value: ReadonlyArray<unknown>, name: string, parent: string, depth: number): unknown {
    const items: Array<unknown> = []
    for (let i = 0; i < value.length; i++) {
      if (this.nodes > maxNodes) return [...items, "<more>"]
      items.push(this.read(() => value[i], name, parent, depth))
    }
    return items
  }

  private record(value: object, name: string, depth: number): unknown {
    const fields: Array<[string, unknown]> = []
    // An error's name and message are not among its keys.
    const words = value instanceof Error ? ["name", "message"] : []
    for (const key of new Set([...words, ...Object.keys(value)])) {
      if (this.nodes > maxNodes) {
        fields.push(["<more>", "<more>"])
        break
      }
      fields.push([
        Shapes.isSecret(key) ? redacted : key,
        this.read(() => (value as Record<string, unknown>)[key], key, name, depth)
      ])
    }
    return Object.fromEntries(fields)
  }

  private read(get: () => unknown, name: string, parent: string, depth: number): unknown {
    try {
      return this.of(get(), name, parent, depth + 1)
    } catch {
      return "<unreadable>"
    }
  }
}

/** The text of a field, judged by its name and its shape. */
const field = (name: string, parent: string, value: string, onHidden: OnHidden): string => {
  switch (Names.kindOf(name, parent)) {
    case "Secret":
      return value === "" ? value : hidden(value, onHidden)
    case "Doubtful":
      return Shapes.isWord(value) ? value : hidden(value, onHidden)
    case "Digest":
      return Shapes.hideDefinite(value)
    case "Plain":
      return text(value)
  }
}

const hidden = (value: string, onHidden: OnHidden): string => {
  onHidden(value)
  return redacted
}

/** A number under a secret's name is usually a count (`total_tokens`), unless it is a code that people type. */
const number = (name: string, parent: string, value: number | string): unknown =>
  (Names.kindOf(name, parent) === "Secret" && !/token/i.test(name)) || Shapes.isSecret(String(value))
    ? redacted
    : value

// --------------------------------------------------------------------------------------------------------------- text

/** The name of a field before its value, in JSON, logfmt, a header or a query. */
const named = /(?<![\w.[\]-])([A-Za-z_][\w.[\]-]{0,80})(\\{0,3}["']?\s{0,4}(?:=>|[:=])\s{0,4})/g
const quoted = /(\\{0,3})(["'])/y
const unquoted = /[^\s&;,"'<>(){}[\]\\]+/y
const line = /[^\r\n"'<>\\]+/y
/** A header with one of these names is a single secret up to the end of its line. */
const wholeLine = /^(?:proxy-)?authorization$|^(?:set-)?cookie$/i

/**
 * Hides secrets in free text, such as a log line or an error message. Anything that looks like a field is also judged
 * by its name.
 */
export const text = (given: string): string => Shapes.hide(hideNamed(given))

const hideNamed = (given: string): string => {
  let hidden = ""
  let from = 0
  named.lastIndex = 0
  for (let found = named.exec(given); found !== null; found = named.exec(given)) {
    const kind = Names.kindOf(found[1]!)
    if (kind !== "Secret" && kind !== "Doubtful") continue
    const start = named.lastIndex
    const value = valueAt(given, start, wholeLine.test(found[1]!) && /:/.test(found[2]!))
    if (value === undefined || value.to <= value.from) continue
    if (kind === "Doubtful" && Shapes.isWord(given.slice(value.from, value.to))) continue
    if (kind === "Doubtful" && value.to - value.from < 4) continue
    hidden += given.slice(from, value.from) + redacted
    from = named.lastIndex = value.to
  }
  return hidden + given.slice(from)
}

/**
 * The extent of the value that begins here: to its closing quote, to the end of the line, or to the end of the word.
 */
const valueAt = (given: string, start: number, isLine: boolean): { from: number; to: number } | undefined => {
  quoted.lastIndex = start
  const open = quoted.exec(given)
  if (open !== null) {
    const from = quoted.lastIndex
    const end = endOfQuoted(given, from, open[1]!, open[2]!)
    return { from, to: end }
  }
  const word = isLine ? line : unquoted
  word.lastIndex = start
  return word.test(given) ? { from: start, to: word.lastIndex } : undefined
}

/** The closing quote is escaped in the same way as the opening one. */
const endOfQuoted = (given: string, from: number, escape: string, quote: string): number => {
  for (let at = given.indexOf(quote, from); at >= 0; at = given.indexOf(quote, at + 1)) {
    let slashes = 0
    while (at - slashes > from && given[at - slashes - 1] === "\\") slashes++
    if (slashes <= escape.length) return at - Math.min(slashes, escape.length)
  }
  return given.length
}

/**
 * Finds known secrets in an output, in any spelling: plain, in another case, cut short, split over lines, or encoded
 * for a URL, a page or JSON. It also finds them in hex, as byte lists, and in base64 at any alignment, as in
 * `user:secret`. Numbers without a source are our own judgement.
 */
import * as Redacted from "effect/Redacted"

/** The encoding in which a secret was found. */
export type Encoding = "plain" | "base64" | "hex" | "bytes"

export interface Survival {
  readonly encoding: Encoding
  /** The index of the secret. */
  readonly secret: number
}

/** Shorter secrets match by chance everywhere, so they are not searched for. */
const minLength = 4
/** This many consecutive characters count as the whole secret, because texts are cut short and split over lines. */
const pieceLength = 16

/** The first secret that survives in a text; `undefined` when none does. */
export const survives = (
  text: string,
  secrets: Iterable<string | Redacted.Redacted>
): Survival | undefined => {
  const traces = [...secrets].flatMap((given, index) => {
    const secret = Redacted.isRedacted(given) ? Redacted.value(given) : given
    return typeof secret === "string" && secret.length >= minLength ? tracesOf(secret, index) : []
  })
  const readings = readingsOf(text)
  for (const [written, read] of Object.entries(writings) as ReadonlyArray<[Writing, (reading: string) => string]>) {
    const ours = traces.filter((trace) => trace.written === written)
    const found = first(unique(readings.map(read)).join("\0"), ours)
    if (found !== undefined) return { encoding: found.encoding, secret: found.secret }
  }
  return undefined
}

/** A piece of text that gives a secret away. */
interface Trace extends Survival {
  readonly text: string
  readonly written: Writing
}

/** The form a text is brought into before the search. */
type Writing = keyof typeof writings

const writings = {
  plain: (reading: string) => reading.toLowerCase(),
  joined: (reading: string) => joined(reading).toLowerCase(),
  cased: (reading: string) => joined(reading),
  listed: (reading: string) => reading.replaceAll(/\s+/g, "")
}

const tracesOf = (whole: string, secret: number): ReadonlyArray<Trace> =>
  [...spellings(whole)].flatMap((spelling) => {
    const bytes = Buffer.from(spelling, "utf8")
    const closed = joined(spelling).toLowerCase()
    const trace = (written: Writing, encoding: Encoding, text: string): Trace => ({ text, written, encoding, secret })
    return [
      trace("plain", "plain", spelling.toLowerCase()),
      ...(closed.length >= minLength ? [trace("joined", "plain", closed)] : []),
      trace("joined", "hex", bytes.toString("hex")),
      ...(bytes.length >= 6 ? base64Of(bytes).map((core) => trace("cased", "base64", core)) : []),
      trace("listed", "bytes", bytes.join(","))
    ]
  })

/** Traces searched for in one pass; five times as fast as one by one, by measurement. */
const passSize = 500

const first = (text: string, traces: ReadonlyArray<Trace>): Trace | undefined => {
  for (let from = 0; from < traces.length; from += passSize) {
    const pass = traces.slice(from, from + passSize)
    const any = new RegExp(unique(pass.map((trace) => trace.text.replaceAll(/[^\w\s]/g, "\\$&"))).join("|"))
    if (any.test(text)) return pass.find((trace) => text.includes(trace.text))
  }
  return undefined
}

const unique = (texts: ReadonlyArray<string>): ReadonlyArray<string> => [...new Set(texts)]

/** A text without the separators between broken parts: line ends, quotes, commas, colons. */
const joined = (text: string): string => text.replaceAll(/(?:[\s:,"'`[\]]|\\[nr])+/g, "")

/** A secret and its pieces, each also as it looks inside another encoding. */
const spellings = (secret: string): ReadonlySet<string> =>
  new Set(
    piecesOf(secret).flatMap((part) => {
      const whole = part.toWellFormed()
      return [whole, encodeURIComponent(whole), JSON.stringify(whole).slice(1, -1)]
    })
  )

/**
 * A text that repeats one and a half pieces of a long secret contains one of these; so does a secret cut into lines of
 * 16.
 */
const piecesOf = (secret: string): ReadonlyArray<string> => {
  const pieces = [secret]
  for (let at = 0; at + pieceLength < secret.length; at += pieceLength / 2) {
    pieces.push(secret.slice(at, at + pieceLength))
  }
  if (secret.length > pieceLength) pieces.push(secret.slice(-pieceLength))
  return pieces
}

/** The base64 forms of bytes at each alignment, without the characters that depend on the neighbouring bytes. */
const base64Of = (bytes: Buffer): ReadonlyArray<string> =>
  [0, 1, 2].flatMap((offset) => {
    const padded = Buffer.concat([Buffer.alloc(offset), bytes])
    const text = padded.toString("base64").replace(/=+$/, "")
    const core = text.slice(Math.ceil(offset * 8 / 6), Math.floor(padded.length * 8 / 6))
    return [core, core.replaceAll("+", "-").replaceAll("/", "_")]
  })

/**
 * A text as it is, as its readers decode it, and as they decode nested encodings up to four deep. If one decoding too
 * many destroys a secret, another reading still has it.
 */
const readingsOf = (text: string): ReadonlyArray<string> => {
  const readings = new Set([text])
  for (const decode of decoders) readings.add(decode(text))
  for (const chain of chains) {
    let decoded = text
    for (let depth = 0; depth < maxDepth; depth++) {
      decoded = chain.reduce((reading, decode) => decode(reading), decoded)
      readings.add(decoded)
    }
  }
  return [...readings]
}

const maxDepth = 4

const codePoint = (code: number): string => code <= 0x10ffff ? String.fromCodePoint(code) : ""

const percentDecode = (text: string): string =>
  text.replaceAll(/(?:%[0-9a-f]{2})+/gi, (bytes) => Buffer.from(bytes.replaceAll("%", ""), "hex").toString("utf8"))

const plusDecode = (text: string): string => text.includes("+") ? percentDecode(text.replaceAll("+", " ")) : text

const jsonDecode = (text: string): string =>
  text
    .replaceAll(/\\(?:u([0-9a-f]{4})|x([0-9a-f]{2}))/gi, (_, four, two) =>
      String.fromCharCode(Number.parseInt((four ?? two) as string, 16)))
    .replaceAll(/\\(["'`/\\])/g, "$1")

const entityDecode = (text: string): string =>
  text
    .replaceAll(/&#(?:x([0-9a-f]{1,6})|(\d{1,7}));?/gi, (_, hex, decimal) =>
      codePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex as string, 16)))
    .replaceAll(/&(amp|lt|gt|quot|apos);/g, (_, name) =>
      entities[name as string]!)

const decoders = [percentDecode, plusDecode, jsonDecode, entityDecode]
const chains = [[percentDecode, jsonDecode, entityDecode], [plusDecode, percentDecode, jsonDecode, entityDecode]]

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: "\"", apos: "'" }

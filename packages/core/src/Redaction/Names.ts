/**
 * Names of fields that hold secrets, in any case and with any separators: `client_secret`, `clientSecret`,
 * `X-Client-Secret`, `client[secret]`.
 */

/**
 * Words that make a name secret when they stand in it side by side. A word of five letters or more also counts at the
 * end of a longer word (`accesstoken`), and one of eight anywhere in it (`oldpasswordhash`).
 */
const secretWords: ReadonlyArray<string> = [
  "password",
  "passwd",
  "passphrase",
  "passcode",
  "pass",
  "pwd",
  "secret",
  "token",
  "jwt",
  "bearer",
  "api key",
  "access key",
  "account key",
  "app key",
  "application key",
  "encryption key",
  "license key",
  "master key",
  "private key",
  "shared key",
  "signing key",
  "ssh key",
  "subscription key",
  "authorization",
  "authentication",
  "auth",
  "credential",
  "assertion",
  "saml response",
  "access code",
  "backup code",
  "code verifier",
  "device code",
  "one time code",
  "recovery code",
  "security code",
  "user code",
  "verification code",
  "otp",
  "totp",
  "pin",
  "cvc",
  "cvv",
  "cvn",
  "csc",
  "card number",
  "account number",
  "pan",
  "iban",
  "ssn",
  "social security number",
  "cookie",
  "session",
  "session id",
  "sessid",
  "sid",
  "csrf",
  "xsrf",
  "signature",
  "sig",
  "hmac",
  "seed phrase",
  "mnemonic",
  "connection string",
  "dsn"
]

/**
 * Names that hold either a secret or a protocol word, such as OAuth's `code` and an error's `code`; their value
 * decides.
 */
const doubtfulNames: ReadonlyArray<string> = ["code", "key"]

/** A name that ends in one of these describes a secret and is not one: `token_type`, `secretName`, `auth_time`. */
const aboutWords: ReadonlyArray<string> = [
  "algorithm",
  "at",
  "count",
  "enabled",
  "endpoint",
  "expiration",
  "expires",
  "expiry",
  "id",
  "in",
  "kind",
  "length",
  "limit",
  "method",
  "name",
  "required",
  "size",
  "status",
  "time",
  "ttl",
  "type",
  "uri",
  "url",
  "used",
  "version"
]

/** Names of values that look like secrets and are not: ids and checksums. */
const digestWords: ReadonlyArray<string> = [
  "checksum",
  "commit",
  "digest",
  "etag",
  "fingerprint",
  "integrity",
  "md5",
  "request id",
  "revision",
  "sha",
  "span id",
  "trace id",
  "traceparent"
]

/** A name longer than this is data, not a field name. The limit is our own judgement. */
const maxNameLength = 200

export type Kind =
  /** The value is secret. */
  | "Secret"
  /** The value itself decides. */
  | "Doubtful"
  /** The value is random by nature, and not a secret. */
  | "Digest"
  | "Plain"

/** The kind of value under a name. `parent` is the name of the enclosing field, as in `card: { number }`. */
export const kindOf = (name: string, parent = ""): Kind => {
  if (name.length > maxNameLength) return "Secret"
  const words = wordsOf(name)
  const path = [...wordsOf(parent.slice(0, maxNameLength)), ...words]
  if (isSecret(words) || isCompound(path, words.length)) return "Secret"
  if (words.length === 1 && doubtful.has(words[0]!)) return "Doubtful"
  return windows(words).some(({ squashed }) => digests.has(squashed)) ? "Digest" : "Plain"
}

/** Splits a name into words: `APIKey`, `api-key` and `api.key` have the same two. */
const wordsOf = (name: string): ReadonlyArray<string> =>
  (name.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+/g) ?? []).map((word) => singular(word.toLowerCase()))

const singular = (word: string): string => word.length > 3 && /[^s]s$/.test(word) ? word.slice(0, -1) : word

const squash = (words: string): string => words.split(" ").map(singular).join("")

const secrets = new Set(secretWords.map(squash))
const suffixes = [...secrets].filter((word) => word.length >= 5)
const infixes = [...secrets].filter((word) => word.length >= 8)
const doubtful = new Set(doubtfulNames)
const abouts = new Set(aboutWords.map(singular))
const digests = new Set(digestWords.map(squash))

interface Window {
  readonly squashed: string
  readonly end: number
  readonly width: number
}

/** One to three words side by side. */
const windows = (words: ReadonlyArray<string>): ReadonlyArray<Window> =>
  words.flatMap((_, start) =>
    [1, 2, 3].filter((width) => start + width <= words.length).map((width) => ({
      squashed: words.slice(start, start + width).join(""),
      end: start + width,
      width
    }))
  )

const isSecret = (words: ReadonlyArray<string>): boolean => {
  const isAbout = abouts.has(words.at(-1) ?? "")
  return windows(words).some(({ end, squashed, width }) =>
    (!isAbout || end === words.length) && (
      secrets.has(squashed) ||
      (width === 1 &&
        (suffixes.some((word) => squashed.endsWith(word)) || infixes.some((word) => squashed.includes(word))))
    )
  )
}

/** Whether the names of the field and of the enclosing field together name a secret. */
const isCompound = (path: ReadonlyArray<string>, own: number): boolean =>
  windows(path).some(({ end, squashed, width }) => end === path.length && width > own && secrets.has(squashed))

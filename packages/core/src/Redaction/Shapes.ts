/**
 * Shapes of secrets, recognised anywhere in a text. Every search is linear in the length of the text: an expression
 * begins with required letters, repeats a single character class, and ends with something that cannot fail.
 *
 * An id is not a secret: `pi_3Mtw…`, a UUID, a ULID and a trace context stay readable. A secret of fewer than 32
 * characters without a prefix of its own cannot be told from an id; only its field name can hide it.
 */
import { kindOf } from "./Names.ts"

/** The text that replaces a secret. */
export const redacted = "<redacted>"

/** Formats with a recognisable prefix, each with its source. */
const prefixed: ReadonlyArray<RegExp> = [
  // Stripe: keys and webhook secrets (https://docs.stripe.com/keys); a client secret is an id, `_secret_` and the secret.
  /(?<![A-Za-z0-9])(?:sk|rk|pk|ek)_(?:live|test|org)_\w{6,}/g,
  /(?<![A-Za-z0-9])(?:sk|rk|pk)_(?=[A-Za-z_]{0,40}\d)\w{8,}/g,
  /(?<![A-Za-z0-9])whsec_[\w+/=]{6,}/g,
  /(?<![A-Za-z0-9])[a-z]{2,8}_[A-Za-z0-9]{8,64}_secret_\w{6,}/g,
  // OpenAI and Anthropic (https://platform.openai.com/docs/api-reference/authentication).
  /(?<![A-Za-z0-9])sk-[\w-]{20,}/g,
  // GitHub (https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/).
  /(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{20,}/g,
  /(?<![A-Za-z0-9])github_pat_\w{20,}/g,
  // GitLab (https://docs.gitlab.com/security/tokens/#token-prefixes).
  /(?<![A-Za-z0-9])gl(?:pat|oas|dt|rt|cbt|ptt|ft|imt|agent|soat)-[\w-]{16,}/g,
  // Slack (https://docs.slack.dev/authentication/tokens) and its incoming webhooks, whose path is the secret.
  /(?<![A-Za-z0-9])xox[a-z]-[\w-]{8,}/g,
  /(?<![A-Za-z0-9])xapp-[\w-]{8,}/g,
  /(?<=\/services\/)T[A-Z0-9]{6,12}\/B[A-Z0-9]{6,12}\/\w{16,}/g,
  // AWS access keys (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html).
  /(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}/g,
  // Google: API keys, OAuth tokens and client secrets (https://docs.cloud.google.com/docs/authentication/api-keys).
  /(?<![A-Za-z0-9])AIza[\w-]{35}/g,
  /(?<![A-Za-z0-9])ya29\.[\w-]{16,}/g,
  /(?<![A-Za-z0-9])GOCSPX-[\w-]{16,}/g,
  // HashiCorp Vault (https://developer.hashicorp.com/vault/docs/concepts/tokens).
  /(?<![A-Za-z0-9])hv[sbr]\.[\w-]{16,}/g,
  // age (https://age-encryption.org/v1).
  /(?<![A-Za-z0-9])AGE-SECRET-KEY-1[A-Z0-9]{16,}/gi,
  // SendGrid, npm, PyPI, Shopify, Square, Mailgun, DigitalOcean: as their own secret scanning partners list them
  // (https://docs.github.com/en/code-security/reference/secret-security/supported-secret-scanning-patterns).
  /(?<![A-Za-z0-9])SG\.[\w-]{16,64}\.[\w-]{16,}/g,
  /(?<![A-Za-z0-9])npm_[A-Za-z0-9]{30,}/g,
  /(?<![A-Za-z0-9])pypi-[\w-]{16,}/g,
  /(?<![A-Za-z0-9])shp(?:at|ss|ca|pa)_[A-Fa-f0-9]{16,}/g,
  /(?<![A-Za-z0-9])sq0[a-z]{3}-[\w-]{16,}/g,
  /(?<![A-Za-z0-9])key-[0-9a-f]{32}/g,
  /(?<![A-Za-z0-9])do[opr]_v1_[0-9a-f]{32,}/g,
  // Telegram: the token of a bot is a part of the path (https://core.telegram.org/bots/api#authorizing-your-bot).
  /(?<![A-Za-z0-9])(?:bot)?\d{8,12}:[\w-]{35}/g,
  // JSON Web Tokens, signed or encrypted (RFC 7515, RFC 7516): the first part is base64url of `{"`.
  /(?<![\w-])eyJ[\w-]{6,}\.[\w-]*\.[\w.-]*/g
]

/** Hides every secret that its form alone gives away. */
export const hide = (text: string): string => hideRandom(hideNumbers(hideDefinite(text)))

/**
 * Hides text that can only be a secret, and leaves text that is merely random, for places where ids and checksums
 * occur.
 */
export const hideDefinite = (text: string): string => {
  let hidden = hideUserInfo(hidePem(text))
  for (const pattern of prefixed) hidden = hidden.replaceAll(pattern, redacted)
  return hidden.replaceAll(
    /\b(bearer|basic|token)([ \t]{1,8})(?![a-z_]{1,40}=[^\s=])([\w.~+/-]{6,}=*)/gi,
    (whole, scheme, space, value) => isSpoken(value as string) ? whole : `${scheme}${space}${redacted}`
  )
}

/** Whether this is an ordinary word after "bearer", "basic" or "token". */
const isSpoken = (value: string): boolean =>
  value.length < 20 && /^[A-Za-z.-]+$/.test(value) && !/[a-z][A-Z].*[a-z][A-Z]/.test(value)

/** Whether the form of a text gives a secret away. */
export const isSecret = (text: string): boolean => hide(text) !== text

/** Whether a value is only words, such as an error code, and not a secret. */
export const isWord = (value: string): boolean =>
  value.length <= 60 && /^[A-Z]?[a-z]+(?:[ _.:/-][A-Z]?[a-z]+)*$|^[A-Z]+(?:[_.-][A-Z]+)*$/.test(value)

// ------------------------------------------------------------------------------------------------------- private keys

/**
 * Hides private keys (RFC 7468) up to their end or the end of the text. Certificates and public keys are public and
 * stay.
 */
const hidePem = (text: string): string => {
  const begin = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g
  let hidden = ""
  let from = 0
  for (let found = begin.exec(text); found !== null; found = begin.exec(text)) {
    const end = text.indexOf("-----END ", begin.lastIndex)
    const close = end < 0 ? -1 : text.indexOf("-----", end + 9)
    hidden += text.slice(from, found.index) + redacted
    from = begin.lastIndex = close < 0 ? text.length : close + 5
  }
  return hidden + text.slice(from)
}

// --------------------------------------------------------------------------------------------------------- user info

/** Hides `scheme://user:password@host` (RFC 3986, section 3.2.1), and `user:password@host` as in proxy settings. */
const hideUserInfo = (text: string): string =>
  text
    .replaceAll(/(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]{0,30}:\/\/)[^\s/?#"'<>\\]*@/g, `$1${redacted}@`)
    .replaceAll(/(?<![^\s"'(=])([^\s:/@"'<>=(]{1,128}):[^\s/@"'<>]{1,256}@(?=[A-Za-z0-9[])/g, (whole, user) =>
      /^(?:mailto|sips?|acct|xmpp|tel)$/i.test(user as string) ? whole : `${redacted}@`)

// -------------------------------------------------------------------------------------- card and account numbers

/** Hides card numbers (ISO/IEC 7812) and account numbers (ISO 13616) whose check digits are right. */
const hideNumbers = (text: string): string =>
  text
    .replaceAll(/(?<![\w.+-])\d(?:[ -]?\d){12,18}(?![\w]|\.\d)/g, (found) => hideLongest(found, isCard))
    .replaceAll(/(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}(?![A-Za-z0-9])/g, (found) =>
      hideLongest(found, isIban))

/** A group of other digits may follow: `4242 4242 4242 4242 12/34`. */
const hideLongest = (found: string, isNumber: (digits: string) => boolean): string => {
  for (
    let end = found.length;
    end > 0;
    end = Math.max(found.lastIndexOf(" ", end - 1), found.lastIndexOf("-", end - 1))
  ) {
    if (isNumber(found.slice(0, end).replaceAll(/[ -]/g, ""))) return redacted + found.slice(end)
  }
  return found
}

/** The leading digits and lengths of the card schemes; a time in milliseconds or a snowflake id has others. */
const issued =
  /^(?:4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d+|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11,16}|35\d{14,17}|6(?:011|4[4-9]|5|2)\d+|(?:50|5[6-8])\d{10,17})$/

const isCard = (digits: string): boolean => {
  if (digits.length < 13 || digits.length > 19 || !issued.test(digits)) return false
  if (/^(?:5[1-5]|2)/.test(digits) && digits.length !== 16) return false
  let sum = 0
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i])
    sum += i % 2 === 0 ? digit : digit > 4 ? digit * 2 - 9 : digit * 2
  }
  return sum % 10 === 0
}

const isIban = (iban: string): boolean => {
  if (iban.length < 15 || iban.length > 34) return false
  let rest = 0
  for (const character of iban.slice(4) + iban.slice(0, 4)) {
    rest = Number(`${rest}${Number.parseInt(character, 36)}`) % 97
  }
  return rest === 1
}

// ------------------------------------------------------------------------------------------------ what looks random

/** Random-looking text of this length or more counts as a secret: 16 bytes in hex, 24 in base64. Our own judgement. */
const randomLength = 32
/** The fewest bits per character in random text of that length; words have fewer than four. Our own measurement. */
const randomBits = 4

const hideRandom = (text: string): string =>
  text.replaceAll(/[A-Za-z0-9+/_=.~-]{32,}/g, (run) => {
    if (isRandom(run.replace(/=+$/, ""))) return redacted
    return run.replaceAll(/[A-Za-z0-9+_-]{32,}=*/g, (part) => isRandom(part.replace(/=+$/, "")) ? redacted : part)
  })

const isRandom = (text: string): boolean => {
  if (text.length < randomLength || isId(text)) return false
  if (/^[0-9a-f]+$/i.test(text)) return /\d/.test(text) && /[a-f]/i.test(text)
  const alphabet = /^[A-Za-z0-9_-]+$/.test(text) || (/^[A-Za-z0-9+/]+$/.test(text) && !text.startsWith("/"))
  if (!alphabet || !/[A-Za-z0-9+/]{10}/.test(text)) return false
  const digits = text.length - text.replaceAll(/\d/g, "").length
  return /[a-z]/.test(text) && /[A-Z]/.test(text)
    ? digits > 0 && bitsOf(text) >= randomBits
    // One case only: base32, base36.
    : text.length >= 40 && digits >= 4 && /^[A-Za-z0-9]+$/.test(text) && /[A-Za-z]/.test(text) && bitsOf(text) >= 3.9
}

/**
 * Whether a text is one to three words and a random part, as Stripe and others make ids. The words can also mark a
 * secret.
 */
const isId = (text: string): boolean => {
  const [, prefix] = /^([a-z]{2,12}(?:_[a-z]{2,12}){0,2})_[A-Za-z0-9]{1,28}$/.exec(text) ??
    /^(cs_(?:test|live))_\w+$/.exec(text) ?? []
  return prefix !== undefined && kindOf(prefix) === "Plain" && prefix !== "key"
}

/** Shannon's entropy of the characters. */
const bitsOf = (text: string): number => {
  const counts = new Map<string, number>()
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1)
  let bits = 0
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length)
  return bits
}

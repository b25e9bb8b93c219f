/** Redaction itself: a row for every rule, each with a secret that no other rule would hide. */
import * as Redaction from "@breakwater/core/Redaction"
import { inspect } from "node:util"
import { random } from "./Marks.ts"

/** Field names, as vendors write them; one at least for every rule about names. */
const names: ReadonlyArray<string> = [
  "password",
  "oldPasswordHash",
  "oldpasswordhash",
  "db_passwd",
  "PASSPHRASE",
  "passcode",
  "smtp-pass",
  "userPwd",
  "client_secret",
  "webhookSecret",
  "secrets",
  "access_token",
  "refreshToken",
  "accesstoken",
  "X-Vault-Token",
  "jwt",
  "bearer",
  "api_key",
  "apiKey",
  "APIKey",
  "apikey",
  "X-API-KEY",
  "accessKey",
  "AccountKey",
  "app_key",
  "applicationKey",
  "auth[key]",
  "encryption_key",
  "licenseKey",
  "master_key",
  "privateKey",
  "secret_key",
  "shared_key",
  "signingKey",
  "ssh_key",
  "Ocp-Apim-Subscription-Key",
  "Proxy-Authorization",
  "authentication",
  "auth",
  "credentials",
  "client_assertion",
  "SAMLResponse",
  "access_code",
  "auth_code",
  "backupCodes",
  "code_verifier",
  "device_code",
  "oneTimeCode",
  "recovery_code",
  "securityCode",
  "user_code",
  "verification_code",
  "otp",
  "totp",
  "pin",
  "card[cvc]",
  "cvv2",
  "cvn",
  "csc",
  "card[number]",
  "cardNumber",
  "bank_account_number",
  "pan",
  "iban",
  "ssn",
  "socialSecurityNumber",
  "Set-Cookie",
  "session",
  "session_id",
  "PHPSESSID",
  "connect.sid",
  "csrf",
  "xsrf",
  "X-Hub-Signature-256",
  "sig",
  "hmac",
  "seed_phrase",
  "mnemonic",
  "connectionString",
  "SENTRY_DSN"
]

/** Of no variety, and no hex. */
const low = (length: number): string => "k4".repeat(length).slice(0, length)
const key = (name: string): string => `-----BEGIN ${name} KEY-----`

/** Secrets by shape, built so that they are in no source file, with the part that must be removed if it is not the whole. */
const shapes: ReadonlyArray<readonly [shape: string, make: () => readonly [text: string, secret: string]]> = [
  ...([
    ["Stripe's keys", () => `sk_live_${random(10, "lower")}`],
    ["keys of Stripe's kind", () => `rk_${random(6, "lower")}4${random(6, "digits")}`],
    ["webhook secrets", () => `whsec_${random(16, "lower")}`],
    ["client secrets", () => `pi_${random(8, "digits")}_secret_${random(8, "lower")}`],
    ["OpenAI's keys", () => `sk-${random(22, "lower")}`],
    ["GitHub's tokens", () => `ghp_${random(20, "lower")}`],
    ["GitHub's fine-grained tokens", () => `github_pat_${random(20, "lower")}`],
    ["GitLab's tokens", () => `glpat-${random(16, "lower")}`],
    ["Slack's tokens", () => `xoxb-${random(12, "digits")}`],
    ["Slack's app tokens", () => `xapp-${random(12, "digits")}`],
    ["AWS access keys", () => `AKIA${random(16, "upper")}`],
    ["Google's API keys", () => `AIza${low(35)}`],
    ["Google's access tokens", () => `ya29.${random(16, "lower")}`],
    ["Google's client secrets", () => `GOCSPX-${random(16, "lower")}`],
    ["Vault's tokens", () => `hvs.${random(16, "lower")}`],
    ["age's secret keys", () => `AGE-SECRET-KEY-1${random(16, "upper")}`],
    ["SendGrid's keys", () => `SG.${low(16)}.${low(16)}`],
    ["npm's tokens", () => `npm_${low(30)}`],
    ["PyPI's tokens", () => `pypi-${random(16, "lower")}`],
    ["Shopify's tokens", () => `shpat_${random(16, "hex")}`],
    ["Square's tokens", () => `sq0atp-${random(16, "lower")}`],
    ["Mailgun's keys", () => `key-${random(32, "hex")}`],
    ["DigitalOcean's tokens", () => `dop_v1_${random(32, "hex")}`],
    ["Telegram's bot tokens", () => `${random(9, "digits")}:${low(35)}`],
    ["JSON Web Tokens", () => `${encoded(`{"a":1}`)}.${encoded("{}")}.${random(6, "lower")}`],
    ["long hex", () => `a1${random(30, "hex")}`],
    ["long base64url", () => randomBytes(33).toString("base64url")],
    ["long base64", () => `a1B${["cd+", "ef/", "gh+", "mn/"].map((end) => random(8, "upper") + end).join("")}p2q3r4s5`],
    ["long base36", () => `a0b1c2d3e4f5g6h7i8j9${random(24, "lower")}`],
    ["card numbers", () => luhn(`4${random(14, "digits")}`)],
    ["card numbers in groups", () => luhn(`51${random(13, "digits")}`).replaceAll(/(\d{4})(?=\d)/g, "$1 ")],
    ["account numbers", () => iban(random(18, "digits"))]
  ] satisfies ReadonlyArray<readonly [string, () => string]>).map(([shape, make]) =>
    [shape, () => {
      const secret = make()
      return [secret, secret] as const
    }] as const
  ),
  ["bearer tokens", () => withSecret(`${random(4, "lower")}4${random(4, "lower")}`, (secret) => `Bearer ${secret}`)],
  ["basic credentials", () => withSecret(encoded(`u:${low(5)}`), (secret) => `basic ${secret}`)],
  [
    "private keys",
    () => withSecret(random(20, "lower"), (secret) => `${key("PRIVATE")}\n${secret}\n${key("PRIVATE")}`)
  ],
  [
    "private keys without an end",
    () => withSecret(random(20, "lower"), (secret) => `${key("RSA PRIVATE")}\n${secret}`)
  ],
  ["user info", () => withSecret(random(9, "lower"), (secret) => `redis://u:${secret}@cache.example:6379/0`)],
  ["user info without a scheme", () => withSecret(random(9, "lower"), (secret) => `u:${secret}@proxy.example:8080`)],
  [
    "Slack's webhooks",
    () =>
      withSecret(
        random(16, "lower"),
        (secret) => `https://hooks.example/services/T${low(8).toUpperCase()}/B${low(8).toUpperCase()}/${secret}`
      )
  ]
]

const withSecret = (secret: string, text: (secret: string) => string) => [text(secret), secret] as const
const encoded = (text: string): string => Buffer.from(text).toString("base64url")
const randomBytes = (length: number) => Buffer.from(crypto.getRandomValues(new Uint8Array(length)))

/** Appends the digit that ISO/IEC 7812 checks. */
const luhn = (digits: string): string => {
  const sum = Array.from(digits).toReversed().reduce((sum, digit, index) => {
    const twice = Number(digit) * (index % 2 === 0 ? 2 : 1)
    return sum + (twice > 9 ? twice - 9 : twice)
  }, 0)
  return `${digits}${(10 - sum % 10) % 10}`
}

/** A German account with the check digits of ISO 13616. */
const iban = (account: string): string => {
  const rest = Number(BigInt(`${account}131400`) % 97n)
  return `DE${String(98 - rest).padStart(2, "0")}${account}`
}

const percent = (text: string, encoding: (byte: string) => string): string =>
  Array.from(Buffer.from(text), (byte) => `%${encoding(byte.toString(16).padStart(2, "0"))}`).join("")

/** Known secrets, in every form in which an output could hold them. */
const encodings: ReadonlyArray<readonly [encoding: string, write: (secret: string) => string]> = [
  ["as it is", (secret) => secret],
  ["in upper case", (secret) => secret.toUpperCase()],
  ["16 characters of it", (secret) => secret.slice(0, 16)],
  ["its last 16 characters", (secret) => secret.slice(-16)],
  ["26 characters of its middle", (secret) => secret.slice(3, 29)],
  ["16 characters of it in base64", (secret) => Buffer.from(`{"${secret.slice(0, 16)}`).toString("base64")],
  ["split at 16 characters", (secret) => secret.replaceAll(/.{16}/g, "$& (continued) ")],
  ["in lines of 5 characters", (secret) => secret.replaceAll(/.{5}/gs, "$&\n")],
  ["in quoted lines of 5 characters", (secret) => JSON.stringify(secret.match(/.{1,5}/gs))],
  ["for a URL", encodeURIComponent],
  ["for a form", (secret) => new URLSearchParams({ a: secret }).toString()],
  ["byte by byte for a URL", (secret) => percent(secret, (byte) => byte)],
  ["byte by byte for a URL, in upper case", (secret) => percent(secret, (byte) => byte.toUpperCase())],
  ["twice for a URL", (secret) => encodeURIComponent(encodeURIComponent(secret))],
  ["in JSON", (secret) => JSON.stringify({ a: secret })],
  ["in JSON in JSON", (secret) => JSON.stringify({ a: JSON.stringify({ a: secret }) })],
  ["with a plus, in JSON in JSON", (secret) => JSON.stringify(JSON.stringify(JSON.stringify(secret)))],
  [
    "in JSON, ASCII only",
    (secret) =>
      secret.replaceAll(/[^\w]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)
  ],
  ["in JSON with escaped slashes", (secret) => secret.replaceAll("/", "\\/")],
  ["in JSON for a URL", (secret) => encodeURIComponent(JSON.stringify({ a: secret }))],
  [
    "in a page",
    (secret) =>
      secret.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("\"", "&quot;").replaceAll("'", "&apos;")
  ],
  ["in a page, by number", (secret) => Array.from(secret, (character) => `&#${character.codePointAt(0)};`).join("")],
  [
    "in a page, by hex number",
    (secret) => Array.from(secret, (character) => `&#x${character.codePointAt(0)!.toString(16)};`).join("")
  ],
  [
    "in a page in a query",
    (secret) => encodeURIComponent(Array.from(secret, (character) => `&#${character.codePointAt(0)};`).join(""))
  ],
  ...["", "u:", "us:", "use:", "user:"].map((user) =>
    [`as basic credentials of ${user}`, (secret: string) => Buffer.from(`${user}${secret}`).toString("base64")] as const
  ),
  ["in base64url", (secret) => Buffer.from(`{"a":"${secret}"}`).toString("base64url")],
  ["in base64, encoded before", (secret) => Buffer.from(encodeURIComponent(secret)).toString("base64")],
  ["in base64 of JSON", (secret) => Buffer.from(JSON.stringify({ a: secret })).toString("base64")],
  ["in base64 in lines", (secret) => Buffer.from(`ab${secret}`).toString("base64").replaceAll(/.{16}/g, "$&\n")],
  [
    "in base64 in lines in JSON",
    (secret) => JSON.stringify(Buffer.from(`ab${secret}`).toString("base64").replaceAll(/.{16}/g, "$&\r\n"))
  ],
  ["in hex", (secret) => Buffer.from(secret).toString("hex")],
  ["in upper hex", (secret) => Buffer.from(secret).toString("hex").toUpperCase()],
  ["as Node inspects bytes", (secret) => inspect(Buffer.from(secret))],
  ["as Node inspects an array of bytes", (secret) => inspect(new Uint8Array(Buffer.from(secret)))],
  ["as Node writes bytes in JSON", (secret) => JSON.stringify(Buffer.from(secret))]
]

/** Leaks, rule by rule. */
export const rules = (): ReadonlyArray<string> => {
  const found: Array<string> = []
  const expectGone = (where: string, secret: string, text: string) => {
    if (text.includes(secret)) found.push(`${where}: ${text}`)
  }
  for (const name of names) {
    const secret = random(9, "lower")
    const [, parent, child] = /^(\w+)\[(\w+)\]$/.exec(name) ?? []
    const tree = parent === undefined || child === undefined
      ? { a: [{ [name]: secret }] }
      : { [parent]: { [child]: secret } }
    expectGone(`the JSON field ${name}`, secret, JSON.stringify(Redaction.json(tree)))
    expectGone(`the form field ${name}`, secret, Redaction.form(`a=1&${encodeURIComponent(name)}=${secret}&b=2`))
    expectGone(`the query parameter ${name}`, secret, Redaction.url(`https://a.example/b?${name}=${secret}`))
    expectGone(`the log field ${name}`, secret, Redaction.text(`it failed ${name}=${secret} level=info`))
    expectGone(`JSON in a log, ${name}`, secret, Redaction.text(`got {"${name}":"${secret}","a":1}`))
    expectGone(`JSON in JSON, ${name}`, secret, Redaction.text(`"{\\"${name}\\":\\"${secret}\\"}"`))
    expectGone(`an object below ${name}`, secret, JSON.stringify(Redaction.json({ [name]: { a: [secret] } })))
  }
  for (const [shape, make] of shapes) {
    const [text, secret] = make()
    expectGone(shape, secret, Redaction.text(`it said ${text} and no more`))
    expectGone(`${shape} in JSON`, secret, JSON.stringify(Redaction.json([{ note: text }])))
    expectGone(`${shape} in a form`, secret, decodeURIComponent(Redaction.form(`note=${encodeURIComponent(text)}`)))
    if (!/[\s/@+]/.test(text)) {
      expectGone(`${shape} in a path`, secret, Redaction.url(`https://a.example/v1/${text}/b`))
      expectGone(`${shape} as a key`, secret, JSON.stringify(Redaction.json({ [text]: 1 })))
      expectGone(`${shape} as the name of a header`, secret, JSON.stringify(Redaction.headers({ [text]: "1" })))
    }
  }
  const doubtful = random(6, "digits")
  expectGone("an OAuth code", doubtful, Redaction.url(`/callback?code=${doubtful}`))
  expectGone("a key in a query", doubtful, Redaction.url(`/maps?key=m${doubtful}`))
  expectGone("a code in a log", doubtful, Redaction.text(`code=${doubtful}`))
  expectGone("a number that is typed", doubtful, JSON.stringify(Redaction.json({ otp: Number(`1${doubtful}`) })))
  const card = luhn(`4${random(14, "digits")}`)
  expectGone("a card as a number", card, JSON.stringify(Redaction.json({ value: Number(card) })))
  const word = random(9, "lower")
  for (const name of ["authorization", "cookie", "set-cookie", "x-acme-key", "x-anything", "idempotency-key"]) {
    expectGone(`the header ${name}`, word, Redaction.header(name, word))
    expectGone(`the headers, ${name}`, word, JSON.stringify(Redaction.headers({ [name]: [word, word] })))
  }
  for (const name of ["location", "content-location"]) {
    expectGone(name, word, Redaction.header(name, `https://a.example/?token=${word}`))
  }
  expectGone("link", word, Redaction.header("link", `<https://a.example/?token=${word}>; rel="next"`))
  expectGone("a shown header", word, Redaction.header("server", `Bearer 4${word}`))
  expectGone("a fragment", word, Redaction.url(`https://a.example/b#${word}`))
  expectGone("user info", word, Redaction.url(`https://${word}@a.example/b`))
  expectGone("a header in a log", word, Redaction.text(`> Authorization: Digest x, ${word}\n> Accept: */*`))
  expectGone("cookies in a log", word, Redaction.text(`Cookie: a=b; c=${word}\nHost: a`))
  expectGone("a quoted value", word, Redaction.text(`password="a b ${word}" and more`))
  expectGone("an encoded name", word, Redaction.form(`pass%77ord=${word}`))
  // Short enough that it has no pieces, and nowhere two letters that every encoding leaves as they are.
  const known = `${random(1, "lower")}&${random(1, "lower")}/"?~?~'<é ÿ~`
  const long = random(40, "lower")
  for (const [encoding, write] of encodings) {
    const secret = /\b(?:16|26) characters/.test(encoding) ? long : encoding.includes("plus") ? `+${known}+` : known
    const output = `before ${write(secret)} after`
    if (Redaction.survives(output, ["no such secret", secret]) === undefined) {
      found.push(`known, ${encoding}: ${output}`)
    }
  }
  const many = Array.from({ length: 600 }, () => random(12, "lower"))
  if (Redaction.survives(`it was ${many.at(-1)}`, many)?.secret !== 599) found.push("one of many is not found")
  if (Redaction.survives("before and after", [known, "", "abc"]) !== undefined) found.push("nothing is found")
  return found
}

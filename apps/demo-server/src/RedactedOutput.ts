/**
 * Text that is safe to print. It removes values with the name or the shape of a secret, and all secrets of the environment,
 * passwords in its URLs included. Secrets of other sources are not known here.
 */
import { Redaction } from "@breakwater/core"
import { unescape } from "node:querystring"

/** Shorter values occur in ordinary text. Our own judgement. */
const minLength = 8

const known = new Set<string>()
/** Variables with the name of a secret whose values are folders, addresses, words and paths. */
const isOpen =
  /^(?:OLDPWD|PWD|AWS_ENDPOINT_URL_SECRETS_MANAGER|CREDENTIALS|CREDENTIALS_(?:KEY_FILE|NAME|WHEN_DOWN)|VAULT_SECRET_ID_WRAPPED)$/
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !isOpen.test(name)))
const remember = (secret: string) => secret.length >= minLength && known.add(secret)
Redaction.json(environment, remember)
for (const value of Object.values(environment)) remember(unescape(URL.parse(value ?? "")?.password ?? ""))

/** Redacts a text. A text that still holds an encoded secret is not printed at all. */
export const printed = (text: string): string => {
  let shown = text
  for (const secret of known) shown = shown.replaceAll(secret, Redaction.redacted)
  shown = Redaction.text(shown)
  return Redaction.survives(shown, known) === undefined ? shown : "text withheld: it holds a secret"
}

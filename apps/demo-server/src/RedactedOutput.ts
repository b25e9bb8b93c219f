/**
 * What may be printed: a text without what has the name or the shape of a secret, and without the secrets that the
 * environment holds, passwords in its URLs too, whatever they look like. Those of other sources are not known here.
 */
import { Redaction } from "@breakwater/core"
import { unescape } from "node:querystring"

/** Shorter ones are found everywhere (ours). */
const minLength = 8

const known = new Set<string>()
/** They have a secret's name, and are folders, addresses, words and paths. */
const isOpen =
  /^(?:OLDPWD|PWD|AWS_ENDPOINT_URL_SECRETS_MANAGER|CREDENTIALS|CREDENTIALS_(?:KEY_FILE|NAME|WHEN_DOWN)|VAULT_SECRET_ID_WRAPPED)$/
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !isOpen.test(name)))
const remember = (secret: string) => secret.length >= minLength && known.add(secret)
Redaction.json(environment, remember)
for (const value of Object.values(environment)) remember(unescape(URL.parse(value ?? "")?.password ?? ""))

/** A text as it may be printed; one that holds a secret in an encoding is not printed at all. */
export const printed = (text: string): string => {
  let shown = text
  for (const secret of known) shown = shown.replaceAll(secret, Redaction.redacted)
  shown = Redaction.text(shown)
  return Redaction.survives(shown, known) === undefined ? shown : "a secret stood here"
}

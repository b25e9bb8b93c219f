/** Names of secrets in their source: a variable of the environment, or a template with `{vendor}` and `{key}`. */
import type { CredentialRequest } from "./Source.ts"

/** `STRIPE_API_KEY` for `stripe`; `STRIPE_EU_API_KEY` for its key `eu`. */
export const environmentName = (request: CredentialRequest): string => `${prefixOf(request)}_API_KEY`

/** The prefix of the variables for one credential: `STRIPE`, `STRIPE_EU`. */
export const prefixOf = ({ key, vendor }: CredentialRequest): string =>
  upperSnake(key === "" ? vendor : `${vendor}_${key}`)

/** `OPEN_EXCHANGE_RATES` for `open-exchange-rates`. */
export const upperSnake = (name: string): string => name.replaceAll(/[^A-Za-z0-9]+/g, "_").toUpperCase()

/**
 * Fills a template such as `prod/{vendor}/{key}`. Without a key, `{key}` is removed together with the one separator
 * before it: `prod/stripe`. Returns `undefined` if a part would lead elsewhere (`..`, a slash, a control character): no
 * secret has that name.
 */
export const fill = (template: string, { key, vendor }: CredentialRequest): string | undefined =>
  [vendor, key].every(isPlain) && vendor !== ""
    ? template.replaceAll("{vendor}", vendor).replaceAll(key === "" ? /[/._-]?\{key\}/g : "{key}", key)
    : undefined

/** The name by a template, or by default that of an environment variable. `undefined` as in {@link fill}. */
export const nameOf = (template: string | undefined, request: CredentialRequest): string | undefined =>
  template === undefined && fill("{vendor}{key}", request) !== undefined
    ? environmentName(request)
    : fill(template ?? "", request) || undefined

/** Returns the template. Throws if it is empty or has an unknown placeholder. */
export const checked = (name: string, template: string): string => {
  const unknown = /\{(?!vendor\}|key\})[^}]*\}?/.exec(template)
  if (template === "" || unknown !== null) {
    throw new Error(`${name} must be a name, optionally with {vendor} and {key}, got ${JSON.stringify(template)}`)
  }
  return template
}

/** Whether a part has no separator, no invisible character, and is not `.` or `..`. */
const isPlain = (part: string): boolean => part === "" || (/^[\w.@:+ -]+$/.test(part) && !/^\.+$|\.$/.test(part))

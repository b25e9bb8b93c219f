/** How a secret is called where it is kept: a variable of the environment, or a template with `{vendor}` and `{key}`. */
import type { CredentialRequest } from "./Source.ts"

/** `STRIPE_API_KEY` for `stripe`; `STRIPE_EU_API_KEY` for its key `eu`. */
export const environmentName = (request: CredentialRequest): string => `${prefixOf(request)}_API_KEY`

/** How variables begin that are for one credential: `STRIPE`, `STRIPE_EU`. */
export const prefixOf = ({ key, vendor }: CredentialRequest): string =>
  upperSnake(key === "" ? vendor : `${vendor}_${key}`)

/** `open-exchange-rates` as an environment variable begins: `OPEN_EXCHANGE_RATES`. */
export const upperSnake = (name: string): string => name.replaceAll(/[^A-Za-z0-9]+/g, "_").toUpperCase()

/**
 * Fills a template such as `prod/{vendor}/{key}`. For a request without a key, `{key}` goes together with the one
 * separator before it: `prod/stripe`. A part that would lead elsewhere (`..`, a slash, a control character) gives
 * `undefined`: there is no secret of that name.
 */
export const fill = (template: string, { key, vendor }: CredentialRequest): string | undefined =>
  [vendor, key].every(isPlain) && vendor !== ""
    ? template.replaceAll("{vendor}", vendor).replaceAll(key === "" ? /[/._-]?\{key\}/g : "{key}", key)
    : undefined

/** By a template; without one, as a variable of the environment. `undefined` as in {@link fill}. */
export const nameOf = (template: string | undefined, request: CredentialRequest): string | undefined =>
  template === undefined && fill("{vendor}{key}", request) !== undefined
    ? environmentName(request)
    : fill(template ?? "", request) || undefined

/** A template is a mistake of the program when it can name only one secret for all, unless that is what is wanted. */
export const checked = (name: string, template: string): string => {
  const unknown = /\{(?!vendor\}|key\})[^}]*\}?/.exec(template)
  if (template === "" || unknown !== null) {
    throw new Error(`${name} must be a name that may hold {vendor} and {key}, got ${JSON.stringify(template)}`)
  }
  return template
}

/** No separator, nothing hidden, and not `.` or `..`. */
const isPlain = (part: string): boolean => part === "" || (/^[\w.@:+ -]+$/.test(part) && !/^\.+$|\.$/.test(part))

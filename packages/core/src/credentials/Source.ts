/** Sources of secrets. A source is asked for one secret at a time and caches nothing; its caller does the caching. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"

/** Identifies the requested secret. */
export interface CredentialRequest {
  readonly vendor: string
  /** The partition of the call; `""` for the vendor's only credential. */
  readonly key: string
}

/** A secret and its expiry. */
export interface Secret {
  readonly value: Redacted.Redacted
  /** Unix time in milliseconds at which the secret expires. @default it stays valid until it is changed */
  readonly expiresAt?: number | undefined
  /**
   * Extends the same secret, where its source can: the renewal of a lease. Succeeds with `undefined` if it cannot be
   * extended any further and a new secret must be fetched. Not used for a secret that was refused.
   * @default a new secret is fetched
   */
  readonly extend?: Effect.Effect<Secret | undefined, SourceUnavailable> | undefined
}

/** A source that cannot be used now: it is down, sealed, or refuses access. `issue` holds no secret. */
export interface SourceUnavailable {
  readonly _tag: "SourceUnavailable"
  readonly source: string
  readonly issue: string
  /**
   * Whether the source has refused access: asking again is useless until an operator acts.
   * @default false
   */
  readonly isRefusal?: boolean | undefined
  /** How long it asks its callers to wait, in milliseconds. @default it does not say */
  readonly retryAfterMillis?: number | undefined
}

/** The error of a source that is unavailable. */
export const sourceUnavailable = (
  source: string,
  issue: string,
  retryAfterMillis?: number
): SourceUnavailable => ({
  _tag: "SourceUnavailable",
  source,
  issue,
  ...(retryAfterMillis === undefined ? {} : { retryAfterMillis })
})

/** The error of a source that refuses access. */
export const sourceRefusal = (source: string, issue: string): SourceUnavailable => ({
  ...sourceUnavailable(source, issue),
  isRefusal: true
})

export interface Source {
  /** Lower case, one word: `environment`, `files`, `vault`. Used in logs and metrics. */
  readonly name: string
  /**
   * The current secret; `undefined` if this source has none of that name. `refused` is the secret that the vendor has
   * just refused, if that is the cause of the request. A source with a different secret in store returns that one.
   */
  fetch(
    request: CredentialRequest,
    refused?: Redacted.Redacted
  ): Effect.Effect<Secret | undefined, SourceUnavailable>
}

/** Asks a source; `refused` as in {@link Source.fetch}. Never dies, see {@link alive}. */
export const ask = (
  source: Source,
  request: CredentialRequest,
  refused?: Redacted.Redacted
): Effect.Effect<Secret | undefined, SourceUnavailable> =>
  alive(source, Effect.suspend(() => source.fetch(request, refused)))

/**
 * Turns a defect of a source into its unavailability, also that its result is not a secret. The issue names the defect
 * and does not repeat its message, which may hold the secret.
 */
export const alive = (
  { name }: Source,
  asked: Effect.Effect<Secret | undefined, SourceUnavailable>
): Effect.Effect<Secret | undefined, SourceUnavailable> =>
  Effect.catchDefect(Effect.map(asked, checked), (defect) => {
    const kind = defect instanceof Error ? defect.name : "a defect"
    return Effect.fail(sourceUnavailable(name, `the source is broken (${kind})`))
  })

const checked = (secret: Secret | undefined): Secret | undefined => {
  if (secret === undefined || Redacted.isRedacted(secret.value)) return secret
  throw new TypeError("a source must return a secret or undefined")
}

/** A text without the line ends that editors, `echo` and templates append. */
export const withoutLineEnds = (text: string): string => {
  const last = text.charCodeAt(text.length - 1)
  return last === 0x0a || last === 0x0d ? text.replace(/[\r\n]+$/, "") : text
}

/** Where secrets come from. A source is asked for one secret at a time, by whoever keeps it; it keeps nothing itself. */
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"

/** Which secret is asked for. */
export interface CredentialRequest {
  readonly vendor: string
  /** The partition of the call; `""` for the vendor's only credential. */
  readonly key: string
}

/** A secret, and how long it is good for. */
export interface Secret {
  readonly value: Redacted.Redacted
  /** Unix time in milliseconds from which it is not good any more. @default it is good until it is changed */
  readonly expiresAt?: number | undefined
  /**
   * Makes the same secret good for longer, where its source can: a lease that is renewed. Succeeds with `undefined` when
   * that has come to its end, and a new secret is to be fetched. Not for a secret that has been refused.
   * @default a new one is fetched
   */
  readonly extend?: Effect.Effect<Secret | undefined, SourceUnavailable> | undefined
}

/** A source that cannot be asked now: it is down, sealed, or does not let us in. `issue` holds no secret. */
export interface SourceUnavailable {
  readonly _tag: "SourceUnavailable"
  readonly source: string
  readonly issue: string
  /**
   * Whether the source has answered, and does not let us in: asking again changes nothing until somebody acts.
   * @default false
   */
  readonly isRefusal?: boolean | undefined
}

/** The error of a source that cannot be asked. */
export const sourceUnavailable = (source: string, issue: string): SourceUnavailable => ({
  _tag: "SourceUnavailable",
  source,
  issue
})

/** The error of a source that does not let us in. */
export const sourceRefusal = (source: string, issue: string): SourceUnavailable => ({
  ...sourceUnavailable(source, issue),
  isRefusal: true
})

export interface Source {
  /** Lower case, one word: `environment`, `files`, `vault`. Names it in logs and metrics. */
  readonly name: string
  /**
   * The secret as it is now; `undefined` when this source has none of that name. `refused` is the one that the vendor
   * has just refused, where that is why it is asked: a source that has another one in store gives that.
   */
  fetch(
    request: CredentialRequest,
    refused?: Redacted.Redacted
  ): Effect.Effect<Secret | undefined, SourceUnavailable>
}

/** Where secrets come from. A source is asked for one secret at a time, by whoever keeps it; it keeps nothing itself. */
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { CredentialRequest } from "./Credential.ts"

/** A secret, and how long it is good for. */
export interface Secret {
  readonly value: Redacted.Redacted
  /** Unix time in milliseconds from which it is not good any more. @default it is good until it is changed */
  readonly expiresAt?: number | undefined
}

/** A source that cannot be asked now: it is down, sealed, or does not let us in. `issue` holds no secret. */
export interface SourceUnavailable {
  readonly _tag: "SourceUnavailable"
  readonly source: string
  readonly issue: string
}

export interface Source {
  /** Lower case, one word: `environment`, `files`, `vault`. Names it in logs and metrics. */
  readonly name: string
  /** The secret as it is now; `undefined` when this source has none of that name. */
  fetch(request: CredentialRequest): Effect.Effect<Secret | undefined, SourceUnavailable>
}

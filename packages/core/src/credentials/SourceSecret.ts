/**
 * The credential that a secret source uses to authenticate itself. It is either fixed, or read again at every use, so
 * that it can be rotated too.
 *
 * @example
 * ```ts
 * import { Credential, SourceSecret } from "@breakwater/core/credentials"
 * import { ConfigProvider, Effect, Redacted } from "effect"
 *
 * // The secret of an OAuth client, from the environment: `HUBSPOT_CLIENT_API_KEY`.
 * const secret = SourceSecret.fromSource(Credential.environment, { vendor: "hubspot", key: "client" })
 * const environment = ConfigProvider.fromUnknown({ HUBSPOT_CLIENT_API_KEY: "from the environment" })
 *
 * const read = await Effect.runPromise(Effect.provide(SourceSecret.read(secret), ConfigProvider.layer(environment)))
 * console.log(Redacted.value(read)) // => from the environment
 * ```
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type CredentialRequest, type Source, type SourceUnavailable, sourceUnavailable } from "./Source.ts"

export type SourceSecret = Redacted.Redacted | Effect.Effect<Redacted.Redacted, SourceUnavailable>

/** Reads the secret now. */
export const read = (given: SourceSecret): Effect.Effect<Redacted.Redacted, SourceUnavailable> =>
  Redacted.isRedacted(given) ? Effect.succeed(given) : given

/** Reads the secret from another source at every use. Fails if that source has none. */
export const fromSource = (source: Source, request: CredentialRequest): SourceSecret =>
  Effect.flatMap(source.fetch(request), (secret) =>
    secret === undefined
      ? Effect.fail(sourceUnavailable(source.name, "it has no secret of that name"))
      : Effect.succeed(secret.value))

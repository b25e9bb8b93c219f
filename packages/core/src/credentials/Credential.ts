/**
 * A vendor's secret, read anew for every attempt and held no longer than one. Where it comes from is for a layer to say;
 * without one it is the environment, through Effect's `Config`.
 *
 * @example
 * ```ts
 * import { Credential } from "@breakwater/core/credentials"
 * import { ConfigProvider, Effect, Redacted } from "effect"
 *
 * const environment = ConfigProvider.layer(ConfigProvider.fromUnknown({ STRIPE_EU_API_KEY: "from the environment" }))
 * const secret = Effect.flatMap(Credential.Credentials, ({ read }) => read({ vendor: "stripe", key: "eu" }))
 *
 * const read = await Effect.runPromise(Effect.provide(secret, environment))
 * console.log(String(read)) // => <redacted>
 * console.log(Redacted.value(read)) // => from the environment
 * ```
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { CredentialUnavailable } from "../Reason.ts"
import { environmentName } from "./Naming.ts"
import type { CredentialRequest, Source } from "./Source.ts"

export { environmentName, upperSnake } from "./Naming.ts"
export type { CredentialRequest } from "./Source.ts"

export interface Credentials {
  /** The secret as it is now. Fails when there is none. */
  readonly read: (request: CredentialRequest) => Effect.Effect<Redacted.Redacted, CredentialUnavailable>
  /**
   * The vendor has refused this secret: asks the source itself, once for all who ask at the same time, and not what is
   * remembered of it. Succeeds with the secret as it is now, which may be the same. @default `read`
   */
  readonly renew?:
    | ((
      request: CredentialRequest,
      refused: Redacted.Redacted
    ) => Effect.Effect<Redacted.Redacted, CredentialUnavailable>)
    | undefined
}

/** The fibre's `ConfigProvider`, by default the environment, as a source. */
export const environment: Source = {
  name: "environment",
  fetch: (request) =>
    Config.NonEmptyString(environmentName(request)).pipe(
      Effect.map((value) => ({ value: Redacted.make(value) })),
      Effect.orElseSucceed(() => undefined)
    )
}

/**
 * Asks a source that is near for every attempt: what it has now is what is used. Why it cannot be asked is logged when it
 * begins, and when it is another reason.
 */
export const fromSource = (source: Source): Credentials => {
  let told: string | undefined
  return {
    read(request) {
      const name = environmentName(request)
      return Effect.matchEffect(source.fetch(request), {
        onSuccess: (secret) => {
          if (secret === undefined) return Effect.fail(new CredentialUnavailable(name))
          told = undefined
          return Effect.succeed(secret.value)
        },
        onFailure: ({ issue }) => {
          const failure = Effect.fail(new CredentialUnavailable(name, "Unreachable"))
          if (issue === told) return failure
          told = issue
          return Effect.logWarning(`a secret could not be read: ${issue}`).pipe(
            Effect.annotateLogs({ vendor: request.vendor, key: request.key, source: source.name }),
            Effect.andThen(failure)
          )
        }
      })
    }
  }
}

/** Reads from the fibre's `ConfigProvider`, by default the environment. */
export const fromConfig: Credentials = fromSource(environment)

/** Where credentials come from. @default {@link fromConfig} */
export const Credentials: Context.Reference<Credentials> = Context.Reference<Credentials>(
  "breakwater/credentials/Credentials",
  { defaultValue: () => fromConfig }
)

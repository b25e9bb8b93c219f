/**
 * A vendor's secret, read for every attempt and kept no longer than one. A layer selects its source; the default is the
 * environment, through Effect's `Config`.
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
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { CredentialUnavailable } from "../Reason.ts"
import { environmentName } from "./Naming.ts"
import type { CredentialRequest, Source } from "./Source.ts"

export { environmentName, upperSnake } from "./Naming.ts"
export type { CredentialRequest } from "./Source.ts"

export interface Credentials {
  /** The current secret. Fails if it is missing. */
  readonly read: (request: CredentialRequest) => Effect.Effect<Redacted.Redacted, CredentialUnavailable>
  /**
   * Reports that the vendor has refused this secret. Asks the source itself, bypassing any cache, and once for
   * concurrent requests. Succeeds with the current secret, which may be the same.
   * @default `read`
   */
  readonly renew?:
    | ((
      request: CredentialRequest,
      refused: Redacted.Redacted
    ) => Effect.Effect<Redacted.Redacted, CredentialUnavailable>)
    | undefined
  /**
   * The name of the account that a secret belongs to, for caches: the same for every secret of the account, in every
   * process, and for no other account. It is no secret.
   * @default no name: a cached answer is for calls with the very same secret, in the same process
   */
  readonly account?: ((request: CredentialRequest) => string | undefined) | undefined
}

/** The fiber's `ConfigProvider`, by default the environment, as a source. */
export const environment: Source = {
  name: "environment",
  fetch: (request) =>
    Config.NonEmptyString(environmentName(request)).pipe(
      Effect.map((value) => ({ value: Redacted.make(value) })),
      Effect.orElseSucceed(() => undefined)
    )
}

/**
 * Asks a local source for every attempt, so a change takes effect at once. A failure is logged when it begins, and
 * again when its cause changes.
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

/** Reads from the fiber's `ConfigProvider`, by default the environment. */
export const fromConfig: Credentials = fromSource(environment)

/** The credentials of all vendors. @default {@link fromConfig} */
export const Credentials: Context.Reference<Credentials> = Context.Reference<Credentials>(
  "breakwater/credentials/Credentials",
  { defaultValue: () => fromConfig }
)

/**
 * Names the accounts of the credentials below it. Cached answers then outlive a rotation of the secret, and are shared
 * with other processes. `undefined` leaves an account without a name.
 *
 * @example
 * ```ts
 * import { Credential } from "@breakwater/core/credentials"
 * import { Layer } from "effect"
 *
 * // One account for each vendor and key.
 * const accounts = Credential.layerAccounts(({ key, vendor }) => `${vendor}/${key}`)
 * console.log(Layer.isLayer(accounts)) // => true
 * ```
 */
export const layerAccounts = (account: NonNullable<Credentials["account"]>): Layer.Layer<never> =>
  Layer.effect(
    Credentials,
    Effect.map(Credentials, (credentials): Credentials => {
      const { renew } = credentials
      return {
        read: (request) => credentials.read(request),
        renew: renew && ((request, refused) => renew.call(credentials, request, refused)),
        account
      }
    })
  )

/**
 * A vendor's secret, read for every attempt and kept no longer than one. A layer selects its source; the default is the
 * environment, through Effect's `Config`. A client keeps the credentials that it was built with: those around its calls
 * do not matter, unless a caller says so with {@link Override}.
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
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { CredentialUnavailable } from "../Reason.ts"
import { environmentName } from "./Naming.ts"
import { ask, type CredentialRequest, type Source, withoutLineEnds } from "./Source.ts"

export { environmentName, upperSnake } from "./Naming.ts"
export { make as makeRevocations, Revocations, revoke } from "./Revocations.ts"
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

/** The `ConfigProvider` as a source, by default the environment. A client reads it with the one it was built with. */
export const environment: Source = {
  name: "environment",
  fetch: (request) =>
    Config.String(environmentName(request)).pipe(
      Effect.map(withoutLineEnds),
      Effect.map((value) => value === "" ? undefined : { value: Redacted.make(value) }),
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
      return Effect.matchEffect(ask(source, request), {
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

/** Reads from {@link environment}. */
export const fromConfig: Credentials = fromSource(environment)

/** The same credentials, read with the `ConfigProvider` of the layer that makes them, and not with that of its user. */
export const withConfigOfLayer = (credentials: Credentials): Effect.Effect<Credentials> =>
  Effect.map(ConfigProvider.ConfigProvider, (provider) => {
    const within = Effect.provideService(ConfigProvider.ConfigProvider, provider)
    const { renew } = credentials
    return {
      read: (request) => within(Effect.suspend(() => credentials.read(request))),
      renew: renew && ((request, refused) => within(Effect.suspend(() => renew.call(credentials, request, refused)))),
      account: (request) => credentials.account?.(request)
    }
  })

/** The credentials of the clients that are built with them. @default {@link fromConfig} */
export const Credentials: Context.Reference<Credentials> = Context.Reference<Credentials>(
  "breakwater/credentials/Credentials",
  { defaultValue: () => fromConfig }
)

/**
 * Credentials that a caller sets for its own calls, such as with a token of the user who is signed in. They override
 * those of every client that is called, for all vendors, and their reads run with the caller's own services. Answers to
 * such calls are neither taken from a cache nor put into one.
 *
 * A partition of a client's own credentials is better selected by the `key` of a call, which limits and breakers see.
 * @default each client uses the credentials it was built with
 *
 * @example
 * ```ts
 * import { Credential } from "@breakwater/core/credentials"
 * import { Effect, Redacted } from "effect"
 *
 * const ofUser = (token: Redacted.Redacted) =>
 *   Effect.provideService(Credential.Override, { read: () => Effect.succeed(token) })
 *
 * const call = Effect.flatMap(Credential.Override, (override) => Effect.succeed(override !== undefined))
 * console.log(await Effect.runPromise(call.pipe(ofUser(Redacted.make("of the user"))))) // => true
 * ```
 */
export const Override: Context.Reference<Credentials | undefined> = Context.Reference<Credentials | undefined>(
  "breakwater/credentials/Override",
  { defaultValue: () => undefined }
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

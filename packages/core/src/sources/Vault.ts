/**
 * Secrets from HashiCorp Vault or OpenBao, which has the same API: version 2 of its key/value engine, or any engine
 * that leases secrets. The source's own token is renewed, or replaced by a new login, before it expires. Secrets are
 * not cached here; the caller's cache asks again before they expire.
 *
 * @example
 * ```ts
 * import { Vault } from "@breakwater/core/sources"
 * import { Effect, Layer, Redacted } from "effect"
 * import { HttpClient, HttpClientResponse } from "effect/http"
 *
 * // The responses of Vault: a token that never expires, and a secret.
 * const answers = { ttl: 0, data: { api_key: "from the vault" }, metadata: { version: 3 } }
 * const vault = HttpClient.make((request) =>
 *   Effect.succeed(HttpClientResponse.fromWeb(request, Response.json({ data: answers })))
 * )
 *
 * const secret = Effect.gen(function*() {
 *   const source = yield* Vault.make({
 *     address: "https://vault.example.com:8200",
 *     auth: { _tag: "Token", token: Redacted.make("from the environment") },
 *     engine: { _tag: "KeyValue", path: "vendors/{vendor}/{key}", field: "api_key" }
 *   })
 *   return yield* source.fetch({ vendor: "stripe", key: "eu" })
 * })
 *
 * const layer = Layer.succeed(HttpClient.HttpClient, vault)
 * const read = await Effect.runPromise(Effect.scoped(Effect.provide(secret, layer)))
 * console.log(String(read?.value)) // => <redacted>
 * ```
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { CredentialRequest } from "../credentials/Credential.ts"
import * as RefreshingCredentials from "../credentials/RefreshingCredentials.ts"
import type { Secret, Source, SourceUnavailable } from "../credentials/Source.ts"
import * as EnvironmentOptions from "./EnvironmentOptions.ts"
import * as SecretRequest from "./SecretRequest.ts"
import * as Engine from "./Vault/Engine.ts"
import * as Login from "./Vault/Login.ts"
import * as VaultApi from "./Vault/VaultApi.ts"

export type { VaultEngine } from "./Vault/Engine.ts"
export type { VaultAuth } from "./Vault/Login.ts"

export interface VaultOptions extends VaultApi.VaultApiOptions {
  readonly auth: Login.VaultAuth
  /**
   * The engine with the secrets. @default version 2 of key/value at `secret`, path `{vendor}/{key}`, field `api_key`
   */
  readonly engine?: Engine.VaultEngine | undefined
}

/**
 * The source. At the end of its scope it revokes its leases and the tokens of its own logins, for at most two seconds.
 * Dies if an option is out of its range.
 */
export const make = (options: VaultOptions): Effect.Effect<Source, never, HttpClient | Scope.Scope> =>
  Effect.gen(function*() {
    const api = yield* VaultApi.make(options)
    const engine = Engine.make(api, options.engine ?? { _tag: "KeyValue" })
    const login = yield* Login.make(api, options.auth)
    yield* Effect.addFinalizer(() => leave(api, engine, login))

    const fetch = (
      request: CredentialRequest,
      isFirst: boolean
    ): Effect.Effect<Secret | undefined, SourceUnavailable> =>
      Effect.gen(function*() {
        const path = engine.pathOf(request)
        if (path === undefined) return undefined
        const held = yield* login.current
        const reply = yield* api.get(path, held.token, engine.isRepeatable)
        if (reply.status === 403 && isFirst && (yield* login.isDead(held))) return yield* fetch(request, false)
        return yield* engine.secretOf(reply, held)
      })

    return { name: VaultApi.sourceName, fetch: (request) => fetch(request, true) }
  })

/** Credentials from Vault, cached by {@link RefreshingCredentials}. */
export const layer = (
  options: VaultOptions,
  keeper?: RefreshingCredentials.RefreshingCredentialsOptions
): Layer.Layer<never, never, HttpClient> => RefreshingCredentials.layer(make(options), keeper)

/**
 * The variables of Vault's own command, `VAULT_ADDR` and `VAULT_NAMESPACE`, and these:
 *
 * - authentication: `VAULT_TOKEN`, or `VAULT_ROLE_ID` and `VAULT_SECRET_ID`, or `VAULT_KUBERNETES_ROLE` (optionally
 *   with `VAULT_KUBERNETES_TOKEN_FILE`)
 * - `VAULT_SECRET_ID_WRAPPED=true`, if the secret id is a token that yields it once
 * - `VAULT_AUTH_MOUNT`, if the method is not mounted at its usual place
 * - `VAULT_ENGINE`: `kv` by default, or `dynamic`
 * - `VAULT_KV_MOUNT`, `VAULT_PATH` and `VAULT_FIELD`
 *
 * Absent without `VAULT_ADDR`.
 */
export const config: Config.Config<VaultOptions> = Config.flatMap(
  EnvironmentOptions.required("VAULT_ADDR"),
  () =>
    Config.all({
      address: EnvironmentOptions.checked(
        "VAULT_ADDR",
        EnvironmentOptions.required("VAULT_ADDR"),
        (address) => SecretRequest.baseUrl("VAULT_ADDR", address)
      ),
      namespace: EnvironmentOptions.text("VAULT_NAMESPACE"),
      auth: Login.config,
      engine: Engine.config
    })
)

/** Credentials from Vault by {@link config}. */
export const layerConfig = (
  keeper?: RefreshingCredentials.RefreshingCredentialsOptions
): Layer.Layer<never, Config.ConfigError, HttpClient> =>
  Layer.unwrap(Effect.map(config, (options) => layer(options, keeper)))

/** Revoking a token revokes its leases too; a token from outside is not revoked. */
const leave = (api: VaultApi.VaultApi, engine: Engine.Engine, login: Login.Login): Effect.Effect<void> =>
  Effect.gen(function*() {
    const own = yield* login.end
    const foreign = (yield* engine.leases).filter(({ held }) => !own.includes(held))
    yield* Effect.forEach(
      [
        ...foreign.map(({ held, id }) => api.post("sys/leases/revoke", held.token, { lease_id: id }, true)),
        ...own.map(({ token }) => api.post("auth/token/revoke-self", token, {}, true))
      ],
      (asked) => Effect.ignore(asked),
      { concurrency: 8, discard: true }
    )
  }).pipe(Effect.timeoutOption("2 seconds"), Effect.asVoid)

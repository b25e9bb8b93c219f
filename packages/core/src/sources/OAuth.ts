/**
 * Access tokens of OAuth 2: for the client itself, by a refresh token, or in exchange for another token (RFC 6749, RFC
 * 8693). Access tokens are not cached here. Refresh tokens are kept in a {@link TokenStore}, by compare-and-set,
 * because every use may spend one. No two processes spend the same token, and its successor is stored before the access
 * token is used. The sign-in that yields the first refresh token is out of scope.
 *
 * @example
 * ```ts
 * import { OAuth } from "@breakwater/core/sources"
 * import { Effect, Layer, Redacted } from "effect"
 * import { HttpClient, HttpClientResponse } from "effect/http"
 *
 * // The response of a token endpoint.
 * const answer = { access_token: "from-the-server", token_type: "Bearer", expires_in: 3600 }
 * const server = HttpClient.make((request) =>
 *   Effect.succeed(HttpClientResponse.fromWeb(request, Response.json(answer)))
 * )
 *
 * const token = Effect.gen(function*() {
 *   const source = yield* OAuth.make({
 *     vendor: "hubspot",
 *     tokenUrl: "https://auth.example.com/token",
 *     client: { _tag: "Basic", clientId: "us", secret: Redacted.make("from the environment") },
 *     scope: "contacts"
 *   })
 *   return yield* source.fetch({ vendor: "hubspot", key: "" })
 * })
 *
 * const read = await Effect.runPromise(Effect.provide(token, Layer.succeed(HttpClient.HttpClient, server)))
 * console.log(String(read?.value)) // => <redacted>
 * ```
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { CredentialRequest } from "../credentials/Credential.ts"
import * as Naming from "../credentials/Naming.ts"
import * as RefreshingCredentials from "../credentials/RefreshingCredentials.ts"
import type { Secret, Source, SourceUnavailable } from "../credentials/Source.ts"
import * as SourceSecret from "../credentials/SourceSecret.ts"
import * as EnvironmentOptions from "./EnvironmentOptions.ts"
import * as ClientAuth from "./OAuth/ClientAuth.ts"
import * as Refresh from "./OAuth/Refresh.ts"
import * as TokenEndpoint from "./OAuth/TokenEndpoint.ts"
import * as TokenStore from "./OAuth/TokenStore.ts"
import * as SecretRequest from "./SecretRequest.ts"

export type { ClientAuth } from "./OAuth/ClientAuth.ts"
export { isTokenRefused, type TokenRefusal, type TokenRefused } from "./OAuth/TokenEndpoint.ts"
export * as TokenStore from "./OAuth/TokenStore.ts"

export interface OAuthOptions extends TokenEndpoint.TokenEndpointOptions {
  /** The vendor that accepts the tokens. Other vendors get none. */
  readonly vendor: string
  /** The vendor's key that the tokens are for; `""` for its only key. @default all keys */
  readonly key?: string | undefined
  /** The grant that yields a token. @default `ClientCredentials`, the client's own identity */
  readonly grant?: OAuthGrant | undefined
}

export type OAuthGrant =
  /** RFC 6749, 4.4 */
  | { readonly _tag: "ClientCredentials" }
  /**
   * RFC 6749, 6. The refresh token is in `store`. A function selects the store of a key, for example one per tenant,
   * and returns `undefined` for a key without a sign-in. `seed` is the first refresh token, and the next one if the
   * stored one was refused.
   */
  | {
    readonly _tag: "RefreshToken"
    readonly store: TokenStore.TokenStore
    readonly seed?: SourceSecret.SourceSecret | undefined
  }
  | { readonly _tag: "RefreshToken"; readonly store: (key: string) => TokenStore.TokenStore | undefined }
  /** RFC 8693. The types are URIs; the default is that of an access token. */
  | {
    readonly _tag: "TokenExchange"
    readonly subjectToken: SourceSecret.SourceSecret
    readonly subjectTokenType?: string | undefined
    readonly actorToken?: SourceSecret.SourceSecret | undefined
    readonly actorTokenType?: string | undefined
    readonly requestedTokenType?: string | undefined
  }

/** The source. Dies if an option is out of its range. */
export const make = (options: OAuthOptions): Effect.Effect<Source, never, HttpClient> =>
  Effect.map(TokenEndpoint.make(options), (endpoint) => {
    const ask = asking(endpoint, options.grant ?? { _tag: "ClientCredentials" })
    return {
      name: ClientAuth.sourceName,
      fetch: ({ key, vendor }, refused) =>
        vendor === options.vendor && (options.key === undefined || key === options.key)
          ? ask(key, refused)
          : Effect.undefined
    }
  })

/** Credentials from a token endpoint, cached by {@link RefreshingCredentials}. */
export const layer = (
  options: OAuthOptions,
  keeper?: RefreshingCredentials.RefreshingCredentialsOptions
): Layer.Layer<never, never, HttpClient> => RefreshingCredentials.layer(make(options), keeper)

const configOf = (
  prefix: string,
  vendor: Config.Config<string>,
  key: Config.Config<string | undefined>
): Config.Config<OAuthOptions> =>
  Config.flatMap(EnvironmentOptions.required(`${prefix}TOKEN_URL`), (tokenUrl) =>
    Config.all({
      tokenUrl: EnvironmentOptions.checked(`${prefix}TOKEN_URL`, Config.succeed(tokenUrl), (url) =>
        SecretRequest.endpointUrl("it", url)),
      vendor,
      key,
      client: ClientAuth.config(prefix),
      scope: EnvironmentOptions.text(`${prefix}SCOPE`),
      audience: EnvironmentOptions.text(`${prefix}AUDIENCE`),
      resource: EnvironmentOptions.text(`${prefix}RESOURCE`),
      grant: grantOf(prefix)
    }))

const grantOf = (prefix: string): Config.Config<OAuthGrant> =>
  Config.flatMap(
    Config.all({
      file: EnvironmentOptions.text(`${prefix}TOKEN_FILE`),
      seed: EnvironmentOptions.secret(`${prefix}REFRESH_TOKEN`)
    }),
    ({ file, seed }): Config.Config<OAuthGrant> => {
      if (file !== undefined) return Config.succeed({ _tag: "RefreshToken", store: TokenStore.file(file), seed })
      return seed === undefined
        ? Config.succeed({ _tag: "ClientCredentials" })
        : EnvironmentOptions.mistaken(
          `${prefix}TOKEN_FILE`,
          "is required, because every use replaces the refresh token"
        )
    }
  )

/**
 * The options from variables with the prefix of a vendor and its key, such as `HUBSPOT_OAUTH_TOKEN_URL`:
 *
 * - `…_TOKEN_URL`, without which the options are absent
 * - `…_CLIENT_ID`
 * - `…_CLIENT_SECRET`, with `…_CLIENT_AUTH`: `basic` by default, or `post`
 * - or `…_PRIVATE_KEY` or `…_PRIVATE_KEY_FILE`, with `…_PRIVATE_KEY_ID` and `…_ASSERTION_AUDIENCE`
 * - `…_SCOPE`, `…_AUDIENCE`, `…_RESOURCE`
 * - `…_TOKEN_FILE`, the store of the refresh token, which selects that grant; `…_REFRESH_TOKEN` is its seed
 */
export const configFor = (request: CredentialRequest): Config.Config<OAuthOptions> =>
  configOf(`${Naming.prefixOf(request)}_OAUTH_`, Config.succeed(request.vendor), Config.succeed(request.key))

/**
 * Like {@link configFor}, for one vendor: `OAUTH_TOKEN_URL` and so on, `OAUTH_VENDOR`, and `OAUTH_KEY`, by default all.
 */
export const config: Config.Config<OAuthOptions> = configOf(
  "OAUTH_",
  EnvironmentOptions.or(
    EnvironmentOptions.text("OAUTH_VENDOR"),
    EnvironmentOptions.mistaken("OAUTH_VENDOR", "is required")
  ),
  EnvironmentOptions.text("OAUTH_KEY")
)

/** Credentials from a token endpoint by {@link config}. */
export const layerConfig = (
  keeper?: RefreshingCredentials.RefreshingCredentialsOptions
): Layer.Layer<never, Config.ConfigError, HttpClient> =>
  Layer.unwrap(Effect.map(config, (options) => layer(options, keeper)))

type Ask = (key: string, refused?: Redacted.Redacted) => Effect.Effect<Secret | undefined, SourceUnavailable>

const asking = (endpoint: TokenEndpoint.TokenEndpoint, grant: OAuthGrant): Ask => {
  switch (grant._tag) {
    case "ClientCredentials":
      return () => Effect.map(endpoint.ask([["grant_type", "client_credentials"]], true), secretOf)
    case "TokenExchange":
      return () =>
        Effect.gen(function*() {
          const subject = yield* SourceSecret.read(grant.subjectToken)
          const actor = grant.actorToken === undefined ? undefined : yield* SourceSecret.read(grant.actorToken)
          return secretOf(yield* endpoint.ask(exchange(grant, subject, actor), true))
        })
    case "RefreshToken": {
      const { store } = grant
      if (typeof store !== "function") {
        const refresh = Refresh.make(endpoint, store, "seed" in grant ? grant.seed : undefined)
        return (_key, refused) => Effect.map(refresh.access(refused), secretOfAccess)
      }
      /** Keys with a token that could not be stored yet. */
      const unsaved = new Map<string, Refresh.Refresh>()
      return (key, refused) => {
        const ofKey = store(key)
        if (ofKey === undefined) return Effect.undefined
        const refresh = unsaved.get(key) ?? Refresh.make(endpoint, ofKey)
        const kept = Effect.sync(() => refresh.isSaved ? unsaved.delete(key) : unsaved.set(key, refresh))
        return Effect.map(Effect.ensuring(refresh.access(refused), kept), secretOfAccess)
      }
    }
  }
}

const secretOf = ({ accessToken: value, expiresAt }: TokenEndpoint.Token): Secret => ({ value, expiresAt })

const secretOfAccess = ({ expiresAt, token: value }: TokenStore.Access): Secret => ({ value, expiresAt })

/** RFC 8693, 2.1 */
const exchange = (
  grant: OAuthGrant & { readonly _tag: "TokenExchange" },
  subject: Redacted.Redacted,
  actor: Redacted.Redacted | undefined
): ReadonlyArray<readonly [string, string]> => [
  ["grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"],
  ["subject_token", Redacted.value(subject)],
  ["subject_token_type", grant.subjectTokenType ?? ofAccessToken],
  ...(actor === undefined ? [] : [
    ["actor_token", Redacted.value(actor)] as const,
    ["actor_token_type", grant.actorTokenType ?? ofAccessToken] as const
  ]),
  ...(grant.requestedTokenType === undefined ? [] : [["requested_token_type", grant.requestedTokenType] as const])
]

const ofAccessToken = "urn:ietf:params:oauth:token-type:access_token"

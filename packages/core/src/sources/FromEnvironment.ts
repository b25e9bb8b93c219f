/**
 * Credentials by configuration alone: `CREDENTIALS` names their sources, and the variables of each source configure it.
 * Missing or invalid settings are reported at the start.
 *
 * @example
 * ```ts
 * import { Credential } from "@breakwater/core/credentials"
 * import { FromEnvironment } from "@breakwater/core/sources"
 * import { TransportHttpClient, UndiciTransport } from "@breakwater/core/transport"
 * import { ConfigProvider, Effect, Layer, Redacted } from "effect"
 * import { tmpdir } from "node:os"
 *
 * const environment = { CREDENTIALS: `files:${tmpdir()},environment`, STRIPE_API_KEY: "here" }
 * const provider = ConfigProvider.layer(ConfigProvider.fromUnknown(environment))
 * const program = Effect.gen(function*() {
 *   const { read } = yield* Credential.Credentials
 *   console.log(Redacted.value(yield* read({ vendor: "stripe", key: "" }))) // => here
 * })
 * const http = TransportHttpClient.layer().pipe(Layer.provide(UndiciTransport.layer({ allow: ["10.1.0.0/16"] })))
 * const credentials = FromEnvironment.layer.pipe(Layer.provide(http), Layer.provideMerge(provider))
 * await Effect.runPromise(Effect.provide(program, credentials))
 * ```
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Chain from "../credentials/Chain.ts"
import { Credentials, environment, withConfigOfLayer } from "../credentials/Credential.ts"
import * as Naming from "../credentials/Naming.ts"
import * as RefreshingCredentials from "../credentials/RefreshingCredentials.ts"
import type { Source } from "../credentials/Source.ts"
import * as AwsSecretsManager from "./AwsSecretsManager.ts"
import * as EncryptedFile from "./EncryptedFile.ts"
import * as EnvironmentOptions from "./EnvironmentOptions.ts"
import * as Files from "./Files.ts"
import * as OAuth from "./OAuth.ts"
import * as Vault from "./Vault.ts"

/** Makes a part of the chain, once the whole configuration is known to be valid. */
export type Plan = Effect.Effect<Chain.Part, never, HttpClient | Scope.Scope>

export interface Settings {
  readonly parts: ReadonlyArray<Plan>
  readonly whenDown: "Fail" | "Next"
}

/**
 * `CREDENTIALS` lists one or more of these sources, separated by commas, in order of precedence:
 *
 * - `environment`, the default: `STRIPE_API_KEY`
 * - `files:/run/secrets`: {@link Files}
 * - `encrypted-file:/path/of/secrets.age`: {@link EncryptedFile}, with the key in `CREDENTIALS_KEY` or
 *   `CREDENTIALS_KEY_FILE`
 * - `vault`: {@link Vault}, configured by `VAULT_ADDR` and so on
 * - `aws-secrets-manager`: {@link AwsSecretsManager}, configured by `AWS_REGION` and so on
 * - `oauth`: {@link OAuth}, with `OAUTH_TOKEN_URL` and so on; `oauth:hubspot` or `oauth:hubspot/eu` with
 *   `HUBSPOT_EU_OAUTH_…`
 *
 * `CREDENTIALS_NAME` is the template of secret names in files, such as `{vendor}.{key}`. `CREDENTIALS_WHEN_DOWN`
 * decides what happens if one of several sources is down: `fail` (the default) or `next`. Errors do not repeat the
 * invalid value, which may be a misplaced secret.
 */
export const config: Config.Config<Settings> = Config.flatMap(
  Config.all({
    words: EnvironmentOptions.text("CREDENTIALS"),
    name: EnvironmentOptions.checked(
      "CREDENTIALS_NAME",
      EnvironmentOptions.text("CREDENTIALS_NAME"),
      (name) => Naming.checked("CREDENTIALS_NAME", name)
    ),
    whenDown: EnvironmentOptions.word("CREDENTIALS_WHEN_DOWN", ["fail", "next"])
  }),
  ({ name, whenDown, words = "environment" }) =>
    Config.map(
      Config.all(words.split(",").map((word, index) => partOf(word.trim(), index + 1, name))),
      (parts) => ({ parts, whenDown: whenDown === "next" ? "Next" : "Fail" })
    )
)

/**
 * Credentials by {@link config}. Remote sources use the `HttpClient`, and are cached by {@link RefreshingCredentials}.
 */
export const layer: Layer.Layer<never, Config.ConfigError, HttpClient> = Layer.effect(
  Credentials,
  Effect.gen(function*() {
    const { parts, whenDown } = yield* config
    return yield* withConfigOfLayer(Chain.make(yield* Effect.all(parts), { whenDown }))
  })
)

const partOf = (text: string, position: number, name: string | undefined): Config.Config<Plan> => {
  const at = text.indexOf(":")
  const [word, where] = at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)]
  const mistaken = (what: string) => EnvironmentOptions.mistaken("CREDENTIALS", `${what} (in place ${position})`)
  switch (word) {
    case "files":
      return where === ""
        ? mistaken("must name a directory: files:/run/secrets")
        : Config.succeed(near(Files.make({ directory: where, name })))
    case "encrypted-file":
      return where === ""
        ? mistaken("must name a file: encrypted-file:/path/of/secrets.age")
        : Config.map(EncryptedFile.keyConfig(), (key) => near(EncryptedFile.make({ path: where, key, name })))
    case "oauth": {
      const [vendor = "", key = "", ...more] = where.split("/")
      if (more.length > 0 || (at >= 0 && vendor === "")) return mistaken("must name a vendor: oauth:hubspot")
      return Config.map(
        vendor === "" ? OAuth.config : OAuth.configFor({ vendor, key }),
        (options) => kept(OAuth.make(options))
      )
    }
  }
  if (at >= 0) return mistaken(unknown)
  switch (word) {
    case "environment":
      return Config.succeed(near(environment))
    case "vault":
      return Config.map(Vault.config, (options) => kept(Vault.make(options)))
    case "aws-secrets-manager":
      return Config.map(AwsSecretsManager.config, (options) => kept(AwsSecretsManager.make(options)))
    default:
      return mistaken(unknown)
  }
}

const near = (source: Source): Plan => Effect.succeed(source)

const kept = (source: Effect.Effect<Source, never, HttpClient | Scope.Scope>): Plan =>
  Effect.flatMap(source, (source) => RefreshingCredentials.make(source))

const unknown =
  "must be environment, files:…, encrypted-file:…, vault, aws-secrets-manager or oauth, or several with commas between"

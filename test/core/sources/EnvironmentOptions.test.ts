import * as AwsSecretsManager from "@breakwater/core/sources/AwsSecretsManager"
import * as OAuth from "@breakwater/core/sources/OAuth"
import * as Vault from "@breakwater/core/sources/Vault"
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Option, Redacted } from "effect"
import { randomUUID } from "node:crypto"
import { inspect } from "node:util"

type Environment = Readonly<Record<string, string>>

const read = <A>(config: Config.Config<A>, env: Environment) => config.parse(ConfigProvider.fromEnv({ env }))

/** Leaves out variables that are `undefined`. */
const plain = (value: object): object =>
  Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined))

const revealed = (secret: unknown): string => Redacted.value(secret as Redacted.Redacted)

const secret = randomUUID()
const hubspot = { HUBSPOT_OAUTH_TOKEN_URL: "https://auth.example.com/token", HUBSPOT_OAUTH_CLIENT_ID: "us" }
const ofHubspot = OAuth.configFor({ vendor: "hubspot", key: "" })
const address = { VAULT_ADDR: "https://vault.example.com:8200" }

describe("a source by configuration", () => {
  it.effect("is absent if its required variable is missing or empty", () =>
    Effect.gen(function*() {
      const configs: ReadonlyArray<Config.Config<unknown>> = [
        Vault.config,
        AwsSecretsManager.config,
        OAuth.config,
        ofHubspot
      ]
      for (const config of configs) {
        const optional = Config.option(config)
        assert.isTrue(Option.isNone(yield* read(optional, {})))
        const empty = { VAULT_ADDR: "", AWS_REGION: "", OAUTH_TOKEN_URL: "", HUBSPOT_OAUTH_TOKEN_URL: "" }
        assert.isTrue(Option.isNone(yield* read(optional, empty)))
      }
    }))

  it.effect.each<[string, Config.Config<unknown>, Environment, RegExp]>([
    ["Vault without a way to log in", Vault.config, address, /VAULT_TOKEN/],
    [
      "Vault with two ways to log in",
      Vault.config,
      { ...address, VAULT_TOKEN: secret, VAULT_ROLE_ID: "r" },
      /VAULT_TOKEN/
    ],
    ["a role without its secret", Vault.config, { ...address, VAULT_ROLE_ID: "r" }, /VAULT_SECRET_ID/],
    ["plain http", Vault.config, { VAULT_ADDR: "http://vault.example.com", VAULT_TOKEN: secret }, /VAULT_ADDR/],
    ["a template with an unknown placeholder", Vault.config, {
      ...address,
      VAULT_TOKEN: secret,
      VAULT_PATH: "{tenant}"
    }, /VAULT_PATH/],
    ["an unknown engine", Vault.config, { ...address, VAULT_TOKEN: secret, VAULT_ENGINE: "kv1" }, /VAULT_ENGINE/],
    [
      "a lease without a path",
      Vault.config,
      { ...address, VAULT_TOKEN: secret, VAULT_ENGINE: "dynamic" },
      /VAULT_PATH/
    ],
    [
      "an invalid flag",
      Vault.config,
      { ...address, VAULT_ROLE_ID: "r", VAULT_SECRET_ID: secret, VAULT_SECRET_ID_WRAPPED: "1" },
      /VAULT_SECRET_ID_WRAPPED/
    ],
    ["a region that AWS does not have", AwsSecretsManager.config, { AWS_REGION: "frankfurt" }, /AWS_REGION/],
    [
      "half of an AWS key",
      AwsSecretsManager.config,
      { AWS_REGION: "eu-central-1", AWS_ACCESS_KEY_ID: "a" },
      /AWS_SECRET_ACCESS_KEY/
    ],
    [
      "an endpoint with a path",
      AwsSecretsManager.config,
      { AWS_REGION: "eu-central-1", AWS_ENDPOINT_URL_SECRETS_MANAGER: "https://x.example.com/y" },
      /AWS_ENDPOINT_URL_SECRETS_MANAGER/
    ],
    [
      "OAuth without a vendor",
      OAuth.config,
      { OAUTH_TOKEN_URL: "https://x.example.com", OAUTH_CLIENT_ID: "us" },
      /OAUTH_VENDOR/
    ],
    [
      "OAuth without a client",
      ofHubspot,
      { HUBSPOT_OAUTH_TOKEN_URL: "https://x.example.com" },
      /HUBSPOT_OAUTH_CLIENT_ID/
    ],
    [
      "OAuth over plain http",
      ofHubspot,
      { ...hubspot, HUBSPOT_OAUTH_TOKEN_URL: "http://x.example.com" },
      /OAUTH_TOKEN_URL/
    ],
    [
      "two credentials of a client",
      ofHubspot,
      { ...hubspot, HUBSPOT_OAUTH_CLIENT_SECRET: secret, HUBSPOT_OAUTH_PRIVATE_KEY_FILE: "/x" },
      /HUBSPOT_OAUTH_CLIENT_SECRET/
    ],
    [
      "a refresh token that would be lost",
      ofHubspot,
      { ...hubspot, HUBSPOT_OAUTH_REFRESH_TOKEN: secret },
      /HUBSPOT_OAUTH_TOKEN_FILE/
    ]
  ])(
    "names the invalid variable, and no secret: %s",
    ([, config, env, variable]) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(read(Config.option(config), env))
        assert.match(error.message, variable)
        assert.notInclude(error.message + inspect(error, { depth: 20 }), secret)
      })
  )

  it.effect("is Vault with any of its logins and engines", () =>
    Effect.gen(function*() {
      const byToken = yield* read(Vault.config, { ...address, VAULT_TOKEN: secret, VAULT_NAMESPACE: "team" })
      assert.strictEqual(byToken.address, address.VAULT_ADDR)
      assert.strictEqual(byToken.namespace, "team")
      assert.isTrue(byToken.auth._tag === "Token" && revealed(byToken.auth.token) === secret)
      assert.deepStrictEqual(plain(byToken.engine!), { _tag: "KeyValue" })

      const byRole = yield* read(Vault.config, {
        ...address,
        VAULT_ROLE_ID: "role",
        VAULT_SECRET_ID: secret,
        VAULT_SECRET_ID_WRAPPED: "true",
        VAULT_AUTH_MOUNT: "approle-eu",
        VAULT_KV_MOUNT: "kv",
        VAULT_PATH: "vendors/{vendor}",
        VAULT_FIELD: "key"
      })
      assert.isTrue(byRole.auth._tag === "AppRole" && revealed(byRole.auth.secretId) === secret)
      const { _tag, isWrapped, mount, roleId } = byRole.auth as Vault.VaultAuth & { _tag: "AppRole" }
      assert.deepStrictEqual([_tag, roleId, isWrapped, mount], ["AppRole", "role", true, "approle-eu"])
      assert.deepStrictEqual(byRole.engine, { _tag: "KeyValue", mount: "kv", path: "vendors/{vendor}", field: "key" })

      const ofPod = yield* read(Vault.config, {
        ...address,
        VAULT_KUBERNETES_ROLE: "shop",
        VAULT_KUBERNETES_TOKEN_FILE: "/token",
        VAULT_ENGINE: "dynamic",
        VAULT_PATH: "database/creds/{vendor}",
        VAULT_FIELD: "password"
      })
      assert.deepStrictEqual(plain(ofPod.auth), { _tag: "Kubernetes", role: "shop", tokenFile: "/token" })
      assert.deepStrictEqual(ofPod.engine, { _tag: "Dynamic", path: "database/creds/{vendor}", field: "password" })
    }))

  it.effect("is AWS Secrets Manager with keys, or with those of the SDK's chain", () =>
    Effect.gen(function*() {
      const options = yield* read(AwsSecretsManager.config, {
        AWS_DEFAULT_REGION: "us-east-1",
        AWS_REGION: "eu-central-1",
        AWS_ACCESS_KEY_ID: "id",
        AWS_SECRET_ACCESS_KEY: secret,
        AWS_SESSION_TOKEN: `${secret}-session`,
        AWS_SECRET_ID: "prod/{vendor}",
        AWS_SECRET_FIELD: "api_key",
        AWS_ENDPOINT_URL_SECRETS_MANAGER: "https://vpce.example.com"
      })
      const { credentials, ...rest } = options
      assert.deepStrictEqual(rest, {
        region: "eu-central-1",
        secretId: "prod/{vendor}",
        field: "api_key",
        endpoint: "https://vpce.example.com"
      })
      assert.deepStrictEqual(yield* Effect.promise(() => credentials!()), {
        accessKeyId: "id",
        secretAccessKey: secret,
        sessionToken: `${secret}-session`
      })
      assert.notInclude(inspect(options, { depth: 20 }), secret)
      const bare = yield* read(AwsSecretsManager.config, { AWS_DEFAULT_REGION: "us-east-1" })
      assert.deepStrictEqual(plain(bare), { region: "us-east-1" })
    }))

  it.effect("is OAuth for one vendor, or for each by its name", () =>
    Effect.gen(function*() {
      const one = yield* read(OAuth.config, {
        OAUTH_VENDOR: "hubspot",
        OAUTH_TOKEN_URL: "https://auth.example.com/token",
        OAUTH_CLIENT_ID: "us",
        OAUTH_CLIENT_SECRET: secret,
        OAUTH_CLIENT_AUTH: "post",
        OAUTH_SCOPE: "a b",
        OAUTH_AUDIENCE: "them",
        OAUTH_RESOURCE: "https://api.example.com"
      })
      const { client, ...rest } = one
      assert.deepStrictEqual(plain(rest), {
        vendor: "hubspot",
        tokenUrl: "https://auth.example.com/token",
        scope: "a b",
        audience: "them",
        resource: "https://api.example.com",
        grant: { _tag: "ClientCredentials" }
      })
      assert.isTrue(client._tag === "Post" && client.clientId === "us" && revealed(client.secret) === secret)

      const many = yield* read(OAuth.configFor({ vendor: "open-billing", key: "eu" }), {
        OPEN_BILLING_EU_OAUTH_TOKEN_URL: "https://auth.example.com/token",
        OPEN_BILLING_EU_OAUTH_CLIENT_ID: "us",
        OPEN_BILLING_EU_OAUTH_PRIVATE_KEY: "first\\nsecond",
        OPEN_BILLING_EU_OAUTH_PRIVATE_KEY_ID: "k1",
        OPEN_BILLING_EU_OAUTH_ASSERTION_AUDIENCE: "https://auth.example.com",
        OPEN_BILLING_EU_OAUTH_TOKEN_FILE: "/var/lib/tokens/billing",
        OPEN_BILLING_EU_OAUTH_REFRESH_TOKEN: secret
      })
      assert.deepStrictEqual([many.vendor, many.key], ["open-billing", "eu"])
      assert.isTrue(many.client._tag === "PrivateKey" && revealed(many.client.key) === "first\nsecond")
      assert.include(many.client, { keyId: "k1", audience: "https://auth.example.com" })
      assert.isTrue(many.grant?._tag === "RefreshToken" && "seed" in many.grant && revealed(many.grant.seed) === secret)
      assert.notInclude(inspect([one, many], { depth: 20 }), secret)

      assert.deepStrictEqual((yield* read(ofHubspot, hubspot)).client, { _tag: "None", clientId: "us" })
    }))
})

import * as Credential from "@breakwater/core/credentials/Credential"
import * as FromEnvironment from "@breakwater/core/sources/FromEnvironment"
import { assert, describe, it } from "@effect/vitest"
import { Encrypter } from "age-encryption"
import { Cause, ConfigProvider, Effect, Exit, Layer, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import { randomUUID } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { inspect } from "node:util"
import * as AuthorizationServer from "../../fakes/AuthorizationServer.ts"
import * as SecretFiles from "../../fakes/SecretFiles.ts"
import * as FakeSecretsManager from "../../fakes/SecretsManager.ts"
import * as FakeVault from "../../fakes/Vault.ts"

type Environment = Readonly<Record<string, string>>

const stripe = { vendor: "stripe", key: "" }

/** Reads a secret like a program configured only by its environment. */
const reading = (env: Environment, request: Credential.CredentialRequest = stripe) =>
  Effect.gen(function*() {
    const { read } = yield* Credential.Credentials
    return yield* Effect.match(read(request), { onSuccess: Redacted.value, onFailure: ({ problem }) => problem })
  }).pipe(
    Effect.provide(Layer.provideMerge(
      FromEnvironment.layer,
      Layer.merge(FetchHttpClient.layer, ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
    ))
  )

/** A directory with a secret in a file, and another secret in an encrypted file. */
const local = Effect.gen(function*() {
  const directory = yield* SecretFiles.directory
  const [mounted, encrypted, key] = [randomUUID(), randomUUID(), randomUUID()]
  writeFileSync(join(directory, "STRIPE_API_KEY"), mounted, { mode: 0o600 })
  const encrypter = new Encrypter()
  encrypter.setPassphrase(key)
  encrypter.setScryptWorkFactor(10)
  const bytes = yield* Effect.promise(() =>
    encrypter.encrypt(`STRIPE_API_KEY=${encrypted}\nTWILIO_API_KEY=${encrypted}`)
  )
  const file = join(directory, "secrets.age")
  writeFileSync(file, bytes)
  writeFileSync(join(directory, "key"), key, { mode: 0o600 })
  return { directory, file, mounted, encrypted, key }
})

describe("credentials by configuration", () => {
  it.live("come from the environment, by default or by name", () =>
    Effect.gen(function*() {
      const secret = randomUUID()
      assert.strictEqual(yield* reading({ STRIPE_API_KEY: secret }), secret)
      assert.strictEqual(yield* reading({ CREDENTIALS: "", STRIPE_API_KEY: secret }), secret)
      assert.strictEqual(yield* reading({ CREDENTIALS: "environment", STRIPE_API_KEY: secret }), secret)
      assert.strictEqual(yield* reading({}), "Missing")
    }))

  it.live("come from files, by configured names", () =>
    Effect.gen(function*() {
      const { directory, mounted } = yield* local
      assert.strictEqual(yield* reading({ CREDENTIALS: `files:${directory}` }), mounted)
      writeFileSync(join(directory, "stripe.eu"), "of eu", { mode: 0o600 })
      const named = { CREDENTIALS: `files:${directory}`, CREDENTIALS_NAME: "{vendor}.{key}" }
      assert.strictEqual(yield* reading(named, { vendor: "stripe", key: "eu" }), "of eu")
    }).pipe(Effect.scoped))

  it.live("come from an encrypted file, with its key or its key file", () =>
    Effect.gen(function*() {
      const { directory, encrypted, file, key } = yield* local
      const CREDENTIALS = `encrypted-file:${file}`
      assert.strictEqual(yield* reading({ CREDENTIALS, CREDENTIALS_KEY: key }), encrypted)
      assert.strictEqual(yield* reading({ CREDENTIALS, CREDENTIALS_KEY_FILE: join(directory, "key") }), encrypted)
    }).pipe(Effect.scoped))

  it.live("come from Vault (a fake)", () =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      const secret = randomUUID()
      fake.put("stripe", { api_key: secret })
      assert.strictEqual(yield* reading(FakeVault.environmentOf(fake)), secret)
    }).pipe(Effect.scoped))

  it.live("come from AWS Secrets Manager (a fake)", () =>
    Effect.gen(function*() {
      const fake = yield* FakeSecretsManager.serve
      const secret = randomUUID()
      fake.put("stripe", secret)
      assert.strictEqual(yield* reading(FakeSecretsManager.environmentOf(fake)), secret)
    }).pipe(Effect.scoped))

  it.live("come from OAuth 2 (a real server), for one vendor or several", () =>
    Effect.gen(function*() {
      const secret = randomUUID()
      const server = yield* AuthorizationServer.serve([
        { client_id: "us", client_secret: secret, grant_types: ["client_credentials"] }
      ])
      const one = {
        CREDENTIALS: "oauth",
        OAUTH_VENDOR: "stripe",
        OAUTH_TOKEN_URL: server.tokenUrl,
        OAUTH_CLIENT_ID: "us",
        OAUTH_CLIENT_SECRET: secret
      }
      assert.isTrue(yield* server.isActive(yield* reading(one)))
      const several = {
        CREDENTIALS: "oauth:hubspot, oauth:stripe/eu",
        HUBSPOT_OAUTH_TOKEN_URL: server.tokenUrl,
        HUBSPOT_OAUTH_CLIENT_ID: "us",
        HUBSPOT_OAUTH_CLIENT_SECRET: secret,
        STRIPE_EU_OAUTH_TOKEN_URL: server.tokenUrl,
        STRIPE_EU_OAUTH_CLIENT_ID: "us",
        STRIPE_EU_OAUTH_CLIENT_SECRET: secret
      }
      assert.isTrue(yield* server.isActive(yield* reading(several, { vendor: "stripe", key: "eu" })))
      assert.isTrue(yield* server.isActive(yield* reading(several, { vendor: "hubspot", key: "" })))
      assert.strictEqual(yield* reading(several, { vendor: "stripe", key: "us" }), "Missing")
    }).pipe(Effect.scoped))

  it.live("come from a chain, in its order; a part that is down fails a call by default", () =>
    Effect.gen(function*() {
      const { directory, encrypted, file, key, mounted } = yield* local
      const env = { CREDENTIALS_KEY: key, STRIPE_API_KEY: "env", TWILIO_API_KEY: "env", ACME_API_KEY: "env" }
      const words = [`files:${directory}`, `encrypted-file:${file}`, "environment"]
      const chain = { ...env, CREDENTIALS: words.join(" ,") }
      assert.strictEqual(yield* reading(chain), mounted)
      assert.strictEqual(yield* reading(chain, { vendor: "twilio", key: "" }), encrypted)
      assert.strictEqual(yield* reading(chain, { vendor: "acme", key: "" }), "env")
      assert.strictEqual(yield* reading({ ...chain, CREDENTIALS: words.toReversed().join() }), "env")
      const down = { ...env, CREDENTIALS: `files:${directory}/not,environment` }
      assert.strictEqual(yield* reading(down), "Unreachable")
      assert.strictEqual(yield* reading({ ...down, CREDENTIALS_WHEN_DOWN: "next" }), "env")
    }).pipe(Effect.scoped))

  const marked = randomUUID()

  it.live.each<[string, Environment, RegExp]>([
    [
      "an unknown source",
      { CREDENTIALS: `environment,${marked}` },
      /CREDENTIALS[\s\S]*environment, files:….*in place 2/
    ],
    ["an empty source", { CREDENTIALS: "environment," }, /CREDENTIALS[\s\S]*in place 2/],
    ["an unexpected argument", { CREDENTIALS: `vault:${marked}` }, /CREDENTIALS[\s\S]*in place 1/],
    ["files without a directory", { CREDENTIALS: "files" }, /CREDENTIALS[\s\S]*must name a directory/],
    ["an encrypted file without a path", { CREDENTIALS: "encrypted-file:" }, /CREDENTIALS[\s\S]*must name a file/],
    ["an encrypted file without a key", { CREDENTIALS: "encrypted-file:/f" }, /CREDENTIALS_KEY/],
    [
      "an encrypted file with two keys",
      { CREDENTIALS: "encrypted-file:/f", CREDENTIALS_KEY: marked, CREDENTIALS_KEY_FILE: "/k" },
      /CREDENTIALS_KEY[\s\S]*not be set together/
    ],
    ["Vault without an address", { CREDENTIALS: "vault" }, /VAULT_ADDR/],
    ["Vault without a way to log in", { CREDENTIALS: "vault", VAULT_ADDR: "https://vault.example.com" }, /VAULT_TOKEN/],
    ["AWS without a region", { CREDENTIALS: "environment,aws-secrets-manager" }, /AWS_DEFAULT_REGION/],
    ["OAuth without an address", { CREDENTIALS: "oauth" }, /OAUTH_TOKEN_URL/],
    ["OAuth without a vendor", { CREDENTIALS: "oauth:" }, /CREDENTIALS[\s\S]*must name a vendor/],
    ["OAuth of a vendor without an address", { CREDENTIALS: "oauth:hubspot" }, /HUBSPOT_OAUTH_TOKEN_URL/],
    [
      "a template with an unknown placeholder",
      { CREDENTIALS: "files:/f", CREDENTIALS_NAME: "{tenant}" },
      /CREDENTIALS_NAME/
    ],
    ["an unknown choice", { CREDENTIALS_WHEN_DOWN: marked }, /CREDENTIALS_WHEN_DOWN[\s\S]*fail, next/]
  ])("are rejected at the start, with the cause and no secret: %s", ([, env, message]) =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(reading(env))
      assert.isTrue(Exit.isFailure(exit))
      const [reason] = (exit as Exit.Failure<string, unknown>).cause.reasons
      assert.strictEqual((reason as Cause.Fail<{ readonly _tag: string }>).error._tag, "ConfigError")
      const text = Cause.pretty((exit as Exit.Failure<string, unknown>).cause)
      assert.match(text, message)
      assert.notInclude(text + inspect(exit, { depth: 12 }), marked)
    }))
})

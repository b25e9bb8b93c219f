import * as Chain from "@breakwater/core/credentials/Chain"
import * as Credential from "@breakwater/core/credentials/Credential"
import * as AwsSecretsManager from "@breakwater/core/sources/AwsSecretsManager"
import * as EncryptedFile from "@breakwater/core/sources/EncryptedFile"
import * as Files from "@breakwater/core/sources/Files"
import * as OAuth from "@breakwater/core/sources/OAuth"
import * as Vault from "@breakwater/core/sources/Vault"
import { describe, it } from "@effect/vitest"
import { Encrypter } from "age-encryption"
import { ConfigProvider, Effect, Layer, Redacted, type Scope } from "effect"
import { FetchHttpClient } from "effect/http"
import { randomUUID } from "node:crypto"
import { renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Rotation from "../../drivers/Rotation.ts"
import * as ScriptedServer from "../../fakes/ScriptedServer.ts"
import * as SecretFiles from "../../fakes/SecretFiles.ts"
import * as FakeSecretsManager from "../../fakes/SecretsManager.ts"
import * as FakeVault from "../../fakes/Vault.ts"
import * as Effort from "../../setup/Effort.ts"

type Rotating = Pick<Rotation.Rotation<never, never>, "credentials" | "rotate">

/** Refreshes often enough to see a new secret within the overlap. */
const keeper = { maxAge: "20 millis" } as const

const suite = (
  name: string,
  rotating: (first: string, second: string) => Effect.Effect<Rotating, never, Scope.Scope>
) =>
  describe(`200 calls in flight while a secret is rotated, from ${name}`, () => {
    it.live.each(Effort.everyNth(2, [["with an overlap", true], ["without one", false]] as const))(
      "do not fail, and use the old one no more when it is over: %s",
      ([, overlap]) =>
        Effect.gen(function*() {
          const [first, second] = [randomUUID(), randomUUID()]
          yield* Rotation.underLoad({ ...(yield* rotating(first, second)), first, second, overlap })
        }).pipe(Effect.scoped)
    )
  })

suite("Vault (a fake of it)", (first, second) =>
  Effect.gen(function*() {
    const fake = yield* FakeVault.serve()
    fake.put("acme", { api_key: first })
    const auth = { _tag: "Token", token: Redacted.make(fake.makeToken()) } as const
    return {
      credentials: Layer.provide(Vault.layer({ address: fake.address, auth }, keeper), FetchHttpClient.layer),
      rotate: Effect.sync(() => fake.put("acme", { api_key: second }))
    }
  }))

suite("AWS Secrets Manager (a fake of it)", (first, second) =>
  Effect.gen(function*() {
    const fake = yield* FakeSecretsManager.serve
    const keys = { accessKeyId: randomUUID().slice(0, 8), secretAccessKey: randomUUID() }
    fake.keys.add(keys)
    fake.put("acme", first)
    const { region } = FakeSecretsManager
    const options = { region, endpoint: fake.endpoint, credentials: () => Promise.resolve(keys) }
    return {
      credentials: Layer.provide(AwsSecretsManager.layer(options, keeper), FetchHttpClient.layer),
      rotate: Effect.sync(() => {
        fake.begin("acme", second)
        fake.finish("acme")
      })
    }
  }))

suite("a token endpoint", (first, second) =>
  Effect.gen(function*() {
    let token = first
    const server = yield* ScriptedServer.serve(() => ScriptedServer.json({ access_token: token, token_type: "bearer" }))
    const client = { _tag: "Basic", clientId: "us", secret: Redacted.make(randomUUID()) } as const
    const options = { vendor: "acme", tokenUrl: server.baseUrl, client }
    return {
      credentials: Layer.provide(OAuth.layer(options, keeper), FetchHttpClient.layer),
      rotate: Effect.sync(() => {
        token = second
      })
    }
  }))

suite("mounted files", (first, second) =>
  Effect.gen(function*() {
    const directory = yield* SecretFiles.directory
    const volume = SecretFiles.mounted(directory)
    volume.update({ ACME_API_KEY: first })
    return {
      credentials: Files.layer({ directory }),
      rotate: Effect.sync(() => volume.update({ ACME_API_KEY: second }))
    }
  }))

suite("an encrypted file", (first, second) =>
  Effect.gen(function*() {
    const path = join(yield* SecretFiles.directory, "secrets.age")
    const passphrase = randomUUID()
    const write = (secret: string) =>
      Effect.promise(async () => {
        const encrypter = new Encrypter()
        encrypter.setPassphrase(passphrase)
        encrypter.setScryptWorkFactor(14)
        writeFileSync(`${path}.new`, await encrypter.encrypt(`ACME_API_KEY=${secret}`))
        renameSync(`${path}.new`, path)
      })
    yield* write(first)
    return {
      credentials: EncryptedFile.layer({ path, key: Redacted.make(passphrase) }),
      rotate: write(second)
    }
  }))

// The environment of a process does not change; the values of another `ConfigProvider` may.
suite("the environment", (first, second) =>
  Effect.sync(() => {
    const environment = { ACME_API_KEY: first }
    return {
      credentials: ConfigProvider.layer(ConfigProvider.fromUnknown(environment)),
      rotate: Effect.sync(() => {
        environment.ACME_API_KEY = second
      })
    }
  }))

suite("a chain", (first, second) =>
  Effect.gen(function*() {
    const directory = yield* SecretFiles.directory
    const volume = SecretFiles.mounted(directory)
    volume.update({ ACME_API_KEY: first })
    return {
      credentials: Chain.layer([Credential.environment, Files.make({ directory })]),
      rotate: Effect.sync(() => volume.update({ ACME_API_KEY: second }))
    }
  }))

import * as StripeSimulator from "@breakwater/vendors/payments/stripe/Simulator"
import { assert, describe, it } from "@effect/vitest"
import { Encrypter } from "age-encryption"
import { Effect, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import { writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import * as AuthorizationServer from "../fakes/AuthorizationServer.ts"
import * as Loopback from "../fakes/Loopback.ts"
import * as SecretFiles from "../fakes/SecretFiles.ts"
import * as FakeSecretsManager from "../fakes/SecretsManager.ts"
import * as FakeVault from "../fakes/Vault.ts"
import * as DemoServer from "../processes/DemoServer.ts"
import { request } from "../processes/DemoServer.ts"
import * as Effort from "../setup/Effort.ts"

const order = { amount: 1999, currency: "EUR", paymentMethod: "pm_card_visa", reference: "order-1" }

/** A proxy in front of the simulated Stripe that accepts any key and records it. */
const gatekeeper = Effect.gen(function*() {
  const { baseUrl } = yield* StripeSimulator.serve()
  const keys = new Set<string>()
  const server = createServer(async (incoming, outgoing) => {
    const chunks: Array<Buffer> = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    keys.add((incoming.headers.authorization ?? "").replace("Bearer ", ""))
    const answer = await fetch(`${baseUrl}${incoming.url}`, {
      method: incoming.method!,
      headers: {
        "authorization": `Bearer ${["sk", "test", "gate"].join("_")}`,
        "content-type": incoming.headers["content-type"] ?? "",
        "idempotency-key": String(incoming.headers["idempotency-key"])
      },
      body: Buffer.concat(chunks)
    })
    outgoing.writeHead(answer.status, { "content-type": "application/json" }).end(await answer.text())
  })
  const { port } = yield* Loopback.listen(server)
  return { baseUrl: `http://127.0.0.1:${port}`, keys }
})

/** The environment of a source, and a check that a key comes from it. */
interface Source {
  readonly env: Record<string, string>
  readonly isMeant: (key: string) => Effect.Effect<boolean>
}

const meaning = (secret: string) => (key: string) => Effect.succeed(key === secret)

const environment: Effect.Effect<Source> = Effect.sync(() => {
  const secret = randomUUID()
  return { env: { CREDENTIALS: "environment", STRIPE_API_KEY: secret }, isMeant: meaning(secret) }
})

const files: Effect.Effect<Source, never, Scope.Scope> = Effect.gen(function*() {
  const directory = yield* SecretFiles.directory
  const secret = randomUUID()
  SecretFiles.mounted(directory).update({ STRIPE_API_KEY: `${secret}\n` })
  return { env: { CREDENTIALS: `files:${directory}` }, isMeant: meaning(secret) }
})

const encryptedFile: Effect.Effect<Source, never, Scope.Scope> = Effect.gen(function*() {
  const file = join(yield* SecretFiles.directory, "secrets.age")
  const [secret, key] = [randomUUID(), randomUUID()]
  const encrypter = new Encrypter()
  encrypter.setPassphrase(key)
  encrypter.setScryptWorkFactor(12)
  writeFileSync(file, yield* Effect.promise(() => encrypter.encrypt(`STRIPE_API_KEY=${secret}\n`)))
  return { env: { CREDENTIALS: `encrypted-file:${file}`, CREDENTIALS_KEY: key }, isMeant: meaning(secret) }
})

const vault: Effect.Effect<Source, never, Scope.Scope> = Effect.gen(function*() {
  const fake = yield* FakeVault.serve()
  const secret = randomUUID()
  fake.put("stripe", { api_key: secret })
  return { env: FakeVault.environmentOf(fake), isMeant: meaning(secret) }
})

const aws: Effect.Effect<Source, never, Scope.Scope> = Effect.gen(function*() {
  const fake = yield* FakeSecretsManager.serve
  const secret = randomUUID()
  fake.put("stripe", secret)
  return { env: FakeSecretsManager.environmentOf(fake), isMeant: meaning(secret) }
})

const oauth: Effect.Effect<Source, never, Scope.Scope> = Effect.gen(function*() {
  const secret = randomUUID()
  const server = yield* AuthorizationServer.serve([
    { client_id: "us", client_secret: secret, grant_types: ["client_credentials"] }
  ])
  const env = {
    CREDENTIALS: "oauth",
    OAUTH_VENDOR: "stripe",
    OAUTH_TOKEN_URL: server.tokenUrl,
    OAUTH_CLIENT_ID: "us",
    OAUTH_CLIENT_SECRET: secret
  }
  return { env, isMeant: (token) => server.isActive(token) }
})

const chain: Effect.Effect<Source, never, Scope.Scope> = Effect.gen(function*() {
  const [first, second, last] = [yield* files, yield* encryptedFile, yield* environment]
  const empty = yield* SecretFiles.directory
  const words = [`files:${empty}`, second.env["CREDENTIALS"], first.env["CREDENTIALS"], "environment"]
  return { env: { ...second.env, ...last.env, CREDENTIALS: words.join() }, isMeant: second.isMeant }
})

describe("the demo server's credentials, by configuration alone", () => {
  it.live.each<[string, Effect.Effect<Source, never, Scope.Scope>]>(Effort.everyNth(3, [
    ["a chain", chain],
    ["the environment", environment],
    ["mounted files", files],
    ["Vault (a fake of it)", vault],
    ["an encrypted file", encryptedFile],
    ["AWS Secrets Manager (a fake of it)", aws],
    ["OAuth 2 (a real server)", oauth]
  ]))("make a payment with a key from %s, and print none", ([, source]) =>
    Effect.gen(function*() {
      const { env, isMeant } = yield* source
      const stripe = yield* gatekeeper
      // The environment has a key too, which counts only for a source that reads it.
      const server = yield* DemoServer.start({ STRIPE_API_KEY: randomUUID(), ...env, STRIPE_BASE_URL: stripe.baseUrl })
      const payment = yield* request("POST", `${server.url}/payments`, { body: order })
      assert.strictEqual(payment.status, 201, payment.text + server.output())
      assert.lengthOf([...stripe.keys], 1)
      for (const key of stripe.keys) {
        assert.isTrue(yield* isMeant(key))
        assert.notInclude(server.output(), key)
      }
    }).pipe(Effect.scoped))

  it.live("are followed when a mounted file changes, without a restart", () =>
    Effect.gen(function*() {
      const directory = yield* SecretFiles.directory
      const volume = SecretFiles.mounted(directory)
      const [first, second] = [randomUUID(), randomUUID()]
      volume.update({ STRIPE_API_KEY: first })
      const stripe = yield* gatekeeper
      const { url } = yield* DemoServer.start({ CREDENTIALS: `files:${directory}`, STRIPE_BASE_URL: stripe.baseUrl })
      yield* request("POST", `${url}/payments`, { body: order })
      volume.update({ STRIPE_API_KEY: second })
      yield* request("POST", `${url}/payments`, { body: order })
      assert.deepStrictEqual([...stripe.keys], [first, second])
    }).pipe(Effect.scoped))

  it.live("stop the start when they are invalid, with a reason and without a secret", () =>
    Effect.gen(function*() {
      const marked = randomUUID()
      const rows = Effort.everyNth<readonly [Record<string, string>, RegExp]>(3, [
        [{ CREDENTIALS: marked }, /CREDENTIALS[\s\S]*must be environment, files:…/],
        [{ CREDENTIALS: "vault", VAULT_TOKEN: marked }, /VAULT_ADDR/],
        [{ CREDENTIALS: "encrypted-file:/f" }, /CREDENTIALS_KEY/]
      ])
      yield* Effect.forEach(rows, ([env, message]) =>
        Effect.gen(function*() {
          const { output } = yield* Effect.flip(DemoServer.start(env))
          assert.match(output, message)
          assert.notInclude(output, marked)
        }).pipe(Effect.scoped), { concurrency: 3 })
    }))
})

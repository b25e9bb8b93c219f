import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager"
import type { Secret } from "@breakwater/core/credentials/Source"
import * as AwsSecretsManager from "@breakwater/core/sources/AwsSecretsManager"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Redacted } from "effect"
import { FetchHttpClient, HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { randomUUID } from "node:crypto"
import { vi } from "vitest"
import * as FakeSecretsManager from "../../fakes/SecretsManager.ts"

const stripe = { vendor: "stripe", key: "" }
const valueOf = (secret: Secret | undefined) => secret === undefined ? undefined : Redacted.value(secret.value)

const newKeys = (): Required<FakeSecretsManager.Keys> => ({
  accessKeyId: `AKID${randomUUID().slice(0, 8)}`,
  secretAccessKey: randomUUID(),
  sessionToken: randomUUID()
})

const serve = Effect.gen(function*() {
  const fake = yield* FakeSecretsManager.serve
  const keys = newKeys()
  fake.keys.add(keys)
  const make = (options: Partial<AwsSecretsManager.AwsSecretsManagerOptions> = {}) =>
    AwsSecretsManager.make({
      region: FakeSecretsManager.region,
      endpoint: fake.endpoint,
      credentials: () => Promise.resolve(keys),
      pause: 0,
      ...options
    }).pipe(Effect.provide(FetchHttpClient.layer))
  return { fake, keys, make }
})

describe("the fake of AWS Secrets Manager", () => {
  it.live("is accepted by AWS's own client", () =>
    Effect.gen(function*() {
      const { fake, keys } = yield* serve
      const [value, pending] = [randomUUID(), randomUUID()]
      fake.put("prod/stripe", value)
      fake.begin("prod/stripe", pending)
      yield* Effect.promise(async () => {
        const of = (credentials: FakeSecretsManager.Keys) =>
          new SecretsManagerClient({
            region: FakeSecretsManager.region,
            endpoint: fake.endpoint,
            credentials,
            maxAttempts: 1
          })
        const client = of(keys)
        const get = (VersionStage?: string, SecretId = "prod/stripe") =>
          client.send(new GetSecretValueCommand({ SecretId, VersionStage }))
        assert.strictEqual((await get()).SecretString, value)
        assert.strictEqual((await get("AWSPENDING")).SecretString, pending)
        fake.finish("prod/stripe")
        assert.strictEqual((await get()).SecretString, pending)
        assert.strictEqual((await get("AWSPREVIOUS")).SecretString, value)
        const nameOf = (failed: Promise<unknown>) => failed.then(() => "", (error: Error) => error.name)
        assert.strictEqual(await nameOf(get("AWSPENDING")), "ResourceNotFoundException")
        const wrong = of({ ...keys, secretAccessKey: randomUUID() })
        const send = wrong.send(new GetSecretValueCommand({ SecretId: "prod/stripe" }))
        assert.strictEqual(await nameOf(send), "InvalidSignatureException")
        const unknown = of(newKeys()).send(new GetSecretValueCommand({ SecretId: "prod/stripe" }))
        assert.strictEqual(await nameOf(unknown), "UnrecognizedClientException")
      })
    }).pipe(Effect.scoped))
})

describe("AWS Secrets Manager (a fake of it) as a source", () => {
  it.live("returns the text of a secret, or a field of it, by a name made of vendor and key", () =>
    Effect.gen(function*() {
      const { fake, make } = yield* serve
      const values = [randomUUID(), randomUUID(), randomUUID()]
      fake.put("stripe", values[0]!)
      fake.put("prod/stripe/eu", JSON.stringify({ api_key: values[1], user: "x" }))
      fake.put("binary", Buffer.from(values[2]!))
      const source = yield* make()
      assert.strictEqual(source.name, "aws")
      assert.strictEqual(valueOf(yield* source.fetch(stripe)), values[0])
      assert.strictEqual(valueOf(yield* source.fetch({ vendor: "binary", key: "" })), values[2])
      const withField = yield* make({ secretId: "prod/{vendor}/{key}", field: "api_key" })
      assert.strictEqual(valueOf(yield* withField.fetch({ vendor: "stripe", key: "eu" })), values[1])
      assert.isUndefined((yield* source.fetch(stripe))?.expiresAt)
    }).pipe(Effect.scoped))

  it.live("returns no secret if AWS has none", () =>
    Effect.gen(function*() {
      const { fake, make } = yield* serve
      const source = yield* make()
      assert.isUndefined(yield* source.fetch(stripe))
      const asked = fake.asked.length
      assert.isUndefined(yield* source.fetch({ vendor: "stripe", key: "../other" }))
      assert.strictEqual(fake.asked.length, asked)
    }).pipe(Effect.scoped))

  it.live("fails with the name of a missing field, without the other contents", () =>
    Effect.gen(function*() {
      const { fake, make } = yield* serve
      const value = randomUUID()
      const source = yield* make({ field: "api_key" })
      for (const text of [value, JSON.stringify(value), JSON.stringify({ api_key: { value } }), "{}", ""]) {
        fake.put("stripe", text)
        const error = yield* Effect.flip(source.fetch(stripe))
        assert.strictEqual(error.issue, "the secret has no text in its field api_key")
      }
    }).pipe(Effect.scoped))

  it.live.each(
    [
      [400, "ThrottlingException"],
      [400, "TooManyRequestsException"],
      [500, "InternalServiceError"],
      [503, "ServiceUnavailable"]
    ] as const
  )("retries after %s %s, and finally gives up", ([status, name]) =>
    Effect.gen(function*() {
      const { fake, make } = yield* serve
      const value = randomUUID()
      fake.put("stripe", value)
      const source = yield* make()
      fake.trouble.push([status, name], [status, name])
      assert.strictEqual(valueOf(yield* source.fetch(stripe)), value)
      fake.trouble.push([status, name], [status, name], [status, name])
      const error = yield* Effect.flip(source.fetch(stripe))
      assert.strictEqual(error.issue, `it does not answer as expected (${name}, status ${status})`)
      assert.isUndefined(error.isRefusal)
      assert.strictEqual(fake.asked.length, 6)
    }).pipe(Effect.scoped))

  it.live.each(
    [
      ["AccessDeniedException", true],
      ["UnrecognizedClientException", true],
      ["DecryptionFailure", undefined],
      ["InvalidRequestException", undefined]
    ] as const
  )("does not retry after %s", ([name, isRefusal]) =>
    Effect.gen(function*() {
      const { fake, make } = yield* serve
      const source = yield* make()
      fake.trouble.push([400, `com.amazonaws.secretsmanager#${name}`])
      const error = yield* Effect.flip(source.fetch(stripe))
      assert.strictEqual(error.isRefusal, isRefusal)
      assert.include(error.issue, `(${name}`)
      assert.strictEqual(fake.asked.length, 1)
    }).pipe(Effect.scoped))

  it.live.each([-1, 1])(
    "corrects its clock once, by AWS's, if it is wrong by %s days",
    (days) =>
      Effect.gen(function*() {
        const { fake, make } = yield* serve
        const value = randomUUID()
        fake.put("stripe", value)
        fake.ahead = days * 86_400_000
        const source = yield* make()
        assert.strictEqual(valueOf(yield* source.fetch(stripe)), value)
        assert.deepStrictEqual(fake.asked.map(({ error }) => error), ["InvalidSignatureException", undefined])
        // It stays corrected, and is corrected again after the clock was set.
        assert.strictEqual(valueOf(yield* source.fetch(stripe)), value)
        assert.strictEqual(fake.asked.length, 3)
        fake.ahead = 0
        assert.strictEqual(valueOf(yield* source.fetch(stripe)), value)
        assert.strictEqual(fake.asked.length, 5)
      }).pipe(Effect.scoped)
  )

  /** A source over a scripted client, and the URLs of its requests. */
  const inMemory = (answer: () => Response, region: string = FakeSecretsManager.region) => {
    const urls: Array<string> = []
    const client = HttpClient.make((request) => {
      urls.push(request.url)
      return Effect.succeed(HttpClientResponse.fromWeb(request, answer()))
    })
    const made = AwsSecretsManager.make({ region, credentials: () => Promise.resolve(newKeys()) })
    return Effect.map(Effect.provideService(made, HttpClient.HttpClient, client), (source) => ({ source, urls }))
  }

  it.live("does not correct the clock after errors that it cannot cause, however wrong it is", () =>
    Effect.gen(function*() {
      const date = new Date(Date.now() + 86_400_000).toUTCString()
      const answer = () => Response.json({ __type: "AccessDeniedException" }, { status: 400, headers: { date } })
      const { source, urls } = yield* inMemory(answer)
      assert.strictEqual(
        (yield* Effect.flip(source.fetch(stripe))).issue,
        "it refuses access (AccessDeniedException)"
      )
      assert.lengthOf(urls, 1)
    }))

  it.live.each<[region: string, endpoint: string]>([
    ["eu-central-1", "https://secretsmanager.eu-central-1.amazonaws.com/"],
    ["us-gov-west-1", "https://secretsmanager.us-gov-west-1.amazonaws.com/"],
    ["cn-north-1", "https://secretsmanager.cn-north-1.amazonaws.com.cn/"]
  ])("asks the public endpoint of its region: %s", ([region, endpoint]) =>
    Effect.gen(function*() {
      const { source, urls } = yield* inMemory(() => new Response("", { status: 404 }), region)
      yield* Effect.flip(source.fetch(stripe))
      assert.deepStrictEqual(urls, [endpoint])
    }))

  it.live("does not correct the clock after a wrong key", () =>
    Effect.gen(function*() {
      const { fake, keys, make } = yield* serve
      const source = yield* make({ credentials: () => Promise.resolve({ ...keys, secretAccessKey: randomUUID() }) })
      const error = yield* Effect.flip(source.fetch(stripe))
      assert.isTrue(error.isRefusal)
      assert.strictEqual(error.issue, "it refuses access (InvalidSignatureException)")
      assert.strictEqual(fake.asked.length, 1)
    }).pipe(Effect.scoped))

  it.live("asks once for other keys if a session has expired", () =>
    Effect.gen(function*() {
      const { fake, keys, make } = yield* serve
      const value = randomUUID()
      fake.put("stripe", value)
      const next = newKeys()
      fake.keys.add(next)
      fake.expired.add(keys.sessionToken)
      const forced: Array<boolean | undefined> = []
      const source = yield* make({
        credentials(options) {
          forced.push(options?.forceRefresh)
          return Promise.resolve(options?.forceRefresh === true ? next : keys)
        }
      })
      assert.strictEqual(valueOf(yield* source.fetch(stripe)), value)
      assert.deepStrictEqual(forced, [undefined, true])
      fake.expired.add(next.sessionToken)
      const error = yield* Effect.flip(source.fetch(stripe))
      assert.strictEqual(error.issue, "it refuses access (ExpiredTokenException)")
      assert.strictEqual(fake.asked.length, 4)
    }).pipe(Effect.scoped))

  it.live("finds its keys through the chain of the AWS SDK", () =>
    Effect.gen(function*() {
      const { fake, keys, make } = yield* serve
      const value = randomUUID()
      fake.put("stripe", value)
      yield* Effect.addFinalizer(() => Effect.sync(() => vi.unstubAllEnvs()))
      vi.stubEnv("AWS_ACCESS_KEY_ID", keys.accessKeyId)
      vi.stubEnv("AWS_SECRET_ACCESS_KEY", keys.secretAccessKey)
      vi.stubEnv("AWS_SESSION_TOKEN", keys.sessionToken)
      const source = yield* make({ credentials: undefined })
      assert.strictEqual(valueOf(yield* source.fetch(stripe)), value)
    }).pipe(Effect.scoped))

  it.live("reports a failing provider without its error", () =>
    Effect.gen(function*() {
      const { make } = yield* serve
      const value = randomUUID()
      const source = yield* make({ credentials: () => Promise.reject(new Error(value)) })
      const error = yield* Effect.flip(source.fetch(stripe))
      assert.deepStrictEqual(error, {
        _tag: "SourceUnavailable",
        source: "aws",
        issue: "its signing keys are unavailable"
      })
    }).pipe(Effect.scoped))

  it.effect("does not wait forever for a provider", () =>
    Effect.gen(function*() {
      const { make } = yield* serve
      const source = yield* make({ credentials: () => new Promise(() => {}) })
      const fetching = yield* Effect.forkChild(Effect.flip(source.fetch(stripe)))
      yield* TestClock.adjust("15 seconds")
      assert.strictEqual((yield* Fiber.join(fetching)).issue, "its signing keys were not available in time")
    }).pipe(Effect.scoped))

  it.live.each(
    [
      { region: "nowhere" },
      { region: "a.example.com/" },
      { endpoint: "http://example.com" },
      { endpoint: "https://example.com/path" },
      { secretId: "{name}" },
      { retries: -1 }
    ]
  )("cannot be made with %j", (options) =>
    Effect.gen(function*() {
      const { make } = yield* serve
      assert.isTrue(Exit.hasDies(yield* Effect.exit(make(options))))
    }).pipe(Effect.scoped))
})

describe("a rotation in AWS Secrets Manager (a fake of it)", () => {
  const [first, second] = [randomUUID(), randomUUID()]
  const refusedFirst = Redacted.make(first)
  const rotating = Effect.gen(function*() {
    const { fake, make } = yield* serve
    fake.put("stripe", first)
    const source = yield* make()
    fake.begin("stripe", second)
    return { fake, source }
  })

  it.live("uses the current version while another is pending, and asks for nothing else", () =>
    Effect.gen(function*() {
      const { fake, source } = yield* rotating
      assert.strictEqual(valueOf(yield* source.fetch(stripe)), first)
      assert.deepStrictEqual(fake.asked.map(({ stage }) => stage), ["AWSCURRENT"])
    }).pipe(Effect.scoped))

  it.live("uses the pending version once the vendor has refused the current one, and stays with it", () =>
    Effect.gen(function*() {
      const { fake, source } = yield* rotating
      assert.strictEqual(valueOf(yield* source.fetch(stripe, refusedFirst)), second)
      assert.strictEqual(valueOf(yield* source.fetch(stripe)), second)
      fake.finish("stripe")
      assert.strictEqual(valueOf(yield* source.fetch(stripe)), second)
      assert.strictEqual(fake.asked.at(-1)?.stage, "AWSCURRENT")
    }).pipe(Effect.scoped))

  it.live("uses the previous version when the vendor does not know the current one yet", () =>
    Effect.gen(function*() {
      const { fake, source } = yield* rotating
      fake.finish("stripe")
      assert.strictEqual(valueOf(yield* source.fetch(stripe, Redacted.make(second))), first)
    }).pipe(Effect.scoped))

  it.live("does not try other versions after the refusal of an older one", () =>
    Effect.gen(function*() {
      const { fake, source } = yield* rotating
      assert.strictEqual(valueOf(yield* source.fetch(stripe, Redacted.make(randomUUID()))), first)
      assert.strictEqual(fake.asked.length, 1)
    }).pipe(Effect.scoped))

  it.live("does not try the refused version again under another stage", () =>
    Effect.gen(function*() {
      const { fake, make } = yield* serve
      fake.put("stripe", first)
      fake.put("stripe", second)
      const source = yield* make({ whenRefused: ["AWSCURRENT", "AWSPREVIOUS"] })
      assert.strictEqual(valueOf(yield* source.fetch(stripe, Redacted.make(second))), first)
      assert.strictEqual(valueOf(yield* source.fetch(stripe)), first)
    }).pipe(Effect.scoped))

  it.live("returns the refused version again if there is no other", () =>
    Effect.gen(function*() {
      const { make, fake } = yield* serve
      fake.put("stripe", first)
      const source = yield* make()
      assert.strictEqual(valueOf(yield* source.fetch(stripe, refusedFirst)), first)
      assert.deepStrictEqual(fake.asked.map(({ stage }) => stage), ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"])
      const strict = yield* make({ whenRefused: [] })
      fake.begin("stripe", second)
      assert.strictEqual(valueOf(yield* strict.fetch(stripe, refusedFirst)), first)
    }).pipe(Effect.scoped))
})

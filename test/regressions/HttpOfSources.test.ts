/**
 * HTTP rules of secret sources. Their own readers once differed from those of a vendor's client: they knew no `Retry-After`
 * date and no byte order mark, and took any number for a date.
 */
import type { SourceUnavailable } from "@breakwater/core/credentials/Source"
import * as AwsSecretsManager from "@breakwater/core/sources/AwsSecretsManager"
import * as OAuth from "@breakwater/core/sources/OAuth"
import * as Vault from "@breakwater/core/sources/Vault"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted, type Scope } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { generateKeyPairSync } from "node:crypto"

const request = { vendor: "acme", key: "" }

const privateKey = Redacted.make(
  generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey.export({ type: "pkcs8", format: "pem" })
)

interface Case {
  readonly make: Effect.Effect<
    { readonly fetch: (request: { vendor: string; key: string }) => Effect.Effect<unknown, SourceUnavailable> },
    never,
    HttpClient.HttpClient | Scope.Scope
  >
  /** The answer that holds the secret. */
  readonly answer: unknown
}

const sources: ReadonlyArray<readonly [name: string, Case]> = [
  ["a token endpoint", {
    make: OAuth.make({
      vendor: "acme",
      tokenUrl: "https://auth.example.com/token",
      client: { _tag: "PrivateKey", clientId: "us", key: privateKey }
    }),
    answer: { access_token: "the-secret", token_type: "bearer" }
  }],
  ["Vault", {
    make: Vault.make({
      address: "https://vault.example.com",
      auth: { _tag: "Token", token: Redacted.make("ours") },
      engine: { _tag: "KeyValue", path: "{vendor}", field: "api_key" }
    }),
    // The first of these is read of the token, the others of the secret.
    answer: { data: { ttl: 0, data: { api_key: "the-secret" }, metadata: { version: 1 } } }
  }],
  ["AWS Secrets Manager", {
    make: AwsSecretsManager.make({
      region: "eu-central-1",
      credentials: async () => ({ accessKeyId: "us", secretAccessKey: "ours" })
    }),
    answer: { SecretString: "the-secret", VersionId: "1" }
  }]
]

/** The source over a client that gives these answers in turn, the last of them again and again. */
const over = (source: Case, ...answers: ReadonlyArray<() => Response>) => {
  const state = { asked: 0 }
  const client = HttpClient.make((request) =>
    Effect.sync(() => HttpClientResponse.fromWeb(request, answers[Math.min(state.asked++, answers.length - 1)]!()))
  )
  return Effect.map(
    Effect.provideService(source.make, HttpClient.HttpClient, client),
    ({ fetch }) => ({ fetch: Effect.map(fetch(request), (secret) => secret as { value: Redacted.Redacted }), state })
  )
}

describe.each(sources)("%s", (_, source) => {
  const good = () => Response.json(source.answer)

  it.effect("is asked again at the date that its Retry-After names, by its own clock (RFC 9110, section 10.2.3)", () =>
    Effect.gen(function*() {
      const busy = () =>
        new Response("", {
          status: 503,
          headers: { date: "Sun, 06 Nov 1994 08:49:30 GMT", "retry-after": "Sunday, 06-Nov-94 08:49:37 GMT" }
        })
      const { fetch, state } = yield* over(source, busy, good)
      const fetching = yield* Effect.forkChild(fetch, { startImmediately: true })
      yield* TestClock.adjust("6900 millis")
      assert.strictEqual(state.asked, 1)
      yield* TestClock.adjust("2 seconds")
      assert.isAbove(state.asked, 1)
      assert.strictEqual(Redacted.value((yield* Fiber.join(fetching)).value), "the-secret")
    }).pipe(Effect.scoped))

  it.effect("is not asked again before a date that is too far away", () =>
    Effect.gen(function*() {
      const busy = () =>
        new Response("", {
          status: 503,
          headers: { date: "Sun, 06 Nov 1994 08:49:37 GMT", "retry-after": "Sun, 06 Nov 1994 09:00:00 GMT" }
        })
      const { fetch, state } = yield* over(source, busy, good)
      const fetching = yield* Effect.forkChild(Effect.flip(fetch), { startImmediately: true })
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fetching)
      assert.strictEqual(state.asked, 1)
    }).pipe(Effect.scoped))

  it.effect("is understood behind a byte order mark (RFC 8259, section 8.1)", () =>
    Effect.gen(function*() {
      const { fetch } = yield* over(source, () => new Response(`\uFEFF${JSON.stringify(source.answer)}`))
      assert.strictEqual(Redacted.value((yield* fetch).value), "the-secret")
    }).pipe(Effect.scoped))
})

describe("a date that is a number", () => {
  // The result of `Date.parse` for `Date: 5`: close enough to pass for the time of a server with a correct clock.
  const near = Date.parse("5") + 3_600_000

  it.effect.each<readonly [name: string, refusal: () => Response]>([
    ["a token endpoint", () => Response.json({ error: "invalid_client" }, { status: 401, headers: { date: "5" } })],
    [
      "AWS Secrets Manager",
      () =>
        Response.json({}, {
          status: 403,
          headers: { "date": "5", "x-amzn-errortype": "InvalidSignatureException" }
        })
    ]
  ])("does not set the clock by %s", ([name, refusal]) =>
    Effect.gen(function*() {
      yield* TestClock.setTime(near)
      const { fetch, state } = yield* over(sources.find(([one]) => one === name)![1], refusal)
      yield* Effect.flip(fetch)
      assert.strictEqual(state.asked, 1)
    }).pipe(Effect.scoped))

  it.effect("does set the clock by a token endpoint, where it is one of HTTP", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(near)
      const date = new Date(near - 3_600_000).toUTCString()
      const refusal = () => Response.json({ error: "invalid_client" }, { status: 401, headers: { date } })
      const { fetch, state } = yield* over(sources[0]![1], refusal)
      yield* Effect.flip(fetch)
      assert.strictEqual(state.asked, 2)
    }).pipe(Effect.scoped))
})

import * as RefreshingCredentials from "@breakwater/core/credentials/RefreshingCredentials"
import * as AwsSecretsManager from "@breakwater/core/sources/AwsSecretsManager"
import * as OAuth from "@breakwater/core/sources/OAuth"
import * as Vault from "@breakwater/core/sources/Vault"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Logger, Redacted, References, type Scope } from "effect"
import { HttpClient, HttpClientError, type HttpClientRequest, HttpClientResponse } from "effect/http"
import { createHash, generateKeyPairSync, randomUUID } from "node:crypto"
import { inspect } from "node:util"
import * as MemoryTracer from "../../watches/MemoryTracer.ts"

const request = { vendor: "stripe", key: "" }

/** A planted secret, which must not appear anywhere. */
const marked: Array<string> = []
const mark = (text: string = randomUUID()) => {
  marked.push(text)
  return text
}

const pem = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "pem", type: "pkcs8" })

interface Planted {
  readonly name: string
  readonly make: Effect.Effect<RefreshingCredentials.Source, never, HttpClient.HttpClient | Scope.Scope>
  /** The service's response on success. */
  readonly body: object
}

const token = { access_token: mark(), refresh_token: mark(), token_type: "bearer", expires_in: 60 }
const tokenUrl = "https://auth.example.com/token"

const planted: ReadonlyArray<Planted> = [
  {
    name: "Vault",
    make: Vault.make({
      address: "https://vault.example.com",
      auth: { _tag: "AppRole", roleId: "role", secretId: Redacted.make(mark()) },
      pause: 0
    }),
    body: {
      auth: { client_token: mark(), lease_duration: 0, renewable: false },
      data: { data: { api_key: mark() }, metadata: { version: 1 } }
    }
  },
  {
    name: "AWS Secrets Manager",
    make: AwsSecretsManager.make({
      region: "eu-central-1",
      credentials: () => Promise.resolve({ accessKeyId: "id", secretAccessKey: mark(), sessionToken: mark() }),
      pause: 0
    }),
    body: { SecretString: mark(), VersionId: "1" }
  },
  {
    name: "OAuth 2 with a secret",
    make: OAuth.make({
      vendor: "stripe",
      tokenUrl,
      client: { _tag: "Basic", clientId: "us", secret: Redacted.make(mark()) },
      pause: 0
    }),
    body: token
  },
  {
    name: "OAuth 2 with a secret in the body, and a refresh token",
    make: Effect.suspend(() =>
      OAuth.make({
        vendor: "stripe",
        tokenUrl,
        client: { _tag: "Post", clientId: "us", secret: Redacted.make(mark()) },
        grant: {
          _tag: "RefreshToken",
          store: OAuth.TokenStore.memory(),
          seed: Redacted.make(mark("a refresh token to begin with"))
        },
        pause: 0
      })
    ),
    body: token
  },
  {
    name: "OAuth 2 with a private key",
    make: OAuth.make({
      vendor: "stripe",
      tokenUrl,
      client: { _tag: "PrivateKey", clientId: "us", key: Redacted.make(pem) },
      grant: { _tag: "TokenExchange", subjectToken: Redacted.make(mark()) },
      pause: 0
    }),
    body: token
  }
]
mark(pem.split("\n")[1])

type Behaviour = (
  request: HttpClientRequest.HttpClientRequest,
  body: object
) => Effect.Effect<Response, HttpClientError.HttpClientError>

/** Ways in which a service, or a proxy in between, may leak secrets. */
const behaviours: ReadonlyArray<readonly [name: string, Behaviour]> = [
  ["answers", (_, body) => Effect.succeed(Response.json(body))],
  ...[400, 401, 403, 404, 418, 500, 503].map((status): readonly [string, Behaviour] => [
    `repeats everything with status ${status}`,
    (request, body) =>
      Effect.succeed(Response.json({ error: JSON.stringify(body), errors: [request.headers] }, {
        status,
        statusText: "No",
        headers: { "www-authenticate": JSON.stringify(request.headers), "x-secret": marked[0]! }
      }))
  ]),
  ["repeats everything, not as JSON", (_, body) => Effect.succeed(new Response(`${JSON.stringify(body)}!`))],
  ["returns another shape", (_, body) => Effect.succeed(Response.json([body]))],
  [
    "cuts off, and the client repeats everything",
    (request) =>
      Effect.fail(
        new HttpClientError.HttpClientError({
          reason: new HttpClientError.TransportError({
            request,
            cause: new Error(JSON.stringify(request.headers)),
            description: JSON.stringify(request.headers)
          })
        })
      )
  ],
  ["is called by a client that throws", (request) => Effect.die(new Error(JSON.stringify(request.headers)))]
]

describe.each(planted.map((one) => [one.name, one] as const))("the secrets of %s", (_, { body, make }) => {
  it.live.each(behaviours)("are in no error, log, span or value when it %s", ([, behave]) =>
    Effect.gen(function*() {
      const tracer = MemoryTracer.make()
      const logged: Array<string> = []
      const logger = Logger.make((options) => {
        logged.push(inspect(options.message, { depth: 20 }), Cause.pretty(options.cause), inspect(options.cause))
      })
      const seen = new Set<string>()
      const client = HttpClient.make((request) => {
        for (const value of Object.values(request.headers)) seen.add(value)
        return Effect.map(behave(request, body), (response) => HttpClientResponse.fromWeb(request, response))
      })
      const shown: Array<unknown> = []
      yield* Effect.gen(function*() {
        const source = yield* make
        shown.push(source, yield* Effect.exit(source.fetch(request)))
        const credentials = yield* RefreshingCredentials.make(source, { retryPause: 0 })
        const exit = yield* Effect.exit(credentials.read(request))
        shown.push(credentials, exit)
        if (Exit.isFailure(exit)) shown.push(Cause.pretty(exit.cause), Cause.squash(exit.cause))
        yield* Effect.logInfo("the end")
      }).pipe(
        Effect.withSpan("outer"),
        Effect.provideService(HttpClient.HttpClient, client),
        Effect.provide(Layer.mergeAll(tracer.layer, Logger.layer([logger]))),
        Effect.provideService(References.MinimumLogLevel, "All")
      )
      // The watch itself works.
      assert.include(logged.join(), "the end")
      assert.deepStrictEqual(tracer.spans.map(({ name }) => name), ["outer"])
      assert.isAbove(seen.size, 0)
      const text = [
        ...logged,
        inspect(tracer.spans.map(({ attributes, events, status }) => [attributes, events, status]), { depth: 20 }),
        ...shown.flatMap((one) => [inspect(one, { depth: 20, showHidden: true }), JSON.stringify(one), String(one)])
      ].join("\n")
      for (const secret of marked) assert.notInclude(text, secret)
      // A value derived from a secret and sent counts as secret too.
      for (const header of seen) {
        if (/^Basic |Signature=|^hvs|^eyJ/.test(header)) assert.notInclude(text, header)
      }
      assert.notInclude(text, createHash("sha256").update("a refresh token to begin with").digest("base64url"))
    }).pipe(Effect.scoped))
})

import * as Credential from "@breakwater/core/credentials/Credential"
import type { Secret, SourceUnavailable } from "@breakwater/core/credentials/Source"
import * as SourceSecret from "@breakwater/core/credentials/SourceSecret"
import * as OAuth from "@breakwater/core/sources/OAuth"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { createPublicKey, generateKeyPairSync, randomUUID, verify } from "node:crypto"
import { once } from "node:events"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { inspect } from "node:util"
import * as AuthorizationServer from "../../fakes/AuthorizationServer.ts"

const hubspot = { vendor: "hubspot", key: "" }

const refusalOf = (error: SourceUnavailable) => OAuth.isTokenRefused(error) ? error.error : undefined

const valueOf = (secret: Secret | undefined): string => Redacted.value(secret!.value)

/** A server may issue secrets with such characters, which a Basic header must encode. */
const clientSecret = `${randomUUID()}+/=:%& é`.replace("é", "~")

const encoding = {
  publicKeyEncoding: { format: "pem", type: "spki" },
  privateKeyEncoding: { format: "pem", type: "pkcs8" }
} as const
const ofRsa = (modulusLength: number) => generateKeyPairSync("rsa", { modulusLength, ...encoding }).privateKey
const ofCurve = (namedCurve: string) => generateKeyPairSync("ec", { namedCurve, ...encoding }).privateKey

const keys = { RS256: ofRsa(2048), ES256: ofCurve("P-256") }

const jwks = (key: string, kid: string) => ({
  keys: [{ ...createPublicKey(key).export({ format: "jwk" }), kid, use: "sig" } as Record<string, unknown>]
})

const withSecret = { client_secret: clientSecret, grant_types: ["client_credentials"] }

const clients: Parameters<typeof AuthorizationServer.serve>[0] = [
  { ...withSecret, client_id: "us and:them", token_endpoint_auth_method: "client_secret_basic" },
  { ...withSecret, client_id: "post", token_endpoint_auth_method: "client_secret_post" },
  ...(["RS256", "ES256"] as const).map((alg) => ({
    client_id: alg,
    token_endpoint_auth_method: "private_key_jwt" as const,
    token_endpoint_auth_signing_alg: alg,
    jwks: jwks(keys[alg], "k1") as never,
    grant_types: ["client_credentials"]
  })),
  {
    client_id: "app",
    client_secret: clientSecret,
    token_endpoint_auth_method: "client_secret_basic",
    grant_types: ["refresh_token", "authorization_code", AuthorizationServer.exchange],
    response_types: ["code"],
    redirect_uris: ["https://app.example.com/callback"]
  }
]

const secret = Redacted.make(clientSecret)
const basic = { _tag: "Basic", clientId: "us and:them", secret } as const
const app = { _tag: "Basic", clientId: "app", secret } as const
const rsa = { _tag: "PrivateKey", clientId: "RS256", key: Redacted.make(keys.RS256), keyId: "k1" } as const

const world = (options?: { readonly accessTokenSeconds?: number }) =>
  Effect.gen(function*() {
    const server = yield* AuthorizationServer.serve(clients, options)
    const make = (client: OAuth.ClientAuth, options: Partial<OAuth.OAuthOptions> = {}) =>
      OAuth.make({ vendor: "hubspot", tokenUrl: server.tokenUrl, client, pause: 0, ...options }).pipe(
        Effect.provide(FetchHttpClient.layer)
      )
    return { server, make }
  })

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "breakwater-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

const assertionOf = (asked: AuthorizationServer.AuthorizationServer["asked"], index: number) => {
  const text = asked[index]!.parameters.get("client_assertion")!
  const [head, said, signature] = text.split(".").map((part) => Buffer.from(part, "base64url")) as [
    Buffer,
    Buffer,
    Buffer
  ]
  return {
    signed: Buffer.from(text.slice(0, text.lastIndexOf("."))),
    signature,
    head: JSON.parse(head.toString()) as Record<string, unknown>,
    said: JSON.parse(said.toString()) as Record<string, unknown> & { iat: number; exp: number; jti: string }
  }
}

describe("OAuth 2 for the client itself, at a real server", () => {
  it.live.each<[string, OAuth.ClientAuth]>([
    ["client_secret_basic", basic],
    ["client_secret_post", { ...basic, _tag: "Post", clientId: "post" }],
    ["private_key_jwt with RS256", rsa],
    ["private_key_jwt with ES256", { ...rsa, clientId: "ES256", key: Redacted.make(keys.ES256) }]
  ])("returns a token that the server accepts: %s", ([, client]) =>
    Effect.gen(function*() {
      const { make, server } = yield* world({ accessTokenSeconds: 100 })
      const source = yield* make(client)
      assert.strictEqual(source.name, "oauth")
      const before = yield* Clock.currentTimeMillis
      const token = yield* source.fetch(hubspot)
      const after = yield* Clock.currentTimeMillis
      assert.isTrue(yield* server.isActive(valueOf(token)))
      // Minus a tenth of its lifetime.
      assert.isAtLeast(token!.expiresAt!, before + 90_000)
      assert.isAtMost(token!.expiresAt!, after + 90_000)
      assert.notStrictEqual(valueOf(yield* source.fetch(hubspot)), valueOf(token))
      assert.notInclude(inspect([source, token, client], { depth: 20 }), valueOf(token))
      assert.notInclude(inspect([source, token, client], { depth: 20 }), clientSecret)
    }).pipe(Effect.scoped))

  it.live("makes assertions as RFC 7523 requires: client, audience, one minute, and a unique id", () =>
    Effect.gen(function*() {
      const { make, server } = yield* world()
      const source = yield* make(rsa)
      server.trouble.push("busy")
      const before = Math.floor(Date.now() / 1_000)
      yield* source.fetch(hubspot)
      const after = Math.ceil(Date.now() / 1_000)
      assert.lengthOf(server.asked, 2)
      const [first, second] = [assertionOf(server.asked, 0), assertionOf(server.asked, 1)]
      assert.deepStrictEqual(second.head, { alg: "RS256", typ: "JWT", kid: "k1" })
      const { exp, iat, jti, ...said } = second.said
      assert.deepStrictEqual(said, { iss: "RS256", sub: "RS256", aud: server.tokenUrl })
      assert.strictEqual(exp, iat + 60)
      assert.isTrue(before <= iat && iat <= after, `${iat} is between ${before} and ${after}`)
      assert.notStrictEqual(jti, first.said.jti)
      assert.isTrue(verify("sha256", second.signed, createPublicKey(keys.RS256), second.signature))
      const { parameters } = server.asked[1]!
      assert.strictEqual(
        parameters.get("client_assertion_type"),
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
      )
      assert.isUndefined(server.asked[1]!.authorization)
      const byIssuer = yield* make({ ...rsa, audience: server.issuer })
      yield* byIssuer.fetch(hubspot)
      assert.strictEqual(assertionOf(server.asked, 2).said["aud"], server.issuer)
    }).pipe(Effect.scoped))

  it.live("is refused with an unknown secret or key, and does not retry", () =>
    Effect.gen(function*() {
      const { make, server } = yield* world()
      const strangers: ReadonlyArray<OAuth.ClientAuth> = [
        { ...basic, secret: Redacted.make(randomUUID()) },
        { ...rsa, key: Redacted.make(ofRsa(2048)) }
      ]
      for (const [index, client] of strangers.entries()) {
        const error = yield* Effect.flip((yield* make(client)).fetch(hubspot))
        assert.deepInclude(error, { _tag: "SourceUnavailable", source: "oauth", isRefusal: true })
        assert.strictEqual(refusalOf(error), "invalid_client")
        assert.lengthOf(server.asked, index + 1)
      }
    }).pipe(Effect.scoped))

  it.live("rejects an invalid key: too short, of another curve, or not a key at all", () =>
    Effect.gen(function*() {
      const { make, server } = yield* world()
      for (const text of [ofRsa(1024), ofCurve("P-384"), `no key ${randomUUID()}`]) {
        const error = yield* Effect.flip((yield* make({ ...rsa, key: Redacted.make(text) })).fetch(hubspot))
        assert.strictEqual(error.issue, "the client's private key fits neither RS256 nor ES256")
      }
      assert.lengthOf(server.asked, 0)
    }).pipe(Effect.scoped))

  it.effect.each([-600_000, 600_000])(
    "corrects a clock that is wrong by %d ms, from the server's response",
    (skew) =>
      Effect.gen(function*() {
        const { make, server } = yield* world()
        const before = Date.now() / 1_000
        yield* TestClock.setTime(Date.now() + skew)
        const source = yield* make(rsa)
        assert.isTrue(yield* server.isActive(valueOf(yield* source.fetch(hubspot))))
        assert.lengthOf(server.asked, 2)
        const { iat } = assertionOf(server.asked, 1).said
        const after = Date.now() / 1_000
        // The server says its time in whole seconds.
        assert.isTrue(before - 2 <= iat && iat <= after + 2, `${iat} is between ${before} and ${after}`)
        yield* source.fetch(hubspot)
        assert.lengthOf(server.asked, 3)
      }).pipe(Effect.scoped)
  )

  it.effect("makes no assertion for a distant day, and does not correct the clock after a wrong secret", () =>
    Effect.gen(function*() {
      const { make, server } = yield* world()
      yield* TestClock.setTime(Date.now() - 90_000_000)
      yield* Effect.flip((yield* make(rsa)).fetch(hubspot))
      assert.lengthOf(server.asked, 1)
      yield* TestClock.setTime(Date.now() - 600_000)
      yield* Effect.flip((yield* make({ ...basic, secret: Redacted.make(randomUUID()) })).fetch(hubspot))
      assert.lengthOf(server.asked, 2)
    }).pipe(Effect.scoped))

  it.live("returns tokens for its own vendor and key only", () =>
    Effect.gen(function*() {
      const { make, server } = yield* world()
      const ofEu = yield* make(basic, { key: "eu" })
      assert.isDefined(yield* ofEu.fetch({ vendor: "hubspot", key: "eu" }))
      assert.isUndefined(yield* ofEu.fetch(hubspot))
      assert.isUndefined(yield* (yield* make(basic)).fetch({ vendor: "stripe", key: "" }))
      assert.lengthOf(server.asked, 1)
    }).pipe(Effect.scoped))

  it.live("reads the client's secret from another source at every use, and follows its rotation", () =>
    Effect.gen(function*() {
      const { make } = yield* world()
      let current: string | undefined = randomUUID()
      const files = {
        name: "files",
        fetch: () => Effect.sync(() => current === undefined ? undefined : { value: Redacted.make(current) })
      }
      const source = yield* make({
        ...basic,
        secret: SourceSecret.fromSource(files, { vendor: "hubspot", key: "client" })
      })
      yield* Effect.flip(source.fetch(hubspot))
      current = clientSecret
      assert.isDefined(yield* source.fetch(hubspot))
      current = undefined
      assert.deepStrictEqual(yield* Effect.flip(source.fetch(hubspot)), {
        _tag: "SourceUnavailable",
        source: "files",
        issue: "it has no secret of that name"
      })
    }).pipe(Effect.scoped))

  it.live("exchanges the token of a user (RFC 8693)", () =>
    Effect.gen(function*() {
      const { make, server } = yield* world()
      const seed = Redacted.make(yield* server.signIn("app"))
      const grant = { _tag: "RefreshToken", store: OAuth.TokenStore.memory(), seed } as const
      const theirs = yield* (yield* make(app, { grant })).fetch(hubspot)
      const exchanged = yield* (yield* make(app, { grant: { _tag: "TokenExchange", subjectToken: theirs!.value } }))
        .fetch(hubspot)
      assert.isTrue(yield* server.isActive(valueOf(exchanged)))
      assert.notStrictEqual(valueOf(exchanged), valueOf(theirs))
      const strange = { _tag: "TokenExchange", subjectToken: theirs!.value, subjectTokenType: "urn:x" } as const
      const error = yield* Effect.flip((yield* make(app, { grant: strange })).fetch(hubspot))
      assert.strictEqual(refusalOf(error), "invalid_request")
    }).pipe(Effect.scoped))

  it.live("is fetched once for 200 calls, and once more for all of them after a refusal", () =>
    Effect.gen(function*() {
      const { server } = yield* world()
      const options = { vendor: "hubspot", tokenUrl: server.tokenUrl, client: basic }
      yield* Effect.gen(function*() {
        const { read, renew } = yield* Credential.Credentials
        const all = <A, E>(one: Effect.Effect<A, E>) =>
          Effect.all(Array.from({ length: 200 }, () => one), { concurrency: 200 })
        const [first, ...others] = yield* all(read(hubspot))
        assert.isTrue(others.every((other) => other === first))
        assert.lengthOf(server.asked, 1)
        const renewed = new Set(yield* all(renew!(hubspot, first!)))
        assert.strictEqual(renewed.size, 1)
        assert.isFalse(renewed.has(first!))
        assert.lengthOf(server.asked, 2)
      }).pipe(Effect.provide(Layer.provide(OAuth.layer(options), FetchHttpClient.layer)))
    }).pipe(Effect.scoped))
})

describe("OAuth 2 by a refresh token, at a server that accepts each once", () => {
  const signedIn = Effect.gen(function*() {
    const { make, server } = yield* world()
    const path = join(yield* folder, "tokens", "hubspot")
    const seed = yield* server.signIn("app")
    const store = OAuth.TokenStore.file(path)
    const source = yield* make(app, { grant: { _tag: "RefreshToken", store, seed: Redacted.make(seed) } })
    const refreshToken = Effect.map(store.load, (kept) => Redacted.value(kept!.tokens.refreshToken))
    return { make, path, refreshToken, seed, server, source, store }
  })

  it.live("has such a server: a token that is used twice revokes the others", () =>
    Effect.gen(function*() {
      const { make, seed, server } = yield* signedIn
      const use = (refreshToken: string) =>
        Effect.gen(function*() {
          const grant = {
            _tag: "RefreshToken",
            store: OAuth.TokenStore.memory(Redacted.make(refreshToken))
          } as const
          return valueOf(yield* (yield* make(app, { grant })).fetch(hubspot))
        })
      const first = yield* use(seed)
      assert.isTrue(yield* server.isActive(first))
      const error = yield* Effect.flip(use(seed))
      assert.deepStrictEqual(error, {
        _tag: "SourceUnavailable",
        source: "oauth",
        issue: "the refresh token was refused: somebody must sign in again",
        isRefusal: true
      })
      assert.isFalse(yield* server.isActive(first))
    }).pipe(Effect.scoped))

  it.live("stores the next refresh token before it returns the access token", () =>
    Effect.gen(function*() {
      const { refreshToken, seed, server, source, store } = yield* signedIn
      const token = valueOf(yield* source.fetch(hubspot))
      assert.isTrue(yield* server.isActive(token))
      assert.isFalse(yield* server.isUnspent(seed))
      assert.isTrue(yield* server.isUnspent(yield* refreshToken))
      const kept = (yield* store.load)!
      assert.strictEqual(Redacted.value(kept.tokens.access!.token), token)
      assert.isUndefined(kept.tokens.claim)
    }).pipe(Effect.scoped))

  it.live("does not spend another one while the stored access token is valid", () =>
    Effect.gen(function*() {
      const { make, server, source, store } = yield* signedIn
      const token = yield* source.fetch(hubspot)
      const other = yield* make(app, { grant: { _tag: "RefreshToken", store } })
      const read = yield* other.fetch(hubspot)
      assert.strictEqual(valueOf(read), valueOf(token))
      assert.strictEqual(read!.expiresAt, token!.expiresAt)
      assert.lengthOf(server.asked, 1)
      const renewed = yield* other.fetch(hubspot, token!.value)
      assert.notStrictEqual(valueOf(renewed), valueOf(token))
      assert.strictEqual(valueOf(yield* source.fetch(hubspot, token!.value)), valueOf(renewed))
      assert.lengthOf(server.asked, 2)
    }).pipe(Effect.scoped))

  it.live(
    "is spent by one of eight sources on one file, and the others read its access token",
    () =>
      Effect.gen(function*() {
        const { make, path, seed, server } = yield* signedIn
        const sources = yield* Effect.all(
          Array.from({ length: 8 }, () =>
            make(app, {
              grant: { _tag: "RefreshToken", store: OAuth.TokenStore.file(path), seed: Redacted.make(seed) }
            }))
        )
        let refused: Redacted.Redacted | undefined
        for (let round = 1; round <= 10; round++) {
          const tokens = yield* Effect.forEach(sources, (source) => source.fetch(hubspot, refused), {
            concurrency: "unbounded"
          })
          assert.strictEqual(new Set(tokens.map(valueOf)).size, 1)
          assert.lengthOf(server.asked, round)
          refused = tokens[0]!.value
        }
        assert.isTrue(yield* server.isActive(Redacted.value(refused!)))
        assert.lengthOf(readdirSync(join(path, "..")), 1)
      }).pipe(Effect.scoped)
  )

  it.live("is spent by one of three processes at a time", () =>
    Effect.gen(function*() {
      const { path, seed, server, source } = yield* signedIn
      const processes = yield* Effect.all(Array.from({ length: 3 }, () =>
        Effect.acquireRelease(
          Effect.sync(() =>
            spawn(process.execPath, [fileURLToPath(new URL("./OAuth/RefreshingProcess.ts", import.meta.url))], {
              stdio: ["pipe", "pipe", "inherit"],
              env: {
                PATH: process.env["PATH"],
                TIMES: "15",
                HUBSPOT_OAUTH_TOKEN_URL: server.tokenUrl,
                HUBSPOT_OAUTH_CLIENT_ID: "app",
                HUBSPOT_OAUTH_CLIENT_SECRET: clientSecret,
                HUBSPOT_OAUTH_TOKEN_FILE: path,
                HUBSPOT_OAUTH_REFRESH_TOKEN: seed
              }
            })
          ),
          (child) => Effect.sync(() => child.kill("SIGKILL"))
        )))
      const printed = processes.map(() => "")
      const ended = processes.map((child) => once(child, "close"))
      const ready = processes.map((child, index) => {
        child.stdout.on("data", (chunk: Buffer) => {
          printed[index] += chunk.toString()
        })
        return once(child.stdout, "data")
      })
      yield* Effect.promise(() => Promise.all(ready))
      for (const child of processes) child.stdin.write("begin\n")
      const ends = yield* Effect.promise(() => Promise.all(ended))
      assert.deepStrictEqual(ends.map(([code]) => code as unknown), [0, 0, 0])
      const tokens = printed.flatMap((text) => {
        const [said, ...tokens] = text.trim().split("\n")
        assert.strictEqual(said, "ready")
        assert.lengthOf(tokens, 15)
        return tokens
      })
      // Each use of a refresh token yielded an access token that a caller received.
      assert.lengthOf(server.asked, new Set(tokens).size)
      const spent = server.asked.map(({ parameters }) => parameters.get("refresh_token"))
      assert.strictEqual(new Set(spent).size, spent.length)
      assert.isTrue(yield* server.isActive(valueOf(yield* source.fetch(hubspot))))
    }).pipe(Effect.scoped))

  it.live("is stored even if the caller is interrupted before the response", () =>
    Effect.gen(function*() {
      const { refreshToken, server, source } = yield* signedIn
      let open = () => {}
      server.gate = new Promise((resolve) => {
        open = resolve
      })
      const asking = yield* Effect.forkChild(source.fetch(hubspot))
      yield* server.untilAsked(1)
      const leaving = yield* Effect.forkChild(Fiber.interrupt(asking))
      yield* Effect.yieldNow
      open()
      yield* Fiber.join(leaving)
      assert.isTrue(yield* server.isUnspent(yield* refreshToken))
      assert.isDefined(yield* source.fetch(hubspot))
      assert.lengthOf(server.asked, 1)
    }).pipe(Effect.scoped))

  it.live("is not spent again after a lost response, but is after a request without effect", () =>
    Effect.gen(function*() {
      const { server, source } = yield* signedIn
      server.trouble.push("busy")
      const token = yield* source.fetch(hubspot)
      assert.lengthOf(server.asked, 2)
      server.trouble.push("lost")
      const error = yield* Effect.flip(source.fetch(hubspot, token!.value))
      assert.strictEqual(error.issue, "it cannot be reached")
      assert.lengthOf(server.asked, 3)
    }).pipe(Effect.scoped))

  it.live("is separate for each key, from the store of that key", () =>
    Effect.gen(function*() {
      const { make, server } = yield* world()
      const stores = new Map<string, OAuth.TokenStore.TokenStore>()
      for (const tenant of ["a", "b"]) {
        stores.set(tenant, OAuth.TokenStore.memory(Redacted.make(yield* server.signIn("app"))))
      }
      const source = yield* make(app, { grant: { _tag: "RefreshToken", store: (key) => stores.get(key) } })
      const [a, b] = [
        yield* source.fetch({ vendor: "hubspot", key: "a" }),
        yield* source.fetch({ vendor: "hubspot", key: "b" })
      ]
      assert.notStrictEqual(valueOf(a), valueOf(b))
      assert.strictEqual(valueOf(yield* source.fetch({ vendor: "hubspot", key: "a" })), valueOf(a))
      assert.isUndefined(yield* source.fetch({ vendor: "hubspot", key: "c" }))
      assert.lengthOf(server.asked, 2)
    }).pipe(Effect.scoped))
})

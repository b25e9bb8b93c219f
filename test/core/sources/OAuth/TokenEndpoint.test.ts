import * as OAuth from "@breakwater/core/sources/OAuth"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Redacted } from "effect"
import { HttpClient, type HttpClientRequest, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { randomUUID } from "node:crypto"
import { inspect } from "node:util"

const hubspot = { vendor: "hubspot", key: "" }
const secret = randomUUID()

type Answer = (request: HttpClientRequest.HttpClientRequest) => Response | undefined

/** A source with a scripted server; without a script, it never responds. */
const source = (answer: Answer, options: Partial<OAuth.OAuthOptions> = {}) => {
  const asked: Array<URLSearchParams> = []
  const client = HttpClient.make((request) => {
    asked.push(new URLSearchParams(new TextDecoder().decode((request.body as { body: Uint8Array }).body)))
    const response = answer(request)
    return response === undefined ? Effect.never : Effect.succeed(HttpClientResponse.fromWeb(request, response))
  })
  const made = OAuth.make({
    vendor: "hubspot",
    tokenUrl: "https://auth.example.com/token",
    client: { _tag: "Basic", clientId: "us", secret: Redacted.make(secret) },
    ...options
  }).pipe(Effect.provideService(HttpClient.HttpClient, client))
  return Effect.map(made, (source) => ({ asked, source }))
}

const json = (body: unknown, status = 200) => () => Response.json(body, { status })

const token = { access_token: "t.o-k_e~n+/=", token_type: "bearer", expires_in: 3_600 }
const without = (name: keyof typeof token) => Object.fromEntries(Object.entries(token).filter(([key]) => key !== name))

/** 64 KiB at a time, forever. */
const endless = () =>
  new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536).fill(0x20)) })

const notDescribed = "its response does not match RFC 6749"

describe("a token endpoint", () => {
  it.effect.each<[what: string, expiresIn: unknown, life: number | undefined]>([
    ["an hour, less half a minute", 3_600, 3_570_000],
    ["an hour as a string", "3600", 3_570_000],
    ["ten seconds, less a tenth", 10, 9_000],
    ["a part of a second", 0.5, 450],
    ["longer than a century", 1e300, 3_155_760_000_000 - 30_000],
    ["a string of many digits", "9999999999", 3_155_760_000_000 - 30_000],
    ["null", null, undefined],
    ["nothing", undefined, undefined],
    ["0", 0, undefined],
    ["0 as a string", "0", undefined]
  ])("issues a token with the stated lifetime: %s", ([, expires_in, life]) =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_700_000_000_000)
      const { asked, source: made } = yield* source(json({ ...token, expires_in }))
      const secret = yield* made.fetch(hubspot)
      assert.strictEqual(Redacted.value(secret!.value), token.access_token)
      assert.strictEqual(secret!.expiresAt, life === undefined ? undefined : 1_700_000_000_000 + life)
      assert.lengthOf(asked, 1)
    }))

  it.effect.each<[what: string, options: Partial<OAuth.OAuthOptions>, expiresIn: number | undefined, life: number]>([
    ["a margin", { margin: "5 minutes" }, 3_600, 3_300_000],
    ["a margin of more than half of its lifetime", { margin: "5 minutes" }, 60, 30_000],
    ["no margin", { margin: 0 }, 60, 60_000],
    ["a lifetime that the server does not state", { expiresIn: "10 minutes" }, undefined, 570_000],
    ["a lifetime that the server states as 0", { expiresIn: "10 minutes" }, 0, 570_000],
    ["a lifetime that the server states", { expiresIn: "10 minutes" }, 60, 54_000]
  ])("issues a token with the configured lifetime: %s", ([, options, expires_in, life]) =>
    Effect.gen(function*() {
      const { source: made } = yield* source(json({ ...token, expires_in }), options)
      assert.strictEqual((yield* made.fetch(hubspot))!.expiresAt, (yield* Clock.currentTimeMillis) + life)
    }))

  it.effect.each<[what: string, answer: Answer, issue: string]>([
    ["an endless body", () => new Response(endless()), "its response is larger than 1048576 bytes"],
    ["a body that is not JSON", () => new Response("<html>"), notDescribed],
    ["half of a body", () => new Response(JSON.stringify(token).slice(0, -9)), notDescribed],
    ["nothing", () => new Response(), notDescribed],
    ["JSON of another kind", json([token]), notDescribed],
    ["no access token", json(without("access_token")), notDescribed],
    ["an access token that is not a string", json({ ...token, access_token: 7 }), notDescribed],
    ["an empty access token", json({ ...token, access_token: "" }), notDescribed],
    ["an access token with a header inside", json({ ...token, access_token: "a\r\nx-admin: 1" }), notDescribed],
    ["an access token of other letters", json({ ...token, access_token: "tökén" }), notDescribed],
    ["an access token too long for a header", json({ ...token, access_token: "a".repeat(16_385) }), notDescribed],
    ["another type", json({ ...token, token_type: "DPoP" }), "its token type is not bearer"],
    [
      "no access token by RFC 8693",
      json({ ...token, token_type: "N_A" }),
      "its token type is not bearer"
    ],
    ["a negative lifetime", json({ ...token, expires_in: -3_600 }), "its token has already expired"],
    ["a lifetime that is not a number", json({ ...token, expires_in: "soon" }), notDescribed],
    ["a lifetime of another type", json({ ...token, expires_in: {} }), notDescribed],
    ["an empty refresh token", json({ ...token, refresh_token: "" }), notDescribed],
    [
      "a redirect",
      () => new Response(null, { status: 307, headers: { location: "https://evil.example.com" } }),
      "it does not answer as expected (status 307)"
    ],
    ["no such page", () => new Response("?", { status: 404 }), "it does not answer as expected (status 404)"],
    ["a token with an error's status", json(token, 201), "it does not answer as expected (status 201)"]
  ])("is unavailable if it returns %s", ([, answer, issue]) =>
    Effect.gen(function*() {
      const { asked, source: made } = yield* source(answer)
      const error = yield* Effect.flip(made.fetch(hubspot))
      assert.deepStrictEqual(error, { _tag: "SourceUnavailable", source: "oauth", issue })
      assert.lengthOf(asked, 1)
    }))

  it.effect.each<[what: string, status: number, body: unknown, error: OAuth.TokenRefusal]>([
    ["an invalid request", 400, { error: "invalid_request" }, "invalid_request"],
    ["an unknown client", 401, { error: "invalid_client" }, "invalid_client"],
    ["a grant that is spent", 400, { error: "invalid_grant", error_description: secret }, "invalid_grant"],
    ["an unauthorized client", 400, { error: "unauthorized_client" }, "unauthorized_client"],
    ["an unsupported grant", 400, { error: "unsupported_grant_type" }, "unsupported_grant_type"],
    ["an unknown scope", 400, { error: "invalid_scope" }, "invalid_scope"],
    ["an unknown resource (RFC 8707)", 400, { error: "invalid_target" }, "invalid_target"],
    ["an error of its own", 400, { error: secret }, "other"],
    ["an error without a name", 403, {}, "other"],
    ["an error that is not JSON", 401, secret, "other"],
    ["an error with status 200, as GitHub does", 200, { error: "invalid_grant" }, "invalid_grant"],
    ["an error named like a property of every object", 400, { error: "toString" }, "other"]
  ])("refuses, and is not retried: %s", ([, status, body, error]) =>
    Effect.gen(function*() {
      const { asked, source: made } = yield* source(json(body, status))
      const failure = yield* Effect.flip(made.fetch(hubspot))
      assert.deepStrictEqual(
        failure,
        {
          _tag: "SourceUnavailable",
          source: "oauth",
          issue: `it gives no token (${error === "other" ? `status ${status}` : error})`,
          isRefusal: true,
          error
        } as typeof failure
      )
      assert.notInclude(inspect(failure), secret)
      assert.lengthOf(asked, 1)
    }))

  it.effect.each<[what: string, answer: Answer]>([
    ["503", json({}, 503)],
    ["429", json({}, 429)],
    ["500", json({}, 500)],
    ["that it is busy, in other words", json({ error: "temporarily_unavailable" }, 400)],
    ["that it is broken, in other words", json({ error: "server_error" }, 400)]
  ])("is retried if it says %s", ([, answer]) =>
    Effect.gen(function*() {
      let failures = 2
      const { asked, source: made } = yield* source((request) => failures-- > 0 ? answer(request) : json(token)(), {
        pause: 0
      })
      assert.isDefined(yield* made.fetch(hubspot))
      assert.lengthOf(asked, 3)
      failures = 9
      assert.isUndefined((yield* Effect.flip(made.fetch(hubspot))).isRefusal)
      assert.lengthOf(asked, 6)
    }))

  it.effect("is waited for no longer than configured", () =>
    Effect.gen(function*() {
      const { asked, source: made } = yield* source(() => undefined, {
        timeout: "2 seconds",
        retries: 1,
        pause: "1 second"
      })
      const asking = yield* Effect.forkChild(Effect.flip(made.fetch(hubspot)))
      yield* TestClock.adjust("5200 millis")
      assert.strictEqual((yield* Fiber.join(asking)).issue, "no response within 2000 ms")
      assert.lengthOf(asked, 2)
    }))

  it.effect("is not asked if the client's secret is not available in time", () =>
    Effect.gen(function*() {
      const client = { _tag: "Basic", clientId: "us", secret: Effect.never } as const
      const { asked, source: made } = yield* source(json(token), { client })
      const asking = yield* Effect.forkChild(Effect.flip(made.fetch(hubspot)))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(asking)).issue, "the client's secret was not available in time")
      assert.lengthOf(asked, 0)
    }))

  it.effect("receives scope, audience and resources", () =>
    Effect.gen(function*() {
      const { asked, source: made } = yield* source(json(token), {
        scope: "a b",
        audience: "them",
        resource: ["https://a.example.com", "https://b.example.com"]
      })
      yield* made.fetch(hubspot)
      assert.deepStrictEqual([...asked[0]!], [
        ["grant_type", "client_credentials"],
        ["scope", "a b"],
        ["audience", "them"],
        ["resource", "https://a.example.com"],
        ["resource", "https://b.example.com"]
      ])
    }))

  it.effect("receives all parameters of an exchange (RFC 8693)", () =>
    Effect.gen(function*() {
      const { asked, source: made } = yield* source(json(token), {
        client: { _tag: "None", clientId: "us" },
        grant: {
          _tag: "TokenExchange",
          subjectToken: Redacted.make("theirs"),
          subjectTokenType: "urn:ietf:params:oauth:token-type:jwt",
          actorToken: Effect.succeed(Redacted.make("ours")),
          requestedTokenType: "urn:ietf:params:oauth:token-type:access_token"
        }
      })
      yield* made.fetch(hubspot)
      assert.deepStrictEqual([...asked[0]!], [
        ["grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"],
        ["subject_token", "theirs"],
        ["subject_token_type", "urn:ietf:params:oauth:token-type:jwt"],
        ["actor_token", "ours"],
        ["actor_token_type", "urn:ietf:params:oauth:token-type:access_token"],
        ["requested_token_type", "urn:ietf:params:oauth:token-type:access_token"],
        ["client_id", "us"]
      ])
    }))

  it.effect.each<[what: string, options: Partial<OAuth.OAuthOptions>]>([
    ["plain http", { tokenUrl: "http://auth.example.com/token" }],
    ["an address with a password", { tokenUrl: `https://us:${secret}@auth.example.com/token` }],
    ["no address", { tokenUrl: "auth" }],
    ["a margin that is negative", { margin: -1 }],
    ["a lifetime of 0", { expiresIn: 0 }]
  ])("is rejected with %s", ([, options]) =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(source(json(token), options))
      assert.isTrue(Exit.hasDies(exit))
      assert.notInclude(inspect(exit, { depth: 20 }), secret)
    }))
})

import * as SecretRequest from "@breakwater/core/sources/SecretRequest"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { FetchHttpClient, HttpClient, HttpClientError, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { randomUUID } from "node:crypto"
import * as ScriptedServer from "../../fakes/ScriptedServer.ts"

const secret = randomUUID()

const question = (url: string, isRepeatable: boolean): SecretRequest.Question => ({
  method: "POST",
  url,
  headers: { "x-vault-token": secret },
  body: secret,
  isRepeatable
})

/** Requests over a scripted client that counts them. */
const answered = (
  answer: () => Effect.Effect<Response, HttpClientError.TransportError["cause"]>,
  options?: SecretRequest.SecretRequestOptions
) => {
  const state = { asked: 0 }
  const client = HttpClient.make((request) =>
    Effect.suspend(() => {
      state.asked++
      return Effect.mapBoth(answer(), {
        onSuccess: (response) => HttpClientResponse.fromWeb(request, response),
        onFailure: (cause) =>
          new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request, cause }) })
      })
    })
  )
  return Effect.map(
    Effect.provideService(SecretRequest.make("test", options), HttpClient.HttpClient, client),
    (inquiry) => ({ inquiry, state })
  )
}

const ask = (isRepeatable: boolean) => (inquiry: SecretRequest.SecretRequest) =>
  inquiry.ask(question("https://vault.example.com/", isRepeatable))

const coded = (code: string) => Object.assign(new Error(code), { code })

describe("a request to a secret service", () => {
  it.live.each([301, 302, 307, 308])("does not follow a redirect: %s", (status) =>
    Effect.gen(function*() {
      const elsewhere = yield* ScriptedServer.serve(() => ScriptedServer.json({}))
      const server = yield* ScriptedServer.serve(() => ({ status, headers: { location: elsewhere.baseUrl } }))
      const inquiry = yield* SecretRequest.make("test").pipe(Effect.provide(FetchHttpClient.layer))
      const reply = yield* inquiry.ask(question(server.baseUrl, true))
      assert.strictEqual(reply.status, status)
      assert.lengthOf(server.seen, 1)
      assert.lengthOf(elsewhere.seen, 0)
    }).pipe(Effect.scoped))

  it.effect("waits for as long as `Retry-After` asks, up to ten seconds", () =>
    Effect.gen(function*() {
      let seconds = "7"
      const { inquiry, state } = yield* answered(() =>
        Effect.succeed(new Response("", { status: 503, headers: { "retry-after": seconds } }))
      )
      const asking = yield* Effect.forkChild(ask(true)(inquiry), { startImmediately: true })
      yield* TestClock.adjust("6900 millis")
      assert.strictEqual(state.asked, 1)
      // Its jitter is at most a quarter of it.
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(state.asked, 2)
      yield* TestClock.adjust("9 seconds")
      assert.strictEqual((yield* Fiber.join(asking)).status, 503)
      assert.strictEqual(state.asked, 3)
      seconds = "11"
      assert.strictEqual((yield* ask(true)(inquiry)).status, 503)
      assert.strictEqual(state.asked, 4)
    }))

  it.effect.each<[what: string, isRepeatable: boolean, cause: unknown, times: number]>([
    ["the connection is refused", false, new Error("fetch failed", { cause: coded("ECONNREFUSED") }), 3],
    ["the name is unknown", false, new Error("fetch failed", { cause: coded("ENOTFOUND") }), 3],
    ["the connection is reset, and the request is repeatable", true, coded("ECONNRESET"), 3],
    ["the connection is reset, and the request is not repeatable", false, coded("ECONNRESET"), 1],
    ["the cause is unknown", false, "?", 1]
  ])(
    "is repeated if it was certainly not received, or may be sent twice: %s",
    ([, isRepeatable, cause, times]) =>
      Effect.gen(function*() {
        const { inquiry, state } = yield* answered(() => Effect.fail(cause), { pause: 0 })
        const error = yield* Effect.flip(ask(isRepeatable)(inquiry))
        assert.deepStrictEqual(error, { _tag: "SourceUnavailable", source: "test", issue: "it cannot be reached" })
        assert.strictEqual(state.asked, times)
      })
  )

  it.effect.each<[status: number, isRepeatable: boolean, times: number]>([
    [503, false, 3],
    [429, false, 3],
    [500, false, 1],
    [500, true, 3],
    [408, false, 1],
    [501, true, 1],
    [404, true, 1]
  ])(
    "with the status %s, repeatable %s, is sent %s times",
    ([status, isRepeatable, times]) =>
      Effect.gen(function*() {
        const { inquiry, state } = yield* answered(() => Effect.succeed(new Response("", { status })), { pause: 0 })
        assert.strictEqual((yield* ask(isRepeatable)(inquiry)).status, status)
        assert.strictEqual(state.asked, times)
      })
  )

  it.effect.each([true, false])(
    "without a response is given up; repeatable: %s",
    (isRepeatable) =>
      Effect.gen(function*() {
        const { inquiry, state } = yield* answered(() => Effect.never, { pause: 0, timeout: "1 second" })
        const asking = yield* Effect.forkChild(Effect.flip(ask(isRepeatable)(inquiry)), { startImmediately: true })
        yield* TestClock.adjust(inquiry.patience)
        assert.strictEqual((yield* Fiber.join(asking)).issue, "no response within 1000 ms")
        assert.strictEqual(state.asked, isRepeatable ? 3 : 1)
      })
  )

  it.live("is not read past the limit", () =>
    Effect.gen(function*() {
      const server = yield* ScriptedServer.serve(() => ({ body: "x".repeat(5_000_000) }))
      const inquiry = yield* SecretRequest.make("test", { maxBytes: 1_000 }).pipe(Effect.provide(FetchHttpClient.layer))
      const error = yield* Effect.flip(inquiry.ask(question(server.baseUrl, true)))
      assert.strictEqual(error.issue, "its response is larger than 1000 bytes")
      const whole = yield* SecretRequest.make("test", { maxBytes: 5_000_000 }).pipe(
        Effect.provide(FetchHttpClient.layer)
      )
      assert.lengthOf((yield* whole.ask(question(server.baseUrl, true))).body, 5_000_000)
    }).pipe(Effect.scoped))
})

import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import { Credentials } from "@breakwater/core/credentials/Credential"
import * as Recorder from "@breakwater/core/testing/Recorder"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import { isVendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { randomUUID } from "node:crypto"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as ScriptedServer from "../../fakes/ScriptedServer.ts"

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("items", { topLevel: true }).add(
    HttpApiEndpoint.get("find", "/items/:id", {
      params: { id: Schema.String },
      query: { api_key: Schema.String },
      success: Schema.Struct({ id: Schema.String, note: Schema.optionalKey(Schema.String) })
    }),
    HttpApiEndpoint.post("log in", "/login", {
      payload: Schema.Struct({ user: Schema.String, password: Schema.String }),
      success: Schema.Struct({ access_token: Schema.String })
    }).annotate(Operation.Safety, "Unsafe")
  )
)

const acme = (baseUrl: string) =>
  Vendor.make({
    name: "acme",
    api: Api,
    baseUrl,
    auth: { _tag: "Bearer" },
    policy: { retry: false, breaker: false }
  })

/** A directory, a file in it, and a secret that is read for every request. */
const setting = Effect.gen(function*() {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "breakwater-recorder-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )
  const secret = randomUUID()
  const credentials: Credentials = { read: () => Effect.succeed(Redacted.make(secret)) }
  return { folder, file: join(folder, "acme.json"), secret, given: Effect.provideService(Credentials, credentials) }
})

const find = (baseUrl: string, id: string, key: string) =>
  Effect.flatMap(acme(baseUrl), (client) => client.find({ params: { id }, query: { api_key: key } }))

/** A transport without a server. */
const nowhere = "https://api.acme.example"

const network = Effect.provide(UndiciTransport.layer({ loopback: true }))

describe("a recording", () => {
  it.live("is replayed to the same requests with other secrets", () =>
    Effect.gen(function*() {
      const { file, given, secret } = yield* setting
      const key = randomUUID()
      const server = yield* ScriptedServer.serve(({ url }) => ScriptedServer.json({ id: url.slice(7, 8) }))
      const both = (baseUrl: string, key: string) => Effect.all([find(baseUrl, "1", key), find(baseUrl, "2", key)])
      const recorded = yield* both(server.baseUrl, key).pipe(Recorder.record({ file }), given, network)
      const text = readFileSync(file, "utf8")
      for (const hidden of [key, secret]) assert.notInclude(text, hidden)
      assert.include(text, "/items/1?api_key=<redacted>")
      const played = yield* both(nowhere, randomUUID()).pipe(Recorder.replay({ file }), given)
      assert.deepStrictEqual(played, recorded)
      assert.deepStrictEqual(played.map(({ id }) => id), ["1", "2"])
    }).pipe(Effect.scoped))

  it.live.each([
    ["as it is", ""],
    ["behind a byte order mark", "\uFEFF"]
  ])(
    "holds neither the password of a request nor the token of its response, %s",
    ([, mark]) =>
      Effect.gen(function*() {
        const { file, given } = yield* setting
        const [password, token] = [randomUUID(), randomUUID()]
        const server = yield* ScriptedServer.serve(() => ({ body: mark + JSON.stringify({ access_token: token }) }))
        const logIn = (baseUrl: string, password: string) =>
          Effect.flatMap(acme(baseUrl), (client) => client["log in"]({ payload: { user: "ada", password } }))
        yield* logIn(server.baseUrl, password).pipe(Recorder.record({ file }), given, network)
        const text = readFileSync(file, "utf8")
        assert.notInclude(text, password)
        assert.notInclude(text, token)
        assert.include(text, "\"user\": \"ada\"")
        assert.include(text, "\"access_token\": \"<redacted>\"")
        assert.deepStrictEqual(yield* logIn(nowhere, "any").pipe(Recorder.replay({ file }), given), {
          access_token: "<redacted>"
        })
      }).pipe(Effect.scoped)
  )

  it.live("is not written if a secret survives, and leaves the old file", () =>
    Effect.gen(function*() {
      const { file, folder, given, secret } = yield* setting
      writeFileSync(file, "as before")
      const echoes: ReadonlyArray<(secret: string) => string> = [
        (secret) => secret,
        (secret) => Buffer.from(`x${secret.slice(0, 16)}`).toString("base64"),
        (secret) => Buffer.from(secret).toString("hex").replaceAll(/../g, "$& "),
        (secret) => encodeURIComponent(secret.replaceAll("-", "%2D")),
        (secret) => secret.replaceAll(/.{16}/g, "$& ")
      ]
      for (const echo of echoes) {
        const server = yield* ScriptedServer.serve(() => ScriptedServer.json({ id: "1", note: `so ${echo(secret)}` }))
        const refused = yield* find(server.baseUrl, "1", "k").pipe(
          Recorder.record({ file }),
          given,
          network,
          Effect.flip
        )
        assert.instanceOf(refused, Recorder.SecretSurvives)
        assert.deepInclude(refused, { exchange: 0, place: "response" })
        assert.include(refused.message, "was not written: a secret survives in the response of exchange 0")
        assert.notInclude(JSON.stringify(refused), secret)
      }
      assert.strictEqual(readFileSync(file, "utf8"), "as before")
      assert.deepStrictEqual(readdirSync(folder), ["acme.json"])
    }).pipe(Effect.scoped))

  it.live("is not written if the recorded effect fails", () =>
    Effect.gen(function*() {
      const { file, given } = yield* setting
      const server = yield* ScriptedServer.serve(() => ScriptedServer.json({}, 500))
      const failed = yield* find(server.baseUrl, "1", "k").pipe(Recorder.record({ file }), given, network, Effect.flip)
      assert.isTrue(isVendorError(failed))
      assert.isFalse(existsSync(file))
    }).pipe(Effect.scoped))

  it.live("removes the configured secrets, and shows the configured headers", () =>
    Effect.gen(function*() {
      const { file, given } = yield* setting
      const told = randomUUID()
      const server = yield* ScriptedServer.serve(() =>
        ScriptedServer.json({ id: told }, 200, { "x-acme-region": "north", "x-acme-owner": "ada" })
      )
      const ask = find(server.baseUrl, "1", "k")
      const secrets = [Redacted.make(told)]
      const refused = yield* ask.pipe(Recorder.record({ file, secrets }), given, network, Effect.flip)
      assert.instanceOf(refused, Recorder.SecretSurvives)
      yield* ask.pipe(Recorder.record({ file, showHeaders: ["X-Acme-Region"] }), given, network)
      const text = readFileSync(file, "utf8")
      assert.include(text, "\"x-acme-region\": \"north\"")
      assert.include(text, "\"x-acme-owner\": \"<redacted>\"")
    }).pipe(Effect.scoped))

  it.live("replays failures of the network", () =>
    Effect.gen(function*() {
      const { file, given } = yield* setting
      const server = yield* ScriptedServer.serve(() => "reset")
      const outcome = (baseUrl: string) => Effect.flip(find(baseUrl, "1", "k"))
      const recorded = yield* outcome(server.baseUrl).pipe(Recorder.record({ file }), given, network)
      const played = yield* outcome(nowhere).pipe(Recorder.replay({ file }), given)
      assert.isTrue(isVendorError(recorded) && isVendorError(played))
      if (isVendorError(recorded) && isVendorError(played)) {
        assert.strictEqual(recorded.reason._tag, "ConnectionLost")
        assert.deepStrictEqual(played.reason, recorded.reason)
      }
    }).pipe(Effect.scoped))

  it.live("replays each response once, and names a request without one", () =>
    Effect.gen(function*() {
      const { file, given } = yield* setting
      const key = randomUUID()
      const server = yield* ScriptedServer.serve(() => ScriptedServer.json({ id: "1" }))
      yield* find(server.baseUrl, "1", "k").pipe(Recorder.record({ file }), given, network)
      const twice = Effect.andThen(find(nowhere, "1", key), find(nowhere, "1", key))
      for (const asked of [twice, find(nowhere, "2", key)]) {
        const missing = yield* asked.pipe(Recorder.replay({ file }), given, Effect.flip)
        assert.instanceOf(missing, Recorder.RecordingMismatch)
        assert.match(missing.message, /acme\.json has no answer left for GET \/items\/[12]\?api_key=<redacted>$/)
      }
    }).pipe(Effect.scoped))

  it.live("is refused if it is missing, changed or of another kind", () =>
    Effect.gen(function*() {
      const { file, given } = yield* setting
      const problem = Effect.map(
        Effect.flip(find(nowhere, "1", "k").pipe(Recorder.replay({ file }), given)),
        (error) => error instanceof Recorder.RecordingUnusable ? error.problem : error
      )
      assert.strictEqual(yield* problem, "Missing")
      const server = yield* ScriptedServer.serve(() => ScriptedServer.json({ id: "1" }))
      yield* find(server.baseUrl, "1", "k").pipe(Recorder.record({ file }), given, network)
      const text = readFileSync(file, "utf8")
      for (
        const [changed, expected] of [
          [text.replace("/items/1", "/items/2"), "Changed"],
          [text.replace("\"version\": 1", "\"version\": 2"), "OtherVersion"],
          [text.replace("breakwater-recording", "another"), "NotARecording"],
          [text.replace("\"exchanges\"", "\"other\""), "NotARecording"],
          [text.slice(1), "NotARecording"],
          ["", "NotARecording"]
        ] as const
      ) {
        writeFileSync(file, changed)
        assert.strictEqual(yield* problem, expected)
      }
    }).pipe(Effect.scoped))

  it.live("reports that it cannot be written", () =>
    Effect.gen(function*() {
      const { folder, given } = yield* setting
      const server = yield* ScriptedServer.serve(() => ScriptedServer.json({ id: "1" }))
      const error = yield* find(server.baseUrl, "1", "k").pipe(
        Recorder.record({ file: folder }),
        given,
        network,
        Effect.flip
      )
      assert.instanceOf(error, Recorder.RecordingUnwritable)
      assert.match(error.message, /cannot be written \(E[A-Z]+\)$/)
    }).pipe(Effect.scoped))
})

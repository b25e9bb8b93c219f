/** Secrets as people write them down: with a line end, with blanks, in quotes. */
import type { Auth } from "@breakwater/core/client/Declaration"
import * as Credential from "@breakwater/core/credentials/Credential"
import * as RefreshingCredentials from "@breakwater/core/credentials/RefreshingCredentials"
import * as SourceSecret from "@breakwater/core/credentials/SourceSecret"
import * as EncryptedFile from "@breakwater/core/sources/EncryptedFile"
import * as Files from "@breakwater/core/sources/Files"
import { CredentialUnavailable } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Logger, Redacted } from "effect"
import { randomUUID } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { inspect } from "node:util"
import * as Acme from "../fakes/Acme.ts"
import * as Depot from "../fakes/Depot.ts"
import { json } from "../fakes/ScriptedServer.ts"
import * as SecretFiles from "../fakes/SecretFiles.ts"

const secret = randomUUID()
const name = "DEPOT_API_KEY"

const environment = (value: string) => ConfigProvider.layer(ConfigProvider.fromUnknown({ [name]: value }))

const holding = (value: string): Layer.Layer<never> =>
  Layer.succeed(Credential.Credentials, { read: () => Effect.succeed(Redacted.make(value)) })

const lineEnds = ["\n", "\r\n", "\n\n", "\r\n\n", "\r"]

describe("a line end after a secret is not sent", () => {
  it.live.each<readonly [string, (text: string, directory: string) => Layer.Layer<never>]>([
    ["a variable", (text) => environment(text)],
    ["a file", (text, directory) => {
      writeFileSync(join(directory, name), text, { mode: 0o600 })
      return Files.layer({ directory })
    }],
    ["a cached source", (text) =>
      RefreshingCredentials.layer(Effect.succeed({
        name: "remote",
        fetch: () => Effect.succeed({ value: Redacted.make(text) })
      }))],
    ["credentials of one's own", (text) => holding(text)]
  ])("from %s", ([, layerOf]) =>
    Effect.gen(function*() {
      const directory = yield* SecretFiles.directory
      for (const lineEnd of lineEnds) {
        const depot = Depot.serve()
        yield* Effect.scoped(Effect.gen(function*() {
          const client = yield* Depot.make().pipe(
            Effect.provide([depot.transport, layerOf(`${secret}${lineEnd}`, directory)])
          )
          yield* client.report()
        }))
        assert.deepStrictEqual(depot.secrets, [secret], JSON.stringify(lineEnd))
      }
    }))

  it.effect("of a source itself, from a variable", () =>
    Effect.gen(function*() {
      const read = SourceSecret.read(SourceSecret.fromSource(Credential.environment, { vendor: "depot", key: "" }))
      assert.strictEqual(Redacted.value(yield* read), secret)
      const key = yield* EncryptedFile.keyConfig(name)
      assert.strictEqual(Redacted.isRedacted(key) ? Redacted.value(key) : "a file", secret)
    }).pipe(Effect.provide(environment(`${secret}\n`))))

  it.effect("and with nothing before it there is no secret", () =>
    Effect.gen(function*() {
      for (const text of ["\n", "\r\n\r\n"]) {
        const error = yield* Effect.flip(Depot.make()).pipe(
          Effect.provide([Depot.serve().transport, environment(text)])
        )
        assert.strictEqual(error.message, `the credential ${name} is not available`)
      }
    }))
})

describe("a secret that no header can carry", () => {
  const bearer: Auth = { _tag: "Bearer" }
  const unusable = new CredentialUnavailable(name, "Unusable")

  it.effect.each<readonly [string, string, Auth]>([
    ["two lines", `${secret}\n${secret}`, bearer],
    ["a blank at its end", `${secret} `, bearer],
    ["a blank at its beginning, alone in a header", ` ${secret}`, { _tag: "Header", name: "x-api-key" }],
    ["a letter beyond ASCII", `${secret}é`, bearer],
    ["a character that cannot be seen", `${secret}\u200b`, bearer],
    ["nothing", "", { _tag: "Header", name: "x-api-key" }],
    ["a control character, with a user", `${secret}\u0007`, { _tag: "Basic", user: "shop" }]
  ])("is reported at the start: %s", ([, value, auth]) =>
    Effect.gen(function*() {
      const depot = Depot.serve()
      const error = yield* Effect.flip(Depot.make({ auth })).pipe(Effect.provide([depot.transport, holding(value)]))
      assert.strictEqual(error.message, unusable.message)
      assert.notInclude(error.message, secret)
    }))

  it.live.each([`${secret}\n${secret}`, `${secret} `, `${secret}é`, ""])(
    "and at the call, if it appears later: nothing is sent or retried",
    (later) =>
      Effect.gen(function*() {
        let value: string = secret
        const credentials: Credential.Credentials = { read: () => Effect.sync(() => Redacted.make(value)) }
        const { client, server } = yield* Acme.play(() => json({ ok: true }), { auth: bearer }).pipe(
          Effect.provideService(Credential.Credentials, credentials)
        )
        value = later
        const error = yield* Effect.flip(client.ping())
        const { attempts, fate, reason } = error
        assert.deepStrictEqual(
          [attempts, fate, reason],
          [1, "NotSent", new CredentialUnavailable("ACME_API_KEY", "Unusable")]
        )
        assert.notInclude(inspect(error, { depth: 20, showHidden: true }), secret)
        assert.isEmpty(server.seen)
        value = secret
        yield* client.ping()
        assert.strictEqual(server.seen.length, 1)
      }).pipe(Acme.overTheWire)
  )

  it.effect("is no problem of a password, which is encoded", () =>
    Effect.gen(function*() {
      const depot = Depot.serve()
      const client = yield* Depot.make({ auth: { _tag: "Basic", user: "shop" } }).pipe(
        Effect.provide([depot.transport, holding(" pässword ")])
      )
      yield* Depot.soon(client.report())
      assert.deepStrictEqual(depot.secrets, [`Basic ${Buffer.from("shop: pässword ").toString("base64")}`])
    }))
})

describe("a secret in quotes", () => {
  it.effect("is sent with them, and warned about at the start", () =>
    Effect.gen(function*() {
      for (const quote of ["\"", "'", "`"]) {
        const lines: Array<string> = []
        const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${String(message)}`))
        const depot = Depot.serve()
        const client = yield* Depot.make().pipe(
          Effect.provide([depot.transport, environment(`${quote}${secret}${quote}`), Logger.layer([logger])]),
          Effect.scoped
        )
        yield* Depot.soon(client.report())
        assert.deepStrictEqual(depot.secrets, [`${quote}${secret}${quote}`])
        assert.deepStrictEqual(lines, [`Warn the credential ${name} is in quotes, which are sent with it`])
      }
    }))

  it.effect("is not confused with one that contains quotes", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      for (const value of [`"${secret}`, `${secret}"`, `${secret}"${secret}`, `"${secret}'`, "\""]) {
        yield* Effect.scoped(Depot.make()).pipe(
          Effect.provide([Depot.serve().transport, environment(value), Logger.layer([logger])])
        )
      }
      assert.isEmpty(lines)
    }))
})

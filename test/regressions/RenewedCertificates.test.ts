/** A renewed client certificate needs no restart. Source: FAULTS.md §4, row 32. */
import * as ClientCertificate from "@breakwater/core/transport/ClientCertificate"
import type { Source } from "@breakwater/core/transport/ClientCertificate"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { writeFileSync } from "node:fs"
import { createServer } from "node:https"
import { join } from "node:path"
import type { TLSSocket } from "node:tls"
import { authority, type Certified } from "../fakes/Certificates.ts"
import * as Loopback from "../fakes/Loopback.ts"
import * as SecretFiles from "../fakes/SecretFiles.ts"
import * as Wire from "../watches/Wire.ts"

const trusted = authority()
const nameOf = ({ cert, key }: Certified) => ({ certificate: cert, key: Redacted.make(key) })

/** A vendor that answers with the serial number of the client's certificate, and closes each connection. */
const vendor = Effect.gen(function*() {
  const server = createServer(
    { ...trusted.issue(), ca: [trusted.certificate], requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      response.setHeader("connection", "close").end((request.socket as TLSSocket).getPeerCertificate().fingerprint256)
    }
  )
  return `https://127.0.0.1:${(yield* Loopback.listen(server)).port}`
})

const presenting = (client: Source) =>
  Wire.make({ proxy: false, loopback: true, tls: { ca: [trusted.certificate], client } })

describe("a source of client certificates that", () => {
  it.effect.each<readonly [string, Effect.Effect<never>, number]>([
    ["hangs", Effect.never, 200],
    ["hangs and resists its interruption", Effect.uninterruptible(Effect.never), 200],
    ["interrupts itself", Effect.interrupt, 0],
    ["dies", Effect.die("mine"), 0]
  ])("%s leaves the last good one, a fifth of a second later at most", ([, broken, millis]) =>
    Effect.gen(function*() {
      let reads = 0
      const good = { certificate: "certificate", key: Redacted.make("key") }
      const source = Effect.suspend(() => reads++ === 0 ? Effect.succeed(good) : broken)
      const read = ClientCertificate.latest(source, ({ certificate }) => certificate)
      assert.strictEqual(yield* read, "certificate")
      for (let connection = 0; connection < 2; connection++) {
        const fiber = yield* Effect.forkChild(read)
        yield* TestClock.adjust(millis)
        assert.strictEqual(yield* Fiber.join(fiber), "certificate")
      }
    }))

  it.effect("is slow is read once for all connections, and heard when it responds", () =>
    Effect.gen(function*() {
      let reads = 0
      const source = Effect.suspend(() => {
        const certificate = `certificate ${++reads}`
        return Effect.delay(Effect.succeed({ certificate, key: Redacted.make("key") }), reads === 1 ? 0 : 1_000)
      })
      const read = ClientCertificate.latest(source, ({ certificate }) => certificate)
      const connect = Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(read)
        yield* TestClock.adjust(200)
        return yield* Fiber.join(fiber)
      })
      const seen = new Array<string>()
      for (let connection = 0; connection < 7; connection++) seen.push(yield* connect)
      assert.deepStrictEqual(seen.slice(0, 5), Array(5).fill("certificate 1"))
      assert.strictEqual(seen[6], "certificate 2")
      assert.strictEqual(reads, 3)
    }))

  it.effect("hangs at the start fails after a minute", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(Effect.flip(ClientCertificate.latest(Effect.never, () => "")))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(fiber), "NoCertificate")
    }))
})

describe("a client certificate", () => {
  it.live("is read from its files for every connection", () =>
    Effect.gen(function*() {
      const directory = yield* SecretFiles.directory
      const [certificate, key] = [join(directory, "client.pem"), join(directory, "client.key")]
      const put = (certified: Certified) => {
        writeFileSync(certificate, certified.cert)
        writeFileSync(key, certified.key, { mode: 0o600 })
      }
      const [old, renewed, last] = [trusted.issue(), trusted.issue(), trusted.issue()]
      put(old)
      const origin = yield* vendor
      const { send } = yield* presenting(ClientCertificate.files({ certificate, key }))
      const first = (yield* send(origin)).body
      assert.strictEqual((yield* send(origin)).body, first)

      put(renewed)
      const second = (yield* send(origin)).body
      assert.isDefined(second)
      assert.notStrictEqual(second, first)

      // Half of a renewal: the key does not fit yet.
      writeFileSync(certificate, last.cert)
      assert.strictEqual((yield* send(origin)).body, second)
      put(last)
      const third = (yield* send(origin)).body
      assert.isDefined(third)
      assert.notStrictEqual(third, second)
    }))

  it.live.each<readonly [string, Source]>([
    ["fails", Effect.fail("down")],
    ["dies", Effect.die("down")],
    ["has no certificate", Effect.succeed({ certificate: "", key: Redacted.make("") })]
  ])("serves on while its source %s, which is logged once", ([, failing]) =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make<unknown, void>(({ message }) => void lines.push(String(message)))
      yield* Effect.gen(function*() {
        let source: Source = Effect.succeed(nameOf(trusted.issue()))
        const origin = yield* vendor
        const { send } = yield* presenting(Effect.suspend(() => source))
        const first = (yield* send(origin)).body
        source = failing
        for (let i = 0; i < 3; i++) assert.strictEqual((yield* send(origin)).body, first)
        assert.deepStrictEqual(lines, ["the client certificate cannot be read; the last one is used"])
        source = Effect.succeed(nameOf(trusted.issue()))
        assert.notStrictEqual((yield* send(origin)).body, first)
      }).pipe(Effect.provide(Logger.layer([logger])))
    }))

  it.live("is waited for within the connect timeout", () =>
    Effect.gen(function*() {
      let source: Source = Effect.succeed(nameOf(trusted.issue()))
      const origin = yield* vendor
      const { refusal } = yield* presenting(Effect.suspend(() => source))
      source = Effect.never
      const reason = yield* refusal(origin, { connectTimeoutMillis: 50 })
      assert.strictEqual("_tag" in reason ? reason._tag : reason, "Timeout")
    }))

  it.effect.each<readonly [string, Source]>([
    ["fails", Effect.fail("down")],
    ["has no certificate", Effect.succeed({ certificate: "", key: Redacted.make("") })],
    [
      "has a key of another one",
      Effect.succeed({ ...nameOf(trusted.issue()), key: Redacted.make(trusted.issue().key) })
    ],
    ["has no file", ClientCertificate.files({ certificate: "/nowhere", key: "/nowhere" })]
  ])("must be there at the start: its source %s", ([, client]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(Layer.build(UndiciTransport.layer({ tls: { client } }))))
      assert.strictEqual(error.message, "the source of the client certificate has none, or its key does not fit")
    }))
})

import * as Tls from "@breakwater/core/transport/Tls"
import { layer, type UndiciTransportOptions } from "@breakwater/core/transport/UndiciTransport"
import { ConnectFailed } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { createHash, randomUUID } from "node:crypto"
import { createServer } from "node:https"
import { authority, certificatesIn, type Certified, encryptedKey, selfSigned } from "../../fakes/Certificates.ts"
import { type Behaviour, listen, type Tls as ServerTls } from "../../fakes/HostileServer.ts"
import * as Loopback from "../../fakes/Loopback.ts"
import * as Wire from "../../watches/Wire.ts"

const hello: Behaviour = {
  onRequest: (connection) => connection.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
}
const trusted = authority()
const stranger = authority()
const pin = (pem: string, index = 0): string => Tls.pinOf(certificatesIn(pem)[index]!)
const base: UndiciTransportOptions = { proxy: false, loopback: true }
const trusting = (tls: Tls.TlsOptions = {}): UndiciTransportOptions => ({
  ...base,
  tls: { ca: [trusted.certificate], ...tls }
})

/** The outcome of a request to a server with this certificate, and whether the server received a byte of it. */
const ask = (server: Partial<ServerTls> & Certified, options: UndiciTransportOptions, host = "127.0.0.1") =>
  Effect.gen(function*() {
    const { connections, port } = yield* listen(hello, server)
    const outcome = yield* Wire.once(options, `https://${host}:${port}`)
    if (outcome.body === undefined) {
      assert.isTrue(connections.every(({ received }) => received === ""), "nothing may be sent before trust")
    }
    return outcome.body ?? outcome.reason
  })

const untrusted = new ConnectFailed("Tls")

describe("TLS", () => {
  it.live("trusts certificates of its own authority, also through an intermediate", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* ask(trusted.issue(), trusting()), "hello")
      assert.strictEqual(yield* ask(trusted.intermediate().issue(), trusting()), "hello")
      assert.strictEqual(yield* ask(trusted.issue(), trusting({ defaultRoots: false })), "hello")
      assert.strictEqual(yield* ask(trusted.issue(), trusting(), "localhost"), "hello")
    }))

  it.live.each<readonly [string, () => Partial<ServerTls> & Certified]>([
    ["has expired", () => trusted.issue({ validHours: [-2, -1] })],
    ["is not valid yet", () => trusted.issue({ validHours: [1, 2] })],
    ["is for another host", () => trusted.issue({ hosts: ["shop.example"] })],
    ["is for another address", () => trusted.issue({ hosts: ["127.0.0.2"] })],
    ["names the address as if it were a name", () => trusted.issue({ hosts: ["localhost"] })],
    ["is signed by itself", () => selfSigned()],
    ["is signed by an unknown authority with the name of a known one", () => stranger.issue()],
    ["has a weak key", () => ({ ...trusted.issue({ key: "RSA-1024" }), ciphers: "DEFAULT:@SECLEVEL=0" })]
  ])("refuses a certificate that %s", ([, certified]) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* ask(certified(), trusting()), untrusted)
    }))

  it.live("accepts a key that is strong enough", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* ask(trusted.issue({ key: "RSA-2048" }), trusting()), "hello")
    }))

  it.live.each(["TLSv1", "TLSv1.1"] as const)("does not use %s", (version) =>
    Effect.gen(function*() {
      const old = { minVersion: version, maxVersion: version, ciphers: "DEFAULT:@SECLEVEL=0" }
      assert.deepStrictEqual(yield* ask({ ...trusted.issue(), ...old }, trusting()), untrusted)
    }))

  it.live("uses TLS 1.2 unless configured otherwise", () =>
    Effect.gen(function*() {
      const server = { ...trusted.issue(), maxVersion: "TLSv1.2" } as const
      assert.strictEqual(yield* ask(server, trusting()), "hello")
      assert.deepStrictEqual(yield* ask(server, trusting({ minVersion: "TLSv1.3" })), untrusted)
    }))

  describe("with pins", () => {
    const certified = trusted.issue()
    const backup = pin(selfSigned().cert)

    it.live.each<readonly [string, () => readonly [Certified, pins: ReadonlyArray<string>]]>([
      ["its own key", () => [certified, [pin(certified.cert), backup]]],
      ["its own key as the backup", () => [certified, [backup, pin(certified.cert)]]],
      ["the key of its authority", () => [certified, [pin(trusted.certificate), backup]]],
      ["the key of an intermediate authority", () => {
        const between = trusted.intermediate()
        return [between.issue(), [pin(between.certificate), backup]]
      }]
    ])("trusts a vendor by %s", ([, scene]) => {
      const [server, pins] = scene()
      return Effect.gen(function*() {
        assert.strictEqual(yield* ask(server, trusting({ pins })), "hello")
      })
    })

    it.live("refuses a valid certificate without a pin", () =>
      Effect.gen(function*() {
        const pins = [pin(trusted.issue().cert), backup]
        assert.deepStrictEqual(yield* ask(certified, trusting({ pins })), new ConnectFailed("Pin"))
      }))

    it.live("does not accept a pinned certificate that is merely sent along", () =>
      Effect.gen(function*() {
        const pinned = trusted.intermediate()
        const server = { ...certified, cert: certified.cert + pinned.certificate }
        const pins = [pin(pinned.certificate), backup]
        assert.deepStrictEqual(yield* ask(server, trusting({ pins })), new ConnectFailed("Pin"))
      }))

    it.live("still refuses an invalid certificate", () =>
      Effect.gen(function*() {
        const expired = trusted.issue({ validHours: [-2, -1] })
        const pins = [pin(expired.cert), backup]
        assert.deepStrictEqual(yield* ask(expired, trusting({ pins })), untrusted)
      }))

    it.live("checks every connection, and resumes no session", () =>
      Effect.gen(function*() {
        const closing: Behaviour = {
          onRequest: (connection) => connection.end("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        }
        const server = yield* listen(closing, certified)
        const pins = [pin(certified.cert), backup]
        const { send } = yield* Wire.make(trusting({ pins }))
        for (let i = 0; i < 3; i++) assert.strictEqual((yield* send(server.origin)).status, 200)
        yield* server.until("three connections have come", () => server.connections.length === 3)
      }))
  })

  describe("with a certificate of its own", () => {
    const mine = trusted.issue()
    /** The outcome of a request to a server that requires a client certificate from `trusted`. */
    const demand = (maxVersion: "TLSv1.2" | "TLSv1.3", options: UndiciTransportOptions) =>
      Effect.gen(function*() {
        const server = createServer(
          { ...trusted.issue(), ca: [trusted.certificate], requestCert: true, rejectUnauthorized: true, maxVersion },
          (_request, response) => response.end("hello")
        )
        const { port } = yield* Loopback.listen(server)
        const outcome = yield* Wire.once(options, `https://127.0.0.1:${port}`)
        return outcome.body ?? outcome.reason
      })
    const client = { certificate: mine.cert, key: Redacted.make(mine.key) }

    it.live("presents it to a vendor that asks for one", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* demand("TLSv1.2", trusting({ client })), "hello")
        assert.strictEqual(yield* demand("TLSv1.3", trusting({ client })), "hello")
        const passphrase = randomUUID()
        const locked = {
          certificate: mine.cert,
          key: Redacted.make(encryptedKey(mine, passphrase)),
          passphrase: Redacted.make(passphrase)
        }
        assert.strictEqual(yield* demand("TLSv1.3", trusting({ client: locked })), "hello")
      }))

    it.live("is refused without one, or with one of another authority", () =>
      Effect.gen(function*() {
        const other = stranger.issue()
        for (const tls of [{}, { client: { certificate: other.cert, key: Redacted.make(other.key) } }]) {
          // TLS 1.3 reports this only after the client has begun to send.
          for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
            const reason = yield* demand(version, trusting(tls))
            assert.include(["ConnectFailed", "ConnectionLost"], typeof reason === "object" ? reason._tag : reason)
          }
        }
      }))

    it("refuses a key that does not belong to the certificate, and shows neither", () => {
      const other = trusted.issue()
      const broken = { certificate: mine.cert, key: Redacted.make(other.key) }
      assert.throws(() => Tls.make({ client: broken }), "Tls: client must be a certificate and its key in PEM")
      const wrongPassphrase = {
        certificate: mine.cert,
        key: Redacted.make(encryptedKey(mine, randomUUID())),
        passphrase: Redacted.make(randomUUID())
      }
      assert.throws(() => Tls.make({ client: wrongPassphrase }), "Tls: client must be a certificate and its key in PEM")
    })
  })

  it.effect("does not start if the environment disables verification", () =>
    Effect.gen(function*() {
      const before = process.env["NODE_TLS_REJECT_UNAUTHORIZED"]
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0"
        }),
        () =>
          Effect.sync(() => {
            if (before === undefined) delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"]
            else process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = before
          })
      )
      const error = yield* Effect.flip(Layer.build(layer()))
      assert.strictEqual(error._tag, "TransportMisconfigured")
      assert.match(error.message, /^NODE_TLS_REJECT_UNAUTHORIZED=0 disables certificate verification\. Remove it/)
    }))

  it.live("verifies even if the environment disables verification later", () =>
    Effect.gen(function*() {
      const { port } = yield* listen(hello, selfSigned())
      const { refusal } = yield* Wire.make(trusting())
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0"
        }),
        () => Effect.sync(() => delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"])
      )
      assert.deepStrictEqual(yield* refusal(`https://127.0.0.1:${port}`), untrusted)
    }))

  it.each<readonly [Tls.TlsOptions, RegExp]>([
    [{ pins: [] }, /pins must be at least two different ones.*got 0/],
    [{ pins: [pin(trusted.certificate), pin(trusted.certificate)] }, /at least two different ones.*got 1/],
    [{ pins: ["sha1/abc", "sha256/abc"] }, /pins must be sha256\/ and 32 bytes in base64, got sha1\/abc/],
    [{ ca: ["no certificate"] }, /ca must be certificates in PEM/],
    [{ defaultRoots: false }, /without defaultRoots there must be a ca/],
    [{ minVersion: "TLSv1.1" as "TLSv1.2" }, /minVersion must be TLSv1.2 or TLSv1.3, got TLSv1.1/]
  ])("rejects %j", (options, message) => {
    assert.throws(() => Tls.make(options), message)
  })

  it("computes a pin as openssl does", () => {
    const [certificate] = certificatesIn(trusted.certificate)
    // RFC 7469, appendix A: the public key in DER, hashed, in base64.
    const key = certificate!.publicKey.export({ type: "spki", format: "pem" })
    const der = Buffer.from(key.replaceAll(/-----.*-----|\n/g, ""), "base64")
    assert.strictEqual(Tls.pinOf(certificate!), `sha256/${createHash("sha256").update(der).digest("base64")}`)
  })
})

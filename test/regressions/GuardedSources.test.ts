/** Secret sources use the guarded transport. Source: FAULTS.md §4, row 33. */
import * as AwsSecretsManager from "@breakwater/core/sources/AwsSecretsManager"
import * as OAuth from "@breakwater/core/sources/OAuth"
import * as SecretRequest from "@breakwater/core/sources/SecretRequest"
import * as Vault from "@breakwater/core/sources/Vault"
import * as TransportHttpClient from "@breakwater/core/transport/TransportHttpClient"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import { ConnectFailed, ConnectionLost, type Reason, Timeout } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { randomUUID } from "node:crypto"
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { authority } from "../fakes/Certificates.ts"
import { listen } from "../fakes/HostileServer.ts"
import * as Transport from "../fakes/Transport.ts"

const request = { vendor: "acme", key: "" }

/** Each source, with its service at an origin. */
const sources = [
  [
    "Vault",
    (origin: string) => Vault.make({ address: origin, auth: { _tag: "Token", token: Redacted.make(randomUUID()) } })
  ],
  ["AWS Secrets Manager", (origin: string) =>
    AwsSecretsManager.make({
      region: "eu-central-1",
      endpoint: origin,
      credentials: () => Promise.resolve({ accessKeyId: "a", secretAccessKey: randomUUID() })
    })],
  ["OAuth", (origin: string) =>
    OAuth.make({
      vendor: "acme",
      tokenUrl: `${origin}/token`,
      client: { _tag: "Basic", clientId: "shop", secret: Redacted.make(randomUUID()) }
    })]
] as const

const over = (options: UndiciTransport.UndiciTransportOptions) =>
  TransportHttpClient.layer().pipe(Layer.provide(UndiciTransport.layer(options)))

/** The issue with which a source fails. */
const issueOf = (make: typeof sources[number][1], origin: string, options: UndiciTransport.UndiciTransportOptions) =>
  Effect.gen(function*() {
    const source = yield* make(origin)
    return (yield* Effect.flip(source.fetch(request))).issue
  }).pipe(Effect.scoped, Effect.provide(over(options)))

describe.each(sources)("%s", (_, make) => {
  it.live("is reached through the proxy", () =>
    Effect.gen(function*() {
      const proxy = yield* listen({
        onRequest: (connection) => connection.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
      })
      yield* issueOf(make, "https://secrets.example", { proxy: new URL(proxy.origin) })
      assert.include(proxy.connections[0]?.received, "CONNECT secrets.example:443 HTTP/1.1")
    }))

  it.live("is trusted by the TLS settings alone", () =>
    Effect.gen(function*() {
      const trusted = authority()
      const service = yield* listen({
        onRequest: (connection) => connection.end("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
      }, trusted.issue())
      const origin = `https://127.0.0.1:${service.port}`
      yield* issueOf(make, origin, { loopback: true })
      assert.strictEqual(service.connections.map(({ received }) => received).join(""), "")
      yield* issueOf(make, origin, { loopback: true, tls: { ca: [trusted.certificate] } })
      assert.notStrictEqual(service.connections.map(({ received }) => received).join(""), "")
    }))

  it.live.each(["https://10.0.0.1", "https://169.254.169.254", "https://127.0.0.1"])(
    "is not reached at %s, unless it is allowed",
    (origin) =>
      Effect.gen(function*() {
        assert.include(yield* issueOf(make, origin, { proxy: false }), "its address is not allowed")
      })
  )
})

describe("a request that may not be sent twice", () => {
  it.live.each<readonly [string, Reason, tries: number]>([
    ["is repeated when no byte was sent", new ConnectFailed("Refused"), 3],
    ["is repeated when there was no connection in time", new Timeout("Connect", 1_000), 3],
    ["is not repeated when it may have been heard", new ConnectionLost("Headers"), 1],
    ["is not repeated when its address is not allowed", new ConnectFailed("Forbidden"), 1]
  ])("%s", ([, reason, tries]) =>
    Effect.gen(function*() {
      let sent = 0
      const transport = Transport.layer(() => (sent++, { reason }))
      const secrets = yield* SecretRequest.make("test", { pause: 0 })
        .pipe(Effect.provide(TransportHttpClient.layer().pipe(Layer.provide(transport))))
      yield* Effect.flip(
        secrets.ask({ method: "POST", url: "https://secrets.example", headers: {}, isRepeatable: false })
      )
      assert.strictEqual(sent, tries)
    }))
})

describe("no example, and not the demo server,", () => {
  it("uses a client that bypasses the transport", () => {
    const root = fileURLToPath(new URL("../..", import.meta.url))
    const files = globSync(["{packages,apps}/*/src/**/*.ts", "{docs,packages,apps}/**/*.md", "*.md"], {
      cwd: root,
      exclude: (path) => path.includes("node_modules")
    })
    assert.isAbove(files.length, 100)
    const bypassing = files.filter((file) =>
      /FetchHttpClient\.layer|NodeHttpClient/.test(readFileSync(root + file, "utf8"))
    )
    assert.deepStrictEqual(bypassing, [])
  })
})

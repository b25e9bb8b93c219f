import type { UndiciTransportOptions } from "@breakwater/core/transport/UndiciTransport"
import { ConnectFailed, InvalidRequest } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as net from "node:net"
import { authority } from "../../fakes/Certificates.ts"
import { type Behaviour, listen } from "../../fakes/HostileServer.ts"
import * as Wire from "../../watches/Wire.ts"

const hello: Behaviour = {
  onRequest: (connection) => connection.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
}
const forbidden = new ConnectFailed("Forbidden")
const noLoopback = new InvalidRequest("plain http to this machine needs the transport's option `loopback: true`")
const noTls = new InvalidRequest("plain http needs the host in the transport's option `plainHttp`; use https")

/** Spellings of 127.0.0.1 in a URL, none of which looks like it. */
const disguises = [
  "2130706433",
  "0x7f000001",
  "0x7F.1",
  "0177.0.0.1",
  "017700000001",
  "127.1",
  "127.0.1",
  "127.0.0.1.",
  "0x7f.0x0.0x0.0x1",
  "１２７.０.０.１",
  "127。0。0。1",
  "①②⑦.0.0.1",
  "127%2E0%2E0%2E1",
  "user:password@127.0.0.1",
  "example.com@127.0.0.1"
]

const authorityOfTests = authority()
const tls = authorityOfTests.issue({ hosts: ["127.0.0.1", "::1", "localhost", "shop.localhost", "shop.example"] })
const trusting: UndiciTransportOptions = { proxy: false, tls: { ca: [authorityOfTests.certificate] } }

/** Answers lookups in turn, and repeats the last answer. */
const answering = (...answers: ReadonlyArray<ReadonlyArray<string>>) => {
  let asked = 0
  return {
    lookup: () => Effect.sync(() => answers[Math.min(asked++, answers.length - 1)]!),
    get asked() {
      return asked
    }
  }
}

describe("the reach of UndiciTransport", () => {
  describe("does not include this machine by default", () => {
    it.live.each([...disguises, "127.0.0.1", "localhost", "LOCALHOST.", "shop.localhost"])(
      "as https://%s",
      (host) =>
        Effect.gen(function*() {
          const server = yield* listen(hello, tls)
          const origin = `https://${host}:${server.port}`
          const { refusal } = yield* Wire.make(trusting)
          assert.deepStrictEqual(yield* refusal(origin), forbidden)
          assert.strictEqual(server.connections.length, 0)
          // Without the guard, it would be reached.
          const outcome = yield* Wire.once({ ...trusting, loopback: true }, origin)
          if (host === "shop.localhost" || !host.includes("@")) assert.strictEqual(outcome.body, "hello")
          assert.strictEqual(server.connections.length, 1)
        })
    )

    it.live.each([...disguises, "127.0.0.1", "localhost", "LOCALHOST.", "shop.localhost"])(
      "as http://%s",
      (host) =>
        Effect.gen(function*() {
          const server = yield* listen(hello)
          const origin = `http://${host}:${server.port}`
          const { refusal } = yield* Wire.make({ proxy: false })
          assert.deepStrictEqual(yield* refusal(origin), noLoopback)
          assert.strictEqual(server.connections.length, 0)
          assert.strictEqual((yield* Wire.once({ proxy: false, loopback: true }, origin)).body, "hello")
        })
    )

    it.live.each(["[::1]", "[::ffff:127.0.0.1]", "[::FFFF:7f00:1]", "[0:0:0:0:0:0:7f00:1]", "[64:ff9b::7f00:1]"])(
      "as https://%s",
      (host) =>
        Effect.gen(function*() {
          const server = yield* listen(hello, tls)
          const { refusal } = yield* Wire.make(trusting)
          assert.deepStrictEqual(yield* refusal(`https://${host}:${server.port}`), forbidden)
          assert.strictEqual(server.connections.length, 0)
        })
    )
  })

  it.live.each(["https://[::ffff:127.0.0.1]", "https://[::127.0.0.1]", "https://0.0.0.0", "https://0", "https://[::]"])(
    "does not include %s even with `loopback`",
    (origin) =>
      Effect.gen(function*() {
        const server = yield* listen(hello, tls)
        const { refusal } = yield* Wire.make({ ...trusting, loopback: true })
        assert.deepStrictEqual(yield* refusal(`${origin}:${server.port}`), forbidden)
        assert.strictEqual(server.connections.length, 0)
      })
  )

  it.live.each(["http://shop.example", "http://1.1.1.1", "http://[2606:4700::1]", "http://10.0.0.1"])(
    "does not include %s without TLS",
    (origin) =>
      Effect.gen(function*() {
        const dns = answering(["1.1.1.1"])
        const { refusal } = yield* Wire.make({ proxy: false, dns, loopback: true, allow: ["10.0.0.0/8"] })
        assert.deepStrictEqual(yield* refusal(origin), noTls)
        assert.strictEqual(dns.asked, 0)
      })
  )

  it.live.each([
    "https://[fe80::1%25eth0]",
    "https://",
    "https://a b",
    "ftp://shop.example",
    "https://shop.example/path"
  ])(
    "does not include an invalid origin such as %s",
    (origin) =>
      Effect.gen(function*() {
        const { refusal } = yield* Wire.make({ ...trusting, dns: answering(["127.0.0.1"]) })
        const reason = yield* refusal(origin)
        assert.include(["InvalidRequest", "ConnectFailed"], "_tag" in reason ? reason._tag : "an answer")
      })
  )

  describe("resolves a name once, and connects to the checked address", () => {
    it.live.each<readonly [string, ReadonlyArray<string>]>([
      ["this machine", ["127.0.0.1"]],
      ["this machine in IPv6", ["::1"]],
      ["another's address and this machine", ["1.1.1.1", "127.0.0.1"]],
      ["this machine in another spelling", ["::ffff:127.0.0.1"]]
    ])("so a name that leads to %s is refused", ([, addresses]) =>
      Effect.gen(function*() {
        const server = yield* listen(hello, tls)
        const { refusal } = yield* Wire.make({ ...trusting, loopback: true, dns: answering(addresses) })
        assert.deepStrictEqual(yield* refusal(`https://shop.example:${server.port}`), forbidden)
        assert.strictEqual(server.connections.length, 0)
      }))

    it.live("so a name that is rebound between two connections has no effect", () =>
      Effect.gen(function*() {
        const closing: Behaviour = {
          onRequest: (connection) => connection.end("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        }
        const server = yield* listen(closing, tls)
        const dns = answering(["127.0.0.1"], ["127.0.0.2"])
        const { send } = yield* Wire.make({ ...trusting, loopback: true, dns })
        for (let i = 0; i < 3; i++) {
          assert.strictEqual((yield* send(`https://shop.localhost:${server.port}`)).status, 200)
        }
        yield* server.until("three connections have come", () => server.connections.length === 3)
        assert.strictEqual(dns.asked, 1)
      }))

    it.live("so a name that is rebound to a forbidden address is refused at the next lookup", () =>
      Effect.gen(function*() {
        const closing: Behaviour = {
          onRequest: (connection) => connection.end("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        }
        const server = yield* listen(closing, tls)
        const { lookup } = answering(["127.0.0.1"], ["127.0.0.1", "::ffff:127.0.0.1"])
        const { refusal, send } = yield* Wire.make({
          ...trusting,
          loopback: true,
          dns: { lookup, timeToLive: "1 millis" }
        })
        const origin = `https://shop.localhost:${server.port}`
        assert.strictEqual((yield* send(origin)).status, 200)
        yield* server.untilNoneOpen
        yield* Effect.callback<void>((resume) => {
          setTimeout(() => resume(Effect.void), 2)
        })
        assert.deepStrictEqual(yield* refusal(origin), forbidden)
        assert.strictEqual(server.connections.length, 1)
      }))

    it.live("and never looks up a literal address", () =>
      Effect.gen(function*() {
        const server = yield* listen(hello, tls)
        const dns = answering(["10.0.0.1"])
        const { send } = yield* Wire.make({ ...trusting, loopback: true, dns })
        assert.strictEqual((yield* send(`https://127.0.0.1:${server.port}`)).body, "hello")
        assert.strictEqual(dns.asked, 0)
      }))

    it.live("and tries its next address if the first does not respond", () =>
      Effect.gen(function*() {
        const server = yield* listen(hello, tls)
        const dns = answering(["::1", "127.0.0.3", "127.0.0.1"])
        const { send } = yield* Wire.make({ ...trusting, loopback: true, dns })
        assert.strictEqual((yield* send(`https://shop.localhost:${server.port}`)).body, "hello")
      }))

    it.live("even if the system does not try several addresses by itself", () =>
      Effect.gen(function*() {
        const before = net.getDefaultAutoSelectFamily()
        yield* Effect.acquireRelease(
          Effect.sync(() => net.setDefaultAutoSelectFamily(false)),
          () => Effect.sync(() => net.setDefaultAutoSelectFamily(before))
        )
        const server = yield* listen(hello, tls)
        const { send } = yield* Wire.make({ ...trusting, loopback: true, dns: answering(["::1", "127.0.0.1"]) })
        assert.strictEqual((yield* send(`https://shop.localhost:${server.port}`)).body, "hello")
      }))

    it.live("within the connect timeout", () =>
      Effect.gen(function*() {
        const { refusal } = yield* Wire.make({ ...trusting, dns: { lookup: () => Effect.never } })
        const reason = yield* refusal("https://shop.example", { connectTimeoutMillis: 50 })
        assert.strictEqual(reason instanceof Object && "phase" in reason ? reason.phase : reason, "Connect")
      }))

    it.live("and reports an unknown name", () =>
      Effect.gen(function*() {
        const { refusal } = yield* Wire.make({ ...trusting, dns: { lookup: () => Effect.fail("EAI_FAIL") } })
        assert.deepStrictEqual(yield* refusal("https://shop.example"), new ConnectFailed("Dns"))
      }))
  })

  it.live("does not ask the guard for a request that reuses a connection", () =>
    Effect.gen(function*() {
      const server = yield* listen(hello, tls)
      const dns = answering(["127.0.0.1"])
      const { send } = yield* Wire.make({ ...trusting, loopback: true, dns: { ...dns, timeToLive: "1 millis" } })
      for (let i = 0; i < 5; i++) {
        assert.strictEqual((yield* send(`https://shop.localhost:${server.port}`)).body, "hello")
        yield* Effect.callback<void>((resume) => {
          setTimeout(() => resume(Effect.void), 2)
        })
      }
      assert.strictEqual(server.connections.length, 1)
      assert.strictEqual(dns.asked, 1)
    }))

  it.live("ends at the configured number of origins", () =>
    Effect.gen(function*() {
      const servers = [yield* listen(hello), yield* listen(hello), yield* listen(hello)] as const
      const { refusal, send } = yield* Wire.make({ proxy: false, loopback: true, origins: 2 })
      assert.strictEqual((yield* send(servers[0].origin)).body, "hello")
      assert.strictEqual((yield* send(servers[1].origin)).body, "hello")
      assert.deepStrictEqual(yield* refusal(servers[2].origin), new ConnectFailed("Unreachable"))
      // An origin without a connection makes room.
      servers[0].connections[0]!.end()
      yield* servers[0].untilNoneOpen
      assert.strictEqual((yield* send(servers[2].origin)).body, "hello")
    }))

  it.live("leaks nothing after a hundred connect timeouts and refusals", () =>
    Effect.gen(function*() {
      const server = yield* listen(hello)
      yield* Effect.scoped(Effect.gen(function*() {
        const { refusal, send } = yield* Wire.make({ proxy: false, loopback: true })
        for (let i = 0; i < 100; i++) {
          assert.strictEqual((yield* send(server.origin, { connectTimeoutMillis: 1_000 + i })).body, "hello")
          assert.deepStrictEqual(yield* refusal(`https://10.0.0.${i}`, { connectTimeoutMillis: 1_000 + i }), forbidden)
        }
        // Evicted agents have closed theirs already.
        yield* server.until("at most 64 are open", () => server.open <= 64)
      }))
      yield* server.untilNoneOpen
    }))
})

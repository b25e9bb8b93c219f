import { ConnectionLost } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { createSecureServer, type ServerHttp2Stream } from "node:http2"
import { authority } from "../../fakes/Certificates.ts"
import { listen } from "../../fakes/HostileServer.ts"
import * as Loopback from "../../fakes/Loopback.ts"
import * as Watch from "../../watches/Watch.ts"
import * as Wire from "../../watches/Wire.ts"

const trusted = authority()
const options = { proxy: false, loopback: true, http2: true, tls: { ca: [trusted.certificate] } } as const

/** A vendor over HTTP/2; a test scripts its streams. */
const serve = (onStream: (stream: ServerHttp2Stream, index: number) => void) =>
  Effect.gen(function*() {
    let streams = 0
    let sessions = 0
    const server = createSecureServer({ ...trusted.issue(), allowHTTP1: true })
    server.on("session", () => sessions++)
    server.on("stream", (stream: ServerHttp2Stream) => {
      stream.on("error", () => {})
      onStream(stream, streams++)
    })
    server.on("request", (request, response) => {
      if (request.httpVersionMajor === 1) response.end("hello, in the old way")
    })
    const { port } = yield* Loopback.listen(server)
    return {
      origin: `https://127.0.0.1:${port}`,
      get streams() {
        return streams
      },
      get sessions() {
        return sessions
      }
    }
  })

const hello = (stream: ServerHttp2Stream) => {
  stream.respond({ ":status": 200 })
  stream.end("hello")
}

describe("HTTP/2", () => {
  it.live("carries many requests at once over one connection", () =>
    Effect.gen(function*() {
      const waiting: Array<ServerHttp2Stream> = []
      const vendor = yield* serve((stream) => {
        if (waiting.push(stream) < 50) return
        for (const one of waiting) hello(one)
      })
      const { send } = yield* Wire.make({ ...options, connections: 1 })
      const outcomes = yield* Effect.all(Array.from({ length: 50 }, () => send(vendor.origin)), { concurrency: 50 })
      assert.deepStrictEqual(new Set(outcomes.map(({ body }) => body)), new Set(["hello"]))
      assert.strictEqual(vendor.sessions, 1)
    }))

  it.live("is used only if enabled, and with servers that choose it", () =>
    Effect.gen(function*() {
      const vendor = yield* serve(hello)
      const plain = yield* Wire.once({ ...options, http2: false }, vendor.origin)
      assert.strictEqual(vendor.streams, 0)
      assert.strictEqual(plain.body, "hello, in the old way")
      const old = yield* listen(
        { onRequest: (connection) => connection.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello") },
        trusted.issue()
      )
      assert.strictEqual((yield* Wire.once(options, old.origin)).body, "hello")
    }))

  it.live.each<readonly [string, (stream: ServerHttp2Stream) => void]>([
    ["a stream is reset before any response", (stream) => stream.close(8)],
    ["the session ends before any response", (stream) => stream.session!.destroy()],
    ["the session goes away with an error", (stream) => stream.session!.goaway(2)]
  ])(
    "reports an unknown fate when %s, and continues with the next request",
    ([, misbehave]) =>
      Effect.gen(function*() {
        const vendor = yield* serve((stream, index) => index === 0 ? misbehave(stream) : hello(stream))
        const { send } = yield* Wire.make(options)
        const lost = yield* send(vendor.origin)
        assert.deepStrictEqual(lost.reason, new ConnectionLost("Headers"))
        assert.strictEqual((yield* send(vendor.origin)).body, "hello")
      })
  )

  it.live("resends a request whose stream the server has refused", () =>
    Effect.gen(function*() {
      // RFC 9113, section 8.7: REFUSED_STREAM guarantees that the request had no effect.
      const vendor = yield* serve((stream, index) => index === 0 ? stream.close(7) : hello(stream))
      assert.strictEqual((yield* Wire.once(options, vendor.origin)).body, "hello")
      assert.strictEqual(vendor.streams, 2)
    }))

  it.live("reports a body that is cut off", () =>
    Effect.gen(function*() {
      const vendor = yield* serve((stream) => {
        stream.respond({ ":status": 200, "content-length": 10 })
        stream.write("half", () => stream.close(2))
      })
      const outcome = yield* Wire.once(options, vendor.origin)
      assert.strictEqual(outcome.body, undefined)
      assert.strictEqual(outcome.reason?._tag, "ConnectionLost")
    }))

  it.live("cancels the stream of a cancelled request, and leaves the others alone", () =>
    Effect.gen(function*() {
      const closed: Array<number> = []
      const { changed, until } = Watch.make()
      const vendor = yield* serve((stream, index) => {
        stream.on("close", () => {
          closed.push(index)
          changed()
        })
        queueMicrotask(changed)
        if (index > 0) hello(stream)
      })
      const { send } = yield* Wire.make(options)
      const abandoned = yield* Effect.forkChild(send(vendor.origin))
      yield* until("the first stream has come", () => vendor.streams === 1)
      yield* Fiber.interrupt(abandoned)
      assert.strictEqual((yield* send(vendor.origin)).body, "hello")
      assert.strictEqual(vendor.sessions, 1)
      yield* until("the abandoned stream is closed", () => closed.includes(0))
    }))
})

/**
 * A request's body is bounded in size and time, and what is refused is not kept. Found by playing the demo server (fault 44):
 * it took 200 MB, and a slow body held its connection for minutes.
 */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import type { Socket } from "node:net"
import * as RawHttp from "../drivers/RawHttp.ts"
import * as DemoServer from "../processes/DemoServer.ts"
import { request } from "../processes/DemoServer.ts"

class Server extends Context.Service<Server, DemoServer.DemoServer>()("test/regressions/RequestBodies") {
  static readonly layer = Layer.effect(Server, DemoServer.start())
}

const mebibyte = 1024 * 1024
const large = 200 * mebibyte

const headers = (more: Readonly<Record<string, string>>) => ({
  host: "localhost",
  "content-type": "application/json",
  ...more
})

const isTooLarge = ({ body, headers, status }: RawHttp.RawReply) => {
  assert.deepStrictEqual([status, JSON.parse(body)], [
    413,
    { error: "REQUEST_TOO_LARGE", message: "The body is larger than 1 MiB" }
  ])
  assert.strictEqual(headers.get("connection"), "close")
  assert.match(headers.get("x-request-id") ?? "", /^[\da-f-]{36}$/)
}

layer(Server.layer, { timeout: "60 seconds", excludeTestServices: true })("the demo server", (it) => {
  it.effect("refuses a body of 200 MB before it comes, and one without a length once it is too long", () =>
    Effect.gen(function*() {
      const { control, url } = yield* Server
      const stated = yield* RawHttp.send(
        url,
        RawHttp.head("POST", "/payments", headers({ "content-length": String(large) }))
      )
      isTooLarge(stated)

      const chunk = Buffer.alloc(64 * 1024, " ")
      const endless = (socket: Socket): void => {
        if (socket.destroyed || socket.bytesWritten > large) return
        socket.write(`${chunk.length.toString(16)}\r\n`)
        socket.write(chunk)
        socket.write("\r\n", () => endless(socket))
      }
      for (const [origin, method, path] of [[url, "POST", "/payments"], [control, "PUT", "/_faults/stripe"]] as const) {
        const chunked = yield* RawHttp.send(
          origin,
          RawHttp.head(method, path, headers({ "transfer-encoding": "chunked" })),
          endless
        )
        isTooLarge(chunked)
        // The rest is not read: the connection's own buffers are all that it fills.
        assert.isBelow(chunked.written, large / 2)
      }
    }))

  it.effect("takes a body of 1 MiB, and not one byte more", () =>
    Effect.gen(function*() {
      const { control, url } = yield* Server
      const padded = (size: number) => `{"amount":1${" ".repeat(size - 12)}}`
      const post = (size: number) =>
        RawHttp.send(
          url,
          RawHttp.head("POST", "/payments/pay_x/refunds", headers({ "content-length": String(size) })) + padded(size)
        )
      assert.strictEqual((yield* post(mebibyte)).status, 404)
      isTooLarge(yield* post(mebibyte + 1))
      assert.strictEqual((yield* request("GET", `${control}/_simulators`)).status, 200)
    }))

  it.effect("waits ten seconds for a body, also for one that comes byte by byte, and for headers", () =>
    Effect.gen(function*() {
      const { control, url } = yield* Server
      const started = performance.now()
      const slow = (origin: string, text: string, feed?: (socket: Socket) => void) => RawHttp.send(origin, text, feed)
      const post = RawHttp.head("POST", "/payments", headers({ "content-length": "100" }))
      const byBytes = (socket: Socket) => {
        const timer = setInterval(() => socket.write(" "), 1_000)
        socket.once("close", () => clearInterval(timer))
      }
      const replies = yield* Effect.all([
        slow(url, post),
        slow(url, `${post}{`),
        slow(url, post, byBytes),
        slow(control, RawHttp.head("PUT", "/_faults/stripe", headers({ "content-length": "100" })), byBytes),
        slow(url, "POST /payments HTTP/1.1\r\nhost: local"),
        slow(url, "")
      ], { concurrency: "unbounded" })
      assert.isAtLeast(performance.now() - started, 9_900)
      for (const { body, headers, status } of replies) {
        assert.deepStrictEqual([status, JSON.parse(body)], [
          408,
          { error: "REQUEST_TIMEOUT", message: "The request did not arrive in time" }
        ])
        assert.match(headers.get("x-request-id") ?? "", /^[\da-f-]{36}$/)
      }
    }))
})

/** A time beyond the 32 bits of a timer is not over at once. Source: FAULTS.md §4, row 31. */
import * as Resolver from "@breakwater/core/transport/Resolver"
import * as TransportHttpClient from "@breakwater/core/transport/TransportHttpClient"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { HttpClient } from "effect/http"
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { authority } from "../fakes/Certificates.ts"
import { type Behaviour, listen } from "../fakes/HostileServer.ts"
import * as Wire from "../watches/Wire.ts"

const hello: Behaviour = {
  onRequest: (connection) => connection.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
}
const trusted = authority()
const options = { proxy: false, loopback: true, tls: { ca: [trusted.certificate] } } as const

/** Just above 2^31 - 1 ms, far above it, and a multiple of 2^32 ms. */
const long = [2 ** 31, Duration.toMillis("30 days"), 2 ** 32, 2 ** 40]

describe("a time that no timer can hold", () => {
  it.live.each(long)("of %d ms to connect", (connectTimeoutMillis) =>
    Effect.gen(function*() {
      const vendor = yield* listen(hello, trusted.issue())
      const { body } = yield* Wire.once(options, `https://127.0.0.1:${vendor.port}`, { connectTimeoutMillis })
      assert.strictEqual(body, "hello")
    }))

  it.live.each(long)("of %d ms for an idle connection", (keepAliveMillis) =>
    Effect.gen(function*() {
      const vendor = yield* listen(hello, trusted.issue())
      const { send } = yield* Wire.make({ ...options, keepAliveMillis })
      for (let i = 0; i < 3; i++) {
        assert.strictEqual((yield* send(`https://127.0.0.1:${vendor.port}`)).body, "hello")
        // undici releases a connection one turn of the event loop after its response.
        yield* Effect.callback<void>((resume) => {
          setImmediate(() => resume(Effect.void))
        })
      }
      assert.strictEqual(vendor.connections.length, 1)
    }))

  it.live.each(long)("of %d ms for a lookup and for what it found", (millis) =>
    Effect.gen(function*() {
      const lookup = () => Effect.as(Effect.yieldNow, ["1.1.1.1"])
      const resolver = yield* Resolver.make({ refusal: () => undefined }, {
        lookup,
        timeout: millis,
        timeToLive: millis,
        staleFor: millis
      })
      assert.deepStrictEqual(yield* resolver.addresses("shop.example"), ["1.1.1.1"])
      assert.deepStrictEqual(yield* resolver.addresses("shop.example"), ["1.1.1.1"])
    }))

  it.live.each(long)("of %d ms for every phase of a request", (millis) =>
    Effect.gen(function*() {
      const vendor = yield* listen(hello, trusted.issue())
      const client = TransportHttpClient.layer({
        timeout: millis,
        connectTimeout: millis,
        headersTimeout: millis,
        bodyIdleTimeout: millis
      }).pipe(Layer.provide(UndiciTransport.layer(options)))
      const response = yield* Effect.flatMap(
        HttpClient.get(`https://127.0.0.1:${vendor.port}`),
        (response) => response.text
      ).pipe(Effect.provide(client))
      assert.strictEqual(response, "hello")
    }))
})

describe("the sources", () => {
  const root = fileURLToPath(new URL("../..", import.meta.url))
  const raw = /\b(?:setTimeout|setInterval)\s*\(|\bAbortSignal\.timeout\b|\bsetTimeout\b.*\bfrom\b/
  /** They hold their timers to 32 bits. */
  const timers = ["packages/core/src/Timeline.ts", "packages/core/src/Timeline/Wheel.ts"]

  it("set timers through a timeline, or Effect's clock, alone", () => {
    const files = globSync("{packages,apps}/*/src/**/*.ts", { cwd: root })
    assert.isAbove(files.length, 100)
    const setting = files.filter((file) =>
      readFileSync(root + file, "utf8").split("\n").some((line) => !/^\s*(?:\*|\/)/.test(line) && raw.test(line))
    )
    assert.deepStrictEqual(setting.toSorted(), timers)
  })

  it.each(["setTimeout(f, millis)", "socket.setTimeout(millis)", "AbortSignal.timeout(millis)", "setInterval(f, 1)"])(
    "would be found with %s",
    (line) => {
      assert.match(line, raw)
    }
  )
})

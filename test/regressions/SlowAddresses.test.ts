/** A slow address is waited for while others are tried. Source: FAULTS.md §4, row 28. */
import type { UndiciTransportOptions } from "@breakwater/core/transport/UndiciTransport"
import { ConnectFailed, Timeout } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { authority } from "../fakes/Certificates.ts"
import { type Behaviour, listen } from "../fakes/HostileServer.ts"
import * as SlowAddress from "../fakes/SlowAddress.ts"
import * as Held from "../watches/Held.ts"
import * as Wire from "../watches/Wire.ts"

const hello: Behaviour = {
  onRequest: (connection) => connection.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
}
const trusted = authority()
const [slow, dead, alsoDead, refusing] = ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"]

/** Longer than the second that a slow handshake takes, on a busy machine too. */
const ample = { connectTimeoutMillis: 30_000 }

const resolving = (addresses: ReadonlyArray<string>): UndiciTransportOptions => ({
  proxy: false,
  loopback: true,
  tls: { ca: [trusted.certificate] },
  dns: { lookup: () => Effect.succeed(addresses) }
})

describe.runIf(SlowAddress.isPossible)("a name with several addresses", () => {
  it.live.each<readonly [string, ReadonlyArray<string>]>([
    ["in front of a dead one", [slow, dead]],
    ["behind a dead one", [dead, slow]],
    ["between dead ones", [dead, slow, alsoDead]],
    ["behind one that refuses", [refusing, slow, dead]],
    ["alone", [slow]]
  ])("is reached at an address with a handshake of a second, %s", ([, addresses]) =>
    Effect.gen(function*() {
      const vendor = yield* listen(hello, trusted.issue({ hosts: ["shop.localhost"] }))
      const reluctant = yield* SlowAddress.listen(slow, vendor.port)
      yield* SlowAddress.listen(dead, vendor.port)
      yield* SlowAddress.listen(alsoDead, vendor.port)
      const { send } = yield* Wire.make(resolving(addresses))
      const sending = yield* Effect.forkChild(send(`https://shop.localhost:${vendor.port}`, ample))
      yield* reluctant.untilHanging
      yield* reluctant.accept
      assert.strictEqual((yield* Fiber.join(sending)).body, "hello")
    }))

  it.live("is the proxy's, too", () =>
    Effect.gen(function*() {
      const proxy = yield* listen({
        onRequest: (connection) => connection.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
      })
      const reluctant = yield* SlowAddress.listen(slow, proxy.port)
      yield* SlowAddress.listen(dead, proxy.port)
      const { refusal } = yield* Wire.make({
        ...resolving([slow, dead]),
        proxy: new URL(`http://proxy.example:${proxy.port}`)
      })
      const sending = yield* Effect.forkChild(refusal("https://shop.example", ample))
      yield* reluctant.untilHanging
      yield* reluctant.accept
      assert.deepStrictEqual(yield* Fiber.join(sending), new ConnectFailed("Proxy"))
      const received = proxy.connections.map(({ received }) => received).join("")
      assert.include(received, "CONNECT shop.example:443 HTTP/1.1")
    }))

  it.live.each<readonly [string, ReadonlyArray<string>]>([
    ["all are dead", [dead, alsoDead]],
    ["the last one refuses", [dead, refusing]],
    ["the first one refuses", [refusing, dead]],
    ["there is only one", [dead]]
  ])("has the whole connect timeout, which the reason names, when %s", ([, addresses]) =>
    Effect.gen(function*() {
      const vendor = yield* listen(hello, trusted.issue({ hosts: ["shop.localhost"] }))
      yield* SlowAddress.listen(dead, vendor.port)
      yield* SlowAddress.listen(alsoDead, vendor.port)
      const { refusal } = yield* Wire.make(resolving(addresses))
      const began = performance.now()
      const reason = yield* refusal(`https://shop.localhost:${vendor.port}`, { connectTimeoutMillis: 600 })
      assert.deepStrictEqual(reason, new Timeout("Connect", 600))
      assert.isAtLeast(performance.now() - began, 600)
    }))

  it.live("is refused when all refuse, and leaves no socket or timer", () =>
    Effect.gen(function*() {
      const vendor = yield* listen(hello)
      const before = yield* Held.held
      yield* Effect.scoped(Effect.gen(function*() {
        const { refusal } = yield* Wire.make(resolving([refusing, "127.0.0.6", "127.0.0.7"]))
        assert.deepStrictEqual(yield* refusal(`https://shop.localhost:${vendor.port}`), new ConnectFailed("Refused"))
      }))
      yield* Held.noMoreThan(before)
    }))
})

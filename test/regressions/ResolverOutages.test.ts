/** Known addresses serve on while the resolver is down. Source: FAULTS.md §4, row 30; RFC 8767. */
import * as AddressGuard from "@breakwater/core/transport/AddressGuard"
import * as Resolver from "@breakwater/core/transport/Resolver"
import { ConnectFailed } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { authority } from "../fakes/Certificates.ts"
import { listen } from "../fakes/HostileServer.ts"
import * as NameServer from "../fakes/NameServer.ts"
import * as Wire from "../watches/Wire.ts"

const isPublic = AddressGuard.make()
const dns = new ConnectFailed("Dns")
const forbidden = new ConnectFailed("Forbidden")

/** A resolver that asks a name server with this answer, and has heard a good one. */
const known = (options: Resolver.ResolverOptions = {}) =>
  Effect.gen(function*() {
    const state: { answer: NameServer.Answer } = { answer: ["1.1.1.1"] }
    const server = yield* NameServer.serve(() => state.answer)
    const resolver = yield* Resolver.make(isPublic, { servers: [server.address], ...options })
    const ask = resolver.addresses("shop.example")
    assert.deepStrictEqual(yield* ask, ["1.1.1.1"])
    yield* TestClock.adjust("30 seconds")
    return { state, server, ask }
  })

/** Lets virtual time pass until a lookup that waits for a silent server has an outcome. */
const passing = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("50 millis")
    return yield* Fiber.join(fiber)
  })

describe("the last good addresses of a name", () => {
  it.effect("serve on while the name server fails", () =>
    Effect.gen(function*() {
      const { ask, state } = yield* known()
      state.answer = "failure"
      for (let minute = 0; minute < 5; minute++) {
        assert.deepStrictEqual(yield* ask, ["1.1.1.1"])
        yield* TestClock.adjust("1 minute")
      }
      state.answer = ["2.2.2.2"]
      assert.deepStrictEqual(yield* ask, ["2.2.2.2"])
    }))

  it.effect("serve on after a fifth of a second while the name server does not answer, and then at once", () =>
    Effect.gen(function*() {
      const { ask, state } = yield* known()
      state.answer = "silence"
      const first = yield* Effect.forkChild(ask, { startImmediately: true })
      yield* TestClock.adjust("199 millis")
      assert.isUndefined(first.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(first), ["1.1.1.1"])
      // The same lookup still runs.
      assert.deepStrictEqual(yield* ask, ["1.1.1.1"])
    }))

  it.effect.each<readonly [string, NameServer.Answer, ConnectFailed]>([
    ["the name is unknown", "unknown", dns],
    ["the name has no address", [], dns],
    ["the name has moved to a forbidden address", ["10.0.0.1"], forbidden]
  ])("end when the name server answers that %s", ([, answer, reason]) =>
    Effect.gen(function*() {
      const { ask, state } = yield* known()
      state.answer = answer
      assert.deepStrictEqual(yield* Effect.flip(ask), reason)
      state.answer = "failure"
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Effect.flip(ask), dns)
    }))

  it.effect.each<readonly [string, Resolver.ResolverOptions, lastFor: number]>([
    ["a day", {}, 86_400_000],
    ["the configured time", { staleFor: "1 minute" }, 60_000],
    ["no time at all, if configured", { staleFor: 0 }, 0]
  ])("serve on for %s", ([, options, lastFor]) =>
    Effect.gen(function*() {
      const { ask, state } = yield* known(options)
      state.answer = "failure"
      if (lastFor > 0) {
        yield* TestClock.adjust(lastFor - 1)
        assert.deepStrictEqual(yield* ask, ["1.1.1.1"])
        yield* TestClock.adjust(1_000)
      }
      assert.deepStrictEqual(yield* Effect.flip(passing(ask)), dns)
    }))

  it.effect("are asked for once a second while the name server fails", () =>
    Effect.gen(function*() {
      const { ask, server, state } = yield* known()
      state.answer = "failure"
      yield* ask
      const before = server.asked.length
      for (let i = 0; i < 100; i++) yield* ask
      assert.strictEqual(server.asked.length, before)
      yield* TestClock.adjust("1 second")
      yield* Effect.all([ask, ask, ask], { concurrency: "unbounded" })
      assert.isAbove(server.asked.length, before)
    }))

  it.live("carry requests to the vendor", () =>
    Effect.gen(function*() {
      const trusted = authority()
      const vendor = yield* listen(
        {
          onRequest: (connection) =>
            connection.end("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello")
        },
        trusted.issue({ hosts: ["shop.localhost"] })
      )
      let lookups = 0
      const { send } = yield* Wire.make({
        proxy: false,
        loopback: true,
        tls: { ca: [trusted.certificate] },
        dns: {
          timeToLive: "1 millis",
          lookup: () => lookups++ === 0 ? Effect.succeed(["127.0.0.1"]) : Effect.fail("EAI_AGAIN")
        }
      })
      for (let i = 0; i < 3; i++) {
        assert.strictEqual((yield* send(`https://shop.localhost:${vendor.port}`)).body, "hello")
        yield* vendor.untilNoneOpen
      }
    }))
})

describe("a name server that does not answer for one family", () => {
  it.live("leaves the addresses of the other one (systemd/systemd#22575)", () =>
    Effect.gen(function*() {
      const server = yield* NameServer.serve((_, isIpv4) => isIpv4 ? ["1.1.1.1"] : "silence")
      const resolver = yield* Resolver.make(isPublic, { servers: [server.address] })
      assert.deepStrictEqual(yield* resolver.addresses("shop.example"), ["1.1.1.1"])
    }))

  it.live("leaves a failure, if the other one has none", () =>
    Effect.gen(function*() {
      const server = yield* NameServer.serve((_, isIpv4) => isIpv4 ? "unknown" : "silence")
      const resolver = yield* Resolver.make(isPublic, { servers: [server.address], timeout: "300 millis" })
      assert.deepStrictEqual(yield* Effect.flip(resolver.addresses("shop.example")), dns)
    }))
})

describe("a lookup that throws", () => {
  it.effect("counts as one that fails: the last good addresses serve on", () =>
    Effect.gen(function*() {
      let asked = 0
      const resolver = yield* Resolver.make(isPublic, {
        lookup: () => {
          if (asked++ > 0) throw new Error("mine")
          return Effect.succeed(["1.1.1.1"])
        }
      })
      for (let minute = 0; minute < 3; minute++) {
        assert.deepStrictEqual(yield* resolver.addresses("shop.example"), ["1.1.1.1"])
        yield* TestClock.adjust("1 minute")
      }
      assert.strictEqual(asked, 3)
    }))
})

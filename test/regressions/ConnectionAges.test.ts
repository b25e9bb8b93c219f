/** A busy connection does not stay at an address for ever. Source: FAULTS.md §4, row 27. */
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { createSecureServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2"
import { authority } from "../fakes/Certificates.ts"
import { type Connection, listen } from "../fakes/HostileServer.ts"
import * as Loopback from "../fakes/Loopback.ts"
import * as Watch from "../watches/Watch.ts"
import * as Wire from "../watches/Wire.ts"

const trusted = authority()
const answer = (connection: Connection) => connection.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")

/** Options with a lookup that counts. */
const counting = (options: UndiciTransport.UndiciTransportOptions = {}) => {
  let lookups = 0
  return {
    options: {
      proxy: false,
      loopback: true,
      tls: { ca: [trusted.certificate] },
      // An idle connection stays while virtual time passes.
      keepAliveMillis: 600_000,
      dns: { lookup: () => Effect.sync(() => (lookups++, ["127.0.0.1"])) },
      ...options
    } satisfies UndiciTransport.UndiciTransportOptions,
    get lookups() {
      return lookups
    }
  }
}

/** undici releases a connection one turn of the event loop after its response. */
const nextTurn = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

const certified = trusted.issue({ hosts: ["shop.localhost"] })

describe("a connection", () => {
  it.effect("takes requests for two minutes, and then the name is resolved anew", () =>
    Effect.gen(function*() {
      const vendor = yield* listen({ onRequest: answer }, certified)
      const counted = counting()
      const { send } = yield* Wire.make(counted.options)
      const meet = Effect.andThen(send(`https://shop.localhost:${vendor.port}`), nextTurn)
      yield* meet
      yield* TestClock.adjust("107 seconds")
      yield* meet
      assert.strictEqual(vendor.connections.length, 1)
      assert.strictEqual(counted.lookups, 1)
      yield* TestClock.adjust("26 seconds")
      yield* meet
      assert.strictEqual(vendor.connections.length, 2)
      assert.strictEqual(counted.lookups, 2)
      yield* vendor.until("the old one is closed", () => vendor.open === 1)
    }))

  it.live("is closed with the transport, also when it is old and a request still runs on it", () =>
    Effect.gen(function*() {
      let requests = 0
      const vendor = yield* listen({
        onRequest: (connection) => {
          if (requests++ > 0) answer(connection)
        }
      })
      const scope = yield* Scope.make()
      const { options } = counting({ keepAliveMillis: 50, maxConnectionAge: "20 millis" })
      const { send } = yield* Scope.provide(Wire.make(options), scope)
      const origin = `http://localhost:${vendor.port}`
      const running = yield* Effect.forkDetach(send(origin))
      yield* vendor.until("it runs", () => requests === 1)
      yield* Effect.sleep("30 millis")
      yield* send(origin)
      yield* vendor.until("the idle one is closed, and with it the pool", () => vendor.open === 1)
      yield* Effect.repeat(nextTurn, { times: 20 })
      yield* Scope.close(scope, Exit.void)
      yield* vendor.until("both are closed", () => vendor.open === 0)
      assert.isDefined((yield* Fiber.join(running)).reason)
    }))

  it.effect("takes requests for the configured time", () =>
    Effect.gen(function*() {
      const vendor = yield* listen({ onRequest: answer }, certified)
      const { send } = yield* Wire.make(counting({ maxConnectionAge: "1 hour" }).options)
      const meet = Effect.andThen(send(`https://shop.localhost:${vendor.port}`), nextTurn)
      yield* meet
      yield* TestClock.adjust("53 minutes")
      yield* meet
      assert.strictEqual(vendor.connections.length, 1)
      yield* TestClock.adjust("14 minutes")
      yield* meet
      assert.strictEqual(vendor.connections.length, 2)
    }))

  it.effect("finishes its request beside its successor, to which those that waited go", () =>
    Effect.gen(function*() {
      const vendor = yield* listen({
        onRequest: (connection, index) => {
          if (index > 0) answer(connection)
        }
      }, certified)
      const { send } = yield* Wire.make(counting({ connections: 1 }).options)
      const meet = send(`https://shop.localhost:${vendor.port}`)
      const running = yield* Effect.forkChild(meet)
      yield* vendor.until("it runs", () => vendor.connections[0]?.requests === 1)
      const queued = yield* Effect.forkChild(Effect.all([meet, meet, meet], { concurrency: "unbounded" }))
      yield* nextTurn
      assert.strictEqual(vendor.connections.length, 1)
      yield* TestClock.adjust("133 seconds")
      assert.strictEqual((yield* meet).body, "hello")
      assert.deepStrictEqual((yield* Fiber.join(queued)).map(({ body }) => body), ["hello", "hello", "hello"])
      assert.deepStrictEqual(vendor.connections.map(({ requests }) => requests), [1, 4])
      assert.isTrue(vendor.connections[0]!.isOpen)
      answer(vendor.connections[0]!)
      assert.strictEqual((yield* Fiber.join(running)).body, "hello")
      yield* vendor.until("the old one is closed", () => vendor.open === 1)
    }))

  it.effect("lets those that wait for it go when a request to another vendor finds it old", () =>
    Effect.gen(function*() {
      const vendor = yield* listen({
        onRequest: (connection, index) => {
          if (index > 0) answer(connection)
        }
      }, certified)
      const other = yield* listen({ onRequest: answer }, certified)
      const { send } = yield* Wire.make(counting({ connections: 1 }).options)
      const meet = send(`https://shop.localhost:${vendor.port}`)
      const running = yield* Effect.forkChild(meet)
      yield* vendor.until("it runs", () => vendor.connections[0]?.requests === 1)
      const queued = yield* Effect.forkChild(meet)
      yield* nextTurn
      yield* TestClock.adjust("133 seconds")
      assert.strictEqual((yield* send(`https://shop.localhost:${other.port}`)).body, "hello")
      assert.strictEqual((yield* Fiber.join(queued)).body, "hello")
      assert.isTrue(vendor.connections[0]!.isOpen)
      yield* Fiber.interrupt(running)
    }))

  it.effect("is not old at the same time as all that were opened with it", () =>
    Effect.gen(function*() {
      const all = 30
      const waiting: Array<Connection> = []
      const vendor = yield* listen({
        onRequest: (connection) => {
          if (waiting.push(connection) % all === 0) { for (const one of waiting.splice(0)) answer(one) }
        }
      }, certified)
      const { send } = yield* Wire.make(counting().options)
      const origin = `https://shop.localhost:${vendor.port}`
      const meetAll = Effect.andThen(
        Effect.all(Array.from({ length: all }, () => send(origin)), { concurrency: "unbounded" }),
        nextTurn
      )
      yield* meetAll
      assert.strictEqual(vendor.connections.length, all)
      yield* TestClock.adjust("120 seconds")
      yield* meetAll
      assert.isAbove(vendor.connections.length, all)
      assert.isBelow(vendor.connections.length, 2 * all)
    }))

  it.effect.each<readonly [UndiciTransport.UndiciTransportOptions, RegExp]>([
    [{ maxConnectionAge: 0 }, /maxConnectionAge must be longer than 0 and finite/],
    [{ maxConnectionAge: "-1 seconds" }, /maxConnectionAge must be longer than 0/],
    [{ maxConnectionAge: Infinity }, /maxConnectionAge must be longer than 0 and finite/]
  ])("has an age in range: %j", ([options, message]) =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(UndiciTransport.layer(options))))
      assert.match(String(Exit.isFailure(exit) ? exit.cause : ""), message)
    }))
})

describe("a connection over HTTP/2", () => {
  /** A vendor whose streams a test answers, each with the number of its session. */
  const serve = (onStream: (stream: ServerHttp2Stream, session: number) => void) =>
    Effect.gen(function*() {
      const sessions: Array<ServerHttp2Session> = []
      const { changed, until } = Watch.make()
      const server = createSecureServer(certified)
      server.on("session", (session) => {
        sessions.push(session)
        session.on("close", changed)
      })
      server.on("stream", (stream: ServerHttp2Stream) => {
        stream.on("error", () => {})
        onStream(stream, sessions.indexOf(stream.session as ServerHttp2Session))
        changed()
      })
      const { port } = yield* Loopback.listen(server, changed)
      return { origin: `https://shop.localhost:${port}`, sessions, until }
    })

  const tell = (stream: ServerHttp2Stream, session: number) => {
    stream.respond({ ":status": 200 })
    stream.end(String(session))
  }

  it.effect("finishes its requests beside its successor", () =>
    Effect.gen(function*() {
      const held: Array<() => void> = []
      const vendor = yield* serve((stream, session) => {
        if (held.length < 3) held.push(() => tell(stream, session))
        else tell(stream, session)
      })
      const counted = counting({ http2: true })
      const { send } = yield* Wire.make(counted.options)
      const running = yield* Effect.forkChild(
        Effect.all([send(vendor.origin), send(vendor.origin), send(vendor.origin)], { concurrency: "unbounded" })
      )
      yield* vendor.until("they run", () => held.length === 3)
      yield* TestClock.adjust("107 seconds")
      assert.strictEqual((yield* send(vendor.origin)).body, "0")
      yield* TestClock.adjust("26 seconds")
      assert.strictEqual((yield* send(vendor.origin)).body, "1")
      assert.strictEqual((yield* send(vendor.origin)).body, "1")
      assert.strictEqual(counted.lookups, 2)
      for (const release of held) release()
      assert.deepStrictEqual((yield* Fiber.join(running)).map(({ body }) => body), ["0", "0", "0"])
      yield* vendor.until("the old session is closed", () => vendor.sessions[0]!.closed)
      assert.strictEqual(vendor.sessions.length, 2)
    }))

  it.effect("that its vendor ends (GOAWAY) under load loses no request, and sends none twice", () =>
    Effect.gen(function*() {
      const last = new Map<number, number>()
      let handled = 0
      const vendor = yield* serve((stream, session) => {
        // Streams behind the last one have no effect (RFC 9113, section 6.8).
        if (stream.id! > (last.get(session) ?? Infinity)) return
        if (++handled % 20 === 0) {
          last.set(session, stream.id!)
          stream.session!.goaway(0, stream.id)
        }
        setImmediate(() => tell(stream, session))
      })
      const { send } = yield* Wire.make(counting({ http2: true }).options)
      const outcomes = yield* Effect.all(Array.from({ length: 100 }, () => send(vendor.origin)), { concurrency: 10 })
      assert.isEmpty(outcomes.filter(({ body }) => body === undefined))
      assert.strictEqual(handled, 100)
      assert.isAbove(vendor.sessions.length, 4)
    }))
})

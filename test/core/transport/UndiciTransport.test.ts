import {
  type Receiver,
  type ResponseHeaders,
  Transport,
  type TransportRequest
} from "@breakwater/core/transport/Transport"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import {
  ConnectFailed,
  ConnectionLost,
  InvalidRequest,
  InvalidResponse,
  type Reason,
  ResponseTooLarge,
  Timeout
} from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Layer, Scope } from "effect"
import { getCACertificates, setDefaultCACertificates } from "node:tls"
import { gzipSync } from "node:zlib"
import { selfSigned } from "../../fakes/Certificates.ts"
import { type Behaviour, closedPort, type Connection, listen, type Tls } from "../../fakes/HostileServer.ts"
import * as Held from "../../watches/Held.ts"
import { patience } from "../../watches/Patience.ts"

/** Records the events of a request, in order. */
class Heard implements Receiver {
  readonly events: Array<string> = []
  /** The events before `send` had returned. */
  readonly tooSoon: Array<string> = []
  headers: ResponseHeaders = {}
  body = ""
  reason: Reason | undefined = undefined
  hasReturned = false
  private readonly listeners = new Map<string, () => void>()

  onSent() {
    this.hear("sent")
  }
  onHeaders(status: number, headers: ResponseHeaders) {
    this.headers = headers
    this.hear("headers", ` ${status}`)
  }
  onProgress() {}
  onEnd(body: Uint8Array) {
    this.body = Buffer.from(body).toString("latin1")
    this.hear("end")
  }
  onError(reason: Reason) {
    this.reason = reason
    this.hear("error")
  }
  /** Calls back at the next event, once. */
  on(event: "headers" | "end", listener: () => void): this {
    this.listeners.set(event, listener)
    return this
  }
  /** Waits for the end, success or failure. */
  get ended(): Effect.Effect<this> {
    return this.once(["end", "error"])
  }
  once(events: ReadonlyArray<string>): Effect.Effect<this> {
    return Effect.callback<this>((resume) => {
      if (this.events.some((event) => events.includes(event.split(" ")[0]!))) return resume(Effect.succeed(this))
      for (const event of events) this.listeners.set(event, () => resume(Effect.succeed(this)))
    }).pipe(
      Effect.timeoutOrElse({
        duration: patience,
        orElse: () => Effect.die(new Error(`waited in vain for ${events.join(" or ")}; heard ${this.events.join()}`))
      })
    )
  }
  private hear(event: string, details = "") {
    this.events.push(event + details)
    if (!this.hasReturned) this.tooSoon.push(event)
    this.listeners.get(event)?.()
  }
}

type Send = (request: Partial<TransportRequest>, heard?: Heard) => readonly [heard: Heard, cancel: () => void]

/** A transport with `loopback`, until the scope ends. */
const transport = (options?: UndiciTransport.UndiciTransportOptions): Effect.Effect<Send, never, Scope.Scope> =>
  Effect.map(Effect.orDie(Layer.build(UndiciTransport.layer({ loopback: true, ...options }))), (context) => {
    const transport = Context.get(context, Transport)
    return (request, heard = new Heard()) => {
      const cancel = transport.send(
        {
          method: "GET",
          origin: "http://127.0.0.1",
          path: "/",
          headers: [],
          body: undefined,
          connectTimeoutMillis: 2_000,
          maxBodyBytes: 100_000,
          maxRedirects: 0,
          ...request
        },
        heard
      )
      heard.hasReturned = true
      return [heard, cancel]
    }
  })

/** The outcome of one exchange, once the transport and all connections of the server are closed. */
const meet = (options: {
  readonly behaviour: Behaviour
  readonly request?: Partial<TransportRequest> | undefined
  readonly tls?: Tls | undefined
  readonly transport?: UndiciTransport.UndiciTransportOptions | undefined
  /** The server's action once the client has the headers. */
  readonly afterHeaders?: ((connection: Connection) => void) | undefined
}) =>
  Effect.gen(function*() {
    const server = yield* listen(options.behaviour, options.tls)
    const heard = new Heard().on("headers", () => options.afterHeaders?.(server.connections[0]!))
    yield* Effect.scoped(
      Effect.gen(function*() {
        const send = yield* transport(options.transport)
        send({ origin: server.origin, ...options.request }, heard)
        yield* heard.ended
      })
    )
    yield* server.untilNoneOpen
    assert.deepStrictEqual(heard.tooSoon, [])
    return { heard, server }
  })

const answering = (...bytes: ReadonlyArray<string>): Behaviour => ({
  onRequest: (connection) => {
    for (const piece of bytes) connection.write(piece)
  }
})

const ok = "HTTP/1.1 200 OK\r\n"

const unencoded = "the path holds characters that must be encoded"
const unnameable = "invalid header name"
const unsendable = (name: string) => `the header ${name} holds characters that cannot be sent`

/** undici releases a connection one turn of the event loop after its response. */
const nextTurn = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

describe("UndiciTransport", () => {
  it.effect.each<readonly [UndiciTransport.UndiciTransportOptions, RegExp]>([
    [{ connections: 0 }, /connections must be a whole number of at least 1, got 0/],
    [{ keepAliveMillis: 0 }, /keepAliveMillis must be more than 0 and finite, got 0/],
    [{ maxHeaderBytes: 1.5 }, /maxHeaderBytes must be a whole number of at least 1, got 1.5/],
    [{ maxUrlLength: 0 }, /maxUrlLength must be a whole number of at least 1, got 0/],
    [{ maxRequestHeaderBytes: -1 }, /maxRequestHeaderBytes must be a whole number of at least 1, got -1/],
    [{ maxResponseHeaders: 0.5 }, /maxResponseHeaders must be a whole number of at least 1, got 0.5/]
  ])(
    "cannot be made with %j",
    ([options, message]) =>
      Effect.map(Effect.exit(Effect.scoped(Layer.build(UndiciTransport.layer(options)))), (exit) => {
        assert.match(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "made", message)
      })
  )

  describe("finds no connection", () => {
    it.live.each(["127.0.0.1", "localhost"])("at a closed port of %s", (host) =>
      Effect.gen(function*() {
        const send = yield* transport()
        const [heard] = send({ origin: `http://${host}:${yield* closedPort}` })
        yield* heard.ended
        assert.deepStrictEqual(heard.reason, new ConnectFailed("Refused"))
        assert.deepStrictEqual(heard.events, ["error"])
        assert.deepStrictEqual(heard.tooSoon, [])
      }))

    it.live("under an unknown name", () =>
      Effect.gen(function*() {
        const send = yield* transport()
        const [heard] = send({ origin: "https://breakwater-test.invalid", connectTimeoutMillis: 60_000 })
        yield* heard.ended
        assert.deepStrictEqual(heard.reason, new ConnectFailed("Dns"))
      }))

    it.live.each<readonly [string, Behaviour, connectTimeoutMillis: number, Tls | undefined, Reason]>([
      ["when the TLS handshake never ends", {}, 100, undefined, new Timeout("Connect", 100)],
      ["when the certificate is not trusted", {}, 5_000, selfSigned(), new ConnectFailed("Tls")],
      [
        "when the response to the TLS handshake is not TLS",
        { onConnection: (connection) => connection.write("HTTP/1.1 400 Bad Request\r\n\r\n") },
        5_000,
        undefined,
        new ConnectFailed("Tls")
      ],
      [
        "when the server disconnects during the TLS handshake",
        { onConnection: (connection) => connection.end() },
        5_000,
        undefined,
        new ConnectFailed("Unreachable")
      ]
    ])("%s", ([, behaviour, connectTimeoutMillis, tls, reason]) =>
      Effect.gen(function*() {
        const server = yield* listen(behaviour, tls)
        const heard = yield* Effect.scoped(Effect.gen(function*() {
          const send = yield* transport()
          const [heard] = send({ origin: `https://127.0.0.1:${server.port}`, connectTimeoutMillis })
          return yield* heard.ended
        }))
        yield* server.untilNoneOpen
        assert.deepStrictEqual(heard.reason, reason)
        assert.strictEqual(reason.fate, "NotSent")
        assert.deepStrictEqual(heard.events, ["error"])
        for (const { requests } of server.connections) assert.strictEqual(requests, 0)
      }))
  })

  describe("over TLS", () => {
    /** Lets this process trust a certificate until the scope ends. */
    const trusting = (certificate: string) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const before = getCACertificates("default")
          setDefaultCACertificates([...before, certificate])
          return before
        }),
        (before) => Effect.sync(() => setDefaultCACertificates(before))
      )

    const exchange = (tls: Tls) =>
      Effect.gen(function*() {
        yield* trusting(tls.cert)
        return yield* meet({ behaviour: answering(`${ok}content-length: 5\r\n\r\nhello`), tls })
      })

    it.live("reads a response from a server with a trusted certificate", () =>
      Effect.gen(function*() {
        const { heard, server } = yield* exchange(selfSigned())
        assert.deepStrictEqual(heard.events, ["sent", "headers 200", "end"])
        assert.strictEqual(heard.body, "hello")
        assert.strictEqual(server.connections[0]!.requests, 1)
      }))

    it.live("sends nothing to a server whose certificate is for another host", () =>
      Effect.gen(function*() {
        const { heard, server } = yield* exchange(selfSigned({ hosts: ["10.0.0.1"] }))
        assert.deepStrictEqual(heard.reason, new ConnectFailed("Tls"))
        assert.deepStrictEqual(heard.events, ["error"])
        assert.strictEqual(server.connections[0]!.requests, 0)
      }))
  })

  describe("reads", () => {
    it.live.each<readonly [string, Behaviour, status: number, body: string]>([
      ["a body of a declared length", answering(`${ok}content-length: 5\r\n\r\nhello`), 200, "hello"],
      ["a body that comes in pieces", answering(`${ok}content-length: 5\r\n\r\n`, "h", "el", "lo"), 200, "hello"],
      [
        "a body in chunks",
        answering(`${ok}transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n`),
        200,
        "hello"
      ],
      [
        "a body that ends with the connection, without a declared length",
        { onRequest: (connection) => connection.end(`${ok}connection: close\r\n\r\nhello`) },
        200,
        "hello"
      ],
      [
        "no more of a body than its declared length",
        answering(`${ok}content-length: 5\r\n\r\nhello and goodbye`),
        200,
        "hello"
      ],
      [
        "one response where a second was smuggled in after it",
        answering(`${ok}content-length: 5\r\n\r\nhello`, `${ok}content-length: 4\r\n\r\nevil`),
        200,
        "hello"
      ],
      ["an empty body", answering(`${ok}content-length: 0\r\n\r\n`), 200, ""],
      ["a status that has no body", answering("HTTP/1.1 204 No Content\r\n\r\n"), 204, ""],
      [
        "the response after interim responses",
        answering(
          "HTTP/1.1 102 Processing\r\n\r\n",
          "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n",
          `${ok}content-length: 5\r\n\r\nhello`
        ),
        200,
        "hello"
      ],
      [
        "a redirect, without following it",
        answering("HTTP/1.1 302 Found\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n"),
        302,
        ""
      ]
    ])("%s", ([, behaviour, status, body]) =>
      Effect.gen(function*() {
        const { heard, server } = yield* meet({ behaviour })
        assert.strictEqual(heard.reason, undefined)
        assert.deepStrictEqual(heard.events, ["sent", `headers ${status}`, "end"])
        assert.strictEqual(heard.body, body)
        assert.strictEqual(server.connections.length, 1)
        assert.strictEqual(server.connections[0]!.requests, 1)
      }))

    it.live("every value of a repeated header", () =>
      Effect.gen(function*() {
        const { heard } = yield* meet({
          behaviour: answering(
            `${ok}Set-Cookie: a=1\r\nX-Twice: one\r\nset-cookie: b=2\r\nx-twice: two\r\ncontent-length: 0\r\n\r\n`
          )
        })
        assert.deepStrictEqual(heard.headers["set-cookie"], ["a=1", "b=2"])
        assert.deepStrictEqual(heard.headers["x-twice"], ["one", "two"])
        assert.strictEqual(heard.headers["content-length"], "0")
      }))

    it.live("a body of exactly the largest size", () =>
      Effect.gen(function*() {
        const { heard } = yield* meet({
          behaviour: answering(`${ok}content-length: 5\r\n\r\nhello`),
          request: { maxBodyBytes: 5 }
        })
        assert.strictEqual(heard.body, "hello")
      }))
  })

  describe("loses a response", () => {
    const head = `${ok}content-length: 10\r\n\r\n`

    it.live.each<readonly [string, Omit<Parameters<typeof meet>[0], "tls">, Reason, ...events: ReadonlyArray<string>]>([
      [
        "when the connection is reset before its first byte",
        { behaviour: { onRequest: (connection) => connection.reset() } },
        new ConnectionLost("Headers"),
        "sent"
      ],
      [
        "when the connection ends before its first byte",
        { behaviour: { onRequest: (connection) => connection.end() } },
        new ConnectionLost("Headers"),
        "sent"
      ],
      [
        "when the connection ends among the headers",
        { behaviour: { onRequest: (connection) => connection.end(`${ok}content-le`) } },
        new ConnectionLost("Headers"),
        "sent"
      ],
      [
        "when the connection is reset after the headers",
        { behaviour: answering(head), afterHeaders: (connection) => connection.reset() },
        new ConnectionLost("Body"),
        "sent",
        "headers 200"
      ],
      [
        "when the connection is reset in the middle of the body",
        { behaviour: answering(`${head}hello`), afterHeaders: (connection) => connection.reset() },
        new ConnectionLost("Body"),
        "sent",
        "headers 200"
      ],
      [
        "when the connection ends in the middle of the body",
        { behaviour: { onRequest: (connection) => connection.end(`${head}hello`) } },
        new ConnectionLost("Body"),
        "sent",
        "headers 200"
      ],
      [
        "when the connection ends in the middle of its last body",
        {
          behaviour: {
            onRequest: (connection) => connection.end(`${ok}connection: close\r\ncontent-length: 10\r\n\r\nhello`)
          }
        },
        new ConnectionLost("Body"),
        "sent",
        "headers 200"
      ],
      [
        "when the connection ends between two chunks",
        {
          behaviour: {
            onRequest: (connection) => connection.end(`${ok}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n`)
          }
        },
        new ConnectionLost("Body"),
        "sent",
        "headers 200"
      ],
      [
        "when the connection ends between two chunks of its last body",
        {
          behaviour: {
            onRequest: (connection) =>
              connection.end(`${ok}connection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n`)
          }
        },
        new ConnectionLost("Body"),
        "sent",
        "headers 200"
      ]
    ])("%s", ([, setting, reason, ...events]) =>
      Effect.gen(function*() {
        const { heard, server } = yield* meet(setting)
        assert.deepStrictEqual(heard.reason, reason)
        assert.strictEqual(reason.fate, "Unknown")
        assert.isTrue(reason.isRetryable)
        assert.deepStrictEqual(heard.events, [...events, "error"])
        // The transport does not decide whether to send it again.
        assert.strictEqual(server.connections.length, 1)
        assert.strictEqual(server.connections[0]!.requests, 1)
      }))
  })

  describe("rejects a response", () => {
    it.live.each<readonly [string, Omit<Parameters<typeof meet>[0], "tls">, Reason, ...events: ReadonlyArray<string>]>([
      [
        "that is not HTTP",
        { behaviour: answering("220 mail.example ESMTP\r\n") },
        new InvalidResponse(undefined, "not HTTP (Expected HTTP/, RTSP/ or ICE/)"),
        "sent"
      ],
      [
        "that is an unsolicited 100 Continue",
        { behaviour: answering("HTTP/1.1 100 Continue\r\n\r\n", `${ok}content-length: 0\r\n\r\n`) },
        new InvalidResponse(undefined, "not HTTP (a status that was not asked for)"),
        "sent"
      ],
      [
        "that switches to a protocol without an offer",
        { behaviour: answering("HTTP/1.1 101 Switching Protocols\r\nupgrade: tea\r\nconnection: upgrade\r\n\r\n") },
        new InvalidResponse(undefined, "not HTTP (a status that was not asked for)"),
        "sent"
      ],
      [
        "with an invalid header",
        { behaviour: answering(`${ok}x y: z\r\n\r\n`) },
        new InvalidResponse(undefined, "not HTTP (Invalid header token)"),
        "sent"
      ],
      [
        "with two lengths",
        { behaviour: answering(`${ok}content-length: 5\r\ncontent-length: 5\r\n\r\nhello`) },
        new InvalidResponse(undefined, "not HTTP (the headers cannot be parsed)"),
        "sent"
      ],
      [
        "with invalid chunks",
        { behaviour: answering(`${ok}transfer-encoding: chunked\r\n\r\nfive\r\nhello\r\n0\r\n\r\n`) },
        new InvalidResponse(200, "not HTTP (Invalid character in chunk size)"),
        "sent",
        "headers 200"
      ],
      [
        "with more headers than allowed by default",
        { behaviour: answering(`${ok}x-large: ${"x".repeat(20_000)}\r\ncontent-length: 0\r\n\r\n`) },
        new InvalidResponse(undefined, "not HTTP (the headers are too large)"),
        "sent"
      ],
      [
        "with headers that never end",
        {
          behaviour: {
            onRequest: (connection) => {
              connection.write(ok)
              connection.flood("x-more: and more\r\n")
            }
          }
        },
        new InvalidResponse(undefined, "not HTTP (the headers are too large)"),
        "sent"
      ],
      [
        "with a header that never ends",
        {
          behaviour: {
            onRequest: (connection) => {
              connection.write(`${ok}x-more: `)
              connection.flood("and more ")
            }
          }
        },
        new InvalidResponse(undefined, "not HTTP (the headers are too large)"),
        "sent"
      ],
      [
        "with trailers that never end",
        {
          behaviour: {
            onRequest: (connection) => {
              connection.write(`${ok}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n`)
              connection.flood("x-more: and more\r\n")
            }
          }
        },
        new InvalidResponse(200, "not HTTP (the headers are too large)"),
        "sent",
        "headers 200"
      ],
      [
        "with more headers than configured",
        {
          behaviour: answering(`${ok}x-large: ${"x".repeat(200)}\r\ncontent-length: 0\r\n\r\n`),
          transport: { maxHeaderBytes: 128 }
        },
        new InvalidResponse(undefined, "not HTTP (the headers are too large)"),
        "sent"
      ],
      [
        "that is larger than allowed, in one piece",
        { behaviour: answering(`${ok}content-length: 6\r\n\r\nhello!`), request: { maxBodyBytes: 5 } },
        new ResponseTooLarge(5),
        "sent",
        "headers 200"
      ],
      [
        "whose one chunk is larger than allowed",
        {
          behaviour: answering(`${ok}transfer-encoding: chunked\r\n\r\n6\r\nhello!\r\n0\r\n\r\n`),
          request: { maxBodyBytes: 5 }
        },
        new ResponseTooLarge(5),
        "sent",
        "headers 200"
      ],
      [
        "whose chunks never end",
        {
          behaviour: {
            onRequest: (connection) => {
              connection.write(`${ok}transfer-encoding: chunked\r\n\r\n`)
              connection.flood("5\r\nhello\r\n")
            }
          }
        },
        new ResponseTooLarge(100_000),
        "sent",
        "headers 200"
      ],
      [
        "without a length that never ends",
        {
          behaviour: {
            onRequest: (connection) => {
              connection.write(`${ok}\r\n`)
              connection.flood("hello")
            }
          }
        },
        new ResponseTooLarge(100_000),
        "sent",
        "headers 200"
      ]
    ])("%s", ([, setting, reason, ...events]) =>
      Effect.gen(function*() {
        const { heard, server } = yield* meet(setting)
        assert.deepStrictEqual(heard.reason, reason)
        assert.strictEqual(reason.fate, "Unknown")
        assert.isFalse(reason.isRetryable)
        assert.deepStrictEqual(heard.events, [...events, "error"])
        assert.strictEqual(server.connections.length, 1)
      }))

    it.live("and closes a connection that floods it, without ending itself", () =>
      Effect.gen(function*() {
        const server = yield* listen({
          onRequest: (connection, index) => {
            if (index > 0) return connection.write(`${ok}content-length: 5\r\n\r\nhello`)
            connection.write(`${ok}transfer-encoding: chunked\r\n\r\n`)
            connection.flood("5\r\nhello\r\n")
          }
        })
        const send = yield* transport()
        const [flooded] = send({ origin: server.origin, maxBodyBytes: 1_000 })
        yield* flooded.ended
        yield* server.untilNoneOpen
        const [next] = send({ origin: server.origin })
        yield* next.ended
        assert.strictEqual(next.body, "hello")
        assert.strictEqual(server.connections.length, 2)
      }))
  })

  describe("keeps connections", () => {
    const hello = answering(`${ok}content-length: 5\r\n\r\nhello`)

    it.live("for reuse", () =>
      Effect.gen(function*() {
        const server = yield* listen(hello)
        yield* Effect.scoped(Effect.gen(function*() {
          const send = yield* transport()
          for (let i = 0; i < 3; i++) {
            const [heard] = send({ origin: server.origin })
            yield* heard.ended
            assert.strictEqual(heard.body, "hello")
            assert.deepStrictEqual(heard.tooSoon, [])
            yield* nextTurn
          }
          assert.strictEqual(server.open, 1)
        }))
        yield* server.untilNoneOpen
        assert.deepStrictEqual(server.connections.map(({ requests }) => requests), [3])
      }))

    it.live("for alternating reuse, when a receiver sends the next request on each response", () =>
      Effect.gen(function*() {
        const server = yield* listen(hello)
        const send = yield* transport()
        const heards: Array<Heard> = []
        yield* Effect.callback<void>((resume) => {
          const next = () => {
            const heard = new Heard().on("end", () => {
              if (heards.length === 20) resume(Effect.void)
              else next()
            })
            heards.push(heard)
            send({ origin: server.origin }, heard)
          }
          next()
        })
        for (const heard of heards) assert.deepStrictEqual(heard.events, ["sent", "headers 200", "end"])
        assert.deepStrictEqual(server.connections.map(({ requests }) => requests), [10, 10])
      }))

    it.live("no longer than configured", () =>
      Effect.gen(function*() {
        const server = yield* listen(hello)
        const send = yield* transport({ keepAliveMillis: 50 })
        const [heard] = send({ origin: server.origin })
        yield* heard.ended
        yield* server.untilNoneOpen
      }))

    it.live("up to the configured number, and queues further requests", () =>
      Effect.gen(function*() {
        const held: Array<Connection> = []
        const server = yield* listen({
          onRequest: (connection) => {
            held.push(connection)
          }
        })
        const send = yield* transport({ connections: 2 })
        const heards = Array.from({ length: 3 }, () => send({ origin: server.origin })[0])
        yield* server.until("two requests have come", () => held.length === 2)
        assert.deepStrictEqual(heards.map(({ events }) => events), [["sent"], ["sent"], []])
        held[0]!.write(`${ok}content-length: 0\r\n\r\n`)
        yield* server.until("the third request has come", () => held.length === 3)
        assert.strictEqual(server.connections.length, 2)
        for (const connection of held.slice(1)) connection.write(`${ok}content-length: 0\r\n\r\n`)
        for (const heard of heards) yield* heard.ended
        assert.deepStrictEqual(heards.map(({ reason }) => reason), [undefined, undefined, undefined])
      }))

    it.live("only as long as the server does: an idle one that it has closed is not reused", () =>
      Effect.gen(function*() {
        const server = yield* listen(hello)
        const send = yield* transport()
        const [first] = send({ origin: server.origin })
        yield* first.ended
        server.connections[0]!.end()
        yield* server.untilNoneOpen
        const [second] = send({ origin: server.origin })
        yield* second.ended
        assert.deepStrictEqual(second.events, ["sent", "headers 200", "end"])
        assert.deepStrictEqual(server.connections.map(({ requests }) => requests), [1, 1])
      }))

    it.live("and sends nothing over one that the server resets at that moment", () =>
      Effect.gen(function*() {
        const server = yield* listen(hello)
        const send = yield* transport()
        const [first] = send({ origin: server.origin })
        yield* first.ended
        yield* nextTurn
        server.connections[0]!.reset()
        const [second] = send({ origin: server.origin })
        yield* second.ended
        assert.deepStrictEqual(second.reason, new ConnectFailed("Unreachable"))
        assert.deepStrictEqual(second.events, ["error"])
        assert.deepStrictEqual(server.connections.map(({ requests }) => requests), [1])
      }))
  })

  describe("sends", () => {
    it.live("exactly the given request", () =>
      Effect.gen(function*() {
        const { server } = yield* meet({
          behaviour: answering(`${ok}content-length: 0\r\n\r\n`),
          request: {
            method: "POST",
            path: "/a%20b?c=d&e=%C3%A9",
            headers: ["X-One", "1", "x-two", "two words", "x-one", "again"],
            body: Buffer.from("{\"ü\":1}")
          }
        })
        assert.strictEqual(
          server.connections[0]!.received,
          [
            "POST /a%20b?c=d&e=%C3%A9 HTTP/1.1",
            `host: 127.0.0.1:${server.port}`,
            "connection: keep-alive",
            "X-One: 1",
            "x-two: two words",
            "x-one: again",
            "accept-encoding: gzip, deflate, br, zstd",
            "content-length: 8",
            "",
            Buffer.from("{\"ü\":1}").toString("latin1")
          ].join("\r\n")
        )
      }))

    it.live.each<readonly [string, Partial<TransportRequest>, issue: string]>([
      ["a line break in a header's value", { headers: ["x-name", "a\r\nx-evil: 1"] }, unsendable("x-name")],
      ["a line feed in a header's value", { headers: ["x-name", "a\n"] }, unsendable("x-name")],
      ["a line break at the beginning of a header's value", { headers: ["x-name", "\r\na"] }, unsendable("x-name")],
      ["a zero byte in a header's value", { headers: ["x-name", "a\0b"] }, unsendable("x-name")],
      ["a delete in a header's value", { headers: ["x-name", "a\u007f"] }, unsendable("x-name")],
      ["a Latin-1 character in a header's value", { headers: ["x-name", "é"] }, unsendable("x-name")],
      ["a character beyond Latin-1 in a header's value", { headers: ["x-name", "€"] }, unsendable("x-name")],
      [
        "a character in a header's value whose low byte is a line feed",
        { headers: ["x-name", "\u010a"] },
        unsendable("x-name")
      ],
      ["a space before a header's value", { headers: ["x-name", " a"] }, unsendable("x-name")],
      ["a tab after a header's value", { headers: ["x-name", "a\t"] }, unsendable("x-name")],
      ["a line break in a header's name", { headers: ["x-name: 1\r\nx-evil", "1"] }, unnameable],
      ["a space in a header's name", { headers: ["x-name ", "1"] }, unnameable],
      ["an empty header name", { headers: ["", "1"] }, unnameable],
      ["the name of an HTTP/2 header", { headers: [":authority", "evil"] }, unnameable],
      ["a name without a value", { headers: ["x-one", "1", "x-name"] }, "the header x-name has no value"],
      ...[
        "Connection",
        "content-length",
        "expect",
        "HOST",
        "keep-alive",
        "te",
        "trailer",
        "Transfer-Encoding",
        "upgrade"
      ]
        .map((name) =>
          [
            `the header ${name}, which controls framing or the connection`,
            { method: "POST", headers: [name, "5"], body: "hello" },
            `the header ${name} must not be set by the caller`
          ] as const
        ),
      [
        "a second authorization",
        { headers: ["authorization", "a", "Authorization", "b"] },
        "the header Authorization is set twice"
      ],
      [
        "a second content type",
        { headers: ["content-type", "text/plain", "content-type", "text/html"] },
        "the header content-type is set twice"
      ],
      [
        "headers that are too large together",
        { headers: ["x-name", "x".repeat(8_000), "x-name", "x".repeat(8_364 + 1)] },
        "the headers are larger than 16384 bytes"
      ],
      ["a line break in the path", { path: "/\r\nx-evil: 1" }, unencoded],
      ["a space in the path", { path: "/ HTTP/1.1" }, unencoded],
      ["a control character in the path", { path: "/\u0001" }, unencoded],
      ["a character beyond ASCII in the path", { path: "/é" }, unencoded],
      ["a fragment in the path", { path: "/a#b" }, unencoded],
      ["a path that does not begin with a slash", { path: "evil" }, unencoded],
      ["a path that is a URL", { path: "http://evil.example/" }, unencoded],
      ["no path", { path: "" }, unencoded],
      ["an endless path", { path: `/${"a".repeat(8_192)}` }, "the URL is longer than 8192 characters"],
      [
        "a line break in the method",
        { method: "GET / HTTP/1.1\r\nx-evil: 1\r\n\r\nGET" },
        "invalid method"
      ],
      ["no method", { method: "" }, "invalid method"],
      ["a request for a tunnel", { method: "CONNECT" }, "invalid method"],
      ["a body where servers expect none", { body: "GET /evil HTTP/1.1\r\n\r\n" }, "a GET must not have a body"]
    ])("nothing of %s", ([, request, issue]) =>
      Effect.gen(function*() {
        const server = yield* listen({ onRequest: (connection) => connection.write(`${ok}content-length: 0\r\n\r\n`) })
        const heard = yield* Effect.scoped(Effect.gen(function*() {
          const send = yield* transport()
          const [heard] = send({ origin: server.origin, ...request })
          yield* heard.ended
          // Other requests are not affected.
          const [next] = send({ origin: server.origin, path: "/next" })
          yield* next.ended
          assert.deepStrictEqual(next.events, ["sent", "headers 200", "end"])
          return heard
        }))
        yield* server.untilNoneOpen
        assert.deepStrictEqual(heard.reason, new InvalidRequest(issue))
        assert.deepStrictEqual(heard.events, ["error"])
        assert.deepStrictEqual(heard.tooSoon, [])
        for (const { received } of server.connections) {
          assert.isTrue(received === "" || received.startsWith("GET /next HTTP/1.1\r\n"), received)
        }
      }))
  })

  describe("cancels a request", () => {
    /** Cancels at a stage of server or client. Checks that both sides release the connection and report nothing. */
    const cancelled = (
      behaviour: Behaviour,
      when: "at once" | "connected" | "sent" | "headers",
      events: ReadonlyArray<string>
    ) =>
      Effect.gen(function*() {
        const server = yield* listen(behaviour)
        const heard = new Heard()
        yield* Effect.scoped(Effect.gen(function*() {
          const send = yield* transport()
          const origin = when === "connected" ? `https://127.0.0.1:${server.port}` : server.origin
          const [, cancel] = send({ origin, connectTimeoutMillis: 300 }, heard)
          if (when === "connected") yield* server.until("there is a connection", () => server.connections.length === 1)
          if (when === "sent") yield* server.until("the request has come", () => server.connections[0]?.requests === 1)
          if (when === "headers") yield* heard.once(["headers"])
          cancel()
          // A second cancellation has no effect.
          cancel()
          yield* server.untilNoneOpen
        }))
        assert.deepStrictEqual(heard.events, events)
        return server
      })

    it.live("that waits for a connection, before anything is sent", () =>
      Effect.gen(function*() {
        const server = yield* cancelled({}, "at once", [])
        for (const { received } of server.connections) assert.strictEqual(received, "")
      }))

    it.live("that is in the TLS handshake", () => cancelled({}, "connected", []))

    it.live("that waits for a response", () => cancelled({}, "sent", ["sent"]))

    it.live("that waits for the end of the headers", () => cancelled(answering(`${ok}x-a: `), "sent", ["sent"]))

    it.live("in the middle of the body", () =>
      cancelled(answering(`${ok}content-length: 10\r\n\r\nhello`), "headers", ["sent", "headers 200"]))

    it.live("whose body arrives in a flood", () =>
      cancelled(
        {
          onRequest: (connection) => {
            connection.write(`${ok}\r\n`)
            connection.flood("hello")
          }
        },
        "headers",
        ["sent", "headers 200"]
      ))

    it.live("whose body is being decompressed, and stops the decompression", () =>
      Effect.gen(function*() {
        const before = yield* Held.held
        const zeros = gzipSync(Buffer.alloc(32 * 1024 * 1024))
        const bomb = Buffer.concat(Array.from({ length: 32 }, () => zeros)).toString("latin1")
        const server = yield* listen(
          answering(`${ok}content-encoding: gzip\r\ncontent-length: ${bomb.length}\r\n\r\n${bomb}`)
        )
        const send = yield* transport()
        const [heard, cancel] = send({ origin: server.origin, maxBodyBytes: 2 ** 31 })
        yield* Held.unpacking
        cancel()
        const now = yield* Held.held
        assert.deepStrictEqual(now.unpackers, before.unpackers)
        assert.deepStrictEqual(heard.events, ["sent", "headers 200"])
      }))

    it.live("that is queued for a connection, without affecting the others in the queue", () =>
      Effect.gen(function*() {
        const held: Array<Connection> = []
        const server = yield* listen({
          onRequest: (connection) => {
            held.push(connection)
          }
        })
        const send = yield* transport({ connections: 1 })
        const [first] = send({ origin: server.origin, path: "/first" })
        const [second, cancel] = send({ origin: server.origin, path: "/second" })
        const [third] = send({ origin: server.origin, path: "/third" })
        yield* server.until("the first request has come", () => held.length === 1)
        cancel()
        held[0]!.write(`${ok}content-length: 0\r\n\r\n`)
        yield* first.ended
        yield* server.until("the third request has come", () => held.length === 2)
        held[1]!.write(`${ok}content-length: 0\r\n\r\n`)
        yield* third.ended
        assert.deepStrictEqual(first.events, ["sent", "headers 200", "end"])
        assert.deepStrictEqual(second.events, [])
        assert.deepStrictEqual(third.events, ["sent", "headers 200", "end"])
        for (const { received } of server.connections) assert.notInclude(received, "/second")
      }))

    it.live("whose response is already complete, without closing the connection", () =>
      Effect.gen(function*() {
        const server = yield* listen(answering(`${ok}content-length: 5\r\n\r\nhello`))
        const send = yield* transport()
        const [heard, cancel] = send({ origin: server.origin })
        yield* heard.ended
        cancel()
        yield* nextTurn
        const [next] = send({ origin: server.origin })
        yield* next.ended
        assert.strictEqual(server.connections.length, 1)
        assert.deepStrictEqual(heard.events, ["sent", "headers 200", "end"])
      }))
  })

  describe("ends with its scope", () => {
    it.live("with requests in flight", () =>
      Effect.gen(function*() {
        const silent = yield* listen({})
        const server = yield* listen({
          onRequest: (connection, index) => {
            if (index === 1) connection.write(`${ok}content-length: 10\r\n\r\nhello`)
            if (index === 2) connection.write(`${ok}content-length: 5\r\n\r\nhello`)
          }
        })
        const scope = yield* Scope.make()
        const send = yield* Scope.provide(transport(), scope)
        const [connecting] = send({ origin: `https://127.0.0.1:${silent.port}`, connectTimeoutMillis: 60_000 })
        const [waiting] = send({ origin: server.origin })
        yield* waiting.once(["sent"])
        yield* server.until("the request has come", () => server.connections[0]?.requests === 1)
        const [reading] = send({ origin: server.origin })
        yield* reading.once(["headers"])
        const [idle] = send({ origin: server.origin })
        yield* idle.ended
        yield* silent.until("there is a connection", () => silent.connections.length === 1)
        assert.strictEqual(server.open, 3)

        yield* Scope.close(scope, Exit.void)
        for (const heard of [connecting, waiting, reading]) yield* heard.ended
        yield* server.untilNoneOpen
        yield* silent.untilNoneOpen
        assert.deepStrictEqual(connecting.reason, new ConnectFailed("Unreachable"))
        assert.deepStrictEqual(waiting.reason, new ConnectionLost("Headers"))
        assert.deepStrictEqual(reading.reason, new ConnectionLost("Body"))
        assert.deepStrictEqual(idle.events, ["sent", "headers 200", "end"])
      }))

    it.live.each([["which it has used before", 2_000], ["which it has not used before", 1_999]] as const)(
      "and sends nothing afterwards, with a connect timeout %s",
      ([, connectTimeoutMillis]) =>
        Effect.gen(function*() {
          const server = yield* listen(answering(`${ok}content-length: 0\r\n\r\n`))
          const scope = yield* Scope.make()
          const send = yield* Scope.provide(transport(), scope)
          yield* send({ origin: server.origin })[0].ended
          yield* Scope.close(scope, Exit.void)
          yield* server.untilNoneOpen
          const [late] = send({ origin: server.origin, connectTimeoutMillis })
          yield* late.ended
          assert.deepStrictEqual(late.reason, new ConnectFailed("Unreachable"))
          assert.deepStrictEqual(late.tooSoon, [])
          assert.strictEqual(server.connections.length, 1)
        })
    )
  })
})

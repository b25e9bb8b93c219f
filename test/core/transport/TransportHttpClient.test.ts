import { type Receiver, Transport } from "@breakwater/core/transport/Transport"
import * as TransportHttpClient from "@breakwater/core/transport/TransportHttpClient"
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
import { ByteSize, Cause, Effect, Exit, Fiber, Layer, Schedule, Stream } from "effect"
import {
  Cookies,
  HttpBody,
  HttpClient,
  type HttpClientError,
  HttpClientRequest,
  HttpIncomingMessage
} from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { TestClock } from "effect/testing"
import { randomUUID } from "node:crypto"
import { inspect } from "node:util"
import { AcmeApi, anvil, play } from "../../fakes/Acme.ts"
import { type Behaviour, closedPort, listen } from "../../fakes/HostileServer.ts"
import { json, type Script, serve } from "../../fakes/ScriptedServer.ts"
import { counted, held, noMoreThan } from "../../watches/Held.ts"

/** Effect's client over our sockets, which are closed at its end. */
const over = (options?: TransportHttpClient.TransportHttpClientOptions) =>
  Effect.provide(TransportHttpClient.layer(options).pipe(Layer.provideMerge(UndiciTransport.layer({ loopback: true }))))

const raw = (body: unknown, contentType?: string) => HttpClientRequest.setBody(HttpBody.raw(body, { contentType }))

const ok = "HTTP/1.1 200 OK\r\n"

/** The outcome of a request to a script, and the request that the script received. */
const exchange = (
  script: Script,
  request: (baseUrl: string) => HttpClientRequest.HttpClientRequest
) =>
  Effect.gen(function*() {
    const server = yield* serve(script)
    const response = yield* HttpClient.execute(request(server.baseUrl))
    return { response, seen: server.seen[0]! }
  })

describe("TransportHttpClient", () => {
  it.live("returns status, headers, cookies and body of a response, in every form", () =>
    Effect.gen(function*() {
      const server = yield* listen({
        onRequest: (connection) =>
          connection.write(
            `HTTP/1.1 418 I'm a teapot\r\nX-One: 1\r\nset-cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nx-two: a\r\nx-two: b\r\n` +
              `content-type: application/json\r\ncontent-length: 15\r\n\r\n{"pot":"ü"}    `.replace("ü", "\xc3\xbc")
          )
      })
      const response = yield* HttpClient.get(`${server.origin}/pot?a=b#lid`)
      assert.strictEqual(response.status, 418)
      assert.strictEqual(response.headers["x-one"], "1")
      assert.strictEqual(response.headers["x-two"], "a, b")
      assert.deepStrictEqual(Cookies.toRecord(response.cookies), { a: "1", b: "2" })
      assert.strictEqual(response.url, `${server.origin}/pot?a=b`)
      assert.strictEqual(yield* response.text, "{\"pot\":\"ü\"}   ")
      const again = yield* HttpClient.get(server.origin)
      assert.deepStrictEqual(yield* again.json, { pot: "ü" })
      const bytes = yield* HttpClient.get(server.origin)
      assert.strictEqual((yield* bytes.arrayBuffer).byteLength, 15)
      const streamed = yield* HttpClient.get(server.origin)
      assert.strictEqual(
        yield* streamed.stream.pipe(Stream.decodeText(), Stream.mkString),
        "{\"pot\":\"ü\"}   "
      )
    }).pipe(over(), Effect.scoped))

  it.live.each([204, 205, 304])(
    "returns a response of status %i, which has no body",
    (status) =>
      Effect.gen(function*() {
        const { response } = yield* exchange(() => ({ status }), HttpClientRequest.get)
        assert.strictEqual(response.status, status)
        assert.strictEqual(yield* response.text, "")
      }).pipe(over(), Effect.scoped)
  )

  it.live("runs a client of Effect's that filters by status and retries", () =>
    Effect.gen(function*() {
      const server = yield* serve((_, index) => index < 2 ? { status: 503 } : json(anvil))
      const client = (yield* HttpClient.HttpClient).pipe(
        HttpClient.filterStatusOk,
        HttpClient.retryTransient({ schedule: Schedule.recurs(3) })
      )
      const response = yield* client.get(server.baseUrl)
      assert.deepStrictEqual(yield* response.json, anvil)
      assert.strictEqual(server.seen.length, 3)
      const refused = yield* Effect.flip(
        HttpClient.filterStatusOk(yield* HttpClient.HttpClient).get(
          (yield* serve(() => ({ status: 404 }))).baseUrl
        )
      )
      assert.strictEqual(refused.reason._tag, "StatusCodeError")
    }).pipe(over(), Effect.scoped))

  it.live("runs Effect's own client of a contract", () =>
    Effect.gen(function*() {
      const { server } = yield* play((seen) => seen.method === "GET" ? json(anvil) : json({ declined: "no" }, 402))
      const client = yield* HttpApiClient.make(AcmeApi, { baseUrl: server.baseUrl })
      assert.deepStrictEqual(
        yield* client.items.find({ params: { id: "a/b" }, query: { limit: 2 }, headers: { "X-Tenant": "blue" } }),
        anvil
      )
      const declined = yield* Effect.flip(
        client.items.create({ payload: { name: "ü", price: 1, maker: { city: "c" } } })
      )
      assert.deepStrictEqual(declined, { declined: "no" })
      assert.deepStrictEqual(server.seen.map(({ body, url }) => [url, body]), [
        ["/items/a%2Fb?limit=2", ""],
        ["/items", `{"name":"ü","price":1,"maker":{"city":"c"}}`]
      ])
    }).pipe(over(), Effect.scoped))

  describe("sends a body", () => {
    const post = (body: (request: HttpClientRequest.HttpClientRequest) => HttpClientRequest.HttpClientRequest) =>
      Effect.map(
        exchange(() => ({}), (url) => body(HttpClientRequest.post(url))),
        ({ seen }) => ({ body: seen.body, type: seen.header("content-type"), length: seen.header("content-length") })
      )

    it.live.each<
      readonly [
        string,
        (request: HttpClientRequest.HttpClientRequest) => HttpClientRequest.HttpClientRequest,
        type: string | undefined,
        body: string
      ]
    >([
      ["of text", HttpClientRequest.bodyText("grüße"), "text/plain", "grüße"],
      ["of JSON", HttpClientRequest.bodyJsonUnsafe({ a: "ü" }), "application/json", `{"a":"ü"}`],
      [
        "of a form",
        HttpClientRequest.bodyUrlParams({ a: "b c", d: "&" }),
        "application/x-www-form-urlencoded",
        "a=b+c&d=%26"
      ],
      ["of bytes", HttpClientRequest.bodyUint8Array(Buffer.from("bytes"), "x/y"), "x/y", "bytes"],
      [
        "of a stream, which is buffered",
        HttpClientRequest.bodyStream(Stream.make(Buffer.from("a"), Buffer.from("bc")), { contentType: "x/z" }),
        "x/z",
        "abc"
      ],
      [
        "that the platform encodes",
        raw(new URLSearchParams({ a: "ü" })),
        "application/x-www-form-urlencoded;charset=UTF-8",
        "a=%C3%BC"
      ],
      ["of a blob", raw(new Blob(["blob"], { type: "x/blob" })), "x/blob", "blob"],
      ["that is raw text", raw("raw", "x/raw"), "x/raw", "raw"],
      ["of none", (request) => request, undefined, ""]
    ])("%s", ([, body, type, expected]) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* post(body), {
          body: expected,
          type,
          length: String(Buffer.byteLength(expected))
        })
      }).pipe(over(), Effect.scoped))

    it.live("of a form with files", () =>
      Effect.gen(function*() {
        const form = new FormData()
        form.append("name", "ü")
        form.append("file", new File(["content"], "a.txt"))
        const { body, type } = yield* post(HttpClientRequest.bodyFormData(form))
        const read = yield* Effect.promise(() => new Response(body, { headers: { "content-type": type! } }).formData())
        assert.strictEqual(read.get("name"), "ü")
        const file = read.get("file")
        assert.strictEqual(file instanceof File ? yield* Effect.promise(() => file.text()) : undefined, "content")
      }).pipe(over(), Effect.scoped))
  })

  describe("refuses, before anything is sent,", () => {
    it.live.each<
      readonly [string, (url: string) => HttpClientRequest.HttpClientRequest, issue: string]
    >([
      [
        "a body that is too large",
        (url) => HttpClientRequest.bodyText(HttpClientRequest.post(url), "x".repeat(11)),
        "the body is larger than 10 bytes"
      ],
      [
        "a stream that never ends",
        (url) =>
          HttpClientRequest.bodyStream(
            HttpClientRequest.post(url),
            Stream.forever(Stream.make(Buffer.from("endless")))
          ),
        "the body is larger than 10 bytes"
      ],
      [
        "a line break in a header",
        (url) => HttpClientRequest.setHeader(HttpClientRequest.get(url), "x-name", "a\r\nx-evil: 1"),
        "the header x-name holds characters that cannot be sent"
      ],
      [
        "an upgrade",
        (url) => HttpClientRequest.upgrade(HttpClientRequest.get(url), "tea"),
        "the header connection must not be set by the caller"
      ]
    ])("%s", ([, request, issue]) =>
      Effect.gen(function*() {
        const server = yield* serve(() => ({}))
        const error = yield* Effect.flip(HttpClient.execute(request(server.baseUrl)))
        assert.strictEqual(error.reason._tag, "EncodeError")
        assert.deepStrictEqual(error.reason.cause, new InvalidRequest(issue))
        assert.include(error.message, issue)
        assert.strictEqual(server.seen.length, 0)
      }).pipe(over({ maxRequestSize: 10 }), Effect.scoped))

    it.live("a URL with user info, which it does not show", () =>
      Effect.gen(function*() {
        const marked = randomUUID()
        const server = yield* serve(() => ({}))
        const url = server.baseUrl.replace("//", `//user:${marked}@`)
        const error = yield* Effect.flip(HttpClient.get(url))
        assert.strictEqual(error.reason._tag, "EncodeError")
        assert.notInclude(error.message + JSON.stringify(error), marked)
        assert.strictEqual(server.seen.length, 0)
      }).pipe(over(), Effect.scoped))

    it.live("a stream that is too large, reading only up to the limit", () =>
      Effect.gen(function*() {
        let taken = 0
        const endless = Stream.forever(Stream.make(Buffer.from("endless"))).pipe(
          Stream.tap(() => Effect.sync(() => taken++))
        )
        const request = HttpClientRequest.bodyStream(HttpClientRequest.post("https://acme.example"), endless)
        assert.strictEqual((yield* Effect.flip(HttpClient.execute(request))).reason._tag, "EncodeError")
        assert.strictEqual(taken, 2)
      }).pipe(over({ maxRequestSize: 10 })))

    it.live("a stream that fails, with its failure", () =>
      Effect.gen(function*() {
        const server = yield* serve(() => ({}))
        const error = yield* Effect.flip(HttpClient.execute(
          HttpClientRequest.bodyStream(HttpClientRequest.post(server.baseUrl), Stream.fail("no more"))
        ))
        assert.strictEqual(error.reason._tag, "EncodeError")
        assert.strictEqual(error.reason.cause, "no more")
        assert.strictEqual(server.seen.length, 0)
      }).pipe(over(), Effect.scoped))
  })

  describe("says why there is no response:", () => {
    const silent: Behaviour = {}
    const answering = (bytes: string): Behaviour => ({ onRequest: (connection) => connection.write(bytes) })

    it.live.each<
      readonly [
        string,
        Behaviour,
        TransportHttpClient.TransportHttpClientOptions,
        HttpClientError.HttpClientErrorReason["_tag"],
        Reason
      ]
    >([
      [
        "the connection was lost",
        { onRequest: (connection) => connection.reset() },
        {},
        "TransportError",
        new ConnectionLost("Headers")
      ],
      ["no header in time", silent, { headersTimeout: 60 }, "TransportError", new Timeout("Headers", 60)],
      ["no response in time", silent, { timeout: 60 }, "TransportError", new Timeout("Headers", 60)],
      [
        "no more of the body in time",
        answering(`${ok}content-length: 9\r\n\r\nhello`),
        { bodyIdleTimeout: 60 },
        "TransportError",
        new Timeout("Body", 60)
      ],
      [
        "no complete body in time",
        answering(`${ok}content-length: 9\r\n\r\nhello`),
        { timeout: 60 },
        "TransportError",
        new Timeout("Body", 60)
      ],
      [
        "not HTTP",
        answering("220 mail.example ESMTP\r\n"),
        {},
        "TransportError",
        new InvalidResponse(undefined, "not HTTP (Expected HTTP/, RTSP/ or ICE/)")
      ],
      [
        "an invalid status",
        answering("HTTP/1.1 999 No\r\ncontent-length: 0\r\n\r\n"),
        {},
        "TransportError",
        new InvalidResponse(999, "a status beyond 599")
      ],
      [
        "a body that is too large",
        answering(`${ok}content-length: 11\r\n\r\nhello hello`),
        { maxResponseSize: 10 },
        "DecodeError",
        new ResponseTooLarge(10)
      ],
      [
        "a body that cannot be decompressed",
        answering(`${ok}content-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello`),
        {},
        "DecodeError",
        new InvalidResponse(200, "the gzip body is corrupt")
      ]
    ])("%s", ([, behaviour, options, tag, reason]) =>
      Effect.gen(function*() {
        const server = yield* listen(behaviour)
        const error = yield* Effect.flip(HttpClient.get(server.origin)).pipe(over(options))
        yield* server.untilNoneOpen
        assert.strictEqual(error.reason._tag, tag)
        assert.deepStrictEqual(error.reason.cause, reason)
        assert.include(error.message, reason.message)
        if (tag === "DecodeError") assert.strictEqual(error.response?.status, 200)
      }).pipe(Effect.scoped))

    it.effect("no response in time, over all its phases", () =>
      Effect.gen(function*() {
        let receiver: Receiver | undefined
        const transport = Layer.succeed(Transport, {
          send: (_request, hears) => {
            receiver = hears
            return () => {}
          }
        })
        const fiber = yield* Effect.forkChild(
          Effect.flip(HttpClient.get("https://acme.example")).pipe(
            Effect.provide(TransportHttpClient.layer({ timeout: "10 seconds" }).pipe(Layer.provide(transport)))
          )
        )
        yield* TestClock.adjust("500 millis")
        receiver!.onSent()
        yield* TestClock.adjust("6 seconds")
        receiver!.onHeaders(200, {})
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(fiber.pollUnsafe(), undefined)
        yield* TestClock.adjust("500 millis")
        const error = yield* Fiber.join(fiber)
        assert.deepStrictEqual(error.reason.cause, new Timeout("Body", 10_000))
      }))

    it.live("the port is closed", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(HttpClient.get(`http://127.0.0.1:${yield* closedPort}`))
        assert.strictEqual(error.reason._tag, "TransportError")
        assert.deepStrictEqual(error.reason.cause, new ConnectFailed("Refused"))
      }).pipe(over(), Effect.scoped))

    it.live("a body larger than Effect's own limit allows", () =>
      Effect.gen(function*() {
        const { response } = yield* exchange(() => ({ body: "hello" }), HttpClientRequest.get)
        assert.strictEqual(yield* response.text, "hello")
        const error = yield* Effect.flip(exchange(() => ({ body: "hello" }), HttpClientRequest.get)).pipe(
          Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(4))
        )
        assert.deepStrictEqual(error.reason.cause, new ResponseTooLarge(4))
      }).pipe(over(), Effect.scoped))
  })

  it.live("leaks nothing after a request, with or without a response", () =>
    counted(Effect.gen(function*() {
      const before = yield* held
      yield* Effect.gen(function*() {
        const answered = yield* serve(() => json(anvil))
        yield* HttpClient.get(answered.baseUrl)
        const reset = yield* serve(() => "reset")
        yield* Effect.flip(HttpClient.get(reset.baseUrl))
      }).pipe(over(), Effect.scoped)
      yield* noMoreThan(before)
    })))

  it.live("releases the socket of an interrupted request", () =>
    Effect.gen(function*() {
      const server = yield* listen({})
      const fiber = yield* Effect.forkChild(HttpClient.get(server.origin))
      yield* server.until("the request has come", () => server.connections[0]?.requests === 1)
      yield* Fiber.interrupt(fiber)
      yield* server.untilNoneOpen
    }).pipe(over(), Effect.scoped))

  it.live("follows redirects if configured, without any secret", () =>
    Effect.gen(function*() {
      const marked = randomUUID()
      const other = yield* serve(() => json(anvil))
      const server = yield* serve(() => ({ status: 302, headers: { location: `${other.baseUrl}/there` } }))
      const request = HttpClientRequest.get(server.baseUrl, { headers: { "x-key": marked, accept: "a/b" } })
      const followed = yield* HttpClient.execute(request).pipe(over({ maxRedirects: 1 }))
      assert.deepStrictEqual(yield* followed.json, anvil)
      assert.strictEqual(other.seen[0]!.header("accept"), "a/b")
      assert.notInclude(inspect(other.seen, { depth: 9 }), marked)
      const not = yield* HttpClient.execute(request).pipe(over())
      assert.strictEqual(not.status, 302)
      assert.strictEqual(other.seen.length, 1)
    }).pipe(Effect.scoped))

  it.effect.each<readonly [TransportHttpClient.TransportHttpClientOptions, RegExp]>([
    [{ timeout: 0 }, /timeout must be longer than 0 and finite, got 0 ms/],
    [{ connectTimeout: "9 seconds" }, /connectTimeout \(9000 ms\) is longer than timeout \(8000 ms\)/],
    [{ headersTimeout: "9 seconds" }, /headersTimeout \(9000 ms\) is longer than timeout/],
    [{ bodyIdleTimeout: "9 seconds" }, /bodyIdleTimeout \(9000 ms\) is longer than timeout/],
    [{ maxRequestSize: 0 }, /maxRequestSize must be a whole number of at least 1, got 0/],
    [{ maxResponseSize: 0 }, /maxResponseSize must be a whole number of at least 1, got 0/],
    [{ maxRedirects: -1 }, /maxRedirects must be a whole number of at least 0, got -1/],
    [{ maxRedirects: 11 }, /maxRedirects must be at most 10, got 11/]
  ])(
    "cannot be made with %j",
    ([options, message]) =>
      Effect.map(Effect.exit(Effect.void.pipe(over(options))), (exit) => {
        assert.match(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "made", message)
      })
  )
})

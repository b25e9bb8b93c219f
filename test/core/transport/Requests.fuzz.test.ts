import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import * as TransportHttpClient from "@breakwater/core/transport/TransportHttpClient"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import { InvalidRequest, isVendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Schema } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { type HostileServer, listen } from "../../fakes/HostileServer.ts"
import { json, serve } from "../../fakes/ScriptedServer.ts"
import * as Effort from "../../setup/Effort.ts"
import * as Wire from "../../watches/Wire.ts"

/** Texts that could smuggle in a header, a body or a request. */
const Nasty = Schema.Literals([
  "\r\n",
  "\n",
  "\r",
  "\0",
  "\t",
  " ",
  ":",
  ",",
  ";",
  "#",
  "?",
  "&",
  "=",
  "+",
  "%",
  "%0d%0a",
  "%00",
  "%2e%2e",
  "..",
  ".",
  "/",
  "//",
  "\\",
  "@",
  "\u007f",
  "\u0085",
  "\u2028",
  "é",
  "😀",
  "\ud800",
  // Characters whose low bytes are a line feed and a carriage return.
  "\u010a",
  "\u560d\u560a",
  "HTTP/1.1",
  "\r\n\r\n",
  "\r\nx-evil: 1",
  "\r\ncontent-length: 0\r\n\r\nGET /evil HTTP/1.1\r\nhost: evil\r\n\r\n",
  "0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
  "http://evil.example/",
  "__proto__"
])
const Plain = Schema.Literals(["a", "items", "x-name", "Anvil", "7", "no-cache", "b_c~d", "%20"])

/** Texts of any kind, half of them valid. */
const Text = Schema.Union([
  Schema.Array(Plain).check(Schema.isMinLength(1), Schema.isMaxLength(3)),
  Schema.Array(Schema.Union([Plain, Nasty, Schema.String])).check(Schema.isMaxLength(4))
])
const textOf = (text: typeof Text.Type): string => text.join("")

const Name = Schema.Union([
  Schema.Literals([
    "x-name",
    "X-Other",
    "accept",
    "accept-encoding",
    "authorization",
    "content-type",
    "content-length",
    "Transfer-Encoding",
    "Host",
    "connection",
    "expect",
    "cookie",
    "set-cookie",
    "__proto__"
  ]),
  Text
])
const nameOf = (name: typeof Name.Type): string => typeof name === "string" ? name : textOf(name)

const Method = Schema.Union([Schema.Literals(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"]), Text])

const answered = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"

/** All bytes that a server has received, over any number of connections. */
const receivedBy = (server: HostileServer): string => server.connections.map(({ received }) => received).join("")

let sent = 0
let refused = 0

describe("for a request made of any text", () => {
  it.live.prop(
    "the server receives exactly that request, byte by byte, or the request is refused before a byte is sent",
    {
      method: Method,
      path: Text,
      headers: Schema.Array(Schema.Tuple([Name, Text])).check(Schema.isMaxLength(3)),
      body: Schema.Union([Schema.Undefined, Text])
    },
    (request) => {
      const method = typeof request.method === "string" ? request.method : textOf(request.method)
      const path = `/${textOf(request.path)}`
      const headers = request.headers.map(([name, value]) => [nameOf(name), textOf(value)] as const)
      const body = request.body === undefined ? undefined : textOf(request.body)
      return Effect.gen(function*() {
        const server = yield* listen({ onRequest: (connection) => connection.end(answered) })
        const outcome = yield* Wire.once({ loopback: true, proxy: false }, server.origin, {
          method,
          path,
          headers: headers.flat(),
          body
        })
        yield* server.untilNoneOpen
        const received = receivedBy(server)
        if (outcome.reason instanceof InvalidRequest) {
          refused++
          assert.isFalse(outcome.sent)
          return assert.strictEqual(received, "")
        }
        sent++
        const bytes = Buffer.from(body ?? "", "utf8")
        const hasLength = bytes.length > 0 || /^(?:POST|PUT|PATCH|QUERY|PROPFIND|PROPPATCH)$/.test(method)
        const given = headers.map(([name, value]) => `${name}: ${value}`)
        assert.strictEqual(server.connections.length, 1)
        assert.strictEqual(
          received,
          [
            `${method} ${path} HTTP/1.1`,
            `host: 127.0.0.1:${server.port}`,
            "connection: keep-alive",
            ...given,
            ...headers.some(([name]) => name.toLowerCase() === "accept-encoding")
              ? []
              : ["accept-encoding: gzip, deflate, br, zstd"],
            ...hasLength ? [`content-length: ${bytes.length}`] : [],
            "",
            bytes.toString("latin1")
          ].join("\r\n")
        )
        // Parsed again, like a strict server: there are only the intended lines.
        const head = received.slice(0, received.indexOf("\r\n\r\n"))
        assert.match(head, /^[!-~]+ \/[!-~]* HTTP\/1\.1(?:\r\n[!#$%&'*+\-.^_`|~\w]+: [\t -~]*)*$/)
        assert.strictEqual(
          head.split("\r\n").length,
          3 + headers.length + (hasLength ? 1 : 0) + Number(
            !headers.some(([name]) => name.toLowerCase() === "accept-encoding")
          )
        )
      }).pipe(Effect.scoped)
    },
    { arbitrary: { runs: Effort.runs(600) } }
  )

  it("some requests are sent, and some are refused", () => {
    assert.isAbove(sent, 60)
    assert.isAbove(refused, 60)
  })
})

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("items", { topLevel: true }).add(
    HttpApiEndpoint.put("change", "/shops/:shop/items/:item", {
      params: { shop: Schema.String, item: Schema.String },
      query: { note: Schema.String },
      headers: { "x-tag": Schema.String },
      payload: Schema.Struct({ text: Schema.String }),
      success: Schema.Struct({})
    }).annotate(Operation.Safety, "Keyed")
  )
)

describe("for any input of a vendor's operation", () => {
  let called = 0

  it.live.prop(
    "the vendor reads exactly that input, once, or nothing is sent",
    {
      shop: Text,
      item: Text,
      note: Text,
      tag: Text,
      text: Text,
      idempotencyKey: Schema.Union([Schema.Undefined, Text])
    },
    (input) =>
      Effect.gen(function*() {
        const { item, note, shop, tag, text } = {
          shop: textOf(input.shop),
          item: textOf(input.item),
          note: textOf(input.note),
          tag: textOf(input.tag),
          text: textOf(input.text)
        }
        const idempotencyKey = input.idempotencyKey === undefined ? undefined : textOf(input.idempotencyKey)
        const server = yield* serve(() => json({}))
        const client = yield* Vendor.make({
          name: "acme",
          api: Api,
          baseUrl: "https://acme.example",
          idempotencyHeader: "Idempotency-Key"
        }).pipe(
          Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ ACME_BASE_URL: server.baseUrl })))
        )
        const error = yield* client.change(
          { params: { shop, item }, query: { note }, headers: { "x-tag": tag }, payload: { text } },
          { idempotencyKey }
        ).pipe(Effect.as(undefined), Effect.catch((error) => Effect.succeed(error)))
        if (error !== undefined) {
          assert.isTrue(isVendorError(error) && error.reason._tag === "InvalidRequest", String(error))
          return assert.strictEqual(server.seen.length, 0)
        }
        called++
        const [seen] = server.seen
        assert.strictEqual(server.seen.length, 1)
        assert.strictEqual(seen!.method, "PUT")
        const url = new URL(seen!.url, "http://acme.example")
        assert.strictEqual(url.pathname + url.search, seen!.url, "no server reads another path")
        assert.deepStrictEqual(url.pathname.split("/").map(decodeURIComponent), ["", "shops", shop, "items", item])
        // Text without an encoding in UTF-8 becomes U+FFFD.
        assert.deepStrictEqual(Array.from(url.searchParams), [["note", note.toWellFormed()]])
        assert.strictEqual(seen!.header("x-tag"), tag)
        assert.deepStrictEqual(JSON.parse(seen!.body), { text })
        if (idempotencyKey !== undefined) assert.strictEqual(seen!.header("idempotency-key"), idempotencyKey)
        const names = seen!.headers.map(([name]) => name.toLowerCase()).toSorted()
        assert.deepStrictEqual(names, [
          "accept",
          "accept-encoding",
          "connection",
          "content-length",
          "content-type",
          "host",
          "idempotency-key",
          "user-agent",
          "x-tag"
        ])
      }).pipe(Effect.provide(UndiciTransport.layer({ loopback: true, proxy: false })), Effect.scoped),
    { arbitrary: { runs: Effort.runs(400) } }
  )

  it("is sent now and then", () => {
    assert.isAbove(called, 10)
  })
})

describe("for any request of Effect's HttpClient", () => {
  let asked = 0

  it.live.prop(
    "the server in the URL receives the request once, at that URL, or nothing is sent",
    { path: Text, name: Name, value: Text, parameter: Text, body: Text },
    (input) =>
      Effect.gen(function*() {
        const [path, name, value, parameter, body] = [
          textOf(input.path),
          nameOf(input.name),
          textOf(input.value),
          textOf(input.parameter),
          textOf(input.body)
        ]
        const server = yield* serve(() => json({}))
        const elsewhere = yield* serve(() => json({}))
        const request = HttpClientRequest.post(`${server.baseUrl}/${path}`).pipe(
          HttpClientRequest.appendUrlParam("p", parameter),
          HttpClientRequest.bodyText(body, "text/plain"),
          HttpClientRequest.setHeader(name, value)
        )
        const error = yield* HttpClient.execute(request).pipe(
          Effect.as(undefined),
          Effect.catch((error) => Effect.succeed(error))
        )
        assert.strictEqual(elsewhere.seen.length, 0)
        if (error !== undefined) {
          assert.include(["EncodeError", "InvalidUrlError"], error.reason._tag, String(error))
          return assert.strictEqual(server.seen.length, 0)
        }
        asked++
        const [seen] = server.seen
        assert.strictEqual(server.seen.length, 1)
        const meant = new URL(`${server.baseUrl}/${path}`)
        meant.searchParams.append("p", parameter)
        const got = new URL(server.baseUrl + seen!.url)
        assert.strictEqual(got.pathname, meant.pathname)
        assert.deepStrictEqual(Array.from(got.searchParams), Array.from(meant.searchParams))
        // The transport writes the length; a different one from Effect's body must not reach it.
        const expected = name.toLowerCase() === "content-length" ? String(Buffer.byteLength(body)) : value
        assert.strictEqual(seen!.header(name.toLowerCase()), expected)
        assert.strictEqual(seen!.body, body.toWellFormed())
        const known = ["accept-encoding", "b3", "connection", "content-length", "content-type", "host", "traceparent"]
        const others = seen!.headers.map(([given]) => given.toLowerCase()).filter((given) => !known.includes(given))
        assert.deepStrictEqual(others, known.includes(name.toLowerCase()) ? [] : [name.toLowerCase()])
      }).pipe(
        Effect.provide(
          TransportHttpClient.layer().pipe(
            Layer.provide(UndiciTransport.layer({ loopback: true, proxy: false }))
          )
        ),
        Effect.scoped
      ),
    { arbitrary: { runs: Effort.runs(400) } }
  )

  it("is sent now and then", () => {
    assert.isAbove(asked, 10)
  })
})

import * as Proxy from "@breakwater/core/transport/Proxy"
import type { UndiciTransportOptions } from "@breakwater/core/transport/UndiciTransport"
import { ConnectFailed, Timeout } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Redacted } from "effect"
import { randomUUID } from "node:crypto"
import { createServer as createHttp, type IncomingMessage } from "node:http"
import { createServer as createHttps } from "node:https"
import { connect, type Socket } from "node:net"
import { authority } from "../../fakes/Certificates.ts"
import { type Behaviour, listen } from "../../fakes/HostileServer.ts"
import * as Loopback from "../../fakes/Loopback.ts"
import * as Wire from "../../watches/Wire.ts"

const hello: Behaviour = {
  onRequest: (connection) => connection.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
}
const trusted = authority()
const vendorCertificate = trusted.issue({ hosts: ["shop.example"] })

/** A proxy whose tunnels all lead to the vendor of the test. */
const proxyTo = (vendorPort: number, isTls = false) =>
  Effect.gen(function*() {
    const asked: Array<Pick<IncomingMessage, "url" | "headers">> = []
    const server = isTls ? createHttps(trusted.issue()) : createHttp()
    server.on("connect", (request: IncomingMessage, socket: Socket, head: Buffer) => {
      asked.push({ url: request.url, headers: request.headers })
      const vendor = connect(vendorPort, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n")
        vendor.write(head)
        vendor.pipe(socket)
        socket.pipe(vendor)
      })
      socket.on("error", () => vendor.destroy())
      vendor.on("error", () => socket.destroy())
    })
    const { port } = yield* Loopback.listen(server)
    return { url: new URL(`${isTls ? "https" : "http"}://127.0.0.1:${port}`), asked }
  })

const through = (proxy: Proxy.ProxySetting, options: UndiciTransportOptions = {}): UndiciTransportOptions => ({
  proxy,
  tls: { ca: [trusted.certificate] },
  // Fails a name lookup in spite of the proxy.
  dns: { lookup: () => Effect.die("a name was resolved") },
  ...options
})

const noTunnel = new ConnectFailed("Proxy")

describe("through a proxy", () => {
  it.live.each([false, true])(
    "TLS reaches the vendor itself, whose name the proxy resolves (TLS to the proxy: %s)",
    (isTls) =>
      Effect.gen(function*() {
        const vendor = yield* listen(hello, vendorCertificate)
        const proxy = yield* proxyTo(vendor.port, isTls)
        const { send } = yield* Wire.make(through(proxy.url))
        const secret = randomUUID()
        const outcome = yield* send("https://shop.example", { headers: ["authorization", `Bearer ${secret}`] })
        assert.strictEqual(outcome.body, "hello")
        assert.deepStrictEqual(proxy.asked.map(({ url }) => url), ["shop.example:443"])
        assert.notInclude(JSON.stringify(proxy.asked), secret)
        assert.include(vendor.connections[0]!.received, secret)
        assert.notInclude(vendor.connections[0]!.received, "proxy-authorization")
      })
  )

  it.live("it authenticates to the proxy, and sends these credentials to nobody else", () =>
    Effect.gen(function*() {
      const vendor = yield* listen(hello, vendorCertificate)
      const proxy = yield* proxyTo(vendor.port)
      const password = `${randomUUID()}:ü/@`
      const url = new URL(proxy.url)
      url.username = "shop"
      url.password = encodeURIComponent(password)
      const outcome = yield* Wire.once(through(Redacted.make(url)), "https://shop.example")
      assert.strictEqual(outcome.body, "hello")
      const expected = `Basic ${Buffer.from(`shop:${password}`).toString("base64")}`
      assert.strictEqual(proxy.asked[0]!.headers["proxy-authorization"], expected)
      assert.throws(() => Proxy.route(url), "Proxy: a URL with a user or password in it must be Redacted")
    }))

  it.live.each<readonly [string, string]>([
    ["https://10.0.0.5", "private use"],
    ["https://169.254.169.254", "metadata"],
    ["https://[::ffff:10.0.0.5]", "embedded"]
  ])("literal addresses are still guarded: %s (%s)", ([origin]) =>
    Effect.gen(function*() {
      const proxy = yield* proxyTo(1)
      const { refusal } = yield* Wire.make(through(proxy.url))
      assert.deepStrictEqual(yield* refusal(origin), new ConnectFailed("Forbidden"))
      assert.isEmpty(proxy.asked)
    }))

  it.live("this machine is never reached", () =>
    Effect.gen(function*() {
      const here = yield* listen(hello, trusted.issue())
      const proxy = yield* proxyTo(1)
      const { send } = yield* Wire.make(through(proxy.url, { loopback: true }))
      assert.strictEqual((yield* send(`https://127.0.0.1:${here.port}`)).body, "hello")
      assert.isEmpty(proxy.asked)
    }))

  it.live.each<readonly [string, Behaviour]>([
    ["refuses", { onRequest: (proxy) => proxy.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n") }],
    ["requires a password", {
      onRequest: (proxy) => proxy.end("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
    }],
    ["responds in place of the vendor", {
      onRequest: (proxy) => proxy.write("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfake")
    }],
    ["redirects", { onRequest: (proxy) => proxy.end("HTTP/1.1 302 Found\r\nlocation: https://evil.example\r\n\r\n") }],
    ["closes", { onRequest: (proxy) => proxy.end() }],
    ["resets", { onRequest: (proxy) => proxy.reset() }],
    ["does not speak HTTP", { onConnection: (proxy) => proxy.write("SSH-2.0-OpenSSH_9.9\r\n") }],
    ["never ends its headers", { onRequest: (proxy) => proxy.flood("HTTP/1.1 200 OK\r\nx: y\r\n") }]
  ])("there is no connection if the proxy %s", ([, behaviour]) =>
    Effect.gen(function*() {
      const proxy = yield* listen(behaviour)
      const { refusal } = yield* Wire.make(through(new URL(proxy.origin)))
      assert.deepStrictEqual(yield* refusal("https://shop.example"), noTunnel)
      yield* proxy.untilNoneOpen
    }))

  it.live("there is no connection if no proxy listens or responds in time", () =>
    Effect.gen(function*() {
      const nobody = yield* Wire.make(through(new URL("http://127.0.0.1:1")))
      assert.deepStrictEqual(yield* nobody.refusal("https://shop.example"), noTunnel)
      const silent = yield* listen({})
      const { refusal } = yield* Wire.make(through(new URL(silent.origin)))
      const reason = yield* refusal("https://shop.example", { connectTimeoutMillis: 50 })
      assert.deepStrictEqual(reason, new Timeout("Connect", 50))
      yield* silent.untilNoneOpen
    }))

  it.live("there is no connection if the proxy leads to another server", () =>
    Effect.gen(function*() {
      const impostor = yield* listen(hello, trusted.issue({ hosts: ["evil.example"] }))
      const proxy = yield* proxyTo(impostor.port)
      const { refusal } = yield* Wire.make(through(proxy.url))
      assert.deepStrictEqual(yield* refusal("https://shop.example"), new ConnectFailed("Tls"))
    }))
})

describe("the proxy of the environment", () => {
  const routes = (environment: Record<string, string>) =>
    Effect.map(
      Proxy.route().pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(environment)))
      ),
      (route) => (host: string, port = 443) => {
        const proxy = route(host, port)
        return proxy && `${proxy.hostname}:${proxy.port}`
      }
    )

  it.effect.each<readonly [Record<string, string>, string | undefined]>([
    [{}, undefined],
    [{ https_proxy: "" }, undefined],
    [{ https_proxy: "http://proxy.example:3128" }, "proxy.example:3128"],
    [{ HTTPS_PROXY: "https://proxy.example" }, "proxy.example:443"],
    [{ https_proxy: "proxy.example:8080" }, "proxy.example:8080"],
    [{ https_proxy: "http://small.example:1", HTTPS_PROXY: "http://capital.example:2" }, "small.example:1"],
    [{ all_proxy: "http://all.example:3" }, "all.example:3"],
    [{ ALL_PROXY: "http://all.example:3", https_proxy: "http://one.example:4" }, "one.example:4"],
    // For plain http only, which never uses a proxy.
    [{ http_proxy: "http://plain.example:5" }, undefined]
  ])("of %j is %s", ([environment, expected]) =>
    Effect.gen(function*() {
      assert.strictEqual((yield* routes(environment))("shop.example"), expected)
    }))

  it.effect.each<readonly [string, host: string, port: number, isDirect: boolean]>([
    ["shop.example", "shop.example", 443, true],
    ["shop.example", "SHOP.example.", 443, true],
    ["shop.example", "eu.shop.example", 443, true],
    ["shop.example", "myshop.example", 443, false],
    [".shop.example", "eu.shop.example", 443, true],
    ["*.shop.example", "shop.example", 443, false],
    ["*.shop.example", "eu.shop.example", 443, true],
    ["shop.example:8443", "shop.example", 443, false],
    ["shop.example:8443", "shop.example", 8443, true],
    ["a.example, shop.example b.example", "shop.example", 443, true],
    ["*", "shop.example", 443, true],
    ["10.0.0.0/8", "10.1.2.3", 443, true],
    ["10.0.0.0/8", "11.1.2.3", 443, false],
    ["fd00::/8", "fd12::1", 443, true],
    ["[fd12::1]:8443", "fd12::1", 8443, true],
    ["[fd12::1]:8443", "fd12::1", 443, false],
    ["", "shop.example", 443, false]
  ])("is bypassed if no_proxy is %j: %s port %d: %s", ([no_proxy, host, port, isDirect]) =>
    Effect.gen(function*() {
      const route = yield* routes({ https_proxy: "http://proxy.example:1", no_proxy })
      assert.strictEqual(route(host, port) === undefined, isDirect)
    }))

  it.effect.each(["ftp://proxy.example", "http://proxy.example/path", "http://", "socks5://proxy.example:1080"])(
    "must be a valid URL: %s",
    (url) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(routes({ https_proxy: url }))
        assert.strictEqual(error._tag, "TransportMisconfigured")
        assert.strictEqual(
          error.message,
          "https_proxy must be an http or https URL without path, query or fragment, or unset"
        )
      })
  )

  it.effect("is not shown in the error if it is invalid", () =>
    Effect.gen(function*() {
      const password = randomUUID()
      const error = yield* Effect.flip(routes({ https_proxy: `ftp://shop:${password}@proxy.example` }))
      assert.notInclude(JSON.stringify(error) + String(error), password)
    }))
})

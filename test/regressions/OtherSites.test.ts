/**
 * A page of another site cannot use a server of this machine, and other machines reach only what they are meant to. Found by
 * playing the demo server (fault 46): `PUT /_faults/stripe` took the `Host` and `Origin` of another site, and all interfaces
 * showed the metrics with the keys of tenants.
 */
import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as RawHttp from "../drivers/RawHttp.ts"
import * as DemoServer from "../processes/DemoServer.ts"
import { request } from "../processes/DemoServer.ts"

class Server extends Context.Service<Server, DemoServer.DemoServer>()("test/regressions/OtherSites") {
  static readonly layer = Layer.effect(Server, DemoServer.start())
}

const fault = "{\"kind\":\"refuse\"}"

/** Sets a fault with the headers that a browser, or its page, chooses. */
const setFault = (headers: (port: string) => Readonly<Record<string, string>>, method = "PUT") =>
  Effect.flatMap(Server, ({ control }) =>
    RawHttp.send(
      control,
      RawHttp.head(method, "/_faults/stripe", {
        "content-type": "application/json",
        "content-length": String(fault.length),
        ...headers(new URL(control).port)
      }) + fault
    ))

layer(Server.layer, { timeout: "60 seconds", excludeTestServices: true })("the control API", (it) => {
  it.effect("refuses another site's Host, Origin and Sec-Fetch-Site with 403, and does nothing", () =>
    Effect.gen(function*() {
      const { control } = yield* Server
      const rows: ReadonlyArray<readonly [named: string, headers: (port: string) => Readonly<Record<string, string>>]> =
        [
          ["Host", () => ({ host: "evil.example" })],
          ["Host", (port) => ({ host: `localhost.evil.example:${port}` })],
          ["Host", (port) => ({ host: `127.0.0.1.evil.example:${port}`, origin: `http://127.0.0.1:${port}` })],
          ["Host", () => ({ host: "192.168.1.5" })],
          ["Origin", (port) => ({ host: `localhost:${port}`, origin: "http://evil.example" })],
          ["Origin", (port) => ({ host: `localhost:${port}`, origin: "null" })],
          ["Origin", (port) => ({ host: `localhost:${port}`, origin: "http://localhost:5173" })],
          ["Sec-Fetch-Site", (port) => ({ host: `localhost:${port}`, "sec-fetch-site": "cross-site" })]
        ]
      for (const method of ["PUT", "OPTIONS", "GET"]) {
        for (const [named, headers] of rows) {
          const { body, status } = yield* setFault(headers, method)
          assert.deepStrictEqual([status, JSON.parse(body)], [403, {
            error: "FORBIDDEN",
            message: `Only this machine may use this port, and ${named} names another site`
          }])
        }
      }
      const { text } = yield* request("GET", `${control}/_simulators`)
      assert.notInclude(text, "refuse")
    }))

  it.effect("serves its own page, a link from the home page, and a program", () =>
    Effect.gen(function*() {
      for (
        const headers of [
          (port: string) => ({
            host: `localhost:${port}`,
            origin: `http://localhost:${port}`,
            "sec-fetch-site": "same-origin"
          }),
          (port: string) => ({ host: `127.0.0.1:${port}` }),
          (port: string) => ({ host: `[::1]:${port}`, "sec-fetch-site": "none" })
        ]
      ) {
        assert.strictEqual((yield* setFault(headers)).status, 204)
        assert.strictEqual((yield* setFault(headers, "DELETE")).status, 204)
      }
      const { control, url } = yield* Server
      const { port } = new URL(control)
      const link = RawHttp.head("GET", "/_simulators", { host: `localhost:${port}`, "sec-fetch-site": "same-site" })
      assert.strictEqual((yield* RawHttp.send(control, link)).status, 200)
      for (const origin of [control, url]) assert.strictEqual((yield* request("GET", `${origin}/metrics`)).status, 200)
    }))
})

layer(Server.layer, { timeout: "60 seconds", excludeTestServices: true })("the main port of this machine", (it) => {
  const ask = (method: string, path: string, headers: (port: string) => Readonly<Record<string, string>>) =>
    Effect.flatMap(Server, ({ url }) => RawHttp.send(url, RawHttp.head(method, path, headers(new URL(url).port))))
  const refund = "/payments/pay_unknown/refunds"

  it.effect("refuses a name of another site, and a write that a page of another site makes a browser send", () =>
    Effect.gen(function*() {
      for (
        const [method, path, headers] of [
          ["GET", "/metrics", () => ({ host: "evil.example" })],
          ["GET", "/metrics", (port: string) => ({ host: `localhost.evil.example:${port}` })],
          ["POST", refund, () => ({ host: "evil.example" })],
          ["POST", refund, (port: string) => ({ host: `localhost:${port}`, origin: "https://evil.example" })],
          ["POST", refund, (port: string) => ({ host: `localhost:${port}`, "sec-fetch-site": "cross-site" })],
          ["GET", "/metrics", (port: string) => ({ host: `localhost:${port}`, origin: "null" })]
        ] as const
      ) {
        assert.strictEqual((yield* ask(method, path, headers)).status, 403)
      }
    }))

  it.effect("serves this machine, and a link from another site", () =>
    Effect.gen(function*() {
      for (const site of ["none", "same-origin", "cross-site"]) {
        const home = yield* ask("GET", "/", (port) => ({ host: `localhost:${port}`, "sec-fetch-site": site }))
        assert.strictEqual(home.status, 200)
      }
      const write = yield* ask("POST", refund, (port) => ({ host: `127.0.0.1:${port}` }))
      assert.notStrictEqual(write.status, 403)
    }))
})

describe("a server on all interfaces", () => {
  it.live("shows the metrics on the control port alone, and does not link to it", () =>
    Effect.gen(function*() {
      const { control, url } = yield* DemoServer.start({ HOST: "0.0.0.0", KEEP_ALIVE: "90 seconds" })
      for (const method of ["GET", "OPTIONS"]) {
        for (const path of ["/metrics", "/_simulators", "/_features"]) {
          assert.strictEqual((yield* request(method, `${url}${path}`)).status, 404)
        }
      }
      assert.strictEqual((yield* request("GET", `${control}/metrics`)).status, 200)
      const home = yield* request("GET", `${url}/`)
      assert.notInclude(home.text, "metrics")
      assert.notInclude(home.text, new URL(control).port)
      assert.strictEqual(home.headers.get("keep-alive"), "timeout=90")
    }))

  it.live.each([["HOST", "http://0.0.0.0"]])(
    "does not start with %s=%s",
    ([name, value]) =>
      Effect.gen(function*() {
        const { output } = yield* Effect.flip(DemoServer.start({ [name!]: value! }))
        assert.include(output, name!)
      })
  )
})

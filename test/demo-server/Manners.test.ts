/** The server as a person meets it: what every page, method, mistake and response has, and how it starts. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer } from "effect"
import { spawn } from "node:child_process"
import * as RawHttp from "../drivers/RawHttp.ts"
import * as DemoServer from "../processes/DemoServer.ts"
import { request } from "../processes/DemoServer.ts"
import { describeFrom } from "../setup/DescribeFrom.ts"
import { patience } from "../watches/Patience.ts"

class Server extends Context.Service<Server, DemoServer.DemoServer>()("test/demo-server/Manners") {
  static readonly layer = Layer.effect(Server, DemoServer.start({ RATES_FRESH: "0", COUNTRIES_FRESH: "0" }))
}

const ask = (method: string, path: string, headers: Record<string, string> = {}) =>
  Effect.flatMap(Server, ({ url }) => request(method, `${url}${path}`, { headers }))

const order = { amount: 1999, currency: "EUR", paymentMethod: "pm_card_visa", reference: "order-1" }
const aNewId = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/

layer(Server.layer, { timeout: "60 seconds", excludeTestServices: true })("the demo server", (it) => {
  it.effect("says where it listens, so that a person can open it", () =>
    Effect.gen(function*() {
      const { output, url } = yield* Server
      assert.include(output(), `Listening on http://localhost:${new URL(url).port}`)
    }))

  it.effect("has a home page whose links all lead somewhere, and whose commands work", () =>
    Effect.gen(function*() {
      const { control, url } = yield* Server
      const { headers, status, text } = yield* ask("GET", "/")
      assert.strictEqual(status, 200)
      assert.strictEqual(headers.get("content-type"), "text/html; charset=utf-8")
      assert.match(headers.get("content-security-policy") ?? "", /^default-src 'none'/)
      assert.notMatch(text, /<(?:script|link|img|iframe)\b|\bsrc=|@import|url\(/)
      const links = Array.from(text.matchAll(/href="([^"]+)"/g), ([, href]) => new URL(href!, url).href)
      assert.includeMembers(links, [`${url}/docs`, `${url}/metrics`, `${control}/_simulators`])
      for (const link of links) assert.strictEqual((yield* request("GET", link)).status, 200, link)
      const commands = Array.from(text.matchAll(/curl (?:-X (\w+) )?(http:[^\s<]+)(?:[^]*?-d '([^']+)')?/g))
      assert.strictEqual(commands.length, 4)
      const paid = commands[0]!
      assert.deepStrictEqual([paid[2], JSON.parse(paid[3]!)], [`${url}/payments`, order])
      assert.match(text, new RegExp(`curl ${url}/rates/EUR/GBP`))
    }))

  it.effect("shows the address that its reader used, and nothing that would be a tag", () =>
    Effect.gen(function*() {
      const { url } = yield* Server
      const shown = (host: string) =>
        Effect.map(RawHttp.send(url, RawHttp.head("GET", "/", { host })), ({ body }) => body)
      assert.include(yield* shown("demo.localhost:8080"), "curl http://demo.localhost:8080/payments")
      for (const host of ["<b>", "a\"onload=", "a b", "x".repeat(300)]) {
        const page = yield* shown(host)
        assert.notInclude(page, host)
      }
    }))

  it.effect("answers OPTIONS and a wrong method with the methods that there are", () =>
    Effect.gen(function*() {
      const rows = [
        ["/", "GET, HEAD, OPTIONS"],
        ["/docs", "GET, HEAD, OPTIONS"],
        ["/metrics", "GET, HEAD, OPTIONS"],
        ["/rates/EUR/USD?x=1", "GET, HEAD, OPTIONS"],
        ["/payments", "POST, OPTIONS"],
        ["/payments/pay_1/refunds", "POST, OPTIONS"]
      ] as const
      for (const [path, allow] of rows) {
        const options = yield* ask("OPTIONS", path)
        assert.deepStrictEqual([options.status, options.headers.get("allow")], [204, allow])
        const wrong = yield* ask("PATCH", path)
        assert.deepStrictEqual([wrong.status, wrong.headers.get("allow"), wrong.json], [405, allow, {
          error: "METHOD_NOT_ALLOWED",
          message: "The path has no such method"
        }])
      }
      for (const method of ["OPTIONS", "PATCH"]) {
        for (const path of ["/nothing", "/payments/", "/docsx", "/openapi-json"]) {
          assert.strictEqual((yield* ask(method, path)).status, 404, path)
        }
      }
      assert.strictEqual((yield* ask("HEAD", "/health/live")).status, 200)
      const { control } = yield* Server
      const faults = yield* request("POST", `${control}/_faults/stripe`)
      assert.deepStrictEqual([faults.status, faults.headers.get("allow")], [405, "PUT, DELETE, OPTIONS"])
    }))

  it.effect("gives every response a request id: that of its caller, or a new one", () =>
    Effect.gen(function*() {
      const { control, url } = yield* Server
      const idOf = (path: string, id?: string) =>
        Effect.map(ask("GET", path, id === undefined ? {} : { "x-request-id": id }), ({ headers }) =>
          headers.get("x-request-id") ?? "")
      for (const path of ["/", "/rates/EUR/USD", "/rates/eur/USD", "/nothing", "/docs", "/metrics"]) {
        assert.strictEqual(yield* idOf(path, "order-1.attempt_2"), "order-1.attempt_2")
        assert.match(yield* idOf(path), aNewId)
      }
      const secret = ["sk", "live", "0".repeat(24)].join("_")
      for (const id of ["a b", "a\"b", "level=ERROR", "é", "-1", "x".repeat(65), secret]) {
        const given = yield* idOf("/health/live", encodeURI(id) === id ? id : JSON.stringify(id).replace("é", "e"))
        assert.match(given, aNewId)
      }
      const refused = yield* request("PUT", `${control}/_faults/stripe`, {
        headers: { "x-request-id": "refused-1", host: "evil.example", origin: "http://evil.example" }
      })
      assert.strictEqual(refused.headers.get("x-request-id"), "refused-1")
      // Node cannot even read this one.
      const broken = yield* RawHttp.send(url, "GET / HTTP/7\r\n\r\n")
      assert.deepInclude(JSON.parse(broken.body), { error: "INVALID_REQUEST" })
      assert.strictEqual(broken.status, 400)
      assert.match(broken.headers.get("x-request-id") ?? "", aNewId)
      const long = yield* RawHttp.send(url, RawHttp.head("GET", "/", { host: "localhost", x: "x".repeat(20_000) }))
      assert.strictEqual(long.status, 431)
    }))

  it.effect("keeps an idle connection for 65 seconds, longer than balancers do", () =>
    Effect.gen(function*() {
      const { control } = yield* Server
      for (const answer of [yield* ask("GET", "/health/live"), yield* request("GET", `${control}/_simulators`)]) {
        assert.strictEqual(answer.headers.get("keep-alive"), "timeout=65")
      }
    }))

  it.effect("names the last failure while its vendors are down, also while another source stands in", () =>
    Effect.gen(function*() {
      const { control } = yield* Server
      const failures = Effect.map(ask("GET", "/health/ready"), ({ json }) => {
        const { features } = json as {
          readonly features: ReadonlyArray<{ readonly feature: string; readonly lastFailure: string | null }>
        }
        return Object.fromEntries(features.map(({ feature, lastFailure }) => [feature, lastFailure]))
      })
      const vendors = ["frankfurter", "open-exchange-rates", "rest-countries", "country-state-city", "stripe"]
      const play = Effect.gen(function*() {
        yield* ask("GET", "/rates/EUR/USD")
        yield* ask("GET", "/countries/DE")
        yield* Effect.flatMap(Server, ({ url }) => request("POST", `${url}/payments`, { body: order }))
      })
      yield* play
      assert.deepStrictEqual(yield* failures, { rates: null, countries: null, payments: null })
      for (const vendor of vendors) {
        yield* request("PUT", `${control}/_faults/${vendor}`, { body: { kind: "refuse" } })
      }
      yield* play
      assert.deepStrictEqual(yield* failures, {
        rates: "open-exchange-rates: ConnectFailed",
        countries: "rest-countries: ConnectFailed",
        payments: "stripe: ConnectFailed"
      })
      for (const vendor of vendors) yield* request("DELETE", `${control}/_faults/${vendor}`)
      yield* play
      assert.deepStrictEqual(yield* failures, { rates: null, countries: null, payments: null })
    }))
})

describe("a demo server that cannot start", () => {
  const withoutCountries = `data:text/javascript,${
    encodeURIComponent(
      "import { registerHooks } from 'node:module';registerHooks({ resolve: (name, context, next) => " +
        "{ if (name === 'world-countries') throw new Error('not installed'); return next(name, context) } })"
    )
  }`

  it.live.each<[name: string, environment: Record<string, string>, says: string]>([
    [
      "without the package world-countries",
      { NODE_OPTIONS: `--import=${withoutCountries}` },
      "the simulator serves the data of the package world-countries: install it"
    ],
    [
      "with a base URL that is not one",
      { STRIPE_BASE_URL: "api.stripe.com", STRIPE_API_KEY: "k" },
      "STRIPE_BASE_URL must be a whole URL, such as https://api.stripe.com"
    ]
  ])("%s says what to do", ([, environment, says]) =>
    Effect.gen(function*() {
      const { output } = yield* Effect.flip(DemoServer.start(environment))
      assert.include(output, says)
    }))
})

describeFrom("check")("npm start", {}, () => {
  it.live("ends with code 0 at Ctrl-C, after what is in flight", () =>
    Effect.gen(function*() {
      // A terminal sends the signal to the whole group: npm, its shells and the server.
      const child = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn("npm", ["start"], {
            env: { ...process.env, PORT: "0", SIMULATORS_PORT: "0", NO_COLOR: "1" },
            stdio: ["ignore", "pipe", "pipe"],
            detached: true
          })
        ),
        (child) => Effect.sync(() => child.exitCode ?? child.signalCode ?? process.kill(-child.pid!, "SIGKILL"))
      )
      const { control, url } = yield* DemoServer.addresses(child)
      yield* request("PUT", `${control}/_faults/frankfurter`, { body: { kind: "latency", millis: 1_000 } })
      const inFlight = yield* Effect.forkChild(request("GET", `${url}/rates/CHF/USD`))
      yield* request("GET", `${control}/_journal/frankfurter`).pipe(
        Effect.repeat({ until: ({ json }) => (json as { readonly count: number }).count === 1 }),
        Effect.timeout(patience)
      )
      const exit = Effect.callback<number | null>((resume) => {
        child.once("exit", (code) => resume(Effect.succeed(code)))
        process.kill(-child.pid!, "SIGINT")
      })
      assert.strictEqual(yield* exit, 0)
      assert.strictEqual((yield* Fiber.join(inFlight)).status, 200)
    }))
})

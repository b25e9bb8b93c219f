import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer } from "effect"
import * as ScriptedServer from "../fakes/ScriptedServer.ts"
import * as DemoServer from "../processes/DemoServer.ts"
import { request } from "../processes/DemoServer.ts"
import * as Effort from "../setup/Effort.ts"
import { patience } from "../watches/Patience.ts"

class Server extends Context.Service<Server, DemoServer.DemoServer>()("test/demo-server/Server") {
  static readonly layer = Layer.effect(Server, DemoServer.start())
}

const order = { amount: 1999, currency: "EUR", paymentMethod: "pm_card_visa", reference: "order-1" }

const setFault = (vendor: string, fault: unknown) =>
  Effect.flatMap(Server, ({ control }) => request("PUT", `${control}/_faults/${vendor}`, { body: fault }))

const liftFault = (vendor: string) =>
  Effect.flatMap(Server, ({ control }) => request("DELETE", `${control}/_faults/${vendor}`))

/** Breaks a vendor while an effect runs. */
const withFault = (vendor: string, fault: unknown) => <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(setFault(vendor, fault), () => self, () => liftFault(vendor))

const journal = (vendor: string) =>
  Effect.flatMap(Server, ({ control }) =>
    Effect.map(
      request("GET", `${control}/_journal/${vendor}`),
      ({ json }) => json as { readonly count: number; readonly requests: ReadonlyArray<Record<string, unknown>> }
    ))

const baseUrlOf = (vendor: string) =>
  Effect.flatMap(Server, ({ control }) =>
    Effect.map(
      request("GET", `${control}/_simulators`),
      ({ json }) =>
        (json as ReadonlyArray<{ vendor: string; baseUrl: string }>).find((s) => s.vendor === vendor)!.baseUrl
    ))

/** The charges in the simulated Stripe's books, by the caller's reference. */
const chargesFor = (reference: string) =>
  Effect.gen(function*() {
    const key = ["sk", "test", "books"].join("_")
    const { json } = yield* request("GET", `${yield* baseUrlOf("stripe")}/v1/charges?limit=100`, {
      headers: { authorization: `Bearer ${key}` }
    })
    const { data } = json as { readonly data: ReadonlyArray<{ status: string; metadata: Record<string, string> }> }
    return data.filter((charge) => charge.metadata["reference"] === reference && charge.status === "succeeded")
  })

const get = (path: string) => Effect.flatMap(Server, ({ url }) => request("GET", `${url}${path}`))

const post = (path: string, body?: unknown, headers: Record<string, string> = {}) =>
  Effect.flatMap(Server, ({ url }) => request("POST", `${url}${path}`, { body, headers }))

layer(Server.layer, { timeout: "60 seconds", excludeTestServices: true })("the demo server", (it) => {
  it.effect("serves an exchange rate", () =>
    Effect.gen(function*() {
      const { json, status } = yield* get("/rates/EUR/USD")
      assert.strictEqual(status, 200)
      const { asOf, ...rate } = json as { readonly asOf: string }
      assert.deepStrictEqual<object>(rate, {
        base: "EUR",
        quote: "USD",
        rate: 1.0842,
        provenance: { kind: "Fresh", source: "frankfurter" }
      })
      assert.match(asOf, /^\d{4}-\d{2}-\d{2}$/)
    }))

  it.effect("answers within the time that its caller waits", () =>
    Effect.gen(function*() {
      const { url } = yield* Server
      const within = (timeout: string) =>
        request("GET", `${url}/rates/DKK/NOK`, { headers: { "request-timeout": timeout } })
      const { json, status } = yield* within("0.2").pipe(
        withFault("frankfurter", { kind: "latency", millis: 2_000 })
      )
      assert.deepStrictEqual([status, (json as { error: string }).error], [504, "GATEWAY_TIMEOUT"])
      assert.strictEqual((yield* within("999999999")).status, 200)
      for (const timeout of ["", "0", "-1", "soon", "1e3", "Infinity", "1234567890"]) {
        const refused = yield* within(timeout)
        assert.deepStrictEqual([refused.status, (refused.json as { field: string }).field], [400, "request-timeout"])
      }
    }))

  it.effect("takes a payment, shows it, and gives the money back", () =>
    Effect.gen(function*() {
      const created = yield* post("/payments", { ...order, reference: "refunded" })
      assert.strictEqual(created.status, 201)
      const { id, ...payment } = created.json as { readonly id: string }
      assert.deepStrictEqual<object>(payment, {
        status: "succeeded",
        amount: 1999,
        currency: "EUR",
        reference: "refunded"
      })
      assert.deepStrictEqual((yield* get(`/payments/${id}`)).json, created.json)
      const part = yield* post(`/payments/${id}/refunds`, { amount: 500 })
      assert.strictEqual(part.status, 201)
      assert.deepInclude(part.json, { paymentId: id, status: "succeeded", amount: 500, currency: "EUR" })
      assert.deepInclude((yield* post(`/payments/${id}/refunds`)).json, { amount: 1499 })
      assert.strictEqual((yield* post(`/payments/${id}/refunds`)).status, 409)
    }))

  it.effect("holds money, captures it, and releases it", () =>
    Effect.gen(function*() {
      const held = (yield* post("/payments", { ...order, capture: "Manual" })).json as { readonly id: string }
      assert.deepInclude(held as unknown, { status: "authorized" })
      assert.deepInclude((yield* post(`/payments/${held.id}/capture`, { amount: 1000 })).json, { status: "succeeded" })
      const other = (yield* post("/payments", { ...order, capture: "Manual" })).json as { readonly id: string }
      assert.deepInclude((yield* post(`/payments/${other.id}/cancel`)).json, { status: "canceled" })
      assert.strictEqual((yield* post(`/payments/${other.id}/capture`)).status, 409)
    }))

  it.effect("honours the caller's Idempotency-Key end to end", () =>
    Effect.gen(function*() {
      const headers = { "idempotency-key": "order-7/attempt" }
      const first = yield* post("/payments", { ...order, reference: "keyed" }, headers)
      const second = yield* post("/payments", { ...order, reference: "keyed" }, headers)
      assert.deepStrictEqual(second.json, first.json)
      assert.strictEqual((yield* chargesFor("keyed")).length, 1)
      const other = yield* post("/payments", { ...order, amount: 5 }, headers)
      assert.strictEqual(other.status, 422)
      assert.deepInclude(other.json, { error: "IDEMPOTENCY_KEY_REUSED" })
      assert.strictEqual((yield* post("/payments", order, { "idempotency-key": "ä".repeat(2) })).status, 400)
    }))

  it.effect("answers a declined card with 402 and one of our reasons", () =>
    Effect.gen(function*() {
      const declined = yield* post("/payments", { ...order, paymentMethod: "pm_card_chargeDeclined" })
      assert.strictEqual(declined.status, 402)
      assert.deepStrictEqual(declined.json, {
        error: "PAYMENT_DECLINED",
        message: "The card was declined",
        reason: "declined"
      })
      const short = yield* post("/payments", { ...order, paymentMethod: "pm_card_chargeDeclinedInsufficientFunds" })
      assert.deepInclude(short.json, { reason: "insufficient_funds" })
    }))

  it.effect("names the invalid field, and never repeats its value", () =>
    Effect.gen(function*() {
      const marked = "marked-value"
      const cases: ReadonlyArray<readonly [unknown, string]> = [
        [{ ...order, amount: marked }, "amount"],
        [{ ...order, amount: 1.5 }, "amount"],
        [{ ...order, amount: 0 }, "amount"],
        [{ ...order, currency: marked }, "currency"],
        [{ ...order, reference: "" }, "reference"],
        [{ ...order, reference: marked.repeat(100) }, "reference"],
        [{ ...order, paymentMethod: undefined }, "paymentMethod"],
        [{ ...order, paymentMethod: marked }, "paymentMethod"],
        [{ ...order, currency: "UGX" }, "currency"],
        [marked, "body"]
      ]
      for (const [body, field] of cases) {
        const { json, status, text } = yield* post("/payments", body)
        assert.strictEqual(status, 400, text)
        assert.deepInclude(json, { error: "INVALID_REQUEST", field })
        assert.notInclude(text, marked)
      }
      const lower = yield* get("/rates/eur/USD")
      assert.deepInclude(lower.json, { error: "INVALID_REQUEST", field: "base" })
      assert.deepInclude((yield* get("/countries/de")).json, { error: "INVALID_REQUEST", field: "iso2" })
    }))

  it.effect("answers unknown resources in the same format", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* get("/nothing/here")).json, { error: "NOT_FOUND", message: "No such page" })
      assert.strictEqual((yield* get("/rates/EUR/XXX")).status, 404)
      assert.deepStrictEqual((yield* get("/countries/ZZ")).json, { error: "NOT_FOUND", message: "No country ZZ" })
      assert.deepStrictEqual((yield* get("/payments/pi_123")).json, { error: "NOT_FOUND", message: "No such payment" })
      const { url } = yield* Server
      const plain = yield* Effect.promise(() => fetch(`${url}/payments`, { method: "POST", body: "amount=1" }))
      assert.strictEqual(plain.status, 415)
      const broken = yield* Effect.promise(() =>
        fetch(`${url}/payments`, { method: "POST", headers: { "content-type": "application/json" }, body: "{" })
      )
      assert.strictEqual(broken.status, 400)
    }))

  it.effect("takes the money once when the connection is reset after the side effect", () =>
    Effect.gen(function*() {
      const paid = yield* post("/payments", { ...order, reference: "ambiguous" }).pipe(
        withFault("stripe", { kind: "resetAfter", times: 2 })
      )
      assert.strictEqual(paid.status, 201)
      assert.strictEqual((yield* chargesFor("ambiguous")).length, 1)
      const writes = (yield* journal("stripe")).requests.filter(({ method }) => method === "POST")
      assert.deepStrictEqual(writes.slice(-3).map(({ status }) => status), [null, null, 200])
    }))

  it.effect(
    "reports an unknown outcome when every response is lost, and settles it under the same key",
    () =>
      Effect.gen(function*() {
        const headers = { "idempotency-key": "lost-and-found" }
        const lost = yield* post("/payments", { ...order, reference: "lost" }, headers).pipe(
          withFault("stripe", { kind: "resetAfter" })
        )
        assert.strictEqual(lost.status, 503)
        assert.deepStrictEqual(lost.json, {
          error: "SERVICE_UNAVAILABLE",
          message: "External service temporarily unavailable",
          outcome: "unknown"
        })
        assert.strictEqual((yield* post("/payments", { ...order, reference: "lost" }, headers)).status, 201)
        assert.strictEqual((yield* chargesFor("lost")).length, 1)
      })
  )

  it.effect("controls its simulators: faults, journal, errors that list the simulators", () =>
    Effect.gen(function*() {
      const { control } = yield* Server
      yield* request("DELETE", `${control}/_journal/frankfurter`)
      yield* get("/rates/EUR/GBP")
      const { count, requests } = yield* journal("frankfurter")
      assert.strictEqual(count, 1)
      assert.deepInclude(requests[0], { method: "GET", path: "/v2/rate/EUR/GBP", status: 200 })
      assert.strictEqual((yield* setFault("frankfurter", { kind: "no such fault" })).status, 400)
      assert.strictEqual((yield* setFault("frankfurter", { kind: "latency", millis: -1 })).status, 400)
      const unknown = yield* setFault("nobody", { kind: "refuse" })
      assert.strictEqual(unknown.status, 404)
      assert.include(unknown.text, "frankfurter")
    }))

  it.effect("is live and ready, and shows the circuits of its vendors", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* get("/health/live")).json, { status: "live" })
      const ready = yield* get("/health/ready")
      assert.strictEqual(ready.status, 200)
      assert.deepInclude(ready.json, { status: "ready" })
      assert.include(ready.text, `{"vendor":"frankfurter","operation":"rate","circuit":"closed"}`)
    }))

  it.effect("shows its metrics to Prometheus, with units in their names", () =>
    Effect.gen(function*() {
      const { headers, text } = yield* get("/metrics")
      assert.match(headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/)
      for (
        const name of [
          "http_client_request_duration_seconds_bucket",
          "breakwater_operation_duration_seconds_count",
          "breakwater_retries_total",
          "breakwater_breaker_state",
          "breakwater_bulkhead_running",
          "breakwater_retry_budget"
        ]
      ) {
        assert.match(text, new RegExp(`^${name}\\{`, "m"))
      }
      // https://prometheus.io/docs/practices/naming: the name of a counter ends in _total.
      const counters = Array.from(text.matchAll(/^# TYPE (breakwater_\S+) counter$/gm), ([, name]) => name!)
      assert.isAbove(counters.length, 8)
      assert.deepStrictEqual(counters.filter((name) => !name.endsWith("_total")), [])
    }))

  it.effect("describes itself", () =>
    Effect.gen(function*() {
      const { json } = yield* get("/openapi.json")
      const { paths } = json as { readonly paths: Record<string, unknown> }
      assert.includeMembers(Object.keys(paths), [
        "/rates/{base}/{quote}",
        "/countries",
        "/countries/{iso2}",
        "/payments",
        "/payments/{id}/refunds"
      ])
      const docs = yield* get("/docs")
      assert.strictEqual(docs.status, 200)
      assert.match(docs.headers.get("content-type") ?? "", /^text\/html/)
    }))

  it.effect(
    "finishes what is in flight when told to stop, refuses what is new, and exits with 0",
    () =>
      Effect.gen(function*() {
        // It stops the server of this suite: it is the last test.
        const server = yield* Server
        yield* request("DELETE", `${server.control}/_journal/frankfurter`)
        yield* request("PUT", `${server.control}/_faults/frankfurter`, { body: { kind: "latency", millis: 2_000 } })
        const inFlight = yield* Effect.forkChild(request("GET", `${server.url}/rates/CHF/USD`))
        yield* request("GET", `${server.control}/_journal/frankfurter`).pipe(
          Effect.repeat({ until: ({ json }) => (json as { readonly count: number }).count === 1 }),
          Effect.timeout(patience)
        )
        const exit = yield* Effect.forkChild(server.stop)
        const refused = yield* Effect.promise(() =>
          fetch(`${server.url}/health/live`).then(() => "answered", () => "refused")
        ).pipe(
          Effect.repeat({ until: (answer) => answer === "refused" }),
          Effect.timeout(patience)
        )
        assert.strictEqual(refused, "refused")
        assert.strictEqual((yield* Fiber.join(inFlight)).status, 200)
        assert.strictEqual(yield* Fiber.join(exit), 0)
      })
  )
})

const vendorsOfRates = ["frankfurter", "open-exchange-rates"]

const currencies = ["AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "EUR", "GBP", "HUF", "INR", "JPY", "MXN", "SEK", "USD"]

/** Pairs that both simulators know, a different one per caller, so that the cache has none of them. */
const pairs = currencies.flatMap((base) =>
  currencies.filter((quote) => quote !== base).map((quote) => `/rates/${base}/${quote}`)
)

describe("the demo server with vendors that misbehave", () => {
  const faults: ReadonlyArray<readonly [fault: Record<string, unknown>, status: number, error: string]> = [
    [{ kind: "latency", millis: 600_000 }, 504, "GATEWAY_TIMEOUT"],
    [{ kind: "halfBody" }, 503, "SERVICE_UNAVAILABLE"],
    [{ kind: "wrongType" }, 502, "BAD_GATEWAY"],
    [{ kind: "malformed" }, 502, "BAD_GATEWAY"],
    [{ kind: "drip", bytesPerSecond: 0.2 }, 504, "GATEWAY_TIMEOUT"],
    [{ kind: "resetBefore" }, 503, "SERVICE_UNAVAILABLE"],
    [{ kind: "status", status: 500, body: "{\"message\":\"marked-vendor-word\"}" }, 503, "SERVICE_UNAVAILABLE"],
    [{ kind: "status", status: 401, body: "{}" }, 503, "SERVICE_UNAVAILABLE"],
    [{ kind: "endless" }, 504, "GATEWAY_TIMEOUT"],
    // This vendor is not asked again for a while: it is the last of its server.
    [{ kind: "status", status: 429, headers: { "retry-after": "30" } }, 503, "SERVICE_UNAVAILABLE"],
    [{ kind: "drift" }, 502, "BAD_GATEWAY"],
    [{ kind: "status", status: 418, body: "marked-vendor-word" }, 502, "BAD_GATEWAY"]
  ]
  /** So few that no breaker of one row is open in the next. */
  const rowsOfServer = 5

  it.live("gives one of our own errors within the deadline, for every fault", () =>
    Effect.gen(function*() {
      const played = Effort.everyNth(3, faults)
      const servers = Array.from(
        { length: Math.ceil(played.length / rowsOfServer) },
        (_, index) => played.slice(index * rowsOfServer, (index + 1) * rowsOfServer)
      )
      const playing = Effect.forEach(servers, (faults) =>
        Effect.gen(function*() {
          const { control, url } = yield* DemoServer.start({ FEATURE_OFF_AFTER: "1 hour" })
          return yield* Effect.forEach(faults, ([fault, status, error], index) =>
            Effect.gen(function*() {
              for (const vendor of vendorsOfRates) {
                yield* request("PUT", `${control}/_faults/${vendor}`, { body: fault })
              }
              // Each row ends before the vendor would: one that hangs does so for a minute and more.
              return { fault, status, error, reply: yield* request("GET", `${url}${pairs[index]!}`) }
            }))
        }).pipe(Effect.scoped), { concurrency: 4 })
      const rows = (yield* playing).flat()
      for (const { error, fault, reply, status } of rows) {
        assert.strictEqual(reply.status, status, `${JSON.stringify(fault)}: ${reply.text}`)
        assert.deepInclude(reply.json, { error })
        assert.notInclude(reply.text, "marked-vendor-word")
        if (status === 503) assert.match(reply.headers.get("retry-after") ?? "", /^[1-9]\d*$/)
      }
      const limited = rows.find(({ fault }) => fault["status"] === 429)!
      assert.strictEqual(limited.reply.headers.get("retry-after"), "30")
    }))

  it.live(
    "asks a dead vendor at most 1.1 times per call, answers 503 at once, and recovers gently by itself",
    () =>
      Effect.gen(function*() {
        // A real server counts the connections, because a refused one leaves no entry in the journal.
        const { control, url } = yield* DemoServer.start()
        for (const vendor of vendorsOfRates) {
          yield* request("PUT", `${control}/_faults/${vendor}`, { body: { kind: "refuse" } })
        }
        for (let batch = 0; batch < 20; batch++) {
          const replies = yield* Effect.forEach(pairs.slice(0, 50), (pair) => request("GET", `${url}${pair}`), {
            concurrency: "unbounded"
          })
          for (const { headers, json, status } of replies) {
            assert.strictEqual(status, 503)
            assert.deepInclude(json, { error: "SERVICE_UNAVAILABLE" })
            assert.match(headers.get("retry-after") ?? "", /^[1-9]\d*$/)
          }
        }
        const metrics = (yield* request("GET", `${url}/metrics`)).text
        assert.deepStrictEqual([...connectionAttempts(metrics).keys()].toSorted(), vendorsOfRates)
        for (const [vendor, attempts] of connectionAttempts(metrics)) assert.isAtMost(attempts, 1_110, vendor)
        assert.match(metrics, /^breakwater_breaker_state\{vendor="frankfurter",operation="rate",state="open"\} 1$/m)
        assert.match(
          metrics,
          /^breakwater_breaker_state\{vendor="open-exchange-rates",operation="latest",state="open"\} 1$/m
        )
        assert.match(metrics, /^breakwater_breaker_circuits\{vendor="frankfurter",state="open"\} 1$/m)

        yield* request("DELETE", `${control}/_faults/frankfurter`)
        yield* request("DELETE", `${control}/_journal/frankfurter`)
        const first = yield* request("GET", `${url}/rates/EUR/USD`).pipe(
          Effect.tap(() => Effect.sleep("100 millis")),
          Effect.repeat({ until: ({ status }) => status === 200 }),
          Effect.timeout(patience)
        )
        assert.strictEqual(first.status, 200)
        // A burst at a vendor that has just come back: only the probes of the next stage get through.
        const burst = yield* Effect.forEach(pairs.slice(50, 100), (pair) => request("GET", `${url}${pair}`), {
          concurrency: "unbounded"
        })
        const reached = (yield* request("GET", `${control}/_journal/frankfurter`)).json as { readonly count: number }
        assert.isAtMost(reached.count, 1 + 4 + 16 + burst.filter(({ status }) => status === 200).length)
        assert.isTrue(burst.every(({ status }) => status === 200 || status === 503))
        yield* Effect.forEach(pairs.slice(100, 121), (pair) =>
          request("GET", `${url}${pair}`).pipe(Effect.repeat({ until: ({ status }) => status === 200 }))).pipe(
            Effect.timeout(patience)
          )
        assert.match(
          (yield* request("GET", `${url}/metrics`)).text,
          /^breakwater_breaker_state\{vendor="frankfurter",operation="rate",state="closed"\} 1$/m
        )
      }).pipe(Effect.scoped)
  )
})

/** Attempts that found no server, by vendor, from the demo server's own metrics. */
const connectionAttempts = (metrics: string): ReadonlyMap<string, number> =>
  new Map(
    Array.from(
      metrics.matchAll(
        /^http_client_request_duration_seconds_count\{[^}]*error_type="ConnectFailed",vendor="([^"]+)"[^}]*\} (\d+)$/gm
      ),
      ([, vendor, count]) => [vendor!, Number(count)]
    )
  )

describe("the demo server as a process", () => {
  it.live("talks to the vendor that the environment names, with the key it gives", () =>
    Effect.gen(function*() {
      const vendor = yield* ScriptedServer.serve(() =>
        ScriptedServer.json({ date: "2026-11-20", base: "EUR", quote: "USD", rate: 2 })
      )
      const { url } = yield* DemoServer.start({
        FRANKFURTER_BASE_URL: `${vendor.baseUrl}/mirror`,
        STRIPE_BASE_URL: vendor.baseUrl,
        STRIPE_API_KEY: ["sk", "test", "environment"].join("_")
      })
      assert.deepInclude((yield* request("GET", `${url}/rates/EUR/USD`)).json, { rate: 2 })
      const payment = yield* request("POST", `${url}/payments`, { body: order })
      assert.strictEqual(payment.status, 502)
      assert.deepStrictEqual(
        vendor.seen.map((seen) => [seen.url, seen.header("authorization")]),
        [["/mirror/rate/EUR/USD", undefined], [
          "/v1/payment_intents",
          `Bearer ${["sk", "test", "environment"].join("_")}`
        ]]
      )
    }).pipe(Effect.scoped))

  it.live("does not start with an insecure vendor or without a key, and says why", () =>
    Effect.gen(function*() {
      const insecure = yield* Effect.flip(DemoServer.start({ STRIPE_BASE_URL: "http://example.com" }))
      assert.include(insecure.output, "STRIPE_BASE_URL: plain http needs the host")
      if (!Effort.isAtLeast("check")) return
      const keyless = yield* Effect.flip(DemoServer.start({ STRIPE_BASE_URL: "https://example.com" }))
      assert.include(keyless.output, "STRIPE_API_KEY")
    }).pipe(Effect.scoped))
})

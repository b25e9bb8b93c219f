import * as Operation from "@breakwater/core/client/Operation"
import * as Simulator from "@breakwater/core/simulator/Simulator"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Schema, Scope } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { connect } from "node:net"
import * as OwnClock from "../../drivers/OwnClock.ts"
import * as Watch from "../../watches/Watch.ts"
import { answerTo, ask, type Asked, type Question } from "./PlainClient.ts"

const Order = Schema.Struct({ id: Schema.String, item: Schema.String, quantity: Schema.Int, isPaid: Schema.Boolean })

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("orders").add(
    HttpApiEndpoint.post("place", "/orders", {
      payload: Schema.Struct({ item: Schema.String, quantity: Schema.Int }),
      success: Order.pipe(HttpApiSchema.status(201))
    }).annotate(Operation.Safety, "Unsafe"),
    HttpApiEndpoint.get("get", "/orders/:id", { params: { id: Schema.String }, success: Order }),
    HttpApiEndpoint.get("count", "/orders", {
      query: { limit: Schema.FiniteFromString },
      success: Schema.Array(Order)
    }),
    HttpApiEndpoint.delete("cancel", "/orders/:id", {
      params: { id: Schema.String },
      success: HttpApiSchema.NoContent
    }).annotate(Operation.Safety, "Idempotent"),
    HttpApiEndpoint.get("label", "/orders/:id/label", {
      params: { id: Schema.String },
      success: Schema.String.pipe(HttpApiSchema.asText())
    }),
    HttpApiEndpoint.post("break", "/break", { success: HttpApiSchema.NoContent }).annotate(Operation.Safety, "Unsafe")
  )
)

const placed = { id: "o1", item: "anvil", quantity: 2, isPaid: true }

/** The request that places an order. */
const placing: Question = {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ item: "anvil", quantity: 2 })
}

const orElse500 = Effect.catch(() => Effect.succeed(Simulator.json(500, {})))

/** A simulated Acme; `done` lists its effects in order. */
const acme = (
  options: Partial<Pick<Simulator.SimulatorOptions<"acme", never>, "front" | "limited" | "port" | "seed">> = {}
) =>
  Effect.gen(function*() {
    const done: Array<string> = []
    const { changed, until } = Watch.make()
    const does = <A>(what: string, answer: A) =>
      Effect.sync(() => {
        done.push(what)
        changed()
        return answer
      })
    const simulator = yield* Simulator.serve({
      vendor: "acme",
      api: Api,
      basePath: "/v1",
      handlers: HttpApiBuilder.group(Api, "orders", (orders) =>
        orders
          .handle("place", ({ payload }) => does("place", { ...placed, ...payload }))
          .handle("get", ({ params }) => does("get", { ...placed, ...params }))
          .handle("count", () => does("count", []))
          .handle("cancel", () => does("cancel", undefined))
          .handle("label", () => does("label", "Anvil, fragile"))
          .handle("break", () => Effect.andThen(does("break", undefined), Effect.die("broken")))),
      front: (_request, next) =>
        next.pipe(
          Effect.catch((unserved) => Effect.succeed(Simulator.json(unserved._tag === "Broken" ? 500 : 400, unserved)))
        ),
      ...options
    })
    return { ...simulator, done, until }
  })

/** Places an order, and waits for the outcome. */
const placeAt = (baseUrl: string): Effect.Effect<Asked> => answerTo(`${baseUrl}/orders`, placing)

describe("Simulator", () => {
  it.live("serves its contract below its base path", () =>
    Effect.gen(function*() {
      const { baseUrl, done } = yield* acme()
      const { body, end, headers, status } = yield* placeAt(baseUrl)
      assert.deepStrictEqual({ status, end, body: JSON.parse(body) as unknown }, {
        status: 201,
        end: "answered",
        body: placed
      })
      assert.strictEqual(headers["content-type"], "application/json")
      assert.strictEqual(headers["content-length"], String(body.length))
      assert.deepStrictEqual(done, ["place"])
      assert.match(baseUrl, /^http:\/\/127\.0\.0\.1:\d+\/v1$/)
    }))

  it.live("responds without content where the contract declares none", () =>
    Effect.gen(function*() {
      const { baseUrl } = yield* acme()
      const { body, end, headers, status } = yield* answerTo(`${baseUrl}/orders/o1`, { method: "DELETE" })
      assert.deepStrictEqual({ status, end, body }, { status: 204, end: "answered", body: "" })
      // RFC 9110, section 8.6: a 204 must not have one.
      assert.strictEqual(headers["content-length"], undefined)
    }))

  it.live("serves nothing outside its base path", () =>
    Effect.gen(function*() {
      const { baseUrl, done, journal } = yield* acme()
      const root = baseUrl.replace("/v1", "")
      for (const url of [`${root}/orders/o1`, `${root}/v10/orders/o1`, `${root}/v1`, `${root}/`]) {
        const { body, status } = yield* answerTo(url)
        assert.deepStrictEqual({ status, body }, { status: 400, body: "{\"_tag\":\"NoEndpoint\"}" }, url)
      }
      assert.deepStrictEqual(done, [])
      assert.deepStrictEqual(journal.requests.map(({ operation }) => operation), [
        undefined,
        undefined,
        undefined,
        undefined
      ])
    }))

  it.live("refuses a request beyond its size limit", () =>
    Effect.gen(function*() {
      const { baseUrl, done } = yield* acme()
      const { status } = yield* answerTo(`${baseUrl}/orders`, { ...placing, body: "x".repeat(4 * 1024 * 1024 + 1) })
      assert.strictEqual(status, 413)
      assert.deepStrictEqual(done, [])
    }))

  describe("gives its `front`", () => {
    it.live("the original request, including the base path", () =>
      Effect.gen(function*() {
        const seen: Array<Simulator.WireRequest> = []
        const { baseUrl } = yield* acme({
          front: (request, next) => {
            seen.push(request)
            return orElse500(next)
          }
        })
        yield* answerTo(`${baseUrl}/orders?limit=1`, { headers: { "X-Key": "k" } })
        yield* answerTo(`${baseUrl}/orders`, { ...placing, body: "ü" })
        assert.deepStrictEqual(
          seen.map(({ body, headers, method, path, search }) => ({
            method,
            path,
            search,
            key: headers["x-key"],
            body: Buffer.from(body).toString("utf8")
          })),
          [
            { method: "GET", path: "/v1/orders", search: "?limit=1", key: "k", body: "" },
            { method: "POST", path: "/v1/orders", search: "", key: undefined, body: "ü" }
          ]
        )
      }))

    it.live.each<
      readonly [string, method: string, path: string, body: string | undefined, unserved: Simulator.Unserved]
    >([
      ["a path that is not in the contract", "GET", "/nowhere", undefined, { _tag: "NoEndpoint" }],
      ["a method that the path does not have", "DELETE", "/orders", undefined, { _tag: "NoEndpoint" }],
      [
        "a body with a field of the wrong type",
        "POST",
        "/orders",
        JSON.stringify({ item: "anvil", quantity: "two" }),
        { _tag: "Misfit", field: "quantity", issue: "Expected number" }
      ],
      [
        "a body with a field missing",
        "POST",
        "/orders",
        JSON.stringify({ quantity: 2 }),
        { _tag: "Misfit", field: "item", issue: "Missing key" }
      ],
      [
        "a query that does not fit",
        "GET",
        "/orders?limit=many",
        undefined,
        { _tag: "Misfit", field: "limit", issue: "Expected a finite number" }
      ],
      ["an endpoint that dies after its effect", "POST", "/break", undefined, { _tag: "Broken" }]
    ])("%s", ([, method, path, body, unserved]) =>
      Effect.gen(function*() {
        const { baseUrl, done } = yield* acme()
        const asked = yield* answerTo(`${baseUrl}${path}`, {
          method,
          body,
          headers: body === undefined ? {} : { "content-type": "application/json" }
        })
        assert.strictEqual(asked.status, unserved._tag === "Broken" ? 500 : 400)
        assert.deepStrictEqual(JSON.parse(asked.body), unserved)
        assert.deepStrictEqual(done, unserved._tag === "Broken" ? ["break"] : [])
      }))

    it.live("the last word: it may respond without asking the endpoint", () =>
      Effect.gen(function*() {
        const { baseUrl, done } = yield* acme({ front: () => Effect.succeed(Simulator.json(401, { no: "key" })) })
        const { body, status } = yield* placeAt(baseUrl)
        assert.deepStrictEqual({ status, body }, { status: 401, body: "{\"no\":\"key\"}" })
        assert.deepStrictEqual(done, [])
      }))

    it.live("no way to leave a caller waiting: if it dies, the connection is reset", () =>
      Effect.gen(function*() {
        const { baseUrl, journal } = yield* acme({ front: () => Effect.die("broken front") })
        const { end, status } = yield* placeAt(baseUrl)
        assert.deepStrictEqual({ status, end }, { status: undefined, end: "ECONNRESET" })
        assert.deepStrictEqual(journal.requests.map(({ status }) => status), [null])
      }))
  })

  describe("with a fault:", () => {
    it.live("latency: acts and responds only after the delay", () =>
      Effect.gen(function*() {
        const clock = yield* OwnClock.make
        const taken = yield* Deferred.make<void>()
        const { baseUrl, done, setFault } = yield* clock.on(acme({
          front: (_request, next) =>
            Effect.andThen(
              Deferred.succeed(taken, undefined),
              orElse500(next)
            )
        }))
        yield* setFault({ kind: "latency", millis: 60_000 })
        const asked = yield* ask(`${baseUrl}/orders`, placing)
        yield* Deferred.await(taken)
        yield* clock.adjust(59_999)
        assert.deepStrictEqual(done, [])
        assert.strictEqual(asked.status, undefined)
        yield* clock.adjust(1)
        yield* asked.ended
        assert.strictEqual(asked.status, 201)
        assert.deepStrictEqual(done, ["place"])
      }))

    it.live("refuse: closes the port and open connections, and listens at the same port once it is cleared", () =>
      Effect.gen(function*() {
        const { baseUrl, done, journal, setFault } = yield* acme()
        const { port } = new URL(baseUrl)
        const { changed, until } = Watch.make()
        let isClosed = false
        const idle = connect(Number(port), "127.0.0.1", changed).on("close", () => {
          isClosed = true
          changed()
        }).on("error", () => {})
        yield* until("there is a connection", () => !idle.connecting)
        for (let i = 0; i < 2; i++) {
          yield* setFault({ kind: "refuse" })
          // A second time has no further effect.
          yield* setFault({ kind: "refuse" })
          yield* until("the idle connection is closed", () => isClosed)
          const { end, status } = yield* placeAt(baseUrl)
          assert.deepStrictEqual({ status, end }, { status: undefined, end: "ECONNREFUSED" })
          yield* setFault(i === 0 ? undefined : { kind: "status", status: 200 })
          assert.strictEqual((yield* placeAt(baseUrl)).status, i === 0 ? 201 : 200)
        }
        assert.deepStrictEqual(done, ["place"])
        assert.strictEqual(journal.count, 2)
      }))

    it.live.each<
      readonly [
        fault: Simulator.Fault,
        seen: { readonly status: number | undefined; readonly end: string; readonly body: string },
        done: ReadonlyArray<string>,
        journaled: number | null
      ]
    >([
      [{ kind: "resetBefore" }, { status: undefined, end: "ECONNRESET", body: "" }, [], null],
      [{ kind: "resetAfter" }, { status: undefined, end: "ECONNRESET", body: "" }, ["place"], null],
      [
        { kind: "halfBody" },
        { status: 201, end: "ECONNRESET", body: JSON.stringify(placed).slice(0, 27) },
        ["place"],
        201
      ],
      [
        { kind: "malformed" },
        { status: 201, end: "answered", body: JSON.stringify(placed).slice(0, 35) },
        ["place"],
        201
      ],
      [
        { kind: "wrongType" },
        {
          status: 200,
          end: "answered",
          body: "<!doctype html><html><head><title>Bad gateway</title></head><body>Bad gateway</body></html>"
        },
        [],
        200
      ],
      [{ kind: "status", status: 503 }, { status: 503, end: "answered", body: "" }, [], 503],
      [
        { kind: "status", status: 418, body: "{\"short\":true}", headers: { "x-pot": "tea" } },
        { status: 418, end: "answered", body: "{\"short\":true}" },
        [],
        418
      ],
      [
        { kind: "rateLimit", limit: 0, windowMillis: 60_000 },
        { status: 429, end: "answered", body: "{\"message\":\"Too many requests\"}" },
        [],
        429
      ]
    ])("%j", ([fault, seen, expected, journaled]) =>
      Effect.gen(function*() {
        const { baseUrl, done, fault: current, journal, setFault } = yield* acme()
        yield* setFault(fault)
        assert.deepStrictEqual(yield* current, fault)
        const { body, end, headers, status } = yield* placeAt(baseUrl)
        assert.deepStrictEqual({ status, end, body }, seen)
        assert.deepStrictEqual(done, expected)
        assert.deepStrictEqual(journal.requests.map(({ operation, status }) => [operation, status]), [[
          "orders.place",
          journaled
        ]])
        if (fault.kind === "halfBody") assert.strictEqual(headers["content-length"], "53")
        if (fault.kind === "malformed") assert.strictEqual(headers["content-type"], "application/json")
        if (fault.kind === "wrongType") assert.strictEqual(headers["content-type"], "text/html; charset=utf-8")
        if (fault.kind === "status") assert.strictEqual(headers["x-pot"], fault.headers?.["x-pot"])

        yield* setFault(undefined)
        assert.strictEqual(yield* current, undefined)
        assert.strictEqual((yield* placeAt(baseUrl)).status, 201)
      }))

    it.live("drip: the response arrives byte by byte, each on time", () =>
      Effect.gen(function*() {
        const clock = yield* OwnClock.make
        const { baseUrl, done, setFault, until } = yield* clock.on(acme())
        yield* setFault({ kind: "drip", bytesPerSecond: 20 })
        const asked = yield* ask(`${baseUrl}/orders/o1/label`)
        yield* until("it has acted", () => done.length === 1)
        for (let come = 1; come <= "Anvil, fragile".length; come++) {
          yield* clock.adjust(50)
          yield* asked.until(`${come} bytes have come`, () => asked.body.length >= come)
          assert.strictEqual(asked.body, "Anvil, fragile".slice(0, come))
        }
        yield* asked.ended
        assert.strictEqual(asked.end, "answered")
      }))

    it.live("drip: the response is no faster than configured, with many bytes at once", () =>
      Effect.gen(function*() {
        const clock = yield* OwnClock.make
        const { baseUrl, done, setFault, until } = yield* clock.on(acme())
        yield* setFault({ kind: "drip", bytesPerSecond: 10_000 })
        const asked = yield* ask(`${baseUrl}/orders/o1/label`)
        yield* until("it has acted", () => done.length === 1)
        yield* clock.adjust(1)
        yield* asked.until("the first bytes have come", () => asked.body !== "")
        assert.strictEqual(asked.body, "Anvil, fra")
        yield* clock.adjust(1)
        yield* asked.ended
        assert.strictEqual(asked.body, "Anvil, fragile")
      }))

    it.live("endless: the response never ends", () =>
      Effect.gen(function*() {
        const { baseUrl, done, setFault } = yield* acme()
        yield* setFault({ kind: "endless" })
        const asked = yield* ask(`${baseUrl}/orders`, placing)
        yield* asked.until("much of it has come", () => asked.body.length > 20_000)
        assert.strictEqual(asked.status, 201)
        assert.strictEqual(asked.end, undefined)
        assert.strictEqual(asked.headers["content-length"], undefined)
        assert.deepStrictEqual(done, ["place"])
      }))

    it.live("drift: one field has another name or another type, the same one for the same seed", () =>
      Effect.gen(function*() {
        const drifts = (seed: number) =>
          Effect.scoped(Effect.gen(function*() {
            const { baseUrl, done, setFault } = yield* acme({ seed })
            yield* setFault({ kind: "drift" })
            const bodies = yield* Effect.replicateEffect(Effect.map(placeAt(baseUrl), ({ body }) => body), 8)
            assert.strictEqual(done.length, 8)
            return bodies.map((body) => JSON.parse(body) as Record<string, unknown>)
          }))
        const first = yield* drifts(1)
        assert.deepStrictEqual(yield* drifts(1), first)
        assert.notDeepEqual(yield* drifts(2), first)
        const kinds = new Set<string>()
        for (const drifted of first) {
          const names = Object.keys(placed) as ReadonlyArray<keyof typeof placed>
          const changed = names.filter((name) => drifted[name] !== placed[name])
          assert.strictEqual(changed.length, 1, JSON.stringify(drifted))
          const name = changed[0]!
          if (Object.hasOwn(drifted, name)) {
            kinds.add("retyped")
            assert.notStrictEqual(typeof drifted[name], typeof placed[name])
          } else {
            kinds.add("renamed")
            assert.strictEqual(drifted[`${name}_v2`], placed[name])
          }
          assert.strictEqual(Object.keys(drifted).length, names.length)
        }
        assert.deepStrictEqual([...kinds].toSorted(), ["renamed", "retyped"])
      }))

    it.live.each<readonly [string, path: string, method: string, status: number, body: string]>([
      ["a list", "/orders?limit=1", "GET", 200, "{\"unexpected\":[]}"],
      ["text", "/orders/o1/label", "GET", 200, "{\"unexpected\":\"Anvil, fragile\"}"],
      ["nothing", "/orders/o1", "DELETE", 204, ""]
    ])(
      "drift: replaces %s with something else",
      ([, path, method, status, body]) =>
        Effect.gen(function*() {
          const { baseUrl, done, setFault } = yield* acme()
          yield* setFault({ kind: "drift" })
          const asked = yield* answerTo(`${baseUrl}${path}`, { method })
          assert.deepStrictEqual(
            { status: asked.status, end: asked.end, body: asked.body },
            { status, end: "answered", body }
          )
          assert.strictEqual(done.length, 1)
        })
    )

    it.live.each(["halfBody", "malformed", "drip"] as const)(
      "%s: ends also where the answer has no content",
      (kind) =>
        Effect.gen(function*() {
          const { baseUrl, done, setFault } = yield* acme()
          yield* setFault(kind === "drip" ? { kind, bytesPerSecond: 1 } : { kind })
          const asked = yield* answerTo(`${baseUrl}/orders/o1`, { method: "DELETE" })
          assert.strictEqual(asked.end, kind === "halfBody" ? "ECONNRESET" : "answered")
          assert.deepStrictEqual(done, ["cancel"])
        })
    )

    it.live("rateLimit: accepts the limit per window, and says when to come back", () =>
      Effect.gen(function*() {
        const clock = yield* OwnClock.make
        const { baseUrl, done, setFault } = yield* clock.on(acme({
          limited: Simulator.json(420, { calm: "down" }, { "x-limit": "2" })
        }))
        yield* setFault({ kind: "rateLimit", limit: 2, windowMillis: 10_000, retryAfterSeconds: 7 })
        const statuses = (count: number) =>
          Effect.replicateEffect(Effect.map(placeAt(baseUrl), ({ status }) => status), count)
        assert.deepStrictEqual(yield* statuses(4), [201, 201, 420, 420])
        yield* clock.adjust(9_999)
        const { body, headers } = yield* placeAt(baseUrl)
        assert.strictEqual(body, "{\"calm\":\"down\"}")
        assert.strictEqual(headers["retry-after"], "7")
        assert.strictEqual(headers["x-limit"], "2")
        yield* clock.adjust(1)
        assert.deepStrictEqual(yield* statuses(3), [201, 201, 420])
        assert.strictEqual(done.length, 4)
      }))
  })

  describe("decides which request meets a fault", () => {
    it.live("by chance, the same for the same seed", () =>
      Effect.gen(function*() {
        const fates = (seed: number, probability: number) =>
          Effect.scoped(Effect.gen(function*() {
            const { baseUrl, done, setFault } = yield* acme({ seed })
            yield* setFault({ kind: "resetBefore", probability })
            const ends = yield* Effect.replicateEffect(Effect.map(placeAt(baseUrl), ({ end }) => end), 40)
            assert.strictEqual(done.length, ends.filter((end) => end === "answered").length)
            return ends.map((end) => end === "answered" ? "." : "x").join("")
          }))
        const half = yield* fates(7, 0.5)
        assert.strictEqual(yield* fates(7, 0.5), half)
        assert.notStrictEqual(yield* fates(8, 0.5), half)
        assert.match(half, /x/)
        assert.match(half, /\./)
        assert.strictEqual(yield* fates(7, 0), ".".repeat(40))
        assert.strictEqual(yield* fates(7, 1), "x".repeat(40))
      }))

    it.live("a number of times", () =>
      Effect.gen(function*() {
        const { baseUrl, fault, setFault } = yield* acme()
        yield* setFault({ kind: "status", status: 503, times: 2 })
        const statuses = yield* Effect.replicateEffect(Effect.map(placeAt(baseUrl), ({ status }) => status), 4)
        assert.deepStrictEqual(statuses, [503, 503, 201, 201])
        assert.strictEqual(yield* fault, undefined)
      }))

    it.live("by its operation, and counts no other", () =>
      Effect.gen(function*() {
        const { baseUrl, done, fault, setFault } = yield* acme()
        yield* setFault({ kind: "status", status: 503, times: 1, operation: "orders.place" })
        assert.strictEqual((yield* answerTo(`${baseUrl}/orders/o1`)).status, 200)
        assert.strictEqual((yield* answerTo(`${baseUrl}/nowhere`)).status, 400)
        assert.strictEqual((yield* placeAt(baseUrl)).status, 503)
        assert.strictEqual(yield* fault, undefined)
        assert.deepStrictEqual(done, ["get"])
      }))

    it.live("by the last fault that was set, which replaces the one before and its count", () =>
      Effect.gen(function*() {
        const { baseUrl, setFault } = yield* acme()
        yield* setFault({ kind: "status", status: 503, times: 1 })
        yield* setFault({ kind: "status", status: 502 })
        const statuses = yield* Effect.replicateEffect(Effect.map(placeAt(baseUrl), ({ status }) => status), 3)
        assert.deepStrictEqual(statuses, [502, 502, 502])
      }))

    it.each<readonly [string, unknown]>([
      ["an unknown kind", { kind: "flood" }],
      ["a probability above 1", { kind: "resetBefore", probability: 1.1 }],
      ["a probability below 0", { kind: "resetBefore", probability: -0.1 }],
      ["no time at all", { kind: "resetBefore", times: 0 }],
      ["half a time", { kind: "resetBefore", times: 0.5 }],
      ["latency without its length", { kind: "latency" }],
      ["a negative latency", { kind: "latency", millis: -1 }],
      ["a latency that never ends", { kind: "latency", millis: Infinity }],
      ["a drip that stands still", { kind: "drip", bytesPerSecond: 0 }],
      ["an interim status", { kind: "status", status: 199 }],
      ["an invalid status", { kind: "status", status: 600 }],
      ["an empty window", { kind: "rateLimit", limit: 1, windowMillis: 0 }]
    ])("and rejects a fault with %s", (_, fault) => {
      assert.throws(() => Schema.decodeUnknownSync(Simulator.Fault)(fault))
    })
  })

  describe("keeps a journal:", () => {
    it.live("every request in order, with its status, without its query, until it is cleared", () =>
      Effect.gen(function*() {
        const clock = yield* OwnClock.make
        yield* clock.setTime(Date.UTC(2026, 10, 22, 12))
        const { baseUrl, journal, setFault } = yield* clock.on(acme())
        yield* placeAt(baseUrl)
        yield* answerTo(`${baseUrl}/orders?limit=1&secret=s`)
        yield* clock.adjust("1 minute")
        yield* answerTo(`${baseUrl}/nowhere?secret=s`, { method: "PATCH" })
        yield* setFault({ kind: "resetAfter" })
        yield* answerTo(`${baseUrl}/orders/o%2F1`)
        assert.strictEqual(journal.count, 4)
        assert.deepStrictEqual(journal.requests, [
          {
            at: "2026-11-22T12:00:00.000Z",
            method: "POST",
            path: "/v1/orders",
            operation: "orders.place",
            status: 201
          },
          { at: "2026-11-22T12:00:00.000Z", method: "GET", path: "/v1/orders", operation: "orders.count", status: 200 },
          { at: "2026-11-22T12:01:00.000Z", method: "PATCH", path: "/v1/nowhere", operation: undefined, status: 400 },
          {
            at: "2026-11-22T12:01:00.000Z",
            method: "GET",
            path: "/v1/orders/o%2F1",
            operation: "orders.get",
            status: null
          }
        ])
        journal.clear()
        assert.strictEqual(journal.count, 0)
        assert.deepStrictEqual(journal.requests, [])
        yield* answerTo(`${baseUrl}/orders/o1`)
        assert.strictEqual(journal.count, 1)
        assert.strictEqual(journal.requests[0]!.path, "/v1/orders/o1")
      }))

    it.live("a request without a response yet, and then its status", () =>
      Effect.gen(function*() {
        const answer = yield* Deferred.make<Simulator.WireResponse>()
        const taken = yield* Deferred.make<void>()
        const { baseUrl, journal } = yield* acme({
          front: () => Effect.andThen(Deferred.succeed(taken, undefined), Deferred.await(answer))
        })
        const asked = yield* ask(`${baseUrl}/orders/o1`)
        yield* Deferred.await(taken)
        assert.deepStrictEqual(journal.requests.map(({ status }) => status), [null])
        yield* Deferred.succeed(answer, Simulator.json(202, {}))
        yield* asked.ended
        assert.deepStrictEqual(journal.requests.map(({ status }) => status), [202])
      }))
  })

  describe("ends with its scope", () => {
    it.live("its port, and every connection in any state", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const taken = yield* Deferred.make<void>()
        const { baseUrl, setFault } = yield* Scope.provide(
          acme({
            front: (request, next) =>
              request.method === "POST"
                ? Effect.andThen(Deferred.succeed(taken, undefined), Effect.never)
                : orElse500(next)
          }),
          scope
        )
        const waiting = yield* ask(`${baseUrl}/orders`, placing)
        yield* Deferred.await(taken)
        yield* setFault({ kind: "endless" })
        const reading = yield* ask(`${baseUrl}/orders/o1`)
        yield* reading.until("it has begun", () => reading.body !== "")
        yield* Scope.close(scope, Exit.void)
        yield* waiting.ended
        yield* reading.ended
        assert.strictEqual(waiting.end, "ECONNRESET")
        assert.strictEqual(reading.end, "ECONNRESET")
        assert.strictEqual((yield* placeAt(baseUrl)).end, "ECONNREFUSED")
      }))

    it.live("even while it refuses connections", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const { baseUrl, setFault } = yield* Scope.provide(acme(), scope)
        yield* setFault({ kind: "refuse" })
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* placeAt(baseUrl)).end, "ECONNREFUSED")
      }))
  })

  it.live("finishes a request whose caller has disconnected: a vendor acts on what it has received", () =>
    Effect.gen(function*() {
      const clock = yield* OwnClock.make
      const taken = yield* Deferred.make<void>()
      const { baseUrl, done, setFault, until } = yield* clock.on(acme({
        front: (_request, next) =>
          Effect.andThen(
            Deferred.succeed(taken, undefined),
            orElse500(next)
          )
      }))
      yield* setFault({ kind: "latency", millis: 1_000 })
      yield* Effect.scoped(Effect.andThen(ask(`${baseUrl}/orders`, placing), Deferred.await(taken)))
      yield* clock.adjust(1_000)
      yield* until("it has acted", () => done.length === 1)
    }))

  it.live("listens at the configured port", () =>
    Effect.gen(function*() {
      const { baseUrl } = yield* Effect.scoped(acme())
      const again = yield* acme({ port: Number(new URL(baseUrl).port) })
      assert.strictEqual(again.baseUrl, baseUrl)
      assert.strictEqual((yield* placeAt(baseUrl)).status, 201)
    }))
})

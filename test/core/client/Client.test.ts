import type { Client } from "@breakwater/core/client/Client"
import * as IdempotencyKey from "@breakwater/core/IdempotencyKey"
import { InvalidRequest, isVendorError, Unavailable, type VendorError } from "@breakwater/core/VendorError"
import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type { HttpApiSchema } from "effect/http-api"
import { randomUUID } from "node:crypto"
import { inspect } from "node:util"
import {
  type AcmeApi,
  anvil,
  type Declined,
  type Duplicate,
  type Item,
  type Missing,
  overTheWire,
  play,
  type Receipt
} from "../../fakes/Acme.ts"
import { json, type Seen } from "../../fakes/ScriptedServer.ts"

const newItem = { name: "Anvil", price: 7, maker: { city: "Köln" } }

/** A request as sent, without the headers that every request to this server has. */
const wire = ({ body, headers, method, url }: Seen) => ({
  method,
  url,
  headers: headers.filter(([name]) => !byTheTransport.includes(name)),
  body
})

const byTheTransport = ["host", "connection", "accept-encoding"]

const common = [["user-agent", "breakwater/0.1"], ["accept", "application/json"]] as const

describe("the client of a contract", () => {
  describe("writes what the contract says:", () => {
    it.live("path, query and headers", () =>
      Effect.gen(function*() {
        const { client, server } = yield* play(() => json(anvil))
        const item = yield* client.items.find({
          params: { id: "a/b?c #d%é" },
          query: { limit: 2.5, tag: ["x y", "&="] },
          headers: { "X-Tenant": "blue", "x-trace": "t 1" }
        })
        assert.deepStrictEqual(item, anvil)
        yield* client.items.find({ params: { id: "plain" }, query: {}, headers: { "X-Tenant": "red" } })
        assert.deepStrictEqual(server.seen.map(wire), [
          {
            method: "GET",
            url: "/items/a%2Fb%3Fc%20%23d%25%C3%A9?limit=2.5&tag=x+y&tag=%26%3D",
            headers: [...common, ["X-Tenant", "blue"], ["x-trace", "t 1"]],
            body: ""
          },
          { method: "GET", url: "/items/plain", headers: [...common, ["X-Tenant", "red"]], body: "" }
        ])
      }).pipe(overTheWire))

    it.live("a JSON body", () =>
      Effect.gen(function*() {
        const { client, server } = yield* play(() => json(anvil, 201))
        yield* client.items.create({ payload: newItem }, { idempotencyKey: "order-7" })
        const body = JSON.stringify(newItem)
        assert.deepStrictEqual(server.seen.map(wire), [{
          method: "POST",
          url: "/items",
          headers: [
            ...common,
            ["content-type", "application/json"],
            ["Idempotency-Key", "order-7"],
            ["content-length", String(Buffer.byteLength(body))]
          ],
          body
        }])
      }).pipe(overTheWire))

    it.live("a form with brackets", () =>
      Effect.gen(function*() {
        const { client, server } = yield* play(() => json(anvil))
        yield* client.items.update({
          params: { id: "anvil" },
          payload: {
            price: 8,
            labels: { "kind of": "tool & die", ü: "=" },
            sizes: [{ width: 1.5, isSold: false }, { width: 2, isSold: true }]
          }
        })
        const body = "price=8&labels%5Bkind+of%5D=tool+%26+die&labels%5B%C3%BC%5D=%3D" +
          "&sizes%5B0%5D%5Bwidth%5D=1.5&sizes%5B0%5D%5BisSold%5D=false" +
          "&sizes%5B1%5D%5Bwidth%5D=2&sizes%5B1%5D%5BisSold%5D=true"
        assert.deepStrictEqual(server.seen.map(wire), [{
          method: "PUT",
          url: "/items/anvil",
          headers: [
            ...common,
            ["content-type", "application/x-www-form-urlencoded"],
            ["content-length", String(body.length)]
          ],
          body
        }])
      }).pipe(overTheWire))

    it.live("no body for an operation without a payload", () =>
      Effect.gen(function*() {
        const { client, server } = yield* play(() => ({ status: 204 }))
        yield* client.items.remove({ params: { id: "anvil" } })
        yield* client.items.ship({ params: { id: "anvil" } })
        assert.deepStrictEqual(server.seen.map(wire), [
          { method: "DELETE", url: "/items/anvil", headers: [...common], body: "" },
          { method: "POST", url: "/items/anvil/ship", headers: [...common, ["content-length", "0"]], body: "" }
        ])
      }).pipe(overTheWire))

    it.live("below the path of the base URL, with or without a trailing slash", () =>
      Effect.gen(function*() {
        for (const path of ["/v1/acme", "/v1/acme/"]) {
          const { server } = yield* play(() => json({ ok: true }))
          const { client } = yield* play(() => "reset", { baseUrl: `${server.baseUrl}${path}` })
          assert.deepStrictEqual(yield* client.ping(), { ok: true })
          assert.deepStrictEqual(server.seen.map(({ url }) => url), ["/v1/acme/ping"])
        }
      }).pipe(overTheWire))

    it.live("with the version, the name and the headers that the declaration fixes", () =>
      Effect.gen(function*() {
        const { client, server } = yield* play(() => json({ ok: true }), {
          version: { header: "Acme-Version", value: "2026-11-01" },
          userAgent: "shop/3",
          headers: { "X-Partner": "p 1", "x-mode": "live" }
        })
        yield* client.ping()
        assert.deepStrictEqual(wire(server.seen[0]!).headers, [
          ["user-agent", "shop/3"],
          ["accept", "application/json"],
          ["Acme-Version", "2026-11-01"],
          ["X-Partner", "p 1"],
          ["x-mode", "live"]
        ])
      }).pipe(overTheWire))

    it.live("the same on every attempt", () =>
      Effect.gen(function*() {
        const { client, server } = yield* play((_, index) => index < 2 ? { status: 503 } : json(anvil, 201))
        yield* client.items.create({ payload: newItem })
        assert.strictEqual(server.seen.length, 3)
        for (const seen of server.seen.slice(1)) assert.deepStrictEqual(wire(seen), wire(server.seen[0]!))
      }).pipe(overTheWire))
  })

  describe("keeps a write one write:", () => {
    const keys = (seen: ReadonlyArray<Seen>) => seen.map((request) => request.header("idempotency-key"))

    it.live("with one key for all attempts of a call, and a new one for the next call", () =>
      Effect.gen(function*() {
        const { client, server } = yield* play((_, index) => index % 3 < 2 ? { status: 503 } : json(anvil, 201))
        // The same effect run twice is two calls.
        const call = client.items.create({ payload: newItem })
        yield* call
        yield* call
        const [first, , , second] = keys(server.seen)
        assert.deepStrictEqual(keys(server.seen), [first, first, first, second, second, second])
        assert.notStrictEqual(first, second)
        for (const key of [first, second]) assert.isTrue(key !== undefined && IdempotencyKey.isKey(key))
      }).pipe(overTheWire))

    it.live("with the caller's key: the call's own overrides the one in its context", () =>
      Effect.gen(function*() {
        const { client, server } = yield* play(() => json(anvil, 201))
        const create = client.items.create({ payload: newItem })
        yield* create.pipe(IdempotencyKey.withKey("around"))
        yield* client.items.create({ payload: newItem }, { idempotencyKey: "own" })
        yield* client.items.create({ payload: newItem }, { idempotencyKey: "own" }).pipe(
          IdempotencyKey.withKey("around")
        )
        yield* create
        const [first, second, third, made] = keys(server.seen)
        assert.deepStrictEqual([first, second, third], ["around", "own", "own"])
        assert.notInclude(["around", "own"], made)
      }).pipe(overTheWire))

    it.live("and sends no key with an operation that takes none", () =>
      Effect.gen(function*() {
        const { client, server } = yield* play(({ method }) => method === "GET" ? json({ ok: true }) : { status: 204 })
        yield* client.ping(undefined, { idempotencyKey: "k" }).pipe(IdempotencyKey.withKey("k"))
        yield* client.items.ship({ params: { id: "anvil" } }, { idempotencyKey: "k" }).pipe(IdempotencyKey.withKey("k"))
        assert.deepStrictEqual(keys(server.seen), [undefined, undefined])
      }).pipe(overTheWire))

    it.live.each(["", " ", "with space", "line\nbreak", "ümlaut", "\u007f", "x".repeat(256)])(
      "and refuses the invalid key %j before anything is sent",
      (key) =>
        Effect.gen(function*() {
          const { client, server } = yield* play(() => json(anvil, 201))
          for (
            const call of [
              client.items.create({ payload: newItem }, { idempotencyKey: key }),
              client.items.create({ payload: newItem }).pipe(IdempotencyKey.withKey(key))
            ]
          ) {
            const error = yield* Effect.flip(call)
            if (!isVendorError(error)) return assert.fail("a declared error")
            assert.deepStrictEqual(
              error.reason,
              new InvalidRequest("an idempotency key is 1 to 255 visible ASCII characters")
            )
            assert.strictEqual(error.fate, "NotSent")
            assert.strictEqual(error.attempts, 0)
          }
          assert.strictEqual(server.seen.length, 0)
        }).pipe(overTheWire)
    )

    it.live("and repeats a write without a key only when nothing was sent", () =>
      Effect.gen(function*() {
        const { client, server } = yield* play(() => ({ status: 503 }))
        const error = yield* Effect.flip(client.items.ship({ params: { id: "anvil" } }))
        assert.deepStrictEqual(error.reason, new Unavailable(503))
        assert.isTrue(error.mayHaveHappened)
        assert.strictEqual(server.seen.length, 1)
      }).pipe(overTheWire))
  })

  describe("refuses input that does not fit, naming the place and not the value:", () => {
    const marked = `marked-${randomUUID()}`
    type Acme = Client<typeof AcmeApi>

    it.live.each<readonly [string, (client: Acme) => Effect.Effect<unknown, unknown>, issue: string]>([
      [
        "a field of the wrong type, deep in the body",
        ({ items }) => items.create({ payload: { ...newItem, maker: { city: [marked] as unknown as string } } }),
        "Expected string at [\"maker\"][\"city\"]"
      ],
      [
        "a field that is missing",
        ({ items }) => items.create({ payload: { name: marked, price: 7 } as typeof newItem }),
        "Missing key at [\"maker\"]"
      ],
      [
        "a field that fails a check",
        ({ items }) => items.create({ payload: { ...newItem, price: 7.5 } }),
        "Expected an integer at [\"price\"]"
      ],
      [
        "no body at all",
        ({ items }) => items.create({} as { payload: typeof newItem }),
        "Expected object"
      ],
      [
        "no input at all",
        ({ items }) => (items.create as () => Effect.Effect<unknown, unknown>)(),
        "Expected object"
      ],
      [
        "a field of a form",
        ({ items }) =>
          items.update({ params: { id: "a" }, payload: { price: marked as unknown as number, labels: {}, sizes: [] } }),
        "Expected number at [\"price\"]"
      ],
      [
        "a value under a key that is itself data",
        ({ items }) =>
          items.update({
            params: { id: "a" },
            payload: { price: 7, labels: { [`${marked}@acme.example`]: 7 as unknown as string }, sizes: [] }
          }),
        "Expected string at [\"labels\"][<key>]"
      ],
      [
        "a key that a form cannot express",
        ({ items }) =>
          items.update({ params: { id: "a" }, payload: { price: 7, labels: { [`${marked}[`]: "x" }, sizes: [] } }),
        "a key that is empty or holds a bracket"
      ],
      [
        "an item of a list",
        ({ items }) =>
          items.update({
            params: { id: "a" },
            payload: { price: 7, labels: {}, sizes: [{ width: 1, isSold: marked as unknown as boolean }] }
          }),
        "Expected boolean at [\"sizes\"][0][\"isSold\"]"
      ],
      [
        "a path parameter that leads elsewhere",
        ({ items }) => items.remove({ params: { id: ".." } }),
        "Invalid path parameter: id"
      ],
      [
        "an empty path parameter",
        ({ items }) => items.remove({ params: { id: "" } }),
        "Missing path parameter: id"
      ],
      [
        "a path parameter of the wrong type",
        ({ items }) => items.remove({ params: { id: { marked } as unknown as string } }),
        "Expected string at [\"id\"]"
      ],
      [
        "a part of the query",
        ({ items }) =>
          items.find({
            params: { id: "a" },
            query: { limit: marked as unknown as number },
            headers: { "X-Tenant": "t" }
          }),
        "Expected number at [\"limit\"]"
      ],
      [
        "a header that is missing",
        ({ items }) => items.find({ params: { id: "a" }, query: {}, headers: {} as { "X-Tenant": string } }),
        "Missing key at [\"X-Tenant\"]"
      ],
      [
        "a line break in a header",
        ({ items }) =>
          items.find({ params: { id: "a" }, query: {}, headers: { "X-Tenant": `${marked}\r\nx-evil: 1` } }),
        "the header X-Tenant holds characters that cannot be sent"
      ]
    ])("%s", ([, call, issue]) =>
      Effect.gen(function*() {
        const { client, server } = yield* play(() => json(anvil))
        const error = yield* Effect.flip(call(client))
        if (!isVendorError(error)) return assert.fail("a declared error")
        assert.deepStrictEqual(error.reason, new InvalidRequest(issue))
        assert.strictEqual(error.fate, "NotSent")
        assert.notInclude(inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error), marked)
        assert.strictEqual(server.seen.length, 0)
      }).pipe(overTheWire))
  })

  it.live("sends no request and asks no gate until it is run, and sends one per run", () =>
    Effect.gen(function*() {
      const { client, server } = yield* play(() => json({ ok: true }))
      const ping = client.ping()
      assert.strictEqual(server.seen.length, 0)
      yield* Effect.all([ping, ping], { concurrency: "unbounded" })
      assert.strictEqual(server.seen.length, 2)
    }).pipe(overTheWire))

  it.live("releases its connection when its caller is interrupted", () =>
    Effect.gen(function*() {
      const { client, server } = yield* play(() => "silence")
      const fiber = yield* Effect.forkChild(client.ping())
      yield* server.untilSeen(1)
      yield* Fiber.interrupt(fiber)
      yield* server.untilNoneOpen
      assert.strictEqual(server.seen.length, 1)
    }).pipe(overTheWire))

  it("has the types of its contract: declared errors or a VendorError, and no requirements", () => {
    type Acme = Client<typeof AcmeApi>
    type Of<Method extends (...args: never) => unknown> = ReturnType<Method>

    expectTypeOf<Of<Acme["items"]["find"]>>().toEqualTypeOf<
      Effect.Effect<Item, typeof Missing.Type | VendorError, never>
    >()
    expectTypeOf<Of<Acme["items"]["create"]>>().toEqualTypeOf<
      Effect.Effect<Item | typeof Receipt.Type, typeof Declined.Type | typeof Duplicate.Type | VendorError, never>
    >()
    expectTypeOf<Of<Acme["items"]["remove"]>>().toEqualTypeOf<Effect.Effect<void, VendorError, never>>()
    expectTypeOf<Of<Acme["items"]["label"]>>().toEqualTypeOf<Effect.Effect<string, VendorError, never>>()
    expectTypeOf<Of<Acme["items"]["list"]>>().toEqualTypeOf<
      Effect.Effect<
        HttpApiSchema.withHeaders<ReadonlyArray<Item>, { readonly etag: string; readonly "x-total": number }>,
        VendorError,
        never
      >
    >()
    expectTypeOf<Parameters<Acme["items"]["remove"]>[0]>().toEqualTypeOf<{
      readonly params: { readonly id: string }
    }>()
    expectTypeOf<Parameters<Acme["ping"]>[0]>().toEqualTypeOf<undefined>()
    expectTypeOf<Acme>().not.toHaveProperty("status")
  })
})

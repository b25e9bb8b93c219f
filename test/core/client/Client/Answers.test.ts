import type { Answer } from "@breakwater/core/client/Answer"
import type { Client } from "@breakwater/core/client/Client"
import * as Bulkhead from "@breakwater/core/policies/Bulkhead"
import {
  Conflict,
  InvalidResponse,
  isVendorError,
  RateLimited,
  type Reason,
  RequestRejected,
  ResponseTooLarge,
  Unauthorized,
  Unavailable
} from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import { randomUUID } from "node:crypto"
import { inspect } from "node:util"
import { type AcmeApi, anvil, overTheWire, play } from "../../../fakes/Acme.ts"
import { json, type Reply } from "../../../fakes/ScriptedServer.ts"

type Acme = Client<typeof AcmeApi>

const find = ({ items }: Acme) => items.find({ params: { id: "anvil" }, query: {}, headers: { "X-Tenant": "t" } })
const create = ({ items }: Acme) =>
  items.create({ payload: { name: "Anvil", price: 7, maker: { city: "Köln" } } }, { idempotencyKey: "k" })
const label = ({ items }: Acme) => items.label({ params: { id: "anvil" } })
const list = ({ items }: Acme) => items.list()
const remove = ({ items }: Acme) => items.remove({ params: { id: "anvil" } })
const ping = ({ ping }: Acme) => ping()

type Call = (client: Acme) => Effect.Effect<unknown, unknown>

/** A marker that must never reappear: every value of a body or a header is made of it. */
const marked = `marked-${randomUUID()}`

const bytes = (...parts: ReadonlyArray<string | number>): Uint8Array =>
  Buffer.concat(parts.map((part) => typeof part === "number" ? Buffer.from([part]) : Buffer.from(part)))

describe("the client of a contract", () => {
  it.live.each<readonly [string, Call, Reply, value: unknown]>([
    ["the answer of one status", create, json(anvil, 201), anvil],
    ["the answer of another status", create, json({ receipt: "r1" }, 202), { receipt: "r1" }],
    ["only the fields that are declared", find, json({ ...anvil, secret: 1 }), anvil],
    ["JSON under any content type", find, { body: JSON.stringify(anvil) }, anvil],
    ["JSON behind a byte order mark", find, { body: bytes(0xef, 0xbb, 0xbf, JSON.stringify(anvil)) }, anvil],
    ["text", label, { headers: { "content-type": "text/plain" }, body: "Ambß, 7 €" }, "Ambß, 7 €"],
    ["empty text", label, {}, ""],
    ["text that looks like JSON", label, json({ a: 1 }), "{\"a\":1}"],
    ["nothing, where nothing is declared", remove, { status: 204 }, undefined]
  ])("reads %s", ([, call, reply, value]) =>
    Effect.gen(function*() {
      const { client, server } = yield* play(() => reply)
      assert.deepStrictEqual(yield* call(client), value)
      assert.strictEqual(server.seen.length, 1)
    }).pipe(overTheWire))

  it.live("reads the headers of an answer beside its body", () =>
    Effect.gen(function*() {
      const { client } = yield* play(() => json([anvil], 200, { ETag: "\"v1\"", "X-Total": "12" }))
      const { body, headers } = yield* client.items.list()
      assert.deepStrictEqual(body, [anvil])
      assert.deepStrictEqual(headers, { etag: "\"v1\"", "x-total": 12 })
    }).pipe(overTheWire))

  it.live.each<readonly [string, Call, Reply, error: unknown]>([
    ["of its status", create, json({ declined: "no funds" }, 402), { declined: "no funds" }],
    ["of another status", create, json({ duplicateOf: "anvil" }, 409), { duplicateOf: "anvil" }],
    ["of a read", find, json({ missing: "anvil" }, 404), { missing: "anvil" }]
  ])("fails with the declared error %s, and does not call again", ([, call, reply, error]) =>
    Effect.gen(function*() {
      const { client, server } = yield* play(() => reply)
      assert.deepStrictEqual(yield* Effect.flip(call(client)), error)
      assert.strictEqual(server.seen.length, 1)
    }).pipe(overTheWire))

  it.live.each<readonly [string, Call, Reply, reason: Reason]>([
    [
      "a body that is cut short",
      find,
      { headers: { "content-type": "application/json" }, body: `{"id":"${marked}` },
      new InvalidResponse(200, "Expected a JSON body", `<not json, ${7 + marked.length} bytes, application/json>`)
    ],
    [
      "an HTML page",
      find,
      { headers: { "content-type": "text/html; charset=utf-8" }, body: `<!doctype html><title>${marked}</title>` },
      new InvalidResponse(200, "Expected a JSON body", `<html, ${30 + marked.length} bytes, text/html>`)
    ],
    [
      "a content type in the vendor's own words",
      find,
      { headers: { "content-type": `oops: ${marked}` }, body: marked },
      new InvalidResponse(200, "Expected a JSON body", `<not json, ${marked.length} bytes, no content type>`)
    ],
    [
      "no body",
      find,
      { headers: { "content-type": "application/json" } },
      new InvalidResponse(200, "Expected a JSON body", "<empty, 0 bytes, application/json>")
    ],
    [
      "bytes that are not UTF-8",
      find,
      { body: bytes(`{"id":"${marked}`, 0xff, "\",\"price\":7}") },
      new InvalidResponse(200, "Expected a JSON body", `<not json, ${20 + marked.length} bytes, no content type>`)
    ],
    [
      "JSON that is only a value",
      find,
      json(marked),
      new InvalidResponse(200, "Expected object", "string")
    ],
    ["JSON that is null", find, json(null), new InvalidResponse(200, "Expected object", "null")],
    [
      "a field of another type",
      find,
      json({ id: marked, price: marked }),
      new InvalidResponse(200, "Expected number at [\"price\"]", "{ id: string, price: string }")
    ],
    [
      "a field that fails its check",
      find,
      json({ id: marked, price: 7.25 }),
      new InvalidResponse(200, "Expected an integer at [\"price\"]", "{ id: string, price: number }")
    ],
    [
      "a field that is missing",
      find,
      json({ price: 7, [marked]: marked, [`${marked}@acme.example`]: 1 }),
      new InvalidResponse(200, "Missing key at [\"id\"]", "{ price: number, <key>: string, <key>: number }")
    ],
    [
      "a field deep within",
      find,
      json({ ...anvil, maker: { city: [marked] } }),
      new InvalidResponse(
        200,
        "Expected string at [\"maker\"][\"city\"]",
        "{ id: string, price: number, maker: { city: [string × 1] } }"
      )
    ],
    [
      "a value under a key that is itself data",
      find,
      json({ ...anvil, stock: { [`${marked}@acme.example`]: marked } }),
      new InvalidResponse(
        200,
        "Expected number at [\"stock\"][<key>]",
        "{ id: string, price: number, stock: { <key>: string } }"
      )
    ],
    [
      "an item of a list",
      list,
      json([anvil, { id: marked, price: marked }], 200, { etag: marked, "x-total": "2" }),
      new InvalidResponse(200, "Expected number at [1][\"price\"]", "[{ id: string, price: number } × 2]")
    ],
    [
      "a header that is missing",
      list,
      json([{ id: marked, price: 7 }], 200, { "x-total": "2" }),
      new InvalidResponse(200, "Missing key at [\"etag\"]", "[{ id: string, price: number } × 1]")
    ],
    [
      "a header of another type",
      list,
      json([{ id: marked, price: 7 }], 200, { etag: marked, "x-total": marked }),
      new InvalidResponse(200, "Expected a finite number at [\"x-total\"]", "[{ id: string, price: number } × 1]")
    ],
    [
      "the answer of another status",
      find,
      json(anvil, 201),
      new InvalidResponse(201, "status 201 is not part of the contract")
    ],
    [
      "no content where some is declared",
      find,
      { status: 204 },
      new InvalidResponse(204, "status 204 is not part of the contract")
    ],
    [
      "content where none is declared",
      remove,
      json({ id: marked }),
      new InvalidResponse(200, "status 200 is not part of the contract")
    ],
    [
      "a redirect, which it does not follow",
      find,
      { status: 302, headers: { location: `/items/${marked}` } },
      new InvalidResponse(302, "status 302 is not part of the contract")
    ],
    [
      "a permanent redirect, which it does not follow",
      create,
      { status: 308, headers: { location: `/items/${marked}` } },
      new InvalidResponse(308, "status 308 is not part of the contract")
    ]
  ])(
    "rejects an answer with %s, and says what is wrong without quoting it",
    ([, call, reply, reason]) =>
      Effect.gen(function*() {
        const { client, server } = yield* play(() => reply)
        const exit = yield* Effect.exit(call(client))
        const error = yield* Effect.flip(exit)
        if (!isVendorError(error)) return assert.fail("a declared error")
        assert.deepStrictEqual(error.reason, reason)
        assert.strictEqual(error.fate, "Unknown")
        const printed = [
          inspect(exit, { depth: 20, showHidden: true }),
          JSON.stringify(exit),
          Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
        ]
        for (const text of printed) assert.notInclude(text, marked)
        assert.strictEqual(server.seen.length, 1)
      }).pipe(overTheWire)
  )

  it.live.each<readonly [string, Call, Reply, reason: Reason]>([
    ["a declared error that does not fit", create, json({ [marked]: marked }, 402), new RequestRejected(402)],
    ["a declared conflict that does not fit", create, json({}, 409), new Conflict(409, { isRetryable: false })],
    ["a declared error without a body", find, { status: 404 }, new RequestRejected(404)],
    ["an undeclared refusal", ping, json({ [marked]: marked }, 404), new RequestRejected(404)],
    ["a refusal of the credential", ping, json({ [marked]: marked }, 401), new Unauthorized(401)],
    [
      "a failure that is not retried",
      ping,
      json({ [marked]: marked }, 501),
      new Unavailable(501, { isRetryable: false })
    ],
    [
      "a rate limit that lasts longer than the deadline",
      ping,
      json({ [marked]: marked }, 429, { "retry-after": "60" }),
      new RateLimited(429, { retryAfterMillis: 60_000 })
    ]
  ])("uses the status of %s", ([, call, reply, reason]) =>
    Effect.gen(function*() {
      const { client, server } = yield* play(() => reply)
      const error = yield* Effect.flip(call(client))
      if (!isVendorError(error)) return assert.fail("a declared error")
      assert.deepStrictEqual(error.reason, reason)
      assert.notInclude(inspect(error, { depth: 20, showHidden: true }), marked)
      assert.strictEqual(server.seen.length, 1)
    }).pipe(overTheWire))

  it.live("reads an answer of the largest size that is allowed, and no larger", () =>
    Effect.gen(function*() {
      const text = "x".repeat(1_024)
      const { client } = yield* play(({ url }) => ({ body: url.includes("large") ? `${text}y` : text }), {
        policy: { maxResponseSize: "1 KiB" }
      })
      assert.strictEqual(yield* client.items.label({ params: { id: "small" } }), text)
      const error = yield* Effect.flip(client.items.label({ params: { id: "large" } }))
      assert.deepStrictEqual(error.reason, new ResponseTooLarge(1_024))
    }).pipe(overTheWire))

  it.live("reads up to 8 MiB by default", () =>
    Effect.gen(function*() {
      const { client } = yield* play(() => ({ body: Buffer.alloc(8 * 1024 * 1024 + 1, "x") }))
      const error = yield* Effect.flip(client.items.label({ params: { id: "large" } }))
      assert.deepStrictEqual(error.reason, new ResponseTooLarge(8 * 1024 * 1024))
    }).pipe(overTheWire))
})

describe("a declaration that says more about answers than their status", () => {
  it.live("turns an answer into a failure by its body, and runs before the contract", () =>
    Effect.gen(function*() {
      const asked: Array<readonly [string, Pick<Answer, "status" | "json" | "retryAfterMillis">]> = []
      const { client, server } = yield* play(
        (_, index) => index === 0 ? json({ ok: false }, 200, { "retry-after": "0" }) : json({ ok: true }),
        {
          classify: ({ headers, json, retryAfterMillis, status }, { id }) => {
            asked.push([`${id} ${String(headers["content-type"])}`, { status, json, retryAfterMillis }])
            return (json as { ok: boolean }).ok ? undefined : new Unavailable(status, { retryAfterMillis })
          }
        }
      )
      assert.deepStrictEqual(yield* client.ping(), { ok: true })
      assert.strictEqual(server.seen.length, 2)
      assert.deepStrictEqual(asked, [
        ["ping application/json", { status: 200, json: { ok: false }, retryAfterMillis: 0 }],
        ["ping application/json", { status: 200, json: { ok: true }, retryAfterMillis: undefined }]
      ])
    }).pipe(overTheWire))

  it.live("fails with its reason, once the retries are used up", () =>
    Effect.gen(function*() {
      const { client, server } = yield* play(() => json({ ok: false }), {
        policy: { retry: { retries: 1, base: 0 } },
        classify: () => new Unavailable(200, { fate: "Rejected" })
      })
      const error = yield* Effect.flip(client.ping())
      assert.strictEqual(error.message, "acme ping: the vendor is unavailable (status 200)")
      assert.strictEqual(error.fate, "Rejected")
      assert.strictEqual(error.attempts, 2)
      assert.strictEqual(server.seen.length, 2)
    }).pipe(overTheWire))

  it.live("gets no JSON from a body that is not JSON", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const { client } = yield* play(() => ({ body: "ding" }), {
        classify: ({ json }) => {
          seen.push(json, json)
          return undefined
        }
      })
      assert.strictEqual(yield* label(client), "ding")
      assert.deepStrictEqual(seen, [undefined, undefined])
    }).pipe(overTheWire))

  it.live("kills its call when it throws: one defect, and everything is released", () =>
    Effect.gen(function*() {
      const bulkhead = Bulkhead.make({ limit: 1, queue: 0 })
      const broken = new TypeError("undefined is not a failure")
      const { client, server } = yield* play(() => json({ ok: true }), {
        policy: { bulkhead },
        classify: () => {
          if (server.seen.length < 2) throw broken
          return undefined
        }
      })
      const exit = yield* Effect.exit(client.ping())
      assert.deepStrictEqual(exit, Exit.die(broken))
      assert.strictEqual(bulkhead.running("acme"), 0)
      assert.strictEqual(server.seen.length, 1)
      assert.deepStrictEqual(yield* client.ping(), { ok: true })
    }).pipe(overTheWire))
})

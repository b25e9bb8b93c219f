/**
 * Texts and numbers as a request carries them. Found in use: `lat=1e-7` was sent, half of a surrogate pair in a form
 * became U+FFFD, and a payload without content was sent as `null`.
 */
import { bracketForm } from "@breakwater/core"
import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import type { TransportRequest } from "@breakwater/core/transport/Transport"
import { isVendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import * as FakeTransport from "../fakes/Transport.ts"

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("items", { topLevel: true }).add(
    HttpApiEndpoint.get("find", "/at/:lat", {
      params: { lat: Schema.Union([Schema.Finite, Schema.String]) },
      query: { lon: Schema.optionalKey(Schema.Union([Schema.Finite, Schema.String])) },
      headers: { "x-at": Schema.optionalKey(Schema.Finite) }
    }),
    HttpApiEndpoint.post("form", "/", {
      payload: bracketForm(Schema.Struct({ at: Schema.Array(Schema.Union([Schema.Finite, Schema.String])) }))
    }).annotate(Operation.Safety, "Unsafe"),
    HttpApiEndpoint.post("json", "/", { payload: Schema.Record(Schema.String, Schema.String) })
      .annotate(Operation.Safety, "Unsafe"),
    HttpApiEndpoint.post("text", "/", { payload: Schema.String.pipe(HttpApiSchema.asText()) })
      .annotate(Operation.Safety, "Unsafe"),
    HttpApiEndpoint.post("nothing", "/", { payload: HttpApiSchema.NoContent }).annotate(Operation.Safety, "Unsafe"),
    HttpApiEndpoint.post("void", "/", { payload: Schema.Void }).annotate(Operation.Safety, "Unsafe"),
    HttpApiEndpoint.post("perhaps", "/", { payload: [Schema.Struct({ a: Schema.Int }), HttpApiSchema.NoContent] })
      .annotate(Operation.Safety, "Unsafe"),
    HttpApiEndpoint.get("empty", "/empty", { success: Schema.Void }),
    HttpApiEndpoint.get("same", "/same", { success: HttpApiSchema.Empty(304) })
  )
)

const playing = (response: FakeTransport.Play = { status: 204, after: 0 }) =>
  Effect.gen(function*() {
    const sent: Array<TransportRequest> = []
    const client = yield* Vendor.make({ name: "acme", api: Api, baseUrl: "https://acme.example" }).pipe(
      Effect.provide(FakeTransport.layer((request) => {
        sent.push(request)
        return response
      }))
    )
    return { client, sent }
  })

const headersOf = ({ headers }: TransportRequest): Record<string, string> => {
  const named: Record<string, string> = {}
  for (let i = 0; i < headers.length; i += 2) named[headers[i]!] = headers[i + 1]!
  return named
}

describe("a number is a plain decimal", () => {
  it.live.each<readonly [number, string]>([
    [1e-7, "0.0000001"],
    [-1.25e-7, "-0.000000125"],
    [1e21, "1000000000000000000000"],
    [-1.5e22, "-15000000000000000000000"],
    [5e-324, `0.${"0".repeat(323)}5`],
    [-0, "0"],
    [0.1, "0.1"],
    [123456789012345680000, "123456789012345680000"]
  ])("%d is sent as %s, in path, query, header and form", ([number, plain]) =>
    Effect.gen(function*() {
      const { client, sent } = yield* playing()
      yield* client.find({ params: { lat: number }, query: { lon: number }, headers: { "x-at": number } })
      assert.strictEqual(sent[0]!.path, `/at/${plain}?lon=${plain}`)
      assert.strictEqual(headersOf(sent[0]!)["x-at"], plain)
      yield* client.form({ payload: { at: [7, number] } })
      assert.strictEqual(decodeURIComponent(String(sent[1]!.body)), `at[0]=7&at[1]=${plain}`)
    }).pipe(Effect.scoped))

  it.live("and a text that looks like another stays as it is", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* playing()
      yield* client.find({ params: { lat: 1e-7 }, query: { lon: "a1e-7 x" }, headers: {} })
      yield* client.find({ params: { lat: "1e-7" }, query: {}, headers: {} })
      assert.deepStrictEqual(sent.map(({ path }) => path), ["/at/0.0000001?lon=a1e-7+x", "/at/1e-7"])
    }).pipe(Effect.scoped))
})

describe("half of a surrogate pair", () => {
  const half = "\ud83d"
  it.live.each<
    readonly [string, (client: Effect.Success<ReturnType<typeof playing>>["client"]) => Effect.Effect<unknown, unknown>]
  >([
    ["a path", ({ find }) => find({ params: { lat: `a${half}` }, query: {}, headers: {} })],
    ["a query", ({ find }) => find({ params: { lat: 1 }, query: { lon: half }, headers: {} })],
    ["a form", ({ form }) => form({ payload: { at: [`${half}a`] } })],
    ["JSON", ({ json }) => json({ payload: { a: half } })],
    ["the name of a field", ({ json }) => json({ payload: { [half]: "a" } })],
    ["the other half", ({ json }) => json({ payload: { a: "\ude00" } })],
    ["text", ({ text }) => text({ payload: `${half} ` })]
  ])("is refused in %s", ([, call]) =>
    Effect.gen(function*() {
      const { client, sent } = yield* playing()
      const error = yield* Effect.flip(call(client))
      assert.isTrue(isVendorError(error) && error.reason._tag === "InvalidRequest")
      assert.lengthOf(sent, 0)
    }).pipe(Effect.scoped))

  it.live("is no matter with its other half", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* playing()
      yield* client.json({ payload: { a: "😀" } })
      yield* client.text({ payload: "😀" })
      assert.deepStrictEqual(sent.map(({ body }) => body), ["{\"a\":\"😀\"}", "😀"])
    }).pipe(Effect.scoped))
})

describe("no content", () => {
  it.live("is sent without a body and a content type", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* playing()
      yield* client.nothing({ payload: undefined })
      yield* client.void({ payload: undefined })
      yield* client.perhaps({ payload: undefined })
      for (const request of sent) {
        assert.isUndefined(request.body)
        assert.notProperty(headersOf(request), "content-type")
      }
      yield* client.perhaps({ payload: { a: 1 } })
      assert.deepStrictEqual([sent[3]!.body, headersOf(sent[3]!)["content-type"]], ["{\"a\":1}", "application/json"])
    }).pipe(Effect.scoped))

  it.live.each(["", "null", "{}", "<html>"])(
    "is read from a body that is not declared: %j",
    (body) =>
      Effect.gen(function*() {
        const { client } = yield* playing({ status: 200, bytes: Buffer.from(body), after: 0 })
        assert.isUndefined(yield* client.empty())
        const unchanged = yield* playing({ status: 304, bytes: Buffer.from(body), after: 0 })
        assert.isUndefined(yield* unchanged.client.same())
      }).pipe(Effect.scoped)
  )
})

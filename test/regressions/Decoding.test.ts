/**
 * Values that decoding changed without a word. Found in use: Latin-1 arrived with U+FFFD, and
 * `{"id": 227490627192107011}` as another id.
 */
import * as ExactInteger from "@breakwater/core/client/ExactInteger"
import * as Vendor from "@breakwater/core/client/Vendor"
import { isVendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import * as FakeTransport from "../fakes/Transport.ts"

/** The answer of a vendor that sends these bytes, as a schema reads it. */
const answerOf = (success: Schema.Top, contentType: string, body: Uint8Array | string) =>
  Effect.gen(function*() {
    const Api = HttpApi.make("acme").add(
      HttpApiGroup.make("items", { topLevel: true }).add(
        HttpApiEndpoint.get("find", "/", { success: success as Schema.Codec<unknown> })
      )
    )
    const client = yield* Vendor.make({ name: "acme", api: Api, baseUrl: "https://acme.example" }).pipe(
      Effect.provide(FakeTransport.layer(() => ({
        status: 200,
        headers: { "content-type": contentType },
        bytes: typeof body === "string" ? Buffer.from(body) : body,
        after: 0
      })))
    )
    return yield* Effect.map(
      Effect.match(client.find(), {
        onSuccess: (answer) => ({ answer }),
        onFailure: (error) => ({ refused: isVendorError(error) ? error.reason._tag : error })
      }),
      (end) => end as { readonly answer?: unknown; readonly refused?: unknown }
    )
  }).pipe(Effect.scoped)

const latin1 = (text: string) => Buffer.from(text, "latin1")
const refused = { refused: "InvalidResponse" }
const text = Schema.String.pipe(HttpApiSchema.asText())
const xml = Schema.String.pipe(HttpApiSchema.asText({ contentType: "application/xml" }))
const form = Schema.Struct({ name: Schema.String }).pipe(HttpApiSchema.asFormUrlEncoded())
const formType = "application/x-www-form-urlencoded"

describe("a body is read in its own charset", () => {
  it.live.each<readonly [string, Schema.Top, contentType: string, body: Uint8Array | string, expected: unknown]>([
    ["XML", xml, "application/xml; charset=iso-8859-1", latin1("<a>café</a>"), { answer: "<a>café</a>" }],
    ["text", text, "text/plain; charset=windows-1251", Uint8Array.of(0xcf), { answer: "П" }],
    ["a form", form, `${formType}; charset=iso-8859-1`, latin1("name=caf%E9+ü"), { answer: { name: "café ü" } }],
    ["a form in UTF-8", form, formType, "name=caf%C3%A9", { answer: { name: "café" } }],
    ["JSON", Schema.String, "application/json; charset=iso-8859-1", latin1("\"café\""), { answer: "café" }],
    ["text without a charset that is not UTF-8", text, "text/plain", latin1("café"), refused],
    ["a form that is not UTF-8", form, formType, "name=caf%E9", refused],
    ["half a character", text, "text/plain; charset=shift_jis", Uint8Array.of(0x83), refused],
    ["an unknown charset", text, "text/plain; charset=acme-1", "plain", refused]
  ])("or refused: %s", ([, schema, contentType, body, expected]) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* answerOf(schema, contentType, body), expected as object)
    }))
})

describe("an integer beyond the exact doubles", () => {
  const id = (schema: Schema.Top) => Schema.Struct({ id: schema }) as Schema.Top
  it.live.each<readonly [string, Schema.Top, body: string, expected: unknown]>([
    ["a number", Schema.Finite, "227490627192107011", refused],
    ["a negative one", Schema.Finite, "-9007199254740993", refused],
    ["an Int", Schema.Int, "9007199254740993", refused],
    ["any number", Schema.Number, "12345678901234567890", refused],
    ["an exact one", Schema.Finite, "9007199254740992", { answer: { id: 2 ** 53 } }],
    ["decimals", Schema.Finite, "0.12345678901234567890", { answer: { id: 0.12345678901234568 } }],
    ["a bigint", ExactInteger.bigint, "227490627192107011", { answer: { id: 227490627192107011n } }],
    ["a small bigint", ExactInteger.bigint, "-7", { answer: { id: -7n } }],
    ["a bigint that is written as text", ExactInteger.bigint, "\"227490627192107011\"", {
      answer: { id: 227490627192107011n }
    }],
    ["text", ExactInteger.text, "227490627192107011", { answer: { id: "227490627192107011" } }],
    ["a small one as text", ExactInteger.text, "7", { answer: { id: "7" } }],
    ["no integer", ExactInteger.text, "7.5", refused],
    ["no integer as text", ExactInteger.bigint, "\"seven\"", refused]
  ])("is never another integer: %s", ([, schema, body, expected]) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* answerOf(id(schema), "application/json", `{"id":${body}}`), expected as object)
    }))
})

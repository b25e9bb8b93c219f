import * as Json from "@breakwater/core/transport/Json"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { intBetween } from "../../drivers/IntBetween.ts"

const bytesOf = (text: string) => new TextEncoder().encode(text)

const mark = "\uFEFF"

describe("the JSON of a body", () => {
  it.each<readonly [text: string, value: unknown]>([
    ["{\"id\":7}", { id: 7 }],
    [" [1, 2]\r\n", [1, 2]],
    ["null", null],
    ["\"é\"", "é"],
    [`${mark}{"id":7}`, { id: 7 }],
    [`${mark}null`, null],
    [`${mark}${mark}{"id":7}`, undefined],
    [` ${mark}{"id":7}`, undefined],
    [mark, undefined],
    ["", undefined],
    ["undefined", undefined],
    ["{\"id\":7", undefined],
    ["{\"id\":7} {}", undefined],
    ["<html>", undefined]
  ])("%j is %j (RFC 8259, section 8.1)", (text, value) => {
    assert.deepStrictEqual(Json.parse(bytesOf(text)), value)
  })

  it("is absent if the body is not UTF-8", () => {
    assert.isUndefined(Json.parse(Buffer.from("{\"name\":\"caf\u00e9\"}", "latin1")))
    assert.isUndefined(Json.parse(Buffer.from("{\"id\":7}", "utf16le")))
  })

  it("may begin with a byte order mark when parsed from text", () => {
    assert.deepStrictEqual(Json.parseText("{\"id\":7}"), { id: 7 })
    assert.deepStrictEqual(Json.parseText(`${mark}{"id":7}`), { id: 7 })
    assert.isUndefined(Json.parseText("{"))
  })

  it.each<readonly [text: string, value: unknown]>([
    ["227490627192107011", "227490627192107011"],
    ["-9007199254740993", "-9007199254740993"],
    ["[9007199254740993,9007199254740992,9007199254740991]", ["9007199254740993", 2 ** 53, 2 ** 53 - 1]],
    ["{\"a\":{\"id\" : 12345678901234567890}}", { a: { id: "12345678901234567890" } }],
    ["9".repeat(40), "9".repeat(40)],
    [`-${"9".repeat(41)}`, -Infinity],
    ["9".repeat(400), Infinity],
    ["10000000000000000", 1e16],
    ["0.12345678901234567890", 0.12345678901234568],
    ["1.2345678901234567890e2", 123.45678901234568],
    ["\"227490627192107011\"", "227490627192107011"],
    ["[\"a\\\" 227490627192107011, \",227490627192107011]", ["a\" 227490627192107011, ", "227490627192107011"]],
    ["{\"227490627192107011\":0}", { "227490627192107011": 0 }]
  ])("%j: an integer is exact, or a text of its digits", (text, value) => {
    assert.deepStrictEqual(Json.parse(bytesOf(text)), value)
  })

  it("is read in the charset of its content type if it is not UTF-8", () => {
    const body = Buffer.from("{\"name\":\"caf\u00e9\"}", "latin1")
    assert.deepStrictEqual(Json.parse(body, "application/json; charset=ISO-8859-1"), { name: "caf\u00e9" })
    assert.isUndefined(Json.parse(body, "application/json; charset=utf-8"))
    assert.deepStrictEqual(
      Json.parse(bytesOf("{\"name\":\"é\"}"), "application/json; charset=iso-8859-1"),
      { name: "é" }
    )
    assert.deepStrictEqual(Json.parse(Buffer.from("{\"id\":7}", "utf16le"), "application/json; charset=utf-16"), {
      id: 7
    })
  })

  it.prop(
    "has every integer as it was written",
    { digits: Schema.String.check(Schema.isPattern(/^-?[1-9]\d{0,38}$/)) },
    ({ digits }) => {
      const value = Json.parseText(digits)
      assert.strictEqual(
        typeof value === "string" || String(value) === digits ? String(value) : String(BigInt(value as number)),
        digits
      )
    }
  )

  it.prop("is read back, with and without a byte order mark", { value: Schema.Json }, ({ value }) => {
    const text = JSON.stringify(value)
    const written = JSON.parse(text) as unknown
    assert.deepStrictEqual(Json.parse(bytesOf(text)), written)
    assert.deepStrictEqual(Json.parse(bytesOf(mark + text)), written)
  })

  it.prop("is a value or absent, for any bytes", { bytes: Schema.Array(intBetween(0, 255)) }, ({ bytes }) => {
    const value = Json.parse(Uint8Array.from(bytes))
    if (value !== undefined) JSON.stringify(value)
  })
})

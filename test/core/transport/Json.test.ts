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

  it("must not begin with a byte order mark when parsed from text", () => {
    assert.deepStrictEqual(Json.parseText("{\"id\":7}"), { id: 7 })
    assert.isUndefined(Json.parseText(`${mark}{"id":7}`))
    assert.isUndefined(Json.parseText("{"))
  })

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

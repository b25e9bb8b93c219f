import * as Charset from "@breakwater/core/transport/Charset"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { isUtf8 } from "node:buffer"
import { intBetween } from "../../drivers/IntBetween.ts"

const bytes = Schema.Array(intBetween(0, 255))
const mark = "\uFEFF"

describe("the text of a body", () => {
  it("is what was encoded as UTF-8", () => {
    const body = new TextEncoder().encode("größe: 5 €")
    assert.strictEqual(Charset.text(body), "größe: 5 €")
    assert.strictEqual(Charset.strictText(body), "größe: 5 €")
  })

  it.each<readonly [what: string, body: ReadonlyArray<number>, lenient: string, strict: string | undefined]>([
    ["nothing", [], "", ""],
    ["a byte order mark", [0xef, 0xbb, 0xbf, 0x61], "a", `${mark}a`],
    ["two of them", [0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf, 0x61], `${mark}a`, `${mark}${mark}a`],
    ["Latin-1 (RFC 3629, section 3: no first byte of two)", [0x63, 0x61, 0x66, 0xe9], "caf\uFFFD", undefined],
    ["an overlong slash (RFC 3629, section 10)", [0xc0, 0xaf], "\uFFFD\uFFFD", undefined],
    ["half a surrogate pair (RFC 3629, section 3)", [0xed, 0xa0, 0x80], "\uFFFD\uFFFD\uFFFD", undefined],
    ["a character that is cut short", [0xe2, 0x82], "\uFFFD", undefined],
    ["UTF-16", [0xff, 0xfe, 0x61, 0x00], "\uFFFD\uFFFDa\u0000", undefined]
  ])("that is %s", (_, body, lenient, strict) => {
    assert.strictEqual(Charset.text(Uint8Array.from(body)), lenient)
    assert.strictEqual(Charset.strictText(Uint8Array.from(body)), strict)
  })

  it.prop("is the original text, leniently and strictly", { text: Schema.String }, ({ text }) => {
    // An encoder has no bytes for half a surrogate pair.
    const body = new TextEncoder().encode(text)
    assert.strictEqual(Charset.strictText(body), text.toWellFormed())
    assert.strictEqual(Charset.text(body), text.toWellFormed().replace(/^\uFEFF/, ""))
  })

  it.prop("is present in strict mode exactly if the body is UTF-8, and never throws", { bytes }, ({ bytes }) => {
    const body = Uint8Array.from(bytes)
    assert.strictEqual(Charset.strictText(body) !== undefined, isUtf8(body))
    assert.isString(Charset.text(body))
  })

  it.prop(
    "is one character per byte for the first bytes of any body",
    { bytes, limit: intBetween(0, 20) },
    ({ bytes, limit }) => {
      // Within a larger buffer, as sockets deliver them.
      const body = Uint8Array.from([1, 2, ...bytes, 3]).subarray(2, 2 + bytes.length)
      assert.deepStrictEqual(Array.from(Charset.head(body, limit), (one) => one.charCodeAt(0)), bytes.slice(0, limit))
    }
  )
})

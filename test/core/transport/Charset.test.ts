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

  it.each<readonly [what: string, body: ReadonlyArray<number>, text: string | undefined, strict: string | undefined]>([
    ["nothing", [], "", ""],
    ["a byte order mark", [0xef, 0xbb, 0xbf, 0x61], "a", `${mark}a`],
    ["two of them", [0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf, 0x61], `${mark}a`, `${mark}${mark}a`],
    ["Latin-1 (RFC 3629, section 3: no first byte of two)", [0x63, 0x61, 0x66, 0xe9], undefined, undefined],
    ["an overlong slash (RFC 3629, section 10)", [0xc0, 0xaf], undefined, undefined],
    ["half a surrogate pair (RFC 3629, section 3)", [0xed, 0xa0, 0x80], undefined, undefined],
    ["a character that is cut short", [0xe2, 0x82], undefined, undefined],
    ["UTF-16", [0xff, 0xfe, 0x61, 0x00], "a", undefined]
  ])("that is %s", (_, body, text, strict) => {
    assert.strictEqual(Charset.text(Uint8Array.from(body)), text)
    assert.strictEqual(Charset.strictText(Uint8Array.from(body)), strict)
  })

  it.prop("is the original text, with and without its byte order mark", { text: Schema.String }, ({ text }) => {
    // An encoder has no bytes for half a surrogate pair.
    const body = new TextEncoder().encode(text)
    assert.strictEqual(Charset.strictText(body), text.toWellFormed())
    assert.strictEqual(Charset.text(body), text.toWellFormed().replace(/^\uFEFF/, ""))
  })

  it.prop("is present in strict mode exactly if the body is UTF-8, and never throws", { bytes }, ({ bytes }) => {
    const body = Uint8Array.from(bytes)
    assert.strictEqual(Charset.strictText(body) !== undefined, isUtf8(body))
    const text = Charset.text(body)
    if (text !== undefined) assert.isTrue(text.isWellFormed())
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

  it.each<readonly [contentType: string | undefined, body: ReadonlyArray<number> | string, text: string | undefined]>([
    ["text/csv; charset=iso-8859-1", [0x63, 0x61, 0x66, 0xe9], "café"],
    ["text/csv;charset=\"ISO-8859-1\"; header=present", [0xe9], "é"],
    ["text/plain; Charset = windows-1252", [0x80], "€"],
    ["text/plain; charset=windows-1251", [0xcf], "П"],
    ["text/plain; charset=shift_jis", [0x83, 0x65], "テ"],
    ["text/plain; charset=utf-16be", [0x00, 0x61], "a"],
    // A byte order mark overrides it (Encoding Standard, section 6).
    ["text/plain; charset=iso-8859-1", [0xef, 0xbb, 0xbf, 0xc3, 0xa9], "é"],
    ["text/plain; charset=us-ascii", "plain", "plain"],
    ["text/plain", [0xe9], undefined],
    [undefined, [0xe9], undefined],
    ["text/plain; charset=shift_jis", [0x83], undefined],
    ["text/plain; charset=no-such-charset", "plain", undefined],
    ["text/plain; charset=", "plain", undefined],
    // RFC 7303, section 3.2: without a charset the declaration of XML counts.
    [
      "application/xml",
      [...Buffer.from("<?xml version='1.0' encoding='iso-8859-1'?><a>"), 0xe9],
      "<?xml version='1.0' encoding='iso-8859-1'?><a>é"
    ],
    [
      "application/soap+xml; charset=utf-8",
      "<?xml version='1.0' encoding='iso-8859-1'?>é",
      "<?xml version='1.0' encoding='iso-8859-1'?>é"
    ]
  ])("of %j is read in that charset, or not at all: %j", (contentType, body, text) => {
    assert.strictEqual(
      Charset.text(typeof body === "string" ? Buffer.from(body) : Uint8Array.from(body), contentType),
      text
    )
  })
})

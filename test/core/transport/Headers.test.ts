import * as Headers from "@breakwater/core/transport/Headers"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { validateHeaderName, validateHeaderValue } from "node:http"

const passes = (check: () => void): boolean => {
  try {
    check()
    return true
  } catch {
    return false
  }
}

describe("headers", () => {
  it("return the first of several values", () => {
    const headers = { etag: "\"1\"", "set-cookie": ["a=1", "b=2"], age: [], date: undefined }
    assert.strictEqual(Headers.header(headers, "etag"), "\"1\"")
    assert.strictEqual(Headers.header(headers, "set-cookie"), "a=1")
    for (const name of ["age", "date", "vary", "ETag"]) assert.isUndefined(Headers.header(headers, name))
  })

  it.each<readonly [name: string, isToken: boolean]>([
    ["content-type", true],
    ["X-Request-Id", true],
    ["!#$%&'*+-.^_`|~0aZ", true],
    ["", false],
    ["two words", false],
    ["colon:", false],
    ["\"quoted\"", false],
    ["a(b)", false],
    ["a/b", false],
    ["line\nbreak", false],
    ["tökén", false]
  ])("accept a token as a name (RFC 9110, sections 5.1 and 5.6.2); %j is one: %s", (name, isToken) => {
    assert.strictEqual(Headers.isToken(name), isToken)
  })

  it.each<readonly [value: string, isValue: boolean]>([
    ["", true],
    ["Bearer t.o-k_e~n", true],
    ["two words\tand a tab", true],
    [" leading", false],
    ["trailing\t", false],
    ["line\r\nx-admin: 1", false],
    ["bare\rreturn", false],
    ["nul\u0000", false],
    ["del\u007f", false],
    ["obs-text \u00e9", false],
    ["\u4e2d", false]
  ])("accept visible ASCII as a value (stricter than RFC 9110, section 5.5); %j passes: %s", (value, isValue) => {
    assert.strictEqual(Headers.isFieldValue(value), isValue)
  })

  it.prop("accept exactly the names that Node accepts, for any text", { text: Schema.String }, ({ text }) => {
    assert.strictEqual(Headers.isToken(text), passes(() => validateHeaderName(text)))
  })

  it.prop("accept no value that Node would not write", { text: Schema.String }, ({ text }) => {
    if (Headers.isFieldValue(text)) validateHeaderValue("x", text)
    assert.isFalse(Headers.isFieldValue(`${text}\n`))
  })

  it.each<readonly [lines: string | ReadonlyArray<string> | undefined, values: ReadonlyArray<string>]>([
    [undefined, []],
    ["1", ["1"]],
    ["1, 2,3", ["1", "2", "3"]],
    [["1", "2 , 3"], ["1", "2", "3"]],
    ["", [""]],
    [" , ", [""]],
    // RFC 9110, section 5.6.1: empty members do not count.
    ["foo ,bar,", ["foo", "bar"]],
    ["foo , ,bar,charlie", ["foo", "bar", "charlie"]],
    ["Sun, 06 Nov 1994 08:49:37 GMT, Sunday, 06-Nov-94 08:49:37 GMT", [
      "Sun, 06 Nov 1994 08:49:37 GMT",
      "Sunday, 06-Nov-94 08:49:37 GMT"
    ]]
  ])("have the values of all lines, without a comma of a date: %j", (lines, values) => {
    assert.deepStrictEqual(Headers.headerValues({ x: lines }, "x"), values)
  })
})

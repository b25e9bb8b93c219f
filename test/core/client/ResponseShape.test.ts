import { ofBytes, ofJson } from "@breakwater/core/client/ResponseShape"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Effort from "../../setup/Effort.ts"

type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json }

/** A marker that can be found anywhere. */
const mark = "§"
const Marked = Schema.String.check(Schema.isMaxLength(12))

/** Field names of contracts, and keys that are data: ids, addresses, anything with the marker. */
const Key = Schema.Union([Schema.Literals(["id", "amount", "created_at", "$ref", "x-request-id"]), Marked])

const Value: Schema.Codec<Json> = Schema.Union([
  Schema.Null,
  Schema.Boolean,
  Schema.Finite,
  Marked,
  Schema.Array(Schema.suspend((): Schema.Codec<Json> => Value)),
  Schema.Record(Key, Schema.suspend((): Schema.Codec<Json> => Value))
])

const fieldNames = new Set(["id", "amount", "created_at", "$ref", "x-request-id"])

/** Puts the marker into every string, and into every key that is not a field name. */
const marked = (json: Json): Json => {
  if (typeof json === "string") return `${mark}${json}`
  if (json === null || typeof json !== "object") return json
  if (Array.isArray(json)) return (json as ReadonlyArray<Json>).map(marked)
  return Object.fromEntries(
    Object.entries(json).map(([key, value]) => [fieldNames.has(key) ? key : `${mark}${key}`, marked(value)])
  )
}

describe("the shape of a JSON answer", () => {
  it("shows names and types", () => {
    const samples: ReadonlyArray<readonly [Json, string]> = [
      [null, "null"],
      [true, "boolean"],
      [4.5, "number"],
      ["secret", "string"],
      [[], "[]"],
      [[1, "a"], "[number × 2]"],
      [{}, "{  }"],
      [{ id: "ch_1", amount: 5, paid: true, card: null }, "{ id: string, amount: number, paid: boolean, card: null }"],
      [{ data: [{ id: "ch_1" }, { id: "ch_2" }] }, "{ data: [{ id: string } × 2] }"]
    ]
    for (const [json, sample] of samples) assert.strictEqual(ofJson(json), sample)
    assert.strictEqual(ofJson(undefined), "undefined")
  })

  it("repeats a key only if it looks like a field name", () => {
    const keys = [
      "4242424242424242",
      "jane@example.com",
      "+4915112345678",
      "two words",
      "a".repeat(41),
      "größe",
      "a.b",
      "a/b",
      "id\n",
      "",
      "1st",
      "-x"
    ]
    for (const key of keys) assert.strictEqual(ofJson({ [key]: 1 }), "{ <key>: number }", key)
    for (const key of ["id", "_id", "$ref", "created_at", "x-request-id", "line1", "a".repeat(40)]) {
      assert.strictEqual(ofJson({ [key]: 1 }), `{ ${key}: number }`)
    }
  })

  it("goes four levels deep, and shows that there is more", () => {
    assert.strictEqual(ofJson({ a: { b: { c: { d: { e: 1 } } } } }), "{ a: { b: { c: { d: {…} } } } }")
    assert.strictEqual(ofJson([[[[[1]]]]]), "[[[[[…] × 1] × 1] × 1] × 1]")
    assert.strictEqual(ofJson({ a: { b: { c: { d: [] } } } }), "{ a: { b: { c: { d: [] } } } }")
  })

  it("shows twenty fields of an object, and that there are more", () => {
    const fields = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, i]))
    assert.notInclude(ofJson(fields(20)), "…")
    assert.include(ofJson(fields(20)), "f19: number }")
    assert.include(ofJson(fields(21)), "f19: number, … }")
  })

  it("is cut at a thousand characters for an answer of any size", () => {
    const wide = (depth: number): Json =>
      depth === 0
        ? 1
        : Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`a_rather_long_name_${i}`, wide(depth - 1)]))
    const sample = ofJson(wide(3))
    assert.strictEqual(sample.length, 1_000)
    assert.isTrue(sample.endsWith("…"))
    assert.strictEqual(ofJson(Array.from({ length: 100_000 }, () => "x")), "[string × 100000]")
    const endless: Record<string, unknown> = {}
    endless["self"] = endless
    assert.strictEqual(ofJson(endless), "{ self: { self: { self: { self: {…} } } } }")
  })

  it.prop(
    "holds no text and no key that is data, and is never long",
    { json: Value },
    ({ json }) => {
      const sample = ofJson(marked(json))
      assert.notInclude(sample, mark)
      assert.isAtMost(sample.length, 1_000)
    },
    { arbitrary: { runs: Effort.runs(300), size: 12 } }
  )

  it.prop("holds no number either", { numbers: Schema.Array(Schema.Int) }, ({ numbers }) => {
    const expected = numbers.length === 0 ? "{ ids: [] }" : `{ ids: [number × ${numbers.length}] }`
    assert.strictEqual(ofJson({ ids: numbers }), expected)
  })
})

describe("the shape of an answer that is not JSON", () => {
  const bytes = (text: string) => new TextEncoder().encode(text)

  it("states the kind, the length and the media type of the body", () => {
    const samples: ReadonlyArray<readonly [Uint8Array, string | undefined, string]> = [
      [bytes(""), undefined, "<empty, 0 bytes, no content type>"],
      [bytes(""), "application/json", "<empty, 0 bytes, application/json>"],
      [bytes("<!DOCTYPE html><title>secret"), "text/html; charset=utf-8", "<html, 28 bytes, text/html>"],
      [bytes("\n <html lang=en>"), "text/html", "<html, 16 bytes, text/html>"],
      [bytes("<?xml version='1.0'?>"), "application/problem+xml", "<not json, 21 bytes, application/problem+xml>"],
      [bytes("{broken"), "application/vnd.api+json", "<not json, 7 bytes, application/vnd.api+json>"],
      [bytes("größe"), "text/plain", "<not json, 7 bytes, text/plain>"],
      [bytes("x"), "secret token", "<not json, 1 bytes, no content type>"],
      [bytes("x"), "", "<not json, 1 bytes, no content type>"]
    ]
    for (const [body, contentType, sample] of samples) assert.strictEqual(ofBytes(body, contentType), sample)
  })

  it("reads a body that is part of a larger buffer, and nothing else of the buffer", () => {
    const whole = bytes("<html>no json")
    assert.strictEqual(ofBytes(whole.subarray(6), "text/plain"), "<not json, 7 bytes, text/plain>")
    assert.strictEqual(ofBytes(whole.subarray(0, 6), "text/plain"), "<html, 6 bytes, text/plain>")
  })

  it.prop(
    "holds nothing of the body or the parameters of its media type, and is never long",
    { body: Schema.String, parameters: Schema.String, type: Schema.String },
    ({ body, parameters, type }) => {
      const secret = `${mark}${body}${mark}`
      for (const contentType of [`text/plain; ${mark}${parameters}`, `${mark}${type}`, `text/${"x".repeat(5_000)}`]) {
        const sample = ofBytes(bytes(secret), contentType)
        assert.notInclude(sample, mark)
        assert.isAtMost(sample.length, 120)
        assert.include(sample, `${bytes(secret).byteLength} bytes`)
      }
    }
  )
})

/**
 * Integers of any size in JSON: ids, serial numbers, counters. A double holds them exactly up to 2⁵³. `Schema.Finite` and
 * `Schema.Int` reject a larger one that would become another integer, so choose one of these for it. They also read an
 * integer that is written as text.
 *
 * @example
 * ```ts
 * import { ExactInteger } from "@breakwater/core"
 * import { Schema } from "effect"
 *
 * const Order = Schema.Struct({ id: ExactInteger.text, serial: ExactInteger.bigint })
 * // A client hands over an integer that no double holds as its digits.
 * const order = Schema.decodeUnknownSync(Order)({ id: 7, serial: "227490627192107011" })
 * console.log(order.id, order.serial) // => 7 227490627192107011n
 * ```
 */
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"

const digits = Schema.String.check(Schema.isPattern(/^-?\d+$/, { expected: "an integer" }))

/** An integer, as the client hands it over: a number if that is exact, and else its digits. */
const written = Schema.Union([Schema.Int, digits])

/** An integer as the text of its digits. */
export const text = written.pipe(
  Schema.decodeTo(digits, {
    decode: SchemaGetter.transform(String),
    encode: SchemaGetter.transform(String)
  })
)

/** An integer as a bigint; written as text. */
export const bigint = written.pipe(
  Schema.decodeTo(Schema.BigInt, {
    decode: SchemaGetter.transform((integer: number | string) => BigInt(integer)),
    encode: SchemaGetter.transform(String)
  })
)

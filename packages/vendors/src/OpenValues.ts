/**
 * Values of a vendor's enumeration, which the vendor may extend at any time. An unknown value is no reason to refuse an
 * answer: it may hold the id of money already taken.
 */
import * as Schema from "effect/Schema"

/** A text that is one of the known values today. Map it by a table, with an entry for any other value. */
export const openValues = <const Known extends ReadonlyArray<string>>(literals: Known) =>
  Object.assign(Schema.String.annotate({}) as unknown as Schema.Codec<Known[number] | Unlisted, string>, { literals })

/** Any other text; editors still complete the known values. */
export type Unlisted = string & {}

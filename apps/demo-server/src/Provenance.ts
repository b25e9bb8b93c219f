/** Provenance of an answer, in the form that our clients see. */
import { Provenance as Core } from "@breakwater/core"
import { RestCountries } from "@breakwater/vendors/countries/rest-countries"
import { Frankfurter } from "@breakwater/vendors/exchange-rates/frankfurter"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

/**
 * `Fresh` comes from the vendor just now, `Cached` from a cache and still fresh, `Stale` from a cache and expired. `Fallback`
 * comes from another source than the first.
 */
export const Provenance = Schema.Struct({
  kind: Schema.Literals(["Fresh", "Cached", "Stale", "Fallback"]),
  /** The source: a vendor, the bundled data, or the server itself. */
  source: Schema.String,
  /** Age in whole seconds of an answer from a cache. */
  age: Schema.optionalKey(Schema.Int),
  /** A sentence to show with a stale or fallback answer. */
  warning: Schema.optionalKey(Schema.String),
  /** Our reason for serving a stale or fallback answer. */
  because: Schema.optionalKey(Schema.String)
})

/** Every answer except a fallback comes from the first vendor. */
const viewOf = (first: string) => (provenance: Core.Provenance): typeof Provenance.Type => {
  const isAged = provenance._tag !== "Fresh" && provenance.age !== undefined
  return {
    kind: provenance._tag,
    source: provenance._tag === "Fallback" ? provenance.from : first,
    ...(isAged ? { age: Math.floor(Duration.toSeconds(Core.age(provenance))) } : {}),
    ...(provenance._tag === "Stale" || provenance._tag === "Fallback"
      ? { warning: warnings[provenance._tag], because: provenance.because }
      : {})
  }
}

const warnings = {
  Stale: "Stale: no newer value is available right now",
  Fallback: "From another source: the usual one is unavailable right now"
}

export const ofRate = viewOf(Frankfurter.declaration.name)
export const ofCountry = viewOf(RestCountries.declaration.name)

/** The provenance of a value that the server knows by itself. */
export const known: typeof Provenance.Type = { kind: "Fresh", source: "breakwater-demo" }

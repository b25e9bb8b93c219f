/** Where an answer comes from, as our own clients hear it. */
import { Provenance as Core } from "@breakwater/core"
import { RestCountries } from "@breakwater/vendors/countries/rest-countries"
import { Frankfurter } from "@breakwater/vendors/exchange-rates/frankfurter"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

/**
 * `Fresh` was asked for just now, `Cached` is within its time, `Stale` is past it, `Fallback` is from another source than the
 * first.
 */
export const Provenance = Schema.Struct({
  kind: Schema.Literals(["Fresh", "Cached", "Stale", "Fallback"]),
  /** Who has said so: a vendor, what the server brought along, or the server itself. */
  source: Schema.String,
  /** Whole seconds, for what was in a cache. */
  age: Schema.optionalKey(Schema.Int),
  /** A sentence for whoever reads what is stale or a fallback. */
  warning: Schema.optionalKey(Schema.String),
  /** Why there was nothing better, for what is stale or a fallback: a reason of ours. */
  because: Schema.optionalKey(Schema.String)
})

/** What is no fallback is from the first vendor. */
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
  Stale: "Past its time: there is nothing newer for now",
  Fallback: "Not from the usual source, which cannot answer for now"
}

export const ofRate = viewOf(Frankfurter.declaration.name)
export const ofCountry = viewOf(RestCountries.declaration.name)

/** What is known without asking anybody. */
export const known: typeof Provenance.Type = { kind: "Fresh", source: "breakwater-demo" }

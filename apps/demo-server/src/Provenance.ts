/** Where an answer comes from, as our own clients hear it. */
import { Provenance as Core } from "@breakwater/core"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

/**
 * `Fresh` was asked for just now, `Cached` is within its time, `Stale` is past it, `Fallback` is from another vendor than the
 * first.
 */
export const Provenance = Schema.Struct({
  kind: Schema.Literals(["Fresh", "Cached", "Stale", "Fallback"]),
  /** Whole seconds, for what was in a cache. */
  age: Schema.optionalKey(Schema.Int),
  /** Why there was nothing better, for what is stale or a fallback. */
  because: Schema.optionalKey(Schema.String),
  /** Who stood in, for a fallback. */
  from: Schema.optionalKey(Schema.String)
})

export const toView = (provenance: Core.Provenance): typeof Provenance.Type => {
  const isAged = provenance._tag !== "Fresh" && provenance.age !== undefined
  return {
    kind: provenance._tag,
    ...(isAged ? { age: Math.floor(Duration.toSeconds(Core.age(provenance))) } : {}),
    ...(provenance._tag === "Stale" || provenance._tag === "Fallback" ? { because: provenance.because } : {}),
    ...(provenance._tag === "Fallback" ? { from: provenance.from } : {})
  }
}

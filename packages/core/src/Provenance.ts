/** Where a value comes from, and how old it is: a degraded answer says so in its type. */
import type * as Duration from "effect/Duration"

export type Provenance =
  /** Asked for just now. */
  | { readonly _tag: "Fresh" }
  /** From a cache, within its time. */
  | { readonly _tag: "Cached"; readonly age: Duration.Duration }
  /** From a cache, past its time, because there was nothing better. */
  | { readonly _tag: "Stale"; readonly age: Duration.Duration; readonly because: string }
  /** From another vendor than the first. */
  | { readonly _tag: "Fallback"; readonly from: string; readonly because: string }

export const fresh: Provenance = { _tag: "Fresh" }

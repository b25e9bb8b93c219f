/** The store that the caches of a fleet share, as a cache knows it; the stores themselves are loaded by those who use one. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/** What a store can do. Its errors are nobody's business but the cache's. */
export interface Store {
  /** What was written under a key, while it lasts. */
  read(key: string): Effect.Effect<string | undefined, unknown>
  write(key: string, value: string, millis: number): Effect.Effect<void, unknown>
  remove(key: string): Effect.Effect<void, unknown>
  /**
   * Takes the lead in fetching what is under a key, for so long; succeeds with how to lay it down, or with `undefined`
   * while somebody else has it. @default everybody leads
   */
  readonly lead?:
    | ((key: string, millis: number) => Effect.Effect<Effect.Effect<void, unknown> | undefined, unknown>)
    | undefined
}

/** The store that caches share. @default none: each process remembers for itself */
export const CacheStore: Context.Reference<Store | undefined> = Context.Reference<Store | undefined>(
  "breakwater/caching/CacheStore",
  { defaultValue: () => undefined }
)

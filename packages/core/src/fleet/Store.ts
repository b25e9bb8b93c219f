/** The store that the caches of a fleet share, as a cache sees it. A process loads only the store that it uses. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/** The operations of a store. Only the cache sees its errors. */
export interface Store {
  /** The value written under a key, until it expires. */
  read(key: string): Effect.Effect<string | undefined, unknown>
  write(key: string, value: string, millis: number): Effect.Effect<void, unknown>
  remove(key: string): Effect.Effect<void, unknown>
  /**
   * Takes the lead in fetching the value of a key, for this long. Succeeds with an effect that gives the lead up, or
   * with `undefined` while another process has it.
   * @default every process leads
   */
  readonly lead?:
    | ((key: string, millis: number) => Effect.Effect<Effect.Effect<void, unknown> | undefined, unknown>)
    | undefined
}

/** The store that caches share. @default none: each process caches for itself */
export const CacheStore: Context.Reference<Store | undefined> = Context.Reference<Store | undefined>(
  "breakwater/caching/CacheStore",
  { defaultValue: () => undefined }
)

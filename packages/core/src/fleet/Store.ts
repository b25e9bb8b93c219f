/** The store that the caches of a fleet share, as a cache sees it. A process loads only the store that it uses. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/** The operations of a store. Only the cache sees its errors. */
export interface Store {
  /**
   * The deployment whose answers these are; a part of every key. Deployments that share a store, such as a sandbox
   * beside production, see each other's answers if they share this name too.
   * @default keys without one
   */
  readonly namespace?: string | undefined
  /** The value written under a key, until it expires. */
  read(key: string): Effect.Effect<string | undefined, unknown>
  write(key: string, value: string, millis: number): Effect.Effect<void, unknown>
  remove(key: string): Effect.Effect<void, unknown>
  /**
   * The store's own time, in Unix milliseconds. Answers age by it, so that the clocks of the processes do not matter.
   * @default each process's own clock: an answer is only as old as these agree
   */
  readonly now?: Effect.Effect<number, unknown> | undefined
  /**
   * Takes the lead in fetching the value of a key, for this long. Succeeds with an effect that gives the lead up, or
   * with `undefined` while another process has it. Interrupted, it must not leave the lead taken.
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

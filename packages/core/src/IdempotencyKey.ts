/**
 * The key under which a vendor recognises a write it has seen. It is made before the first attempt and kept over all of
 * them; a caller that repeats the whole operation passes its own.
 *
 * @example
 * ```ts
 * import { IdempotencyKey } from "@breakwater/core"
 * import { Effect } from "effect"
 *
 * const current = Effect.map(IdempotencyKey.IdempotencyKey, (key) => key ?? "made at random")
 * console.log(await Effect.runPromise(current)) // => made at random
 * console.log(await Effect.runPromise(current.pipe(IdempotencyKey.withKey("order-7")))) // => order-7
 * ```
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** The key for the next keyed write; made at random when there is none. */
export const IdempotencyKey: Context.Reference<string | undefined> = Context.Reference<string | undefined>(
  "breakwater/IdempotencyKey",
  { defaultValue: () => undefined }
)

/**
 * Makes the keyed write inside an effect with this key. It is for one write: two writes under one key are one write to
 * the vendor, or an error.
 */
export const withKey = (key: string) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(self, IdempotencyKey, key)

/** A new key. It must differ from every other process's, so it does not come from the seedable `Random`. */
export const make = (): string => crypto.randomUUID()

/** Whether a string can travel as a key: 1 to 255 visible ASCII characters, the least that vendors agree on. */
export const isKey = (key: string): boolean => /^[\x21-\x7e]{1,255}$/.test(key)

/**
 * The key by which a vendor recognises a repeated write. It is made before the first attempt and kept for all of them.
 * A caller that repeats the whole operation passes its own key.
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

/** The key for the next keyed write. @default a random key for each write */
export const IdempotencyKey: Context.Reference<string | undefined> = Context.Reference<string | undefined>(
  "breakwater/IdempotencyKey",
  { defaultValue: () => undefined }
)

/**
 * Sets the key of the keyed write inside an effect. Use it for one write: to the vendor, two writes under one key are
 * one write, or an error.
 */
export const withKey = (key: string) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(self, IdempotencyKey, key)

/** A new key. It must be unique across processes, so it does not come from the seedable `Random`. */
export const make = (): string => crypto.randomUUID()

/** Whether a string is a valid key: 1 to 255 visible ASCII characters, the smallest set that vendors agree on. */
export const isKey = (key: string): boolean => /^[\x21-\x7e]{1,255}$/.test(key)

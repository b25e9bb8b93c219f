/**
 * A cache store shared between processes, so that a fleet asks a vendor once: Redis, or any backing of Effect's
 * `Persistence` (SQL, files). The store is bypassed while it is slow or down, and never fails a call.
 *
 * @example
 * ```ts
 * import { CacheStore } from "@breakwater/core/fleet"
 * import { Effect } from "effect"
 * import { Persistence } from "effect/persistence"
 *
 * const program = Effect.gen(function*() {
 *   const store = yield* CacheStore.CacheStore
 *   if (store === undefined) return
 *   yield* store.write("rate", "1.0842", 60_000)
 *   console.log(yield* store.read("rate")) // => 1.0842
 * })
 * await Effect.runPromise(
 *   program.pipe(
 *     Effect.provide(CacheStore.layerPersistence({ namespace: "shop-production" })),
 *     Effect.provide(Persistence.layerBackingMemory)
 *   )
 * )
 * ```
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import * as Redis from "effect/persistence/Redis"
import { randomUUID } from "node:crypto"
import * as Range from "../Range.ts"
import { CacheStore, type Store } from "./Store.ts"

export { CacheStore, type Store } from "./Store.ts"

export interface CacheStoreOptions {
  /**
   * The deployment whose answers these are: 1 to 64 letters, digits, dots, underscores or hyphens, such as
   * `shop-production`. Deployments under other names that use the same store do not see these answers.
   */
  readonly namespace: string
}

/**
 * Stores answers in Redis, under keys that begin with `breakwater:`. One process of the fleet fetches at a time, and
 * answers age by the clock of Redis. Throws when the namespace is not a name.
 */
export const layerRedis = (options: CacheStoreOptions): Layer.Layer<never, never, Redis.Redis> => {
  const namespace = Range.name("CacheStore: namespace", options.namespace)
  return Layer.effect(
    CacheStore,
    Effect.map(Redis.Redis, (redis): Store => ({
      namespace,
      read: (key) => Effect.map(redis.send<string | null>("GET", answer(key)), (value) => value ?? undefined),
      write: (key, value, millis) =>
        Effect.asVoid(redis.send("SET", answer(key), value, "PX", String(Math.ceil(millis)))),
      remove: (key) => Effect.asVoid(redis.send("DEL", answer(key))),
      now: Effect.map(
        redis.send<readonly [seconds: string, micros: string]>("TIME"),
        ([seconds, micros]) => Number(seconds) * 1_000 + Number(micros) / 1_000
      ),
      lead: (key, millis) => {
        const lock = `breakwater:lead:${key}`
        const token = randomUUID()
        const giveUp = Effect.asVoid(redis.eval(layDown)(lock, token))
        return Effect.map(
          Effect.onInterrupt(
            redis.send<string | null>("SET", lock, token, "NX", "PX", String(Math.ceil(millis))),
            // It may have been taken all the same, and a caller that leaves does not wait for Redis.
            () => Effect.forkDetach(Effect.ignore(giveUp))
          ),
          (taken) => taken === null ? undefined : giveUp
        )
      }
    }))
  )
}

const answer = (key: string): string => `breakwater:answer:${key}`

/** A process whose lead has expired must not take the lead from its successor. */
const layDown = Redis.script(
  (lock: string, token: string) => [lock, token],
  {
    numberOfKeys: 1,
    lua: `if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end return 0`
  }
)

/**
 * Stores answers in the backing of Effect's `Persistence`; every process fetches for itself, and answers age by the
 * clocks of the processes. Throws when the namespace is not a name.
 */
export const layerPersistence = (
  options: CacheStoreOptions
): Layer.Layer<never, never, Persistence.BackingPersistence> => {
  const namespace = Range.name("CacheStore: namespace", options.namespace)
  return Layer.effect(
    CacheStore,
    Effect.gen(function*() {
      const backing = yield* Persistence.BackingPersistence
      const store = yield* backing.make("breakwater")
      return {
        namespace,
        read: (key) =>
          Effect.map(
            store.get(key),
            (entry) =>
              entry !== undefined && "value" in entry && typeof entry.value === "string" ? entry.value : undefined
          ),
        write: (key, value, millis) => store.set(key, { value }, Duration.millis(millis)),
        remove: (key) => store.remove(key)
      }
    })
  )
}

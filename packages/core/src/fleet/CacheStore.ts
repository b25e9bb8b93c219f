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
 *   program.pipe(Effect.provide(CacheStore.layerPersistence), Effect.provide(Persistence.layerBackingMemory))
 * )
 * ```
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import * as Redis from "effect/persistence/Redis"
import { randomUUID } from "node:crypto"
import { CacheStore, type Store } from "./Store.ts"

export { CacheStore, type Store } from "./Store.ts"

/** Stores answers in Redis, under keys that begin with `breakwater:`; one process of the fleet fetches at a time. */
export const layerRedis: Layer.Layer<never, never, Redis.Redis> = Layer.effect(
  CacheStore,
  Effect.map(Redis.Redis, (redis): Store => ({
    read: (key) => Effect.map(redis.send<string | null>("GET", `breakwater:${key}`), (value) => value ?? undefined),
    write: (key, value, millis) =>
      Effect.asVoid(redis.send("SET", `breakwater:${key}`, value, "PX", String(Math.ceil(millis)))),
    remove: (key) => Effect.asVoid(redis.send("DEL", `breakwater:${key}`)),
    lead: (key, millis) => {
      const lock = `breakwater:${key}:lead`
      const token = randomUUID()
      return Effect.map(
        redis.send<string | null>("SET", lock, token, "NX", "PX", String(Math.ceil(millis))),
        (taken) => taken === null ? undefined : Effect.asVoid(redis.eval(layDown)(lock, token))
      )
    }
  }))
)

/** A process whose lead has expired must not take the lead from its successor. */
const layDown = Redis.script(
  (lock: string, token: string) => [lock, token],
  {
    numberOfKeys: 1,
    lua: `if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end return 0`
  }
)

/** Stores answers in the backing of Effect's `Persistence`; every process fetches for itself. */
export const layerPersistence: Layer.Layer<never, never, Persistence.BackingPersistence> = Layer.effect(
  CacheStore,
  Effect.gen(function*() {
    const backing = yield* Persistence.BackingPersistence
    const store = yield* backing.make("breakwater")
    return {
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

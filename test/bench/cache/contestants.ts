/**
 * The caches that are compared, each used as its authors recommend for "answer from memory, or load once": bounded by
 * entries, ten minutes to live, concurrent loads of a key shared, values handed out as they are and not copied.
 */
import * as ResponseCache from "@breakwater/core/caching/ResponseCache"
import { createCache } from "async-cache-dedupe"
import { BentoCache, bentostore } from "bentocache"
import { memoryDriver } from "bentocache/drivers/memory"
import { Cacheable, createKeyv } from "cacheable"
import { Cache, Effect, Scope } from "effect"
import { LRUCache } from "lru-cache"

/** An open cache. */
export interface Open {
  /** Reads `keyAt(0)` to `keyAt(times - 1)`, one after the other. */
  each(times: number, keyAt: (index: number) => string): Promise<void>
  /** Reads one key a number of times at once. */
  atOnce(callers: number, key: string): Promise<void>
  readonly close: () => Promise<void>
}

export interface Contestant {
  readonly name: string
  /** Its settings, for a reader who doubts the comparison. */
  readonly settings: string
  open(maxEntries: number, load: Loading): Promise<Open>
}

/** Cost of a load: nothing, or a turn of the event loop. */
export interface Loading {
  readonly isSlow: boolean
  /** Loads that were made. */
  loads: number
}

const lifeMillis = 10 * 60 * 1_000
/** The same for all, so that no heap is counted that belongs to the answer. */
const answer = { rate: 1.0842 }
const loaded = { value: answer }

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
const turnEffect = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

const loaderOf = (loading: Loading) => async () => {
  loading.loads++
  if (loading.isSlow) await turn()
  return answer
}
const effectOf = <A>(loading: Loading, value: A): Effect.Effect<A> => {
  const found = Effect.sync(() => {
    loading.loads++
    return value
  })
  return loading.isSlow ? Effect.andThen(turnEffect, found) : found
}

/** A cache whose lookups are effects, called inside one program, as in a service. */
const ofEffects = (lookup: (key: string) => Effect.Effect<unknown>, close: Effect.Effect<void>): Open => ({
  each: (times, keyAt) =>
    Effect.runPromise(Effect.gen(function*() {
      for (let index = 0; index < times; index++) yield* lookup(keyAt(index))
    })),
  atOnce: (callers, key) =>
    Effect.runPromise(
      Effect.all(Array.from({ length: callers }, () => lookup(key)), { concurrency: "unbounded", discard: true })
    ),
  close: () => Effect.runPromise(close)
})

const ofPromises = (lookup: (key: string) => Promise<unknown>, close: () => unknown = () => undefined): Open => ({
  async each(times, keyAt) {
    for (let index = 0; index < times; index++) await lookup(keyAt(index))
  },
  async atOnce(callers, key) {
    await Promise.all(Array.from({ length: callers }, () => lookup(key)))
  },
  async close() {
    await close()
  }
})

export const ours: Contestant = {
  name: "ResponseCache",
  settings: "`ResponseCache.make({ fresh: \"10 minutes\", maxEntries })`, everything else as by default",
  open: (maxEntries, loading) =>
    Effect.runPromise(Effect.gen(function*() {
      const scope = Scope.makeUnsafe()
      const cache = yield* Scope.provide(
        ResponseCache.make<typeof answer, never>({
          vendor: "acme",
          operation: "rate",
          fresh: lifeMillis,
          maxEntries
        }),
        scope
      )
      const load = effectOf(loading, loaded)
      return ofEffects(
        (key) => Effect.orDie(cache.lookup(key, () => load)),
        Scope.close(scope, yield* Effect.exit(Effect.void))
      )
    }))
}

export const peers: ReadonlyArray<Contestant> = [
  {
    name: "Effect's Cache",
    settings: "`Cache.make({ capacity, timeToLive: \"10 minutes\", lookup })` and `Cache.get`",
    open: (maxEntries, loading) =>
      Effect.runPromise(Effect.map(
        Cache.make<string, unknown>({
          capacity: maxEntries,
          timeToLive: lifeMillis,
          lookup: () => effectOf(loading, answer)
        }),
        (cache) => ofEffects((key) => Cache.get(cache, key), Effect.void)
      ))
  },
  {
    name: "lru-cache",
    settings: "`new LRUCache({ max, ttl, fetchMethod })` and `fetch`",
    open: async (maxEntries, loading) => {
      const cache = new LRUCache<string, object>({ max: maxEntries, ttl: lifeMillis, fetchMethod: loaderOf(loading) })
      return ofPromises((key) => cache.fetch(key))
    }
  },
  {
    name: "async-cache-dedupe",
    settings: "`createCache({ ttl: 600, storage: { type: \"memory\", options: { size } } })` and a defined function",
    open: async (maxEntries, loading) => {
      const load: (key: string) => Promise<unknown> = loaderOf(loading)
      const cache = createCache({ ttl: lifeMillis / 1_000, storage: { type: "memory", options: { size: maxEntries } } })
        .define("rate", load)
      return ofPromises((key) => cache.rate(key))
    }
  },
  {
    name: "cacheable",
    settings:
      "`new Cacheable({ primary: createKeyv({ lruSize, useClone: false }), ttl })` and `getOrSet`; copies are its default",
    open: async (maxEntries, loading) => {
      const cache = new Cacheable({ primary: createKeyv({ lruSize: maxEntries, useClone: false }), ttl: lifeMillis })
      const load = loaderOf(loading)
      return ofPromises((key) => cache.getOrSet(key, load), () => cache.disconnect())
    }
  },
  {
    name: "bentocache",
    settings:
      "`useL1Layer(memoryDriver({ maxItems, serialize: false }))`, `getOrSet({ key, ttl, factory })`; serializing is its default",
    open: async (maxEntries, loading) => {
      const cache = new BentoCache({
        default: "memory",
        stores: {
          memory: bentostore().useL1Layer(memoryDriver({ maxItems: maxEntries, serialize: false }))
        }
      })
      const factory = loaderOf(loading)
      return ofPromises((key) => cache.getOrSet({ key, ttl: lifeMillis, factory }), () => cache.disconnectAll())
    }
  }
]

/** State that the processes of a fleet share: rate limits, breakers, answers. `@breakwater/core/fleet`. */
export * as CacheStore from "./CacheStore.ts"
export * as LazyRedis from "./LazyRedis.ts"
export * as SharedState from "./SharedState.ts"

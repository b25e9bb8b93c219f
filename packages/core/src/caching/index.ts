/** Entries in the cache. */
export type { CacheOptions } from "./CacheOptions.ts"
export * as ResponseCache from "./ResponseCache.ts"

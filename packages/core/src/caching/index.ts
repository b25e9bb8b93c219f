/** Caching of answers. */
export type { CacheOptions } from "./CacheOptions.ts"
export * as ResponseCache from "./ResponseCache.ts"

/**
 * Caches answers. Fresh answers are returned without a call. When the vendor is slow or down, stale answers are
 * returned to callers that accept them (`Provenance.acceptStale`). Concurrent requests for the same key share one call.
 * It stands outside all other policies: its answers cost no quota and are no evidence about the vendor. Choose Effect's
 * `Cache` where a stale answer is of no use.
 *
 * @example
 * ```ts
 * import { Provenance, ResponseCache } from "@breakwater/core"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const cache = yield* ResponseCache.make<number, never>({ vendor: "acme", operation: "rate", fresh: "5 minutes" })
 *   let calls = 0
 *   const rate = cache.lookup("EUR/USD", () => Effect.sync(() => ({ value: 1.08 + calls++ })))
 *   yield* Effect.all([rate, rate, rate], { concurrency: "unbounded" })
 *   const { provenance, value } = yield* rate.pipe(Provenance.acceptStale("1 hour"))
 *   console.log(value, provenance._tag, calls) // => 1.08 Cached 1
 * })
 * await Effect.runPromise(Effect.scoped(program))
 * ```
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { CacheStore } from "../fleet/Store.ts"
import * as Range from "../Range.ts"
import type { VendorError } from "../VendorError.ts"
import { Entries } from "./ResponseCache/Entries.ts"
import { Loads } from "./ResponseCache/Loads.ts"
import { type Codec, SecondLevel } from "./ResponseCache/SecondLevel.ts"
import type { Settings } from "./ResponseCache/Settings.ts"
import { TwoLevels } from "./ResponseCache/TwoLevels.ts"

export { passing } from "./ResponseCache/Entry.ts"
export type { Codec } from "./ResponseCache/SecondLevel.ts"

/** Options of a response cache. Defaults without a source are our own judgement. */
export interface ResponseCacheOptions {
  /** How long an answer is fresh, unless the answer sets it itself; longer than 0. */
  readonly fresh: Duration.Input
  /**
   * How long past expiry an answer may be served, to callers that accept it, while a new one is fetched in the
   * background (RFC 5861, `stale-while-revalidate`); at least 0.
   * @default 0
   */
  readonly staleWhileRevalidate?: Duration.Input | undefined
  /**
   * How long past expiry an answer may be served, to callers that accept it, when the call fails (RFC 5861,
   * `stale-if-error`) or takes longer than `softTimeout`; at least 0.
   * @default 0
   */
  readonly staleIfError?: Duration.Input | undefined
  /**
   * How long a call may take before a stale answer is returned instead; the call continues in the background. Longer
   * than 0.
   * @default as long as the call takes
   */
  readonly softTimeout?: Duration.Input | undefined
  /**
   * How long a declared error is cached; at least 0. Of a vendor, only a 4xx that says something lasting about the
   * resource is, such as a 404 or a 410.
   * @default 0, not cached
   */
  readonly negative?: Duration.Input | undefined
  /** The share of its fresh time after which an answer is refreshed on use; above 0, up to 1. @default never */
  readonly eager?: number | undefined
  /**
   * The largest share of its fresh time by which an answer expires early, at random, so that answers stored together do
   * not expire together; from 0 to 1.
   * @default 0.1
   */
  readonly jitter?: number | undefined
  /** Number of entries; a whole number of at least 1. @default 10_000 */
  readonly maxEntries?: number | undefined
  /** Total size of all entries whose size is known, in bytes; at least 1. @default 64 MiB */
  readonly maxBytes?: number | undefined
  /** How long the shared store may take before it is bypassed; longer than 0. @default "50 millis" */
  readonly storeTimeout?: Duration.Input | undefined
  /** How long the shared store is bypassed after a failure; at least 0. @default "5 seconds" */
  readonly storePause?: Duration.Input | undefined
  /** How long one process may fetch an answer while the others wait for it; longer than 0. @default "10 seconds" */
  readonly leadFor?: Duration.Input | undefined
  /** Pause after a failed background call before the next one; at least 0. @default "1 second" */
  readonly failurePause?: Duration.Input | undefined
}

/** The result of a load: an answer, or the news that the known answer still holds. */
export type Loaded<A> = CachedAnswer<A> | NotModified

export interface CachedAnswer<A> {
  readonly value: A
  /** How long the answer is fresh, if it says so; at least 0. @default the option */
  readonly fresh?: Duration.Input | undefined
  /**
   * The vendor's name for this version of the answer (an `ETag`), for conditional requests.
   * @default no conditional requests
   */
  readonly validator?: string | undefined
  /** Its size in bytes. @default 0 */
  readonly bytes?: number | undefined
  /** Tags of the answer, to invalidate all answers with a tag. @default nothing */
  readonly tags?: ReadonlyArray<string> | undefined
  /** Whether the answer may be cached. @default true */
  readonly isKept?: boolean | undefined
}

/** The vendor says that the known answer still holds (304). */
export interface NotModified {
  readonly notModified: true
  /** As in {@link CachedAnswer}. */
  readonly fresh?: Duration.Input | undefined
  /** As in {@link CachedAnswer}. @default the known one */
  readonly validator?: string | undefined
  /** As in {@link CachedAnswer}. @default true */
  readonly isKept?: boolean | undefined
}

/** The options of one lookup. */
export interface LookupOptions<A> {
  /**
   * Decides about an answer from another process, which may have checked less: one that is not trusted counts as
   * absent. @default every answer that its codec accepts is trusted
   */
  readonly trusts?: ((value: A) => boolean) | undefined
  /** Whether the answer is for this process alone: it is neither read from the shared store nor written to it. @default false */
  readonly isPrivate?: boolean | undefined
}

/** Counts since the cache was made. */
export interface Statistics {
  /** Lookups answered with a fresh entry. */
  readonly hits: number
  /** Lookups answered with a stale entry. */
  readonly stale: number
  /** Lookups without a usable entry. */
  readonly misses: number
  /** Misses that waited for a call already in flight. */
  readonly coalesced: number
  /** Calls made. */
  readonly loads: number
  /** Calls that failed. */
  readonly failures: number
  /** Entries evicted before they expired. */
  readonly evictions: number
  /** Answers that came from another process. */
  readonly shared: number
  /** Number of times the shared store was bypassed. */
  readonly bypassed: number
  readonly entries: number
  readonly bytes: number
}

export interface ResponseCache<A, E> {
  /**
   * The answer under a key. `load` makes the call; it is given the known answer with its validator, and obeys
   * `Deadline`. It runs in its own fibre, with the context of the caller that begins it, and continues as long as any
   * caller waits. A caller joins a call in flight, unless it has a higher priority; or more time, by a tenth and more,
   * because that call was begun by a caller whose own deadline is near.
   *
   * Answers are frozen: arrays, plain objects and instances of a schema's classes. Of dates, maps, sets and bytes each
   * caller gets a copy.
   */
  lookup<R>(
    key: string,
    load: (known: CachedAnswer<A> | undefined) => Effect.Effect<Loaded<A>, E, R>,
    options?: LookupOptions<A>
  ): Effect.Effect<A, E | VendorError, R>
  /**
   * Removes the answer of a key, here and in the shared store. Answers of calls in flight are not kept, nor shared by
   * another process. What other processes have taken from the store stays with them until it expires.
   */
  invalidate(key: string): void
  /**
   * Removes all answers with a tag, as {@link invalidate} does. The shared store then begins anew, because it cannot be
   * searched by tag.
   */
  invalidateTag(tag: string): void
  /** Removes all answers, as {@link invalidate} does. */
  clear(): void
  readonly statistics: Statistics
}

/** The settings under which a cache shares its answers through a `CacheStore`. */
export interface Sharing<A> {
  /** The name and version of the answers; entries under another name are not read. */
  readonly name: string
  readonly codec: Codec<A>
}

/** The options of a cache, with its operation. */
export interface Options extends ResponseCacheOptions {
  /** The names in errors and logs. */
  readonly vendor: string
  readonly operation: string
  /**
   * How long a lookup may take, and a call in the background; longer than 0. @default as long as `Deadline` allows
   */
  readonly deadline?: Duration.Input | undefined
}

/**
 * Makes a cache, whose background work ends with the scope. With `sharing` it also stores answers in the `CacheStore`.
 * Throws when an option is out of its range.
 */
export const make = <A, E>(
  options: Options,
  sharing?: Sharing<A>
): Effect.Effect<ResponseCache<A, E>, never, Scope.Scope> => {
  const settings = settingsOf(options)
  const second = {
    timeoutMillis: Range.duration("ResponseCache: storeTimeout", options.storeTimeout ?? 50),
    pauseMillis: Range.durationOrZero("ResponseCache: storePause", options.storePause ?? Duration.seconds(5)),
    leadMillis: Range.duration("ResponseCache: leadFor", options.leadFor ?? Duration.seconds(10)),
    maxBytes: settings.maxBytes
  }
  return Effect.gen(function*() {
    const store = yield* CacheStore
    const level = store === undefined || sharing === undefined
      ? undefined
      : new SecondLevel(store, sharing.codec, { ...second, prefix: sharing.name })
    const entries = new Entries<A, E>(settings, yield* Random.Random)
    const loads = new Loads(settings, entries, level, yield* Effect.scope, yield* Effect.context<never>())
    return new TwoLevels(settings, entries, level, loads)
  })
}

const settingsOf = (options: Options): Settings => ({
  vendor: options.vendor,
  operation: options.operation,
  deadlineMillis: options.deadline === undefined
    ? Infinity
    : Range.duration("ResponseCache: deadline", options.deadline),
  freshMillis: Range.duration("ResponseCache: fresh", options.fresh),
  revalidateMillis: Range.durationOrZero("ResponseCache: staleWhileRevalidate", options.staleWhileRevalidate ?? 0),
  errorMillis: Range.durationOrZero("ResponseCache: staleIfError", options.staleIfError ?? 0),
  softMillis: options.softTimeout === undefined
    ? Infinity
    : Range.duration("ResponseCache: softTimeout", options.softTimeout),
  negativeMillis: Range.durationOrZero("ResponseCache: negative", options.negative ?? 0),
  eager: options.eager === undefined ? Infinity : Range.share("ResponseCache: eager", options.eager),
  jitter: Range.between("ResponseCache: jitter", options.jitter ?? 0.1, 0, 1),
  maxEntries: Range.whole("ResponseCache: maxEntries", options.maxEntries ?? 10_000, 1),
  maxBytes: Range.atLeast("ResponseCache: maxBytes", options.maxBytes ?? 64 * 1024 * 1024, 1),
  failurePauseMillis: Range.durationOrZero("ResponseCache: failurePause", options.failurePause ?? Duration.seconds(1))
})

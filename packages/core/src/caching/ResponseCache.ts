/**
 * Remembers answers: fresh ones are given without a call, and when the vendor is slow or down those that are past their
 * time are given to callers who have said that they take them (`Provenance.acceptStale`). However many ask for the same
 * thing at the same time, one call is made. It stands outside all other policies: what it answers costs no quota and is
 * no evidence about the vendor. Choose Effect's `Cache` where there is nothing to degrade to.
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
import { type Codec, SecondLevel } from "./ResponseCache/SecondLevel.ts"
import { type Settings, TwoLevels } from "./ResponseCache/TwoLevels.ts"

export type { Codec } from "./ResponseCache/SecondLevel.ts"

/** Where a default names no source, it is ours. */
export interface ResponseCacheOptions {
  /** How long an answer is fresh, unless it says so itself; longer than 0. */
  readonly fresh: Duration.Input
  /**
   * For how much longer it is given to whoever takes it while a new one is fetched in the background (RFC 5861,
   * `stale-while-revalidate`); at least 0.
   * @default 0
   */
  readonly staleWhileRevalidate?: Duration.Input | undefined
  /**
   * For how much longer than `fresh` it is given to whoever takes it when the call fails (RFC 5861, `stale-if-error`),
   * or takes longer than `softTimeout`; at least 0.
   * @default 0
   */
  readonly staleIfError?: Duration.Input | undefined
  /**
   * How long a call may take before an answer that is past its time is given instead; the call goes on in the
   * background. Longer than 0.
   * @default as long as the call takes
   */
  readonly softTimeout?: Duration.Input | undefined
  /** How long an error that is an answer (an unknown id) is remembered; at least 0. @default 0, it is not */
  readonly negative?: Duration.Input | undefined
  /** From this share of its fresh time on, an answer that is asked for is fetched anew; above 0, up to 1. @default never */
  readonly eager?: number | undefined
  /**
   * Up to this share of its fresh time an answer is past its time sooner, at random, so that what came together does
   * not go together; from 0 to 1.
   * @default 0.1
   */
  readonly jitter?: number | undefined
  /** Answers that are kept; a whole number of at least 1. @default 10_000 */
  readonly maxEntries?: number | undefined
  /** The size of all answers together, as far as they say it, in bytes; at least 1. @default 64 MiB */
  readonly maxBytes?: number | undefined
  /** How long the second level may take to answer before it is passed over; longer than 0. @default "50 millis" */
  readonly storeTimeout?: Duration.Input | undefined
  /** For how long it is passed over when it has failed; at least 0. @default "5 seconds" */
  readonly storePause?: Duration.Input | undefined
  /** How long one process may fetch what the others wait for; longer than 0. @default "10 seconds" */
  readonly leadFor?: Duration.Input | undefined
  /** For how long a background call is not made again after it has failed; at least 0. @default "1 second" */
  readonly failurePause?: Duration.Input | undefined
}

/** What a load brings: an answer, or that the one which is known still holds. */
export type Loaded<A> = CachedAnswer<A> | NotModified

export interface CachedAnswer<A> {
  readonly value: A
  /** How long it is fresh, where the answer says so; at least 0. @default the option */
  readonly fresh?: Duration.Input | undefined
  /** What the vendor calls this state of it (an `ETag`), to ask later whether it has changed. @default it cannot be asked */
  readonly validator?: string | undefined
  /** Its size in bytes. @default 0 */
  readonly bytes?: number | undefined
  /** What it is about, to invalidate all of it. @default nothing */
  readonly tags?: ReadonlyArray<string> | undefined
  /** Whether it may be remembered. @default true */
  readonly isKept?: boolean | undefined
}

/** The vendor says that the known answer holds (304). */
export interface NotModified {
  readonly notModified: true
  /** As of an answer. */
  readonly fresh?: Duration.Input | undefined
}

/** What has happened since the cache was made. */
export interface Statistics {
  /** Answered within its time. */
  readonly hits: number
  /** Answered past its time. */
  readonly stale: number
  /** Asked for what was not there, or too old. */
  readonly misses: number
  /** Misses that waited for a call somebody else had begun. */
  readonly coalesced: number
  /** Calls that were made. */
  readonly loads: number
  /** Calls that came to no answer. */
  readonly failures: number
  /** Entries evicted before they expired. */
  readonly evictions: number
  /** Answers that another process has brought. */
  readonly shared: number
  /** How often the second level was passed over. */
  readonly bypassed: number
  readonly entries: number
  readonly bytes: number
}

export interface ResponseCache<A, E> {
  /**
   * The answer under a key. `load` makes the call; it is told what is known, and its validator. It runs in a fibre of its
   * own with the context of the first who asked, and goes on as long as anybody waits.
   */
  lookup<R>(
    key: string,
    load: (known: CachedAnswer<A> | undefined) => Effect.Effect<Loaded<A>, E, R>
  ): Effect.Effect<A, E | VendorError, R>
  /** Forgets what is known under a key. A call in flight is not kept. */
  invalidate(key: string): void
  /** Forgets all that is about a tag. */
  invalidateTag(tag: string): void
  /** Forgets everything. */
  clear(): void
  readonly statistics: Statistics
}

/** What a cache shares with other processes, where there is a `CacheStore`. */
export interface Sharing<A> {
  /** What the answers are called, with their version: what is written under another name is not read. */
  readonly name: string
  readonly codec: Codec<A>
}

/**
 * Makes a cache; what it does in the background ends with the scope. With `sharing` it also remembers answers in the
 * `CacheStore`. Throws when an option is out of its range.
 */
export const make = <A, E>(
  options: ResponseCacheOptions & { readonly vendor: string; readonly operation: string },
  sharing?: Sharing<A>
): Effect.Effect<ResponseCache<A, E>, never, Scope.Scope> => {
  const settings = settingsOf(options)
  const second = {
    timeoutMillis: Range.duration("ResponseCache: storeTimeout", options.storeTimeout ?? 50),
    pauseMillis: Range.durationOrZero("ResponseCache: storePause", options.storePause ?? Duration.seconds(5)),
    leadMillis: Range.duration("ResponseCache: leadFor", options.leadFor ?? Duration.seconds(10))
  }
  return Effect.gen(function*() {
    const store = yield* CacheStore
    return new TwoLevels<A, E>(
      settings,
      yield* Effect.scope,
      yield* Random.Random,
      store === undefined || sharing === undefined
        ? undefined
        : new SecondLevel(store, sharing.codec, { ...second, prefix: sharing.name })
    )
  })
}

const settingsOf = (options: Parameters<typeof make>[0]): Settings => ({
  vendor: options.vendor,
  operation: options.operation,
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

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
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Provenance from "../Provenance.ts"
import * as Range from "../Range.ts"
import { DeadlineExceeded } from "../Reason.ts"
import * as Timeline from "../Timeline.ts"
import { isVendorError, VendorError } from "../VendorError.ts"
import { CacheStore } from "./CacheStore.ts"
import { Deadline } from "./Deadline.ts"
import { Flight } from "./Flight.ts"
import { Described, Entry, Failed, type Kept } from "./ResponseCache/Entry.ts"
import { type Codec, SecondLevel, type Shared } from "./ResponseCache/SecondLevel.ts"
import { Shelf } from "./ResponseCache/Shelf.ts"

export type { Codec } from "./ResponseCache/SecondLevel.ts"

/** How often a process that waits for another one looks whether it is done, in milliseconds (ours). */
const followMillis = 20

/** Where a default names no source, it is ours. */
export interface ResponseCacheOptions {
  /** How long an answer is fresh, unless it says so itself; longer than 0. */
  readonly fresh: Duration.Input
  /**
   * For how much longer it is given to whoever takes it while a new one is fetched in the background (RFC 5861,
   * `stale-while-revalidate`); at least 0. @default 0
   */
  readonly staleWhileRevalidate?: Duration.Input | undefined
  /**
   * For how much longer than `fresh` it is given to whoever takes it when the call fails (RFC 5861, `stale-if-error`), or
   * takes longer than `softTimeout`; at least 0. @default 0
   */
  readonly staleIfError?: Duration.Input | undefined
  /**
   * How long a call may take before an answer that is past its time is given instead; the call goes on in the
   * background. Longer than 0. @default as long as the call takes
   */
  readonly softTimeout?: Duration.Input | undefined
  /** How long an error that is an answer (an unknown id) is remembered; at least 0. @default 0, it is not */
  readonly negative?: Duration.Input | undefined
  /** From this share of its fresh time on, an answer that is asked for is fetched anew; above 0, up to 1. @default never */
  readonly eager?: number | undefined
  /**
   * Up to this share of its fresh time an answer is past its time sooner, at random, so that what came together does not
   * go together; from 0 to 1. @default 0.1
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
export type Loaded<A> = Answer<A> | NotModified

export interface Answer<A> {
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
  /** Answers that had to go before their time. */
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
    load: (known: Answer<A> | undefined) => Effect.Effect<Loaded<A>, E, R>
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
    timeoutMillis: Range.span("ResponseCache: storeTimeout", options.storeTimeout ?? 50),
    pauseMillis: Range.pause("ResponseCache: storePause", options.storePause ?? Duration.seconds(5)),
    leadMillis: Range.span("ResponseCache: leadFor", options.leadFor ?? Duration.seconds(10))
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

interface Settings {
  readonly vendor: string
  readonly operation: string
  readonly freshMillis: number
  readonly revalidateMillis: number
  readonly errorMillis: number
  readonly softMillis: number
  readonly negativeMillis: number
  readonly eager: number
  readonly jitter: number
  readonly maxEntries: number
  readonly maxBytes: number
  readonly failurePauseMillis: number
}

const settingsOf = (options: Parameters<typeof make>[0]): Settings => ({
  vendor: options.vendor,
  operation: options.operation,
  freshMillis: Range.span("ResponseCache: fresh", options.fresh),
  revalidateMillis: Range.pause("ResponseCache: staleWhileRevalidate", options.staleWhileRevalidate ?? 0),
  errorMillis: Range.pause("ResponseCache: staleIfError", options.staleIfError ?? 0),
  softMillis: options.softTimeout === undefined
    ? Infinity
    : Range.span("ResponseCache: softTimeout", options.softTimeout),
  negativeMillis: Range.pause("ResponseCache: negative", options.negative ?? 0),
  eager: options.eager === undefined ? Infinity : Range.share("ResponseCache: eager", options.eager),
  jitter: Range.between("ResponseCache: jitter", options.jitter ?? 0.1, 0, 1),
  maxEntries: Range.whole("ResponseCache: maxEntries", options.maxEntries ?? 10_000, 1),
  maxBytes: Range.atLeast("ResponseCache: maxBytes", options.maxBytes ?? 64 * 1024 * 1024, 1),
  failurePauseMillis: Range.pause("ResponseCache: failurePause", options.failurePause ?? Duration.seconds(1))
})

/** What a load came to, and where that came from. */
interface Brought<A> {
  readonly answer: Answer<A>
  /** When it was fetched by another process, on our timeline; `undefined` when it was fetched just now. */
  readonly at: number | undefined
  readonly provenance: Provenance.Provenance
}

type Load<A, E, R> = (known: Answer<A> | undefined) => Effect.Effect<Loaded<A>, E, R>

class TwoLevels<A, E> implements ResponseCache<A, E> {
  private readonly settings: Settings
  private readonly scope: Scope.Scope
  private readonly random: typeof Random.Random.Service
  private readonly shelf: Shelf<A, E>
  private readonly second: SecondLevel<A> | undefined
  private readonly keysOf = new Map<string, Set<string>>()
  private readonly flights = new Map<string, Flight<Brought<A>, E>>()
  private readonly counts = {
    hits: 0,
    stale: 0,
    misses: 0,
    coalesced: 0,
    loads: 0,
    failures: 0,
    evictions: 0,
    shared: 0
  }

  constructor(
    settings: Settings,
    scope: Scope.Scope,
    random: typeof Random.Random.Service,
    second: SecondLevel<A> | undefined
  ) {
    this.settings = settings
    this.scope = scope
    this.random = random
    this.second = second
    this.shelf = new Shelf(settings.maxEntries, settings.maxBytes, (entry) => {
      this.counts.evictions++
      this.untag(entry)
    })
  }

  get statistics(): Statistics {
    const { count, size } = this.shelf
    return { ...this.counts, bypassed: this.second?.bypassed ?? 0, entries: count, bytes: size }
  }

  lookup<R>(key: string, load: Load<A, E, R>): Effect.Effect<A, E | VendorError, R> {
    return Effect.withFiber((fiber) => {
      const visit = new Visit(fiber)
      const entry = this.shelf.get(key)
      if (entry === undefined) return this.miss(visit, key, load, undefined)
      const ageMillis = visit.now - entry.at
      const isFresh = ageMillis < entry.freshMillis
      if (!visit.accepts(ageMillis, isFresh)) return this.miss(visit, key, load, undefined)
      if (isFresh) {
        this.counts.hits++
        if (ageMillis >= entry.freshMillis * this.settings.eager) this.refresh(visit, entry, load)
        if (visit.isTold) visit.tell({ _tag: "Cached", age: Duration.millis(ageMillis) })
        return entry.exit
      }
      if (entry.isAnswer && ageMillis < entry.freshMillis + this.settings.revalidateMillis) {
        this.refresh(visit, entry, load)
        return this.giveStale(visit, entry, "Revalidating")
      }
      return this.miss(visit, key, load, this.spare(visit, key))
    })
  }
  invalidate(key: string) {
    this.drop(key)
    this.flights.delete(key)
    if (this.second !== undefined) this.inBackground((timeline) => this.second!.remove(timeline, key))
  }
  invalidateTag(tag: string) {
    for (const key of this.keysOf.get(tag) ?? []) this.invalidate(key)
  }
  clear() {
    this.shelf.clear()
    this.keysOf.clear()
    this.flights.clear()
  }

  /** An answer past its time that is given when nothing better comes. */
  private spare(visit: Visit, key: string): Entry<A, E> | undefined {
    const entry = this.shelf.get(key)
    if (entry?.isAnswer !== true) return undefined
    const ageMillis = visit.timeline.now() - entry.at
    const isSpare = ageMillis < entry.freshMillis + this.settings.errorMillis
    return isSpare && visit.accepts(ageMillis, ageMillis < entry.freshMillis) ? entry : undefined
  }

  /** Makes the call, or waits for the one that is being made; `spare` is given when nothing better comes of it. */
  private miss<R>(
    visit: Visit,
    key: string,
    load: Load<A, E, R>,
    spare: Entry<A, E> | undefined
  ): Effect.Effect<A, E | VendorError, R> {
    this.counts.misses++
    const under = this.flights.get(key)
    if (under !== undefined) this.counts.coalesced++
    const flight = under ?? this.begin(visit, key, load, false)
    const softMillis = spare === undefined ? Infinity : this.settings.softMillis
    const dueAt = flight.deadline > visit.deadline ? visit.deadline : Infinity
    return Effect.flatMap(
      flight.join(visit.timeline, softMillis, dueAt),
      (end): Effect.Effect<A, E | VendorError, R> => {
        if (end === "Slow") return this.giveStale(visit, spare!, "Slow")
        if (end === "Late") {
          return spare === undefined
            ? Effect.fail(this.late)
            : this.giveStale(visit, spare, this.late.reason._tag)
        }
        if (Exit.isSuccess(end)) {
          const { answer, at, provenance } = end.value
          // Whoever began the call takes what is older.
          if (at !== undefined && !visit.accepts(visit.timeline.now() - at, true)) return this.lookup(key, load)
          visit.tell(provenance)
          return Effect.succeed(answer.value)
        }
        const failure = failureOf(end)
        if (failure === undefined) return Exit.failCause(end.cause)
        // Whoever began the call had less time than is left here.
        if (
          failure.reason._tag === "DeadlineExceeded" && flight.deadline < visit.deadline &&
          visit.timeline.now() < visit.deadline
        ) return this.lookup(key, load)
        // Another process may have brought one meanwhile.
        const late = spare ?? this.spare(visit, key)
        return late === undefined ? Exit.failCause(end.cause) : this.giveStale(visit, late, failure.reason._tag)
      }
    )
  }

  private giveStale(visit: Visit, entry: Entry<A, E>, because: string): Exit.Exit<A, E> {
    this.counts.stale++
    visit.tell({ _tag: "Stale", age: Duration.millis(visit.timeline.now() - entry.at), because })
    return entry.exit
  }

  /** Fetches an answer anew in the background, unless that is being done or has just failed. */
  private refresh<R>(visit: Visit, entry: Entry<A, E>, load: Load<A, E, R>): void {
    if (visit.now < entry.quietUntil || this.flights.has(entry.key)) return
    this.begin(visit, entry.key, load, true)
  }

  private begin<R>(visit: Visit, key: string, load: Load<A, E, R>, isBackground: boolean): Flight<Brought<A>, E> {
    const deadline = isBackground ? Infinity : visit.deadline
    const flight = new Flight<Brought<A>, E>(deadline, isBackground, () => this.land(key, flight))
    this.flights.set(key, flight)
    const context = Context.add(visit.context, Deadline, deadline)
    const fiber = Effect.runForkWith(context as Context.Context<R>)(this.bring(visit, key, load))
    flight.carry(Fiber.runIn(fiber, this.scope), (exit) => {
      if (this.land(key, flight)) this.learn(visit, key, exit)
    })
    return flight
  }

  /** An answer of another process, or of the vendor. Of all processes that want one, one calls. */
  private bring<R>(visit: Visit, key: string, load: Load<A, E, R>): Effect.Effect<Brought<A>, E, R> {
    const { second } = this
    if (second === undefined) return this.call(key, load)
    const { timeline } = visit
    const find = Effect.map(second.read(timeline, key), (shared) => this.adopt(visit, key, shared))
    const orElse = (next: Effect.Effect<Brought<A>, E, R>) =>
      Effect.filterOrElse(find, (found) => found !== undefined, () => next)
    const follow: Effect.Effect<Brought<A>, E, R> = Effect.flatMap(second.lead(timeline, key), (lead) => {
      if (lead === "AnotherLeads") return Effect.andThen(Effect.sleep(followMillis), orElse(follow))
      // The one who led before may have finished between our looking and our leading.
      const brought = orElse(this.call(key, load))
      return Effect.onExit(brought, (exit) => Effect.sync(() => this.share(visit, key, exit, lead.done)))
    })
    return orElse(follow)
  }

  private call<R>(key: string, load: Load<A, E, R>): Effect.Effect<Brought<A>, E, R> {
    return Effect.suspend(() => {
      this.counts.loads++
      const known = this.shelf.get(key)?.answer
      return Effect.map(Provenance.withProvenance(load(known)), ({ provenance, value }): Brought<A> => {
        if (!("notModified" in value)) return { answer: value, at: undefined, provenance }
        if (known === undefined) throw new Error("ResponseCache: not modified, but nothing is known")
        return { answer: { ...known, fresh: value.fresh }, at: undefined, provenance }
      })
    })
  }

  /** Remembers what another process has brought, where it is newer, and gives it within its time. */
  private adopt(visit: Visit, key: string, shared: Shared<A> | undefined): Brought<A> | undefined {
    if (shared === undefined) return undefined
    const now = visit.timeline.now()
    const ageMillis = Math.max(0, visit.wallClock - shared.at)
    const at = now - ageMillis
    const entry = this.shelf.get(key)
    if (entry !== undefined && entry.at >= at) return undefined
    const { bytes, freshMillis, tags, validator, value } = shared
    const answer: Answer<A> = { value, validator, bytes, tags, fresh: freshMillis }
    this.keep(key, keptOf(answer), answer, at, freshMillis)
    if (ageMillis >= freshMillis) return undefined
    this.counts.shared++
    return { answer, at, provenance: { _tag: "Cached", age: Duration.millis(ageMillis) } }
  }

  /** Writes what has been brought, then lets others lead; nobody waits for it. */
  private share(visit: Visit, key: string, exit: Exit.Exit<Brought<A>, E>, done: Effect.Effect<void>): void {
    const { errorMillis, revalidateMillis } = this.settings
    this.inBackground((timeline) => {
      if (Exit.isFailure(exit)) return done
      const { answer, at } = exit.value
      if (at !== undefined || answer.isKept === false) return done
      const freshMillis = this.lifeOf(answer)
      const shared: Shared<A> = {
        value: answer.value,
        at: visit.wallClock,
        freshMillis,
        validator: answer.validator,
        bytes: answer.bytes ?? 0,
        tags: answer.tags ?? []
      }
      const write = this.second!.write(timeline, key, shared, freshMillis + Math.max(errorMillis, revalidateMillis))
      return Effect.andThen(write, done)
    }, visit)
  }

  private inBackground(work: (timeline: Timeline.Timeline) => Effect.Effect<void>, visit?: Visit): void {
    const fork = visit === undefined ? Effect.runFork : Effect.runForkWith(visit.context)
    Fiber.runIn(fork(Effect.withFiber((fiber) => work(Timeline.of(fiber)))), this.scope)
  }

  /** Nobody joins a flight that has landed. `false` when it was not in the air any more: what it brings is outdated. */
  private land(key: string, flight: Flight<Brought<A>, E>): boolean {
    return this.flights.get(key) === flight && this.flights.delete(key)
  }

  private lifeOf({ fresh }: Answer<A>): number {
    return fresh === undefined ? this.settings.freshMillis : Range.pause("ResponseCache: fresh", fresh)
  }

  private learn({ timeline }: Visit, key: string, exit: Exit.Exit<Brought<A>, E>): void {
    const { failurePauseMillis, negativeMillis } = this.settings
    const now = timeline.now()
    if (Exit.isSuccess(exit)) {
      const { answer, at } = exit.value
      if (at !== undefined) return
      return answer.isKept === false
        ? this.drop(key)
        : this.keep(key, keptOf(answer), answer, now, this.lifeOf(answer))
    }
    const isAnswer = Exit.hasFails(exit) && failureOf(exit) === undefined
    if (isAnswer && negativeMillis > 0) {
      return this.keep(key, new Failed(exit.cause), undefined, now, negativeMillis)
    }
    if (!isAnswer) this.counts.failures++
    this.shelf.quiet(key, now + failurePauseMillis)
  }

  private keep(
    key: string,
    kept: Kept<A, E>,
    answer: Answer<A> | undefined,
    at: number,
    lifeMillis: number
  ): void {
    this.drop(key)
    const freshMillis = lifeMillis * (1 - this.settings.jitter * this.random.nextDoubleUnsafe())
    if (!this.shelf.put(new Entry(key, kept, answer?.bytes ?? 0, at, freshMillis))) return
    for (const tag of answer?.tags ?? []) {
      const keys = this.keysOf.get(tag)
      if (keys === undefined) this.keysOf.set(tag, new Set([key]))
      else keys.add(key)
    }
  }
  private drop(key: string): void {
    const entry = this.shelf.delete(key)
    if (entry !== undefined) this.untag(entry)
  }
  private untag(entry: Entry<A, E>): void {
    for (const tag of entry.tags) {
      const keys = this.keysOf.get(tag)
      keys?.delete(entry.key)
      if (keys?.size === 0) this.keysOf.delete(tag)
    }
  }
  /** What a caller fails with whose own deadline passes while it waits for a call that somebody else has begun. */
  private get late(): VendorError {
    const { operation, vendor } = this.settings
    return new VendorError({ vendor, operation, safety: "Idempotent", reason: new DeadlineExceeded("NotSent") })
  }
}

/** Somebody who asks. */
class Visit {
  /** Of the fibre that asks, which may be gone when the answer comes. */
  readonly context: Context.Context<never>
  readonly timeline: Timeline.Timeline
  readonly now: number
  private readonly acceptance: Provenance.Acceptance | undefined

  constructor(fiber: Fiber.Fiber<unknown, unknown>) {
    this.context = fiber.context
    this.timeline = Timeline.of(fiber)
    this.now = this.timeline.now()
    this.acceptance = fiber.getRef(Provenance.Acceptance)
  }
  get deadline(): number {
    return Context.get(this.context, Deadline)
  }
  /** Unix time in milliseconds. */
  get wallClock(): number {
    return Context.get(this.context, Clock.Clock).currentTimeMillisUnsafe()
  }
  /** Whether anybody wants to hear where the answer comes from. */
  get isTold(): boolean {
    return this.acceptance !== undefined
  }
  accepts(ageMillis: number, isFresh: boolean): boolean {
    const maxAgeMillis = this.acceptance?.maxAgeMillis
    return maxAgeMillis === undefined ? isFresh : ageMillis <= maxAgeMillis
  }
  tell(provenance: Provenance.Provenance): void {
    this.acceptance?.tell(provenance)
  }
}

const keptOf = <A>({ tags = [], validator, value }: Answer<A>): A | Described<A> =>
  validator === undefined && tags.length === 0 ? value : new Described(value, validator, tags)

/** The vendor's failure that an exit holds; `undefined` for an answer, an interruption and a defect. */
const failureOf = (exit: Exit.Exit<unknown, unknown>): VendorError | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  for (const reason of exit.cause.reasons) {
    if (reason._tag === "Fail" && isVendorError(reason.error)) return reason.error
  }
  return undefined
}

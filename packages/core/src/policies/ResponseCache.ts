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
import { Deadline } from "./Deadline.ts"
import { Flight } from "./Flight.ts"
import { Shelf } from "./ResponseCache/Shelf.ts"

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

/** Makes a cache; what it does in the background ends with the scope. Throws when an option is out of its range. */
export const make = <A, E>(
  options: ResponseCacheOptions & { readonly vendor: string; readonly operation: string }
): Effect.Effect<ResponseCache<A, E>, never, Scope.Scope> => {
  const settings = settingsOf(options)
  return Effect.gen(function*() {
    return new Memory<A, E>(settings, yield* Effect.scope, yield* Random.Random)
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

/** An answer, or an error that is one, and since when it is known. */
interface Entry<A, E> {
  readonly key: string
  readonly exit: Exit.Exit<A, E>
  readonly answer: Answer<A> | undefined
  readonly at: number
  readonly freshMillis: number
  /** Before this no background call is made again. */
  quietUntil: number
}

/** What a load came to, and where that came from. */
interface Brought<A> {
  readonly answer: Answer<A>
  readonly provenance: Provenance.Provenance
}

type Load<A, E, R> = (known: Answer<A> | undefined) => Effect.Effect<Loaded<A>, E, R>

class Memory<A, E> implements ResponseCache<A, E> {
  private readonly settings: Settings
  private readonly scope: Scope.Scope
  private readonly random: typeof Random.Random.Service
  private readonly shelf: Shelf<Entry<A, E>>
  private readonly keysOf = new Map<string, Set<string>>()
  private readonly flights = new Map<string, Flight<Brought<A>, E>>()
  private readonly counts = { hits: 0, stale: 0, misses: 0, coalesced: 0, loads: 0, failures: 0, evictions: 0 }

  constructor(settings: Settings, scope: Scope.Scope, random: typeof Random.Random.Service) {
    this.settings = settings
    this.scope = scope
    this.random = random
    this.shelf = new Shelf(settings.maxEntries, settings.maxBytes, (entry) => {
      this.counts.evictions++
      this.untag(entry)
    })
  }

  get statistics(): Statistics {
    return { ...this.counts, entries: this.shelf.count, bytes: this.shelf.size }
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
        visit.tell({ _tag: "Cached", age: Duration.millis(ageMillis) })
        return entry.exit
      }
      if (entry.answer === undefined) return this.miss(visit, key, load, undefined)
      if (ageMillis < entry.freshMillis + this.settings.revalidateMillis) {
        this.refresh(visit, entry, load)
        return this.giveStale(visit, entry, "Revalidating")
      }
      const isSpare = ageMillis < entry.freshMillis + this.settings.errorMillis
      return this.miss(visit, key, load, isSpare ? entry : undefined)
    })
  }
  invalidate(key: string) {
    const entry = this.shelf.delete(key)
    if (entry !== undefined) this.untag(entry)
    this.flights.delete(key)
  }
  invalidateTag(tag: string) {
    for (const key of this.keysOf.get(tag) ?? []) this.invalidate(key)
  }
  clear() {
    this.shelf.clear()
    this.keysOf.clear()
    this.flights.clear()
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
          visit.tell(end.value.provenance)
          return Effect.succeed(end.value.answer.value)
        }
        const failure = failureOf(end)
        if (failure === undefined) return Exit.failCause(end.cause)
        // Whoever began the call had less time than is left here.
        if (
          failure.reason._tag === "DeadlineExceeded" && flight.deadline < visit.deadline &&
          visit.timeline.now() < visit.deadline
        ) return this.lookup(key, load)
        return spare === undefined ? Exit.failCause(end.cause) : this.giveStale(visit, spare, failure.reason._tag)
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
    this.counts.loads++
    const known = this.shelf.get(key)?.answer
    const answered = Effect.map(Provenance.withProvenance(load(known)), ({ provenance, value }): Brought<A> => {
      if (!("notModified" in value)) return { answer: value, provenance }
      if (known === undefined) throw new Error("ResponseCache: not modified, but nothing is known")
      return { answer: { ...known, fresh: value.fresh }, provenance }
    })
    const context = Context.add(visit.fiber.context, Deadline, deadline)
    const fiber = Effect.runForkWith(context as Context.Context<R>)(answered)
    flight.carry(Fiber.runIn(fiber, this.scope), (exit) => {
      if (this.land(key, flight)) this.learn(key, exit, visit.timeline.now())
    })
    return flight
  }

  /** Nobody joins a flight that has landed. `false` when it was not in the air any more: what it brings is outdated. */
  private land(key: string, flight: Flight<Brought<A>, E>): boolean {
    return this.flights.get(key) === flight && this.flights.delete(key)
  }

  private learn(key: string, exit: Exit.Exit<Brought<A>, E>, now: number): void {
    const { failurePauseMillis, freshMillis, negativeMillis } = this.settings
    if (Exit.isSuccess(exit)) {
      const { answer } = exit.value
      const life = answer.fresh === undefined ? freshMillis : Range.pause("ResponseCache: fresh", answer.fresh)
      return answer.isKept === false
        ? this.invalidate(key)
        : this.keep(key, Exit.succeed(answer.value), answer, now, life)
    }
    const isAnswer = Exit.hasFails(exit) && failureOf(exit) === undefined
    if (isAnswer && negativeMillis > 0) {
      return this.keep(key, Exit.failCause(exit.cause), undefined, now, negativeMillis)
    }
    if (!isAnswer) this.counts.failures++
    const entry = this.shelf.get(key)
    if (entry !== undefined) entry.quietUntil = now + failurePauseMillis
  }

  private keep(
    key: string,
    exit: Exit.Exit<A, E>,
    answer: Answer<A> | undefined,
    at: number,
    lifeMillis: number
  ): void {
    const { jitter } = this.settings
    this.invalidate(key)
    const entry: Entry<A, E> = {
      key,
      exit,
      answer,
      at,
      freshMillis: lifeMillis * (1 - jitter * this.random.nextDoubleUnsafe()),
      quietUntil: -Infinity
    }
    if (!this.shelf.put(key, entry, answer?.bytes ?? 0)) return
    for (const tag of answer?.tags ?? []) {
      const keys = this.keysOf.get(tag)
      if (keys === undefined) this.keysOf.set(tag, new Set([key]))
      else keys.add(key)
    }
  }
  private untag(entry: Entry<A, E>): void {
    for (const tag of entry.answer?.tags ?? []) {
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
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly timeline: Timeline.Timeline
  readonly now: number
  readonly deadline: number
  private readonly acceptance: Provenance.Acceptance | undefined

  constructor(fiber: Fiber.Fiber<unknown, unknown>) {
    this.fiber = fiber
    this.timeline = Timeline.of(fiber)
    this.now = this.timeline.now()
    this.deadline = fiber.getRef(Deadline)
    this.acceptance = fiber.getRef(Provenance.Acceptance)
  }
  accepts(ageMillis: number, isFresh: boolean): boolean {
    const maxAgeMillis = this.acceptance?.maxAgeMillis
    return maxAgeMillis === undefined ? isFresh : ageMillis <= maxAgeMillis
  }
  tell(provenance: Provenance.Provenance): void {
    this.acceptance?.tell(provenance)
  }
}

/** The vendor's failure that an exit holds; `undefined` for an answer, an interruption and a defect. */
const failureOf = (exit: Exit.Exit<unknown, unknown>): VendorError | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  for (const reason of exit.cause.reasons) {
    if (reason._tag === "Fail" && isVendorError(reason.error)) return reason.error
  }
  return undefined
}

/**
 * The engine of a response cache: the entries of this process, the entries of the fleet's store, and at most one call
 * in flight per key.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { Deadline } from "../../Deadline.ts"
import { vendorErrorOf } from "../../DeclaredFailure.ts"
import * as Provenance from "../../Provenance.ts"
import { DeadlineExceeded } from "../../Reason.ts"
import { SingleFlight } from "../../structures/SingleFlight.ts"
import * as Timeline from "../../Timeline.ts"
import { VendorError } from "../../VendorError.ts"
import type { CachedAnswer, Loaded, ResponseCache, Statistics } from "../ResponseCache.ts"
import { Described, Entry, Failed, isPassing, type Kept } from "./Entry.ts"
import type { SecondLevel, Shared } from "./SecondLevel.ts"
import { Shelf } from "./Shelf.ts"

/** The interval at which a process polls for the answer of the leading one, in milliseconds. Our own judgement. */
const followMillis = 20

/** The options of a cache, in the units used internally. */
export interface Settings {
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

/** The result of a load, with its provenance. */
interface Brought<A> {
  readonly answer: Settled<A>
  /** When another process fetched it, on our timeline; `undefined` when this process fetched it just now. */
  readonly at: number | undefined
  readonly provenance: Provenance.Provenance
}

/** An answer ready to be kept. Its life and tags come from foreign functions, which may return anything. */
interface Settled<A> extends CachedAnswer<A> {
  /** Milliseconds, from 0 to {@link longestLife}. */
  readonly fresh: number
}

/** The longest life of an answer, in milliseconds: 2³¹ seconds, as in RFC 9111, section 1.2.2. */
const longestLife = 2 ** 31 * 1_000

type Trusts<A> = (value: A) => boolean
type Load<A, E, R> = (known: CachedAnswer<A> | undefined) => Effect.Effect<Loaded<A>, E, R>

export class TwoLevels<A, E> implements ResponseCache<A, E> {
  private readonly settings: Settings
  private readonly scope: Scope.Scope
  private readonly random: typeof Random.Random.Service
  private readonly shelf: Shelf<A, E>
  private readonly second: SecondLevel<A> | undefined
  private readonly keysOf = new Map<string, Set<string>>()
  private readonly flights = new Map<string, SingleFlight<Brought<A>, E>>()
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

  lookup<R>(key: string, load: Load<A, E, R>, trusts?: Trusts<A>): Effect.Effect<A, E | VendorError, R> {
    return Effect.withFiber((fiber) => {
      const visit = new Visit(fiber, trusts as Trusts<unknown> | undefined)
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

  /** A stale answer that may be served if the call fails. */
  private spare(visit: Visit, key: string): Entry<A, E> | undefined {
    const entry = this.shelf.get(key)
    if (entry?.isAnswer !== true) return undefined
    const ageMillis = visit.timeline.now() - entry.at
    const isSpare = ageMillis < entry.freshMillis + this.settings.errorMillis
    return isSpare && visit.accepts(ageMillis, ageMillis < entry.freshMillis) ? entry : undefined
  }

  /** Makes the call, or waits for the one in flight; `spare` is served when the call fails or is slow. */
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
          // The caller that began the load accepts older answers than this one does.
          if (at !== undefined && !visit.accepts(visit.timeline.now() - at, true)) {
            return this.lookup(key, load, visit.trusts)
          }
          visit.tell(provenance)
          return Effect.succeed(answer.value)
        }
        const failure = failureOf(end)
        if (failure === undefined) return Exit.failCause(end.cause)
        // The caller that began the load had less time left than this one.
        if (
          failure.reason._tag === "DeadlineExceeded" && flight.deadline < visit.deadline &&
          visit.timeline.now() < visit.deadline
        ) return this.lookup(key, load, visit.trusts)
        // Another process may have stored one meanwhile.
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

  /** Refreshes an answer in the background, unless that is in progress or has just failed. */
  private refresh<R>(visit: Visit, entry: Entry<A, E>, load: Load<A, E, R>): void {
    if (visit.now < entry.quietUntil || this.flights.has(entry.key)) return
    this.begin(visit, entry.key, load, true)
  }

  private begin<R>(visit: Visit, key: string, load: Load<A, E, R>, isBackground: boolean): SingleFlight<Brought<A>, E> {
    const deadline = isBackground ? Infinity : visit.deadline
    const flight = new SingleFlight<Brought<A>, E>(deadline, isBackground, () => this.land(key, flight))
    this.flights.set(key, flight)
    const context = Context.add(visit.context, Deadline, deadline)
    const fiber = Effect.runForkWith(context as Context.Context<R>)(this.bring(visit, key, load))
    flight.carry(Fiber.runIn(fiber, this.scope), (exit) => {
      if (this.land(key, flight)) this.learn(visit, key, exit)
    })
    return flight
  }

  /**
   * Gets an answer from another process or from the vendor. Of all processes that need one, only one calls the vendor.
   */
  private bring<R>(visit: Visit, key: string, load: Load<A, E, R>): Effect.Effect<Brought<A>, E, R> {
    const { second } = this
    if (second === undefined) return this.call(key, load)
    const { timeline } = visit
    const find = Effect.map(second.read(timeline, key), (shared) => this.adopt(visit, key, shared))
    const orElse = (next: Effect.Effect<Brought<A>, E, R>) =>
      Effect.filterOrElse(find, (found) => found !== undefined, () => next)
    const follow: Effect.Effect<Brought<A>, E, R> = Effect.flatMap(second.lead(timeline, key), (lead) => {
      if (lead === "AnotherLeads") return Effect.andThen(Effect.sleep(followMillis), orElse(follow))
      // The previous leader may have finished between our read and our lead.
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
        if (!("notModified" in value)) return { answer: this.settled(value), at: undefined, provenance }
        if (known === undefined) throw new Error("ResponseCache: load returned notModified without a known answer")
        return { answer: this.settled({ ...known, fresh: value.fresh }), at: undefined, provenance }
      })
    })
  }

  /** Stores an answer from another process if it is newer than ours, and returns it if it is fresh. */
  private adopt(visit: Visit, key: string, shared: Shared<A> | undefined): Brought<A> | undefined {
    if (shared === undefined || visit.trusts?.(shared.value) === false) return undefined
    const now = visit.timeline.now()
    const ageMillis = Math.max(0, visit.wallClock - shared.at)
    const at = now - ageMillis
    const entry = this.shelf.get(key)
    if (entry !== undefined && entry.at >= at) return undefined
    const { bytes, freshMillis, tags, validator, value } = shared
    const answer: Settled<A> = { value, validator, bytes, tags, fresh: freshMillis }
    this.keep(key, keptOf(answer), answer, at, freshMillis)
    if (ageMillis >= freshMillis) return undefined
    this.counts.shared++
    return { answer, at, provenance: { _tag: "Cached", age: Duration.millis(ageMillis) } }
  }

  /** Writes a new answer to the store, then gives up the lead, in the background. */
  private share(visit: Visit, key: string, exit: Exit.Exit<Brought<A>, E>, done: Effect.Effect<void>): void {
    const { errorMillis, revalidateMillis } = this.settings
    this.inBackground((timeline) => {
      if (Exit.isFailure(exit)) return done
      const { answer, at } = exit.value
      if (at !== undefined || answer.isKept === false) return done
      const freshMillis = answer.fresh
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

  /**
   * Ends a flight, so that no caller joins it. Returns `false` if it was already removed, which means its result is
   * outdated.
   */
  private land(key: string, flight: SingleFlight<Brought<A>, E>): boolean {
    return this.flights.get(key) === flight && this.flights.delete(key)
  }

  /** Runs inside the load, so that anything that throws here is a defect of that call alone. */
  private settled(answer: CachedAnswer<A>): Settled<A> {
    const { fresh, tags } = answer
    const millis = fresh === undefined ? this.settings.freshMillis : Duration.toMillis(fresh)
    return {
      ...answer,
      fresh: Math.min(Math.max(millis || 0, 0), longestLife),
      tags: tags === undefined ? undefined : [...tags]
    }
  }

  private learn({ timeline }: Visit, key: string, exit: Exit.Exit<Brought<A>, E>): void {
    const { failurePauseMillis, negativeMillis } = this.settings
    const now = timeline.now()
    if (Exit.isSuccess(exit)) {
      const { answer, at } = exit.value
      if (at !== undefined) return
      return answer.isKept === false
        ? this.drop(key)
        : this.keep(key, keptOf(answer), answer, now, answer.fresh)
    }
    const isAnswer = Exit.hasFails(exit) && failureOf(exit) === undefined
    if (isAnswer && negativeMillis > 0 && !isPassing(exit.cause)) {
      return this.keep(key, new Failed(exit.cause), undefined, now, negativeMillis)
    }
    if (!isAnswer) this.counts.failures++
    this.shelf.quiet(key, now + failurePauseMillis)
  }

  private keep(
    key: string,
    kept: Kept<A, E>,
    answer: CachedAnswer<A> | undefined,
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
  /** The error of a caller whose own deadline passes while it waits for another caller's load. */
  private get late(): VendorError {
    const { operation, vendor } = this.settings
    return new VendorError({ vendor, operation, safety: "Idempotent", reason: new DeadlineExceeded("NotSent") })
  }
}

/** One lookup by one caller. */
class Visit {
  /** The context of the calling fibre, which may be gone when the answer comes. */
  readonly context: Context.Context<never>
  readonly timeline: Timeline.Timeline
  readonly now: number
  /** Decides about answers from other processes. */
  readonly trusts: Trusts<unknown> | undefined
  private readonly acceptance: Provenance.Acceptance | undefined

  constructor(fiber: Fiber.Fiber<unknown, unknown>, trusts: Trusts<unknown> | undefined) {
    this.trusts = trusts
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
  /** Whether the caller wants the provenance. */
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

const keptOf = <A>({ tags = [], validator, value }: CachedAnswer<A>): A | Described<A> =>
  validator === undefined && tags.length === 0 ? value : new Described(value, validator, tags)

/** The vendor error in an exit; `undefined` for an answer, an interruption and a defect. */
const failureOf = (exit: Exit.Exit<unknown, unknown>): VendorError | undefined =>
  Exit.isSuccess(exit) ? undefined : vendorErrorOf(exit.cause)

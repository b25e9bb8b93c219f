/**
 * The loads of a cache: each gets an answer from another process or from the vendor, for all callers that wait for it,
 * and what it brought is kept and shared.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { Deadline } from "../../Deadline.ts"
import { vendorErrorOf } from "../../DeclaredFailure.ts"
import * as Jitter from "../../Jitter.ts"
import * as Provenance from "../../Provenance.ts"
import { DeadlineExceeded } from "../../Reason.ts"
import * as Timeline from "../../Timeline.ts"
import { isVendorError, VendorError } from "../../VendorError.ts"
import type { CachedAnswer, Loaded } from "../ResponseCache.ts"
import type { Entries } from "./Entries.ts"
import { Failed, isPassing } from "./Entry.ts"
import { type Brought, Flight, type Settled, type Terms } from "./Flight.ts"
import { Flights } from "./Flights.ts"
import * as Frozen from "./Frozen.ts"
import type { Place, SecondLevel, Shared } from "./SecondLevel.ts"
import type { Settings } from "./Settings.ts"
import type { Visit } from "./Visit.ts"

/**
 * How often a process looks for the answer of the leading one: it waits a quarter of the time that it has waited already,
 * within these bounds in milliseconds, and up to a quarter of that again, so that many processes do not ask the store in
 * one moment. Our own judgement: an answer is a third later at most, and a slow one costs the store few questions.
 */
const [leastPause, longestPause] = [20, 200]

/** The longest life of an answer, in milliseconds: 2³¹ seconds, as in RFC 9111, section 1.2.2. */
const longestLife = 2 ** 31 * 1_000

export type Load<A, E, R> = (known: CachedAnswer<A> | undefined) => Effect.Effect<Loaded<A>, E, R>

export class Loads<A, E> {
  /** Number of calls made, of those that failed, and of answers from other processes. */
  readonly counts = { loads: 0, failures: 0, shared: 0 }
  readonly flights = new Flights<A, E | VendorError>()
  private readonly settings: Settings
  private readonly entries: Entries<A, E>
  private readonly second: SecondLevel<A> | undefined
  private readonly scope: Scope.Scope
  /** The context in which the cache was made, for work that no caller waits for. */
  private readonly context: Context.Context<never>

  constructor(
    settings: Settings,
    entries: Entries<A, E>,
    second: SecondLevel<A> | undefined,
    scope: Scope.Scope,
    context: Context.Context<never>
  ) {
    this.settings = settings
    this.entries = entries
    this.second = second
    this.scope = scope
    this.context = context
  }

  /** Begins a load. In the background it has an operation's whole time, and continues without a caller. */
  begin<R>(
    visit: Visit,
    key: string,
    load: Load<A, E, R>,
    isBackground: boolean
  ): Flight<A, E | VendorError> {
    const terms: Terms = isBackground
      ? { deadline: visit.timeline.now() + this.settings.deadlineMillis, hasAllTime: true, priority: visit.priority }
      : visit
    const flight = new Flight<A, E | VendorError>(key, terms, isBackground, () => this.flights.remove(flight))
    const isBeside = this.flights.has(key)
    this.flights.add(flight)
    const context = visit.context.pipe(
      Context.add(Deadline, terms.deadline),
      // What the load looks up is no answer to this caller.
      Context.add(Provenance.Acceptance, undefined)
    )
    const brought = this.bring(visit, flight, load, isBeside)
    const fiber = Effect.runForkWith(context as Context.Context<R>)(brought)
    flight.carry(Fiber.runIn(fiber, this.scope), (exit) => {
      const tags = Exit.isSuccess(exit) ? exit.value.answer.tags : undefined
      const isCurrent = this.flights.remove(flight) && flight.isCurrent(tags)
      if (isCurrent) this.learn(visit, flight, exit)
      this.share(visit, flight, isCurrent ? exit : undefined)
    })
    return flight
  }

  /** Removes the answer of a key, also of loads that are under way. */
  invalidate(key: string): void {
    const outdated = this.outdate(key)
    const { second } = this
    if (second === undefined) return
    this.inBackground((timeline) => {
      const givenUp = Effect.forEach(outdated, (flight) => flight.giveUp() ?? Effect.void, { discard: true })
      return Effect.andThen(givenUp, second.remove(timeline, key))
    })
  }
  invalidateTag(tag: string): void {
    this.flights.outdateTag(tag)
    for (const key of this.entries.tagged(tag)) this.outdate(key)
    this.leaveGeneration()
  }
  clear(): void {
    this.entries.clear()
    this.flights.outdateAll()
    this.leaveGeneration()
  }

  /**
   * Gets an answer from another process or from the vendor. Of all processes that need one, only one calls the vendor;
   * except for those of the highest priority, and those for which the call of another caller is not good enough.
   */
  private bring<R>(
    visit: Visit,
    flight: Flight<A, E | VendorError>,
    load: Load<A, E, R>,
    isBeside: boolean
  ): Effect.Effect<Brought<A>, E | VendorError, R> {
    const { second } = this
    const call = this.call(visit, flight, load)
    if (second === undefined || visit.isPrivate) return call
    const isAlone = isBeside || flight.priority === "Critical"
    return Effect.flatMap(second.place(visit.timeline, flight.key), (place) => {
      if (place === undefined) return call
      const orElse = <X>(next: Effect.Effect<X, E | VendorError, R>) =>
        Effect.flatMap(place.read, (shared): Effect.Effect<Brought<A> | X, E | VendorError, R> => {
          const found = this.adopt(visit, flight, shared)
          return found === undefined ? next : Effect.succeed(found)
        })
      const since = visit.timeline.now()
      // The previous leader may have finished between our read and our lead.
      const led = this.leading(place, flight, orElse(call))
      const follow: Effect.Effect<Brought<A>, E | VendorError, R> = Effect.flatMap(led, (brought) => {
        if (brought !== "AnotherLeads") return Effect.succeed(brought)
        if (isAlone) return call
        if (visit.timeline.now() >= flight.deadline) return Effect.fail(this.late)
        return Effect.andThen(this.followingPause(visit.timeline.now() - since), orElse(follow))
      })
      return orElse(follow)
    })
  }

  private followingPause(waited: number): Effect.Effect<void> {
    const millis = Math.max(leastPause, Math.min(longestPause, waited / 4))
    return Effect.flatMap(Random.next, (random) => Effect.sleep(Jitter.later(millis, random)))
  }

  /** Takes the lead for an effect. A lead that is taken belongs to the flight, even if its callers leave meanwhile. */
  private leading<X, R>(
    place: Place<A>,
    flight: Flight<A, E | VendorError>,
    effect: Effect.Effect<X, E | VendorError, R>
  ): Effect.Effect<X | "AnotherLeads", E | VendorError, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(place.lead, (lead): Effect.Effect<X | "AnotherLeads", E | VendorError, R> => {
        if (lead === "AnotherLeads") return Effect.succeed(lead)
        flight.lead = lead
        return Effect.onInterrupt(restore(effect), () => flight.giveUp() ?? Effect.void)
      })
    )
  }

  private call<R>(
    { timeline }: Visit,
    flight: Flight<A, E | VendorError>,
    load: Load<A, E, R>
  ): Effect.Effect<Brought<A>, E, R> {
    return Effect.suspend(() => {
      flight.isCalling = true
      this.counts.loads++
      const known = this.entries.get(flight.key)?.answer
      return Provenance.withProvenance(load(known)).pipe(
        Effect.map(({ provenance, value }): Brought<A> => ({
          answer: this.settled(value, known),
          at: timeline.elapsed() - Duration.toMillis(Provenance.age(provenance)),
          isShared: false,
          provenance
        })),
        // All callers of this flight get the same error.
        Effect.tapError((error) => isVendorError(error) ? Effect.void : Effect.sync(() => Frozen.freeze(error)))
      )
    })
  }

  /** Stores an answer from another process if it is newer than ours, and returns it if its caller accepts it. */
  private adopt(
    visit: Visit,
    flight: Flight<A, E | VendorError>,
    shared: Shared<A> | undefined
  ): Brought<A> | undefined {
    if (shared === undefined || !flight.isCurrent(shared.tags) || !visit.trusts(shared.value)) return undefined
    const { ageMillis, bytes, tags, validator, value } = shared
    const at = visit.timeline.elapsed() - ageMillis
    const entry = this.entries.get(flight.key)
    if (entry !== undefined && entry.at >= at) return undefined
    const answer = this.settled({ value, validator, bytes, tags, fresh: shared.freshMillis }, undefined)
    this.entries.keep(flight.key, answer, at, Provenance.fresh)
    if (ageMillis >= answer.fresh || !visit.accepts(ageMillis, true)) return undefined
    this.counts.shared++
    return { answer, at, isShared: true, provenance: { _tag: "Cached", age: Duration.millis(ageMillis) } }
  }

  /** Writes a new answer to the store, then gives up the lead, in the background. */
  private share(
    visit: Visit,
    flight: Flight<A, E | VendorError>,
    exit: Exit.Exit<Brought<A>, E | VendorError> | undefined
  ): void {
    const { lead } = flight
    const giveUp = flight.giveUp()
    if (lead === undefined || giveUp === undefined) return
    const { errorMillis, revalidateMillis } = this.settings
    this.inBackground((timeline) => {
      if (exit === undefined || Exit.isFailure(exit)) return giveUp
      const { answer, at, isShared, provenance } = exit.value
      // An answer that was old when it came, or came from elsewhere, would lose that on the way.
      if (isShared || answer.isKept === false || provenance._tag !== "Fresh") return giveUp
      const shared: Shared<A> = {
        value: answer.value,
        ageMillis: timeline.elapsed() - at,
        freshMillis: answer.saysFresh ? answer.fresh : undefined,
        validator: answer.validator,
        bytes: answer.bytes ?? 0,
        tags: answer.tags ?? []
      }
      const millis = answer.fresh + Math.max(errorMillis, revalidateMillis)
      return Effect.ensuring(lead.share(shared, millis), giveUp)
    }, visit.context)
  }

  private outdate(key: string): ReadonlyArray<Flight<A, E | VendorError>> {
    this.entries.drop(key)
    return this.flights.outdate(key)
  }
  private leaveGeneration(): void {
    const { second } = this
    if (second !== undefined) this.inBackground((timeline) => second.clear(timeline))
  }

  private inBackground(
    work: (timeline: Timeline.Timeline) => Effect.Effect<void>,
    context: Context.Context<never> = this.context
  ): void {
    const effect = Effect.withFiber((fiber) => work(Timeline.of(fiber)))
    Fiber.runIn(Effect.runForkWith(context)(effect), this.scope)
  }

  /** Runs inside the load, so that anything that throws here is a defect of that call alone. */
  private settled(
    loaded: Loaded<A>,
    known: (CachedAnswer<A> & { readonly isLoose: boolean }) | undefined
  ): Settled<A> {
    if (!("notModified" in loaded)) return this.lasting(loaded, Frozen.freeze(loaded.value))
    if (known === undefined) throw new Error("ResponseCache: load returned notModified without a known answer")
    const { fresh, isKept, validator = known.validator } = loaded
    return this.lasting({ ...known, fresh, isKept, validator }, known.isLoose)
  }
  private lasting(answer: CachedAnswer<A>, isLoose: boolean): Settled<A> {
    const { fresh, tags } = answer
    const millis = fresh === undefined ? this.settings.freshMillis : Duration.toMillis(fresh)
    return {
      ...answer,
      fresh: Math.min(Math.max(millis || 0, 0), longestLife),
      saysFresh: fresh !== undefined,
      isLoose,
      tags: tags === undefined ? undefined : [...tags]
    }
  }

  private learn(
    { timeline }: Visit,
    { key }: Flight<A, E | VendorError>,
    exit: Exit.Exit<Brought<A>, E | VendorError>
  ): void {
    const { failurePauseMillis, negativeMillis } = this.settings
    if (Exit.isSuccess(exit)) {
      const { answer, at, isShared, provenance } = exit.value
      if (isShared) return
      return answer.isKept === false ? this.entries.drop(key) : this.entries.keep(key, answer, at, provenance)
    }
    const now = timeline.elapsed()
    const isAnswer = Exit.hasFails(exit) && failureOf(exit) === undefined
    if (isAnswer && negativeMillis > 0 && !isPassing(exit.cause)) {
      return this.entries.keepFailure(key, new Failed(exit.cause as Failed<E>["cause"]), now, negativeMillis)
    }
    if (!isAnswer) this.counts.failures++
    this.entries.quiet(key, now + failurePauseMillis)
  }

  /** The error of a caller whose deadline passes before the load that it waits for has ended. */
  get late(): VendorError {
    const { operation, vendor } = this.settings
    return new VendorError({ vendor, operation, safety: "Idempotent", reason: new DeadlineExceeded("NotSent") })
  }
}

/** The vendor error in an exit; `undefined` for an answer, an interruption and a defect. */
export const failureOf = (exit: Exit.Exit<unknown, unknown>): VendorError | undefined =>
  Exit.isSuccess(exit) ? undefined : vendorErrorOf(exit.cause)

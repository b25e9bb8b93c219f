/** The engine of a response cache: serves each caller an answer that it accepts. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Provenance from "../../Provenance.ts"
import type { VendorError } from "../../VendorError.ts"
import type { LookupOptions, ResponseCache, Statistics } from "../ResponseCache.ts"
import type { Entries } from "./Entries.ts"
import type { Entry } from "./Entry.ts"
import type { Flight } from "./Flight.ts"
import * as Frozen from "./Frozen.ts"
import { failureOf, type Load, type Loads } from "./Loads.ts"
import type { SecondLevel } from "./SecondLevel.ts"
import type { Settings } from "./Settings.ts"
import { Visit } from "./Visit.ts"

export class TwoLevels<A, E> implements ResponseCache<A, E> {
  private readonly settings: Settings
  private readonly entries: Entries<A, E>
  private readonly second: SecondLevel<A> | undefined
  private readonly loads: Loads<A, E>
  private readonly counts = { hits: 0, stale: 0, misses: 0, coalesced: 0 }

  constructor(
    settings: Settings,
    entries: Entries<A, E>,
    second: SecondLevel<A> | undefined,
    loads: Loads<A, E>
  ) {
    this.settings = settings
    this.entries = entries
    this.second = second
    this.loads = loads
  }

  get statistics(): Statistics {
    const { count: entries, evictions, size: bytes } = this.entries
    return {
      ...this.counts,
      ...this.loads.counts,
      evictions,
      bypassed: this.second?.bypassed ?? 0,
      entries,
      bytes
    }
  }

  lookup<R>(key: string, load: Load<A, E, R>, options?: LookupOptions<A>): Effect.Effect<A, E | VendorError, R> {
    return Effect.withFiber((fiber) =>
      this.serve(new Visit(fiber, this.settings.deadlineMillis, options as LookupOptions<unknown>), key, load)
    )
  }
  invalidate(key: string) {
    this.loads.invalidate(key)
  }
  invalidateTag(tag: string) {
    this.loads.invalidateTag(tag)
  }
  clear() {
    this.loads.clear()
  }

  private serve<R>(visit: Visit, key: string, load: Load<A, E, R>): Effect.Effect<A, E | VendorError, R> {
    const entry = this.entries.get(key)
    if (entry === undefined) return this.miss(visit, key, load, undefined)
    const ageMillis = visit.now - entry.at
    const isFresh = ageMillis < entry.freshMillis
    if (!visit.accepts(ageMillis, isFresh)) return this.miss(visit, key, load, undefined)
    if (isFresh) {
      this.counts.hits++
      if (ageMillis >= entry.freshMillis * this.settings.eager) this.refresh(visit, entry, load)
      if (visit.isTold) visit.tell(cached(entry, ageMillis))
      return entry.exit
    }
    if (entry.isAnswer && ageMillis < entry.freshMillis + this.settings.revalidateMillis) {
      this.refresh(visit, entry, load)
      return this.giveStale(visit, entry, "Revalidating")
    }
    return this.miss(visit, key, load, this.spare(visit, key))
  }

  /** A stale answer that may be served now if the call fails. */
  private spare(visit: Visit, key: string): Entry<A, E> | undefined {
    const entry = this.entries.get(key)
    return entry !== undefined && this.isSpare(visit, entry) ? entry : undefined
  }
  private isSpare(visit: Visit, entry: Entry<A, E>): boolean {
    const ageMillis = visit.now - entry.at
    return entry.isAnswer && ageMillis < entry.freshMillis + this.settings.errorMillis &&
      visit.accepts(ageMillis, ageMillis < entry.freshMillis)
  }

  /** Makes the call, or waits for one in flight; `spare` is served when the call fails or is slow. */
  private miss<R>(
    visit: Visit,
    key: string,
    load: Load<A, E, R>,
    spare: Entry<A, E> | undefined
  ): Effect.Effect<A, E | VendorError, R> {
    this.counts.misses++
    const joined = this.loads.flights.suiting(key, visit, visit.timeline.now())
    if (joined !== undefined) this.counts.coalesced++
    const flight = joined ?? this.loads.begin(visit, key, load, false)
    return this.wait(visit, flight, load, spare, spare === undefined ? Infinity : this.settings.softMillis)
  }

  private wait<R>(
    visit: Visit,
    flight: Flight<A, E | VendorError>,
    load: Load<A, E, R>,
    spare: Entry<A, E> | undefined,
    softMillis: number
  ): Effect.Effect<A, E | VendorError, R> {
    // A call ends at its own deadline, and says more about it than we could.
    const isLeftToCall = () => flight.isCalling && flight.deadline <= visit.deadline
    const dueAt = isLeftToCall() ? Infinity : visit.deadline
    return Effect.flatMap(
      flight.join(visit.timeline, softMillis, dueAt, () => !isLeftToCall()),
      (end): Effect.Effect<A, E | VendorError, R> => {
        visit.tick()
        if (end === "Slow") {
          const stale = this.spareAfter(visit, flight, spare)
          return stale === undefined
            ? this.wait(visit, flight, load, spare, Infinity)
            : this.giveStale(visit, stale, "Slow")
        }
        if (end === "Late") return this.orStale(visit, flight, spare, Exit.fail(this.loads.late), this.loads.late)
        if (Exit.isSuccess(end)) {
          const { answer, at, isShared, provenance } = end.value
          const ageMillis = visit.now - at
          // The caller that began the load accepts older answers than this one does.
          if (isShared && !visit.accepts(ageMillis, ageMillis < answer.fresh)) {
            return this.serve(visit, flight.key, load)
          }
          visit.tell(isShared ? { _tag: "Cached", age: Duration.millis(ageMillis) } : provenance)
          return Effect.succeed(answer.isLoose ? Frozen.copy(answer.value) : answer.value)
        }
        const failure = failureOf(end)
        if (failure === undefined) return Exit.failCause(end.cause)
        // The caller that began the load had less time left than this one.
        if (
          failure.reason._tag === "DeadlineExceeded" && flight.deadline < visit.deadline &&
          visit.timeline.now() < visit.deadline
        ) return this.serve(visit, flight.key, load)
        return this.orStale(visit, flight, spare, Exit.failCause(end.cause), failure)
      }
    )
  }

  /** A stale answer, else the failure. */
  private orStale(
    visit: Visit,
    flight: Flight<A, E | VendorError>,
    spare: Entry<A, E> | undefined,
    exit: Exit.Exit<A, E | VendorError>,
    { reason }: VendorError
  ): Exit.Exit<A, E | VendorError> {
    const stale = this.spareAfter(visit, flight, spare)
    return stale === undefined ? exit : this.giveStale(visit, stale, reason._tag)
  }
  /** The answer that may be served at the end of a wait: the one in the cache now, or the one that was evicted since. */
  private spareAfter(
    visit: Visit,
    flight: Flight<A, E | VendorError>,
    spare: Entry<A, E> | undefined
  ): Entry<A, E> | undefined {
    const now = this.spare(visit, flight.key)
    if (now !== undefined || spare === undefined) return now
    return flight.isCurrent(spare.tags) && this.isSpare(visit, spare) ? spare : undefined
  }

  private giveStale(visit: Visit, entry: Entry<A, E>, because: string): Exit.Exit<A, E> {
    this.counts.stale++
    const { origin } = entry
    const stale = { _tag: "Stale", age: Duration.millis(visit.now - entry.at), because } as const
    visit.tell(origin === undefined ? stale : Provenance.worse(origin, stale))
    return entry.exit
  }

  /** Refreshes an answer in the background, unless that is in progress or has just failed. */
  private refresh<R>(visit: Visit, entry: Entry<A, E>, load: Load<A, E, R>): void {
    if (visit.now < entry.quietUntil || this.loads.flights.has(entry.key)) return
    this.loads.begin(visit, entry.key, load, true)
  }
}

/** The provenance of a fresh entry. */
const cached = ({ origin }: Pick<Entry<unknown, unknown>, "origin">, ageMillis: number): Provenance.Provenance => {
  const age = Duration.millis(ageMillis)
  return origin === undefined ? { _tag: "Cached", age } : { ...origin, age }
}

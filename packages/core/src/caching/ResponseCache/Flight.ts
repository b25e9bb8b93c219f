/**
 * A load that callers share. Who may join it depends on the terms under which it runs: those of the caller that began
 * it. A caller with a higher priority, or with much more time, makes a call of its own instead. To extend the load would
 * not help such a caller: an attempt that was refused or cut off for lack of either is over.
 */
import type * as Effect from "effect/Effect"
import type { Priority } from "../../Priority.ts"
import type * as Provenance from "../../Provenance.ts"
import { SingleFlight } from "../../structures/SingleFlight.ts"
import type { CachedAnswer } from "../ResponseCache.ts"
import type { Lead } from "./SecondLevel.ts"

/** The result of a load, with its provenance. */
export interface Brought<A> {
  readonly answer: Settled<A>
  /** When the vendor gave it, in elapsed time. */
  readonly at: number
  /** Whether another process fetched it. */
  readonly isShared: boolean
  readonly provenance: Provenance.Provenance
}

/** An answer ready to be kept, and frozen. Its life and tags come from foreign functions, which may return anything. */
export interface Settled<A> extends CachedAnswer<A> {
  /** Milliseconds, from 0 to 2³¹ seconds. */
  readonly fresh: number
  /** Whether it has parts that cannot be frozen, so that each caller gets a copy. */
  readonly isLoose: boolean
  /** Whether the answer said itself how long it is fresh. */
  readonly saysFresh: boolean
}

/** The terms of a call. */
export interface Terms {
  /** On the timeline; `Infinity` without one. */
  readonly deadline: number
  /** Whether it has all the time that an operation gets, and no less because of what it is a part of. */
  readonly hasAllTime: boolean
  readonly priority: Priority
}

/** The largest share of its own time that a caller gives up by joining a call with less. Our own judgement. */
const shareGivenUp = 0.1

const ranks: Readonly<Record<Priority, number>> = { Sheddable: 0, Normal: 1, Critical: 2 }

export class Flight<A, E> extends SingleFlight<Brought<A>, E> {
  readonly key: string
  private readonly hasAllTime: boolean
  readonly priority: Priority
  /** Whether the vendor is being called. Until then only the second level has been asked. */
  isCalling = false
  /** Whether its key was invalidated meanwhile: its callers get the answer, and nobody else. */
  isOutdated = false
  /** The right to fetch for all processes, while this load has it. */
  lead: Lead<A> | undefined = undefined
  private outdatedTags: Set<string> | undefined = undefined

  constructor(key: string, terms: Terms, isWanted: boolean, onAbandoned: () => void) {
    super(terms.deadline, isWanted, onAbandoned)
    this.key = key
    this.hasAllTime = terms.hasAllTime
    this.priority = terms.priority
  }

  /** Whether a caller loses nothing by joining. */
  suits({ deadline, priority }: Terms, now: number): boolean {
    if (ranks[this.priority] < ranks[priority]) return false
    return this.hasAllTime || this.deadline >= deadline || this.deadline - now >= (deadline - now) * (1 - shareGivenUp)
  }

  /** Answers with this tag are outdated from now on. */
  outdate(tag: string): void {
    this.outdatedTags ??= new Set()
    this.outdatedTags.add(tag)
  }
  /** Whether an answer with these tags may still be kept. */
  isCurrent(tags: ReadonlyArray<string> = []): boolean {
    const { isOutdated, outdatedTags } = this
    return !isOutdated && (outdatedTags === undefined || !tags.some((tag) => outdatedTags.has(tag)))
  }

  /** Gives the lead up, if this load has it. */
  giveUp(): Effect.Effect<void> | undefined {
    const { lead } = this
    this.lead = undefined
    return lead?.giveUp
  }
}

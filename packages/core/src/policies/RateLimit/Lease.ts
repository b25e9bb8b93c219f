/**
 * A process's lease on its fleet's permits. It takes them from the store a few at a time and ahead of need, so that a
 * busy process rarely waits for the store. Unused permits expire soon.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { ask, type Fleet } from "../../fleet/Fleet.ts"
import type * as Timeline from "../../Timeline.ts"

/** The settings that all leases of a rate limit share. */
export interface LeaseSettings {
  readonly fleet: Fleet
  /** Whether a process has only its part of the limit while the store is bypassed. */
  readonly isDivided: boolean
  readonly timeline: Timeline.Timeline
  readonly fork: (effect: Effect.Effect<void>) => unknown
  /** The most permits that the fleet can have at once. */
  readonly capacity: number
  /** Time in which one permit is refilled, in milliseconds. */
  readonly interval: number
}

interface Granted {
  readonly permits: number
  /** Milliseconds until the needed permits are due. */
  readonly delay: number
}

/** The largest share of the capacity that one process takes ahead. Our own judgement. */
const largestShare = 0.1
/** How long permits taken ahead are kept, in milliseconds. Our own judgement. */
const keptMillis = 250

export class Lease {
  /** Whether a request to the store is pending. */
  isAsking = false
  private readonly settings: LeaseSettings
  private readonly key: string
  private readonly answered: (now: number) => void
  private held = 0
  private heldUntil = -Infinity
  /** The time until which the fleet is known to lack `deniedCost` permits. */
  private deniedUntil = -Infinity
  private deniedCost = 0
  /** Whether the store was bypassed at the last request. */
  private isAlone = false
  /** The process's part of the limit, counted all the time; `undefined` when it has the whole limit. */
  private readonly part: Part | undefined
  /** Number of permits taken at a time; it grows as they are used up faster. */
  private batch = 1

  /** `answered` is called when the store has responded, so that the result of {@link delay} may have changed. */
  constructor(settings: LeaseSettings, key: string, answered: (now: number) => void) {
    this.settings = settings
    this.key = key
    this.answered = answered
    this.part = settings.isDivided ? new Part(settings) : undefined
  }

  /** Milliseconds until the fleet has this many permits; `Infinity` when only the store can tell. */
  delay(now: number, cost: number): number {
    const isQuiet = this.settings.fleet.bypass.isQuiet(now)
    // No call waits for a bypassed store. This request finds out whether it is back.
    if (this.isAlone && !isQuiet) this.ask(cost, cost)
    if (!this.isAlone && this.available(now) >= cost) return 0
    if (this.isAlone || isQuiet) return this.part?.delay(now, cost) ?? 0
    return now < this.deniedUntil ? this.deniedUntil - now : Infinity
  }
  /**
   * Milliseconds for which the fleet, or this process's part of it, is known to lack this many permits, of which the last
   * call takes `last`.
   */
  denied(now: number, cost: number, last: number): number {
    if (this.isAlone || this.settings.fleet.bypass.isQuiet(now)) {
      return this.part?.delay(now, last, cost - last) ?? 0
    }
    if (now >= this.deniedUntil) return 0
    return this.deniedUntil - now + Math.max(0, cost - this.deniedCost) * this.settings.interval
  }
  /** Takes permits that are due. */
  take(now: number, cost: number): void {
    this.part?.take(now, cost)
    if (this.isAlone || this.available(now) < cost) return
    this.held -= cost
    if (this.batch > 1 && this.held < this.batch / 2) this.askAhead(now, this.batch, 1)
  }
  /** Gives back permits that were taken and not used. */
  giveBack(cost: number): void {
    this.part?.giveBack(cost)
    this.held += cost
  }
  /** Asks the store for the permits that calls wait for, and for those likely to be needed soon. */
  need(now: number, waiting: number, least: number): void {
    this.askAhead(now, waiting, least)
  }

  private available(now: number): number {
    if (now >= this.heldUntil) this.held = 0
    return this.held
  }

  /** Doubles the batch when the last permits were used up fast, and halves it when they lasted. */
  private askAhead(now: number, wanted: number, least: number): void {
    if (this.isAsking) return
    const { capacity } = this.settings
    const lasted = now - (this.heldUntil - keptMillis)
    if (lasted < keptMillis / 2) this.batch = Math.min(this.batch * 2, Math.max(1, Math.floor(capacity * largestShare)))
    else if (lasted > keptMillis) this.batch = Math.max(1, Math.ceil(this.batch / 2))
    this.ask(Math.min(capacity, Math.max(wanted, this.batch)), least)
  }

  private ask(permits: number, least: number): void {
    if (this.isAsking) return
    this.isAsking = true
    const { fleet, fork, timeline } = this.settings
    fork(Effect.map(ask(fleet, "lease", () => this.granted(permits, least), undefined), (granted) => {
      const now = timeline.now()
      this.isAsking = false
      this.isAlone = granted === undefined
      if (granted !== undefined && granted.permits > 0) {
        this.held = this.available(now) + granted.permits
        this.heldUntil = now + keptMillis
      } else if (granted !== undefined) {
        this.deniedUntil = now + granted.delay
        this.deniedCost = least
      }
      this.answered(now)
    }))
  }

  /** Takes the available permits: at most `permits`, and at least `least` or none. */
  private granted(permits: number, least: number): Effect.Effect<Granted, unknown> {
    const { capacity, fleet, interval } = this.settings
    return Effect.flatMap(
      fleet.rateLimits.tokenBucket({
        key: this.key,
        tokens: permits,
        limit: capacity,
        refillRate: Duration.millis(interval),
        allowOverflow: false
      }),
      ([remaining, elapsed]): Effect.Effect<Granted, unknown> => {
        if (remaining >= 0) return Effect.succeed({ permits, delay: 0 })
        const there = permits + remaining
        const fewer = Math.max(least, Math.floor(there))
        if (there >= least && fewer < permits) return this.granted(fewer, least)
        const delay = Math.ceil(least - there) * interval - elapsed
        return Effect.succeed({ permits: 0, delay: Math.max(1, delay) })
      }
    )
  }
}

/**
 * A process's part of a limit: a token bucket of the n-th part of its permits, for n processes. A call that costs more than
 * the part needs it whole, and pays the rest afterwards. While the store decides, the part is only counted, and is never
 * less than empty.
 */
class Part {
  private readonly settings: LeaseSettings
  private used = 0
  private at = -Infinity

  constructor(settings: LeaseSettings) {
    this.settings = settings
  }
  /** Milliseconds until a call fits, after others that cost `ahead`. */
  delay(now: number, cost: number, ahead = 0): number {
    this.refill(now)
    const missing = this.used + ahead + Math.min(cost, this.size) - this.size
    return missing <= resolution ? 0 : missing * this.interval
  }
  take(now: number, cost: number): void {
    this.refill(now)
    this.used = Math.min(this.used + cost, Math.max(this.size, cost))
  }
  giveBack(cost: number): void {
    this.used = Math.max(0, this.used - cost)
  }

  private get size(): number {
    return this.settings.capacity / this.settings.fleet.processes
  }
  private get interval(): number {
    return this.settings.interval * this.settings.fleet.processes
  }
  private refill(now: number): void {
    this.used = Math.max(0, this.used - (now - this.at) / this.interval)
    this.at = now
  }
}

/** A smaller part of a permit is a rounding error. */
const resolution = 1e-6

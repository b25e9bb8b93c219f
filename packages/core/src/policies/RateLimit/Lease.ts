/**
 * What this process may take of its fleet's permits. They are taken from the store a few at a time and ahead of need, so
 * that a busy process seldom waits for it; what is not used soon is let go.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { ask, type Fleet } from "../../fleet/Fleet.ts"
import type * as Timeline from "../../Timeline.ts"

/** What the leases of a rate limit have in common. */
export interface LeaseSettings {
  readonly fleet: Fleet
  readonly timeline: Timeline.Timeline
  readonly fork: (effect: Effect.Effect<void>) => unknown
  /** The most permits that the fleet can have at once. */
  readonly capacity: number
  /** How fast they flow in: milliseconds for each. */
  readonly interval: number
}

interface Granted {
  readonly permits: number
  /** Milliseconds until as many as were needed are due. */
  readonly delay: number
}

/** The share of the capacity that one process takes ahead at most (ours). */
const largestShare = 0.1
/** How long permits are kept that were taken ahead, in milliseconds (ours). */
const keptMillis = 250

export class Lease {
  /** Whether the store has been asked and has not answered. */
  isAsking = false
  private readonly settings: LeaseSettings
  private readonly key: string
  private readonly answered: (now: number) => void
  private held = 0
  private heldUntil = -Infinity
  /** Until when the fleet does not have so many. */
  private deniedUntil = -Infinity
  private deniedCost = 0
  /** The store was passed over when it was last asked. */
  private isAlone = false
  /** How many are taken at a time: as many more as they are used up faster. */
  private batch = 1

  /** `answered` is called when the store has been asked, and what {@link delay} says may have changed. */
  constructor(settings: LeaseSettings, key: string, answered: (now: number) => void) {
    this.settings = settings
    this.key = key
    this.answered = answered
  }

  /** Milliseconds until so many permits of the fleet's are due; `Infinity` when only the store can tell. */
  delay(now: number, cost: number): number {
    if (this.isAlone || this.settings.fleet.bypass.isQuiet(now) || this.available(now) >= cost) return 0
    return now < this.deniedUntil ? this.deniedUntil - now : Infinity
  }
  /** Milliseconds for which it is known that the fleet does not have so many permits. */
  denied(now: number, cost: number): number {
    if (now >= this.deniedUntil) return 0
    return this.deniedUntil - now + Math.max(0, cost - this.deniedCost) * this.settings.interval
  }
  /** Takes permits that are due. */
  take(now: number, cost: number): void {
    if (this.isAlone || this.available(now) < cost) {
      // Nobody waits for a store that is passed over; whether it is back is found out on the way.
      if (!this.settings.fleet.bypass.isQuiet(now)) this.ask(cost, cost)
      return
    }
    this.held -= cost
    if (this.batch > 1 && this.held < this.batch / 2) this.askAhead(now, this.batch, 1)
  }
  /** Gives back permits that were taken and not used. */
  giveBack(cost: number): void {
    this.held += cost
  }
  /** Asks the store for what somebody waits for, and for as much more as is likely to be needed. */
  need(now: number, waiting: number, least: number): void {
    this.askAhead(now, waiting, least)
  }

  private available(now: number): number {
    if (now >= this.heldUntil) this.held = 0
    return this.held
  }

  /** Takes as many more at a time as it was sooner that the last were used up. */
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
    fork(Effect.map(ask(fleet, this.granted(permits, least), undefined), (granted) => {
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

  /** As many permits as there are, up to so many and not less than `least`. */
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

/** The state of one key of a rate limit: the permits taken, and the waiting calls. */
import type { Call, Permit, Refusal, Wait } from "../../Gate.ts"
import { refuse } from "../../Gate.ts"
import * as Jitter from "../../Jitter.ts"
import type { Outcome } from "../../Outcome.ts"
import { RateLimitExceeded } from "../../Reason.ts"
import type { Cell } from "../../structures/Keyed.ts"
import { Waiter, WaitQueue } from "../../structures/WaitQueue.ts"
import type { Lease } from "./Lease.ts"
import { type Meter, unlimited } from "./Meter.ts"

/** The settings that all states of a rate limit share. */
export interface RateLimitStateSettings {
  /** The lease of a key on its fleet's permits; `undefined` when nothing is shared. */
  lease(key: string, answered: (now: number) => void): Lease | undefined
  /** Whether this many calls ahead, or this delay, is too much for a call. */
  isTooMuch(ahead: number, delay: number, call: Pick<Call, "now" | "deadline">): boolean
}

/** How long a key pauses after a 429 without a time. Our own judgement. */
const defaultPauseMillis = 1_000
/**
 * The longest pause that a vendor can cause: a day, our own judgement. For a longer pause, the vendor must ask again.
 */
const longestPauseMillis = 24 * 60 * 60 * 1_000
/** How far the ends of one window of the vendor's may lie apart: its responses round them to seconds. */
const sameWindowMillis = 1_000

/**
 * How long the vendor asks for no calls, in milliseconds; `undefined` if it names no time. The reset of a quota of which
 * something is left names no such time: the vendor has refused the call for another of its limits.
 */
export const pauseOf = ({ quota, reason }: Outcome): number | undefined =>
  reason?._tag === "RateLimited"
    ? reason.retryAfterMillis ?? (quota !== undefined && quota.remaining <= 0 ? quota.resetMillis : undefined)
    : reason?._tag === "Unavailable"
    ? reason.retryAfterMillis
    : undefined

/** The calls of one key. */
export class RateLimitState implements Cell {
  declare readonly meter: Meter
  declare readonly lease: Lease | undefined
  readonly queue = new WaitQueue<RateLimitWaiter>()
  queuedCost = 0
  /** Permits neither settled nor cancelled: their outcome must reach this object. */
  running = 0
  declare touchedAt: number
  declare placedAt: number
  declare private readonly settings: RateLimitStateSettings
  /** The permits that the vendor has left us until `leftUntil`; `-Infinity` while it asks for no calls. */
  private left = Infinity
  private leftUntil = -Infinity
  /** The number of the report that `left` comes from. */
  private report = 0
  /** The time until which the calls that waited for its end are spread, and when the next of them is due. */
  private spreadUntil = -Infinity
  private nextAt = -Infinity

  constructor(meter: Meter, now: number, settings: RateLimitStateSettings, key: string) {
    this.meter = meter
    this.settings = settings
    this.lease = settings.lease(key, (now) => this.answered(now))
    this.touchedAt = this.placedAt = now
  }

  /** Milliseconds until this many permits are due; `Infinity` while only the fleet can tell. */
  delay(now: number, cost: number): number {
    const own = this.own(now, cost)
    return this.lease === undefined || own > 0 ? own : this.lease.delay(now, cost)
  }
  /** The same, as far as this process knows, for several calls of which the last takes `last`. */
  expected(now: number, cost: number, last: number): number {
    return Math.max(this.own(now, cost), this.lease?.denied(now, cost, last) ?? 0)
  }
  /** The delay by our own limit: exact up to the meter's capacity, an estimate beyond it. */
  private own(now: number, cost: number): number {
    const beyond = Math.max(0, cost - this.meter.capacity)
    return Math.max(this.meter.delay(now, cost - beyond), this.held(now, cost - beyond)) + beyond * this.meter.interval
  }
  /** The delay by the vendor's word: its pause, or the rest of the quota that it has reported. */
  held(now: number, cost: number): number {
    return now < this.leftUntil && this.left < cost ? this.leftUntil - now : 0
  }
  /** The longest time by which the end of the present pause may be exceeded, in milliseconds. */
  get spreadMillis(): number {
    return this.nextAt === -Infinity ? 0 : Math.max(0, this.spreadUntil - this.leftUntil)
  }
  take(call: Call): Permit {
    if (this.nextAt !== -Infinity) this.spread(call.now)
    this.left -= call.cost
    this.meter.take(call.now, call.cost)
    this.lease?.take(call.now, call.cost)
    this.running++
    this.keep(call.now)
    return new RateLimitPermit(this, call.now, this.report)
  }
  join(place: RateLimitWaiter, now: number): void {
    this.queue.push(place)
    this.queuedCost += place.cost
    if (this.queue.head === place) this.call(place, now)
  }
  leave(place: RateLimitWaiter, now: number): void {
    if (place.queue === undefined) return
    const wasHead = this.queue.head === place
    this.remove(place)
    if (wasHead) this.callHead(now)
  }
  private remove(place: RateLimitWaiter): void {
    this.queue.remove(place)
    this.queuedCost -= place.cost
  }
  /** The first call in the queue takes its permits. It leaves first, because a store may respond while it takes them. */
  serve(place: RateLimitWaiter, call: Call): Permit {
    this.remove(place)
    const permit = this.take(call)
    this.callHead(call.now)
    return permit
  }
  /** Tells the first call in the queue when its permits are due. */
  callHead(now: number): void {
    if (this.queue.head !== undefined) this.call(this.queue.head, now)
  }
  private call(place: RateLimitWaiter, now: number): void {
    const delay = this.missing(place, now)
    if (delay < Infinity) place.due(delay)
  }
  /** Milliseconds until the first call in the queue has its permits; asks the fleet if only it can tell. */
  missing(place: RateLimitWaiter, now: number): number {
    const delay = Math.max(this.delay(now, place.cost), this.nextAt - now)
    if (delay === Infinity) this.lease!.need(now, this.queuedCost, place.cost)
    return delay
  }
  /** Handles the fleet's response: calls that would now wait too long are refused. */
  private answered(now: number): void {
    if (this.lease!.denied(now, this.queuedCost, 0) > 0) {
      let ahead = 0
      let cost = 0
      for (let place = this.queue.head; place !== undefined;) {
        const next = place.next as RateLimitWaiter | undefined
        cost += place.cost
        const delay = this.expected(now, cost, place.cost)
        if (delay > 0 && this.settings.isTooMuch(ahead, delay, { now, deadline: place.deadline })) {
          cost -= place.cost
          place.turnAway(delay, now)
        } else if (delay > 0) ahead++
        place = next
      }
    }
    this.callHead(now)
  }
  learn(call: Call, outcome: Outcome): void {
    const { now } = call
    const { quota, reason } = outcome
    const pause = pauseOf(outcome) ??
      (reason?._tag === "RateLimited" && this.meter !== unlimited ? defaultPauseMillis : undefined)
    if (pause !== undefined) this.pause(call, pause)
    else if (quota !== undefined && this.meter !== unlimited) {
      if (quota.remaining <= 0) this.pause(call, quota.resetMillis)
      else this.lower(now, quota.remaining, quota.resetMillis)
    }
    this.keep(Math.max(now, this.leftUntil))
  }
  /** The state in numbers, while no call waits or runs; `undefined` with a lease. */
  pack(now: number): ReadonlyArray<number> | undefined {
    return this.lease === undefined ? [this.left, this.leftUntil, ...this.meter.pack(now)] : undefined
  }
  unpack([left, leftUntil, ...numbers]: ReadonlyArray<number>): void {
    this.left = left!
    this.leftUntil = leftUntil!
    this.meter.unpack(numbers)
  }
  /** Stops all calls for this long; never shortens a pause. */
  private pause(call: Call, millis: number): void {
    const { now } = call
    const until = now + Math.min(millis, longestPauseMillis)
    if (this.left === -Infinity && until <= this.leftUntil) return
    const spreadMillis = Jitter.later(until - now, 1) - (until - now)
    this.spreadUntil = Math.max(this.spreadUntil, until + spreadMillis)
    // More calls may come to wait: they have at least half of the time.
    this.nextAt = Math.max(this.nextAt, until + call.random() * spreadMillis / Math.max(2, this.queue.length + 1))
    this.heed(now, -Infinity, until)
  }
  /** After a pause: this call and those that wait share the time that is left, and do not go in the same moment. */
  private spread(now: number): void {
    const left = this.spreadUntil - now
    const { length } = this.queue
    this.nextAt = left > 0 && length > 0 ? now + left / (length + 1) : -Infinity
  }
  /**
   * Lowers the permits due to the rest of the vendor's quota, until its reset. Responses about the same window may come
   * in any order, so the smallest number counts. A response about another window replaces it.
   */
  private lower(now: number, remaining: number, resetMillis: number): void {
    if (this.left === -Infinity && now < this.leftUntil) return
    const until = now + Math.min(resetMillis, longestPauseMillis)
    const isSame = now < this.leftUntil && Math.abs(until - this.leftUntil) <= sameWindowMillis
    if (isSame && remaining > this.left) return
    // The end of a window may not move with each response.
    if (isSame) this.heed(now, remaining, this.leftUntil)
    else this.heed(now, remaining, until)
  }
  private heed(now: number, left: number, until: number): void {
    const mayBeSooner = left > this.left || until < this.leftUntil
    this.left = left
    this.leftUntil = until
    this.report++
    if (mayBeSooner) this.callHead(now)
  }
  /** Gives back the permits of a call that never started. A later report of the vendor's does not count that call. */
  giveBack(call: Call, takenAt: number, report: number): void {
    if (report === this.report) this.left += call.cost
    this.meter.giveBack(takenAt, call.cost)
    this.lease?.giveBack(call.cost)
    this.callHead(call.now)
  }
  /** Keeps the key from eviction while its state still matters. */
  private keep(until: number): void {
    if (this.touchedAt < until) this.touchedAt = until
  }
}

class RateLimitPermit implements Permit {
  readonly _tag = "Permit"
  declare private readonly lane: RateLimitState
  declare private readonly at: number
  /** The vendor's last report when it was taken. */
  declare private readonly report: number
  constructor(lane: RateLimitState, at: number, report: number) {
    this.lane = lane
    this.at = at
    this.report = report
  }
  settle(call: Call, outcome: Outcome) {
    this.lane.running--
    if (outcome.quota !== undefined || outcome.reason !== undefined) this.lane.learn(call, outcome)
  }
  cancel(call: Call) {
    this.lane.running--
    this.lane.giveBack(call, this.at, this.report)
  }
}

export class RateLimitWaiter extends Waiter implements Wait {
  readonly _tag = "Wait"
  readonly cost: number
  readonly deadline: number
  readonly limitMillis: number
  private readonly lane: RateLimitState
  private turn: ((delayMillis: number) => void) | undefined = undefined
  private delay: number | undefined = undefined
  private refusal: Refusal | undefined = undefined

  constructor(lane: RateLimitState, { cost, deadline }: Call, limitMillis: number) {
    super()
    this.lane = lane
    this.cost = cost
    this.deadline = deadline
    this.limitMillis = limitMillis
  }
  turnAway(delay: number, now: number) {
    this.refusal = refuse(new RateLimitExceeded(delay))
    this.lane.leave(this, now)
    this.due(0)
  }
  due(delay: number) {
    this.delay = delay
    this.turn?.(delay)
  }
  onTurn(turn: (delayMillis: number) => void) {
    this.turn = turn
    if (this.delay !== undefined) turn(this.delay)
  }
  claim(call: Call): Permit | Refusal | number {
    if (this.refusal !== undefined) return this.refusal
    if (this.lane.queue.head !== this) return Infinity
    const missing = this.lane.missing(this, call.now)
    if (missing > 0) return missing
    return this.lane.serve(this, call)
  }
  cancel(call: Call) {
    this.lane.leave(this, call.now)
  }
  expired(call: Call): Refusal {
    return refuse(new RateLimitExceeded(this.lane.expected(call.now, this.lane.queuedCost, this.cost)))
  }
}

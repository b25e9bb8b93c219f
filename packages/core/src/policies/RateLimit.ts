/**
 * Keeps to a vendor's rate limit on our side, per key, with a bounded queue for bursts. It learns from what the vendor
 * says: a 429 with `Retry-After` stops the key until then, a remaining allowance lowers ours. It does not bound how many
 * calls run at once: that is `Bulkhead`.
 *
 * @example
 * ```ts
 * import { RateLimit, Stack } from "@breakwater/core"
 * import { Effect } from "effect"
 *
 * const rateLimit = RateLimit.make({ limit: 2, window: "1 minute", queue: 0 })
 * const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent", policy: { rateLimit } })
 * const ring = Effect.isSuccess(stack.guard(Effect.void, () => undefined))
 *
 * console.log(await Effect.runPromise(Effect.all([ring, ring, ring]))) // => [ true, true, false ]
 * ```
 */
import * as Duration from "effect/Duration"
import type { Admission, Call, Gate, Permit, Refusal, Wait } from "../Gate.ts"
import { refuse } from "../Gate.ts"
import type { Outcome } from "../Outcome.ts"
import * as Range from "../Range.ts"
import { RateLimitExceeded } from "../Reason.ts"
import { type Cell, Keyed, type KeyOptions, settingsOf } from "./Keyed.ts"
import type { Meter } from "./RateLimit/Meter.ts"
import { SlidingWindow } from "./RateLimit/SlidingWindow.ts"
import { TokenBucket } from "./RateLimit/TokenBucket.ts"
import { Waiter, WaitQueue } from "./WaitQueue.ts"

export interface RateLimitOptions extends KeyOptions {
  /** Permits per `window`; more than 0, for a `SlidingWindow` at least 1. What a call takes of them is its `cost`. */
  readonly limit: number
  /** The span the limit is counted over; longer than 0. @default "1 second" */
  readonly window?: Duration.Input | undefined
  /**
   * `TokenBucket`: smooth, one number a key, may let two bursts meet at the edge of a vendor's fixed window.
   * `SlidingWindow`: never more than `limit` in any span of `window`; remembers the calls of one window.
   * @default "SlidingWindow" up to 1000 permits, else "TokenBucket" (ours, for the memory a key takes)
   */
  readonly algorithm?: "TokenBucket" | "SlidingWindow" | undefined
  /** Permits a token bucket can save up; at least 1. A `SlidingWindow` has none. @default limit */
  readonly burst?: number | undefined
  /** Calls that may wait, per key; a whole number, 0 to refuse at once. @default 256 (ours) */
  readonly queue?: number | undefined
  /**
   * The longest a call waits for its permits, at least 0; one that would wait longer is refused at once.
   * @default "2 seconds" (ours)
   */
  readonly maxWait?: Duration.Input | undefined
  /** What is counted together. @default the vendor and the call's key */
  readonly by?: ((call: Call) => string) | undefined
  /** As of every gate; but no key is forgotten before its permits are whole again. @default "1 hour" (ours) */
  readonly idle?: Duration.Input | undefined
}

/** How long a key stops after a 429 that does not say for how long (ours). */
const defaultPauseMillis = 1_000
/** The longest a vendor can stop us by what it says (ours: a day); a longer pause is asked for again when it is over. */
const longestPauseMillis = 24 * 60 * 60 * 1_000

export interface RateLimit extends Gate {
  /** Calls waiting now under a key. */
  waiting(key: string): number
  /** Keys remembered now. */
  readonly size: number
}

/** Makes a rate limit. Throws when an option is out of its range. */
export const make = (options: RateLimitOptions): RateLimit => new RateLimitGate(options)

class RateLimitGate implements RateLimit {
  readonly name = "ratelimit"
  readonly maxQueue: number
  readonly maxWaitMillis: number
  private readonly by: (call: Call) => string
  private readonly lanes: Keyed<Lane>

  constructor(options: RateLimitOptions) {
    const limit = Range.positive("RateLimit: limit", options.limit)
    const windowMillis = Range.span("RateLimit: window", options.window ?? Duration.seconds(1))
    const algorithm = options.algorithm ?? (limit <= 1000 ? "SlidingWindow" : "TokenBucket")
    const burst = algorithm === "TokenBucket"
      ? Range.atLeast("RateLimit: burst", options.burst ?? limit, 1)
      : Range.atLeast("RateLimit: limit of a SlidingWindow (count over a longer window)", limit, 1)
    const makeMeter: () => Meter = algorithm === "TokenBucket"
      ? () => new TokenBucket(limit, windowMillis, burst)
      : () => new SlidingWindow(limit, windowMillis)
    this.maxQueue = Range.whole("RateLimit: queue", options.queue ?? 256, 0)
    this.maxWaitMillis = Range.pause("RateLimit: maxWait", options.maxWait ?? Duration.seconds(2))
    this.by = options.by ?? ((call) => call.key === "" ? call.vendor : `${call.vendor}/${call.key}`)
    const keys = settingsOf("RateLimit", options)
    this.lanes = new Keyed(
      { ...keys, idleMillis: Math.max(burst * windowMillis / limit, keys.idleMillis) },
      (_key, now) => new Lane(makeMeter(), now),
      (lane) => lane.queue.length > 0 || lane.running > 0
    )
  }

  waiting(key: string) {
    return this.lanes.peek(key)?.queue.length ?? 0
  }
  get size() {
    return this.lanes.size
  }

  admit(call: Call): Admission {
    const lane = this.lanes.get(this.by(call), call.now)
    if (call.cost > lane.meter.capacity) return refuse(new RateLimitExceeded(undefined))
    if (lane.queue.length === 0 && lane.delay(call.now, call.cost) === 0) return lane.take(call)
    const delay = lane.delay(call.now, lane.queuedCost + call.cost)
    if (lane.queue.length >= this.maxQueue || delay > this.maxWaitMillis || call.now + delay > call.deadline) {
      return refuse(new RateLimitExceeded(delay))
    }
    const place = new Place(lane, call.cost, this.maxWaitMillis)
    lane.join(place, call.now)
    return place
  }
}

/** The calls of one key. */
class Lane implements Cell {
  readonly meter: Meter
  readonly queue = new WaitQueue<Place>()
  queuedCost = 0
  /** Permits that are neither settled nor cancelled: what they come to must be heard here. */
  running = 0
  /** Until when the vendor wants to hear nothing. */
  private pausedUntil = -Infinity
  touchedAt: number
  placedAt: number

  constructor(meter: Meter, now: number) {
    this.meter = meter
    this.touchedAt = this.placedAt = now
  }

  /** Milliseconds until so many permits are due: exact up to the meter's capacity, an estimate beyond it. */
  delay(now: number, cost: number): number {
    const beyond = Math.max(0, cost - this.meter.capacity)
    return Math.max(this.meter.delay(now, cost - beyond), this.pausedUntil - now, 0) + beyond * this.meter.interval
  }
  take(call: Call): Permit {
    this.meter.take(call.now, call.cost)
    this.running++
    this.keep(call.now)
    return new Taken(this, call.now)
  }
  join(place: Place, now: number): void {
    this.queue.push(place)
    this.queuedCost += place.cost
    if (this.queue.head === place) this.call(place, now)
  }
  leave(place: Place, now: number): void {
    const wasHead = this.queue.head === place
    this.queue.remove(place)
    this.queuedCost -= place.cost
    if (wasHead) this.callHead(now)
  }
  /** Tells the first in the queue when its permits are due. */
  callHead(now: number): void {
    if (this.queue.head !== undefined) this.call(this.queue.head, now)
  }
  private call(place: Place, now: number): void {
    place.due(this.delay(now, place.cost))
  }
  learn(now: number, outcome: Outcome): void {
    if (outcome.reason?._tag === "RateLimited") {
      this.pause(now, outcome.reason.retryAfterMillis ?? outcome.quota?.resetMillis ?? defaultPauseMillis)
    } else if (outcome.quota !== undefined) {
      if (outcome.quota.remaining <= 0) this.pause(now, outcome.quota.resetMillis)
      else this.meter.tighten(now, outcome.quota.remaining)
    }
    this.keep(Math.max(now, this.pausedUntil))
  }
  private pause(now: number, millis: number): void {
    this.pausedUntil = Math.max(this.pausedUntil, now + Math.min(millis, longestPauseMillis))
  }
  /** What was taken or learned must not be forgotten sooner than what was asked. */
  private keep(until: number): void {
    if (this.touchedAt < until) this.touchedAt = until
  }
}

class Taken implements Permit {
  readonly _tag = "Permit"
  private readonly lane: Lane
  private readonly at: number
  constructor(lane: Lane, at: number) {
    this.lane = lane
    this.at = at
  }
  settle(call: Call, outcome: Outcome) {
    this.lane.running--
    if (outcome.quota !== undefined || outcome.reason !== undefined) this.lane.learn(call.now, outcome)
  }
  cancel(call: Call) {
    this.lane.running--
    this.lane.meter.giveBack(this.at, call.cost)
    this.lane.callHead(call.now)
  }
}

class Place extends Waiter implements Wait {
  readonly _tag = "Wait"
  readonly cost: number
  readonly limitMillis: number
  private readonly lane: Lane
  private turn: ((delayMillis: number) => void) | undefined = undefined
  private delay: number | undefined = undefined

  constructor(lane: Lane, cost: number, limitMillis: number) {
    super()
    this.lane = lane
    this.cost = cost
    this.limitMillis = limitMillis
  }
  due(delay: number) {
    this.delay = delay
    this.turn?.(delay)
  }
  onTurn(turn: (delayMillis: number) => void) {
    this.turn = turn
    if (this.delay !== undefined) turn(this.delay)
  }
  claim(call: Call): Permit | number {
    if (this.lane.queue.head !== this) return Infinity
    const missing = this.lane.delay(call.now, this.cost)
    if (missing > 0) return missing
    const permit = this.lane.take(call)
    this.lane.leave(this, call.now)
    return permit
  }
  cancel(call: Call) {
    this.lane.leave(this, call.now)
  }
  expired(call: Call): Refusal {
    return refuse(new RateLimitExceeded(this.lane.delay(call.now, this.lane.queuedCost)))
  }
}

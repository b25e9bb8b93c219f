/**
 * Enforces a vendor's rate limit on our side, per key, with a bounded queue for bursts. It adapts to the vendor's
 * responses: a 429 or 503 with `Retry-After` stops the key until then, and a reported remaining quota lowers ours until
 * its reset. Without a limit it does the first of these alone. It does not bound how many calls run at once: that is
 * `Bulkhead`. Defaults without a source are our own judgement.
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
import * as Effect from "effect/Effect"
import { SharedState } from "../fleet/Fleet.ts"
import type { Admission, Call, Gate, Permit, Refusal } from "../Gate.ts"
import { refuse } from "../Gate.ts"
import * as Range from "../Range.ts"
import { RateLimitExceeded } from "../Reason.ts"
import { Keyed, type KeyOptions, settingsOf } from "../structures/Keyed.ts"
import * as Timeline from "../Timeline.ts"
import { Lease, type LeaseSettings } from "./RateLimit/Lease.ts"
import { type Meter, unlimited } from "./RateLimit/Meter.ts"
import { pauseOf, RateLimitState, type RateLimitStateSettings, RateLimitWaiter } from "./RateLimit/RateLimitState.ts"
import { SlidingWindow } from "./RateLimit/SlidingWindow.ts"
import { TokenBucket } from "./RateLimit/TokenBucket.ts"

export interface RateLimitOptions extends KeyOptions {
  /**
   * Permits per `window`; more than 0, for a `SlidingWindow` at least 1. A call takes its `cost` of them.
   * @default no limit of our own: a key's calls are held for as long as the vendor asks, and only then
   */
  readonly limit?: number | undefined
  /** The time span of the limit; longer than 0. @default "1 second" */
  readonly window?: Duration.Input | undefined
  /**
   * - `TokenBucket`: smooth, with one number per key; two bursts may meet at the edge of a vendor's fixed window.
   * - `SlidingWindow`: never more than `limit` in any span of `window`; remembers the calls of one window.
   *
   * @default "SlidingWindow" up to 1000 permits, else "TokenBucket", for the memory that a key takes
   */
  readonly algorithm?: "TokenBucket" | "SlidingWindow" | undefined
  /** Permits a token bucket can save up; at least 1. Not used by a `SlidingWindow`. @default limit */
  readonly burst?: number | undefined
  /** Calls that may wait, per key; a whole number, 0 to refuse at once. @default 256 */
  readonly queue?: number | undefined
  /**
   * The longest a call waits for its permits; at least 0. A call that would wait longer is refused at once.
   * @default "2 seconds"; without a limit, until the call's deadline
   */
  readonly maxWait?: Duration.Input | undefined
  /**
   * The limit of a process that shares it, while the fleet's store is bypassed.
   *
   * - `Divide`: its part: the limit divided by the last known number of processes, but at least one call at a time. The
   *   fleet keeps the limit. A process with more than its part of the calls refuses some, although others have permits.
   * - `Local`: the whole limit. Nobody is refused too much, and a fleet of n processes may send n times the limit.
   *
   * @default "Divide", because the vendor's limit does not grow while our store is away
   */
  readonly whenDown?: "Divide" | "Local" | undefined
  /** Partition key: calls with the same key share one limit. @default the vendor and the call's key */
  readonly by?: ((call: Call) => string) | undefined
  /**
   * Number of keys remembered, a whole number of at least 1. A key is never forgotten before its permits are full again:
   * while there are that many such keys, calls of a new key are refused. Without a limit only paused keys are remembered,
   * until the end of their pause; beyond that many, a new pause is not.
   * @default 100_000
   */
  readonly maxKeys?: number | undefined
  /**
   * How long an unused key is remembered; longer than 0, and at least until its permits are full again.
   * @default "1 hour"
   */
  readonly idle?: Duration.Input | undefined
}

export interface RateLimit extends Gate {
  /** The most permits that one call can cost; `Infinity` without a limit. */
  readonly capacity: number
  /** Calls waiting now under a key. */
  waiting(key: string): number
  /** Calls waiting now, over all keys of a vendor; with `by`, over all keys. */
  waitingIn(vendor: string): number
  /** Keys remembered now. */
  readonly size: number
  /**
   * Shares the limit with the other processes of the fleet in {@link SharedState}; does nothing without a fleet. Run it
   * before the first call. The shared count is a token bucket of Effect's, under `name` and the key, beside the
   * process's own limit. Two bursts may meet, and a process takes permits a quarter of a second ahead. While the store
   * is bypassed, `whenDown` applies.
   */
  share(name: string): Effect.Effect<void>
}

/** Makes a rate limit. Throws when an option is out of its range. */
export const make = (options: RateLimitOptions = {}): RateLimit => new RateLimitGate(options)

/** The capacity of a rate limit, made or yet to be made. Throws when an option is out of its range. */
export const capacityOf = (option: RateLimit | RateLimitOptions): number =>
  "admit" in option ? option.capacity : sizeOf(option).capacity

class RateLimitGate implements RateLimit, RateLimitStateSettings {
  readonly name = "ratelimit"
  readonly givesWay = true
  readonly capacity: number
  readonly maxQueue: number
  readonly maxWaitMillis: number
  private readonly by: ((call: Call) => string) | undefined
  private readonly states: Keyed<RateLimitState>
  private readonly interval: number
  /** Time in which all permits of a key are refilled, in milliseconds. */
  private readonly refillMillis: number
  private readonly isDivided: boolean
  private readonly isLimited: boolean
  private shared: (LeaseSettings & { readonly name: string }) | undefined = undefined
  /** Without a limit: the permit of every call whose key the vendor has not paused. */
  private readonly learner: Permit = {
    _tag: "Permit",
    settle: (call, outcome) => {
      if (pauseOf(outcome) !== undefined) this.states.enter(this.keyOf(call), call.now)?.learn(call, outcome)
    },
    cancel() {}
  }

  constructor(options: RateLimitOptions) {
    const { capacity, interval, makeMeter } = sizeOf(options)
    this.capacity = capacity
    this.interval = interval
    this.isLimited = options.limit !== undefined
    this.maxQueue = Range.whole("RateLimit: queue", options.queue ?? 256, 0)
    this.maxWaitMillis = options.maxWait === undefined && !this.isLimited
      ? Infinity
      : Range.durationOrZero("RateLimit: maxWait", options.maxWait ?? Duration.seconds(2))
    this.by = options.by
    this.isDivided = options.whenDown !== "Local"
    const keys = settingsOf("RateLimit", { ...options, maxKeys: options.maxKeys ?? 100_000 })
    this.refillMillis = this.isLimited ? capacity * interval : 0
    const makeLane = (key: string, now: number) => new RateLimitState(makeMeter(), now, this, key)
    this.states = new Keyed(
      {
        ...keys,
        idleMillis: Math.max(this.refillMillis, keys.idleMillis),
        // Without a limit, a key matters until the end of its pause.
        keepMillis: Math.max(1, this.refillMillis)
      },
      makeLane,
      (lane) => lane.queue.length > 0 || lane.running > 0,
      // Without a limit only keys that the vendor has paused have a state, and they are few.
      !this.isLimited ? undefined : {
        // The vendor's word with its end, and the time and cost of one call.
        width: 4,
        pack: (lane, now) => lane.pack(now),
        unpack: (key, numbers) => {
          const lane = makeLane(key, 0)
          lane.unpack(numbers)
          return lane
        }
      }
    )
  }

  waiting(key: string) {
    return this.states.peek(key)?.queue.length ?? 0
  }
  waitingIn(vendor: string) {
    let waiting = 0
    // A key with a queue never rests.
    for (const lane of this.states.under(this.by === undefined ? vendor : undefined)) waiting += lane.queue.length
    return waiting
  }
  get size() {
    return this.states.size
  }

  admit(call: Call): Admission {
    if (!this.isLimited && this.states.size === 0) return this.learner
    const key = this.keyOf(call)
    const lane = this.isLimited ? this.states.enter(key, call.now) : this.states.peek(key)
    if (lane === undefined) {
      return this.isLimited ? refuse(new RateLimitExceeded(this.refillMillis)) : this.learner
    }
    if (call.cost > lane.meter.capacity) return refuse(new RateLimitExceeded(undefined))
    if (lane.queue.length === 0 && lane.delay(call.now, call.cost) === 0) return lane.take(call)
    const delay = lane.expected(call.now, lane.queuedCost + call.cost, call.cost)
    // As far as this process knows, permits are free. Our own limit bounds how many calls may wait for the fleet's
    // response.
    const isForTheFleet = delay === 0 && lane.lease !== undefined
    if (!isForTheFleet && this.isTooMuch(lane.queue.length, delay, call)) return refuse(new RateLimitExceeded(delay))
    const place = new RateLimitWaiter(lane, call, this.limitMillis + lane.spreadMillis)
    lane.join(place, call.now)
    return place
  }
  /** A call that the vendor holds past its deadline need not wait anywhere else. */
  forecast(call: Call): Refusal | undefined {
    const held = this.states.peek(this.keyOf(call))?.held(call.now, call.cost) ?? 0
    return call.now + held > call.deadline ? refuse(new RateLimitExceeded(held)) : undefined
  }
  private keyOf(call: Call): string {
    return this.by === undefined ? keyOf(call) : this.by(call)
  }
  isTooMuch(ahead: number, delay: number, { deadline, now }: Pick<Call, "now" | "deadline">) {
    return ahead >= this.maxQueue || delay > this.maxWaitMillis || now + delay > deadline
  }
  private get limitMillis() {
    // A store that is bypassed after its timeout is no reason to refuse a call.
    return this.maxWaitMillis + (this.shared === undefined ? 0 : 2 * this.shared.fleet.timeoutMillis)
  }

  share(name: string): Effect.Effect<void> {
    return Effect.withFiber((fiber) => {
      const fleet = fiber.getRef(SharedState)
      if (fleet !== undefined && this.shared === undefined && this.isLimited) {
        const { capacity, interval, isDivided } = this
        const fork = Effect.runForkWith(fiber.context)
        this.shared = { fleet, timeline: Timeline.of(fiber), fork, capacity, interval, isDivided, name }
      }
      return Effect.void
    })
  }
  /** The lease of a key on the fleet's permits. */
  lease(key: string, answered: (now: number) => void): Lease | undefined {
    return this.shared === undefined ? undefined : new Lease(this.shared, `${this.shared.name}:${key}`, answered)
  }
}

/** The size of a limit: its capacity, the time in which a permit is refilled, and its algorithm. */
const sizeOf = (options: RateLimitOptions) => {
  if (options.limit === undefined) {
    for (const name of ["window", "algorithm", "burst"] as const) {
      if (options[name] !== undefined) throw new Error(`RateLimit: ${name} needs a limit`)
    }
    return { capacity: Infinity, interval: 0, makeMeter: () => unlimited }
  }
  const limit = Range.positive("RateLimit: limit", options.limit)
  const windowMillis = Range.duration("RateLimit: window", options.window ?? Duration.seconds(1))
  const algorithm = options.algorithm ?? (limit <= 1000 ? "SlidingWindow" : "TokenBucket")
  const capacity = algorithm === "TokenBucket"
    ? Range.atLeast("RateLimit: burst", options.burst ?? limit, 1)
    : Range.atLeast("RateLimit: limit of a SlidingWindow (count over a longer window)", limit, 1)
  return {
    capacity,
    interval: windowMillis / limit,
    makeMeter: (): Meter =>
      algorithm === "TokenBucket"
        ? new TokenBucket(limit, windowMillis, capacity)
        : new SlidingWindow(limit, windowMillis)
  }
}

const keyOf = (call: Call): string => call.key === "" ? call.vendor : `${call.vendor}/${call.key}`

/**
 * Bounds how many calls of a vendor run at once, and learns the limit. The limit rises while answers are as fast as
 * ever, and falls when they get slower or fail to come. It is for a vendor whose capacity is unknown or changes; if it
 * is known, `Bulkhead` is simpler. It bounds attempts, each from start to end, so it sees the vendor and not our
 * retries. Calls wait in a bounded queue: `Critical` ones first, and within a priority key by key in turn. Defaults
 * without a source are our own judgement.
 *
 * @example
 * ```ts
 * import { AdaptiveLimit, Stack } from "@breakwater/core"
 * import { Effect } from "effect"
 *
 * const adaptiveLimit = AdaptiveLimit.make({ algorithm: { _tag: "Aimd" }, initialLimit: 10 })
 * const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent", policy: { adaptiveLimit } })
 * const ring = stack.guard(Effect.sleep("1 millis"), () => undefined)
 *
 * await Effect.runPromise(Effect.all(Array.from({ length: 10 }, () => ring), { concurrency: "unbounded" }))
 * console.log(adaptiveLimit.limit("acme") > 10) // => true
 * ```
 */
import * as Duration from "effect/Duration"
import type { Admission, Call, Gate, Permit, Refusal, Wait } from "../Gate.ts"
import { refuse } from "../Gate.ts"
import * as Outcome from "../Outcome.ts"
import * as Range from "../Range.ts"
import { BulkheadFull } from "../Reason.ts"
import { type Cell, Keyed, type KeyOptions, settingsOf } from "../structures/Keyed.ts"
import { Aimd } from "./AdaptiveLimit/Aimd.ts"
import { FairQueue, FairWaiter } from "./AdaptiveLimit/FairQueue.ts"
import { Gradient } from "./AdaptiveLimit/Gradient.ts"
import type { Bounds, Learner } from "./AdaptiveLimit/Learner.ts"
import { log10, Vegas } from "./AdaptiveLimit/Vegas.ts"

/** The algorithm that learns the limit. */
export type Algorithm =
  /**
   * Learns from answers that take longer than before: for vendors whose answer times vary a lot. Every default is that
   * of Netflix's Gradient2Limit and WindowedLimit.
   */
  | {
    readonly _tag: "Gradient"
    /** Weight of the new limit against the old; more than 0, up to 1. @default 0.2 */
    readonly smoothing?: number | undefined
    /** Calls that the limit grows by while answers are fast, before smoothing; at least 0. @default 4 */
    readonly queueSize?: number | undefined
    /** Number of windows in the long average; a whole number of at least 1. @default 600 */
    readonly longWindow?: number | undefined
    /** How many times slower than the average still counts as fast; at least 1. @default 1.5 */
    readonly tolerance?: number | undefined
    /** The shortest length of a window; longer than 0. @default "1 second" */
    readonly window?: Duration.Input | undefined
    /** The fewest calls in a window; a whole number of at least 1. @default 10 */
    readonly minimumCalls?: number | undefined
  }
  /**
   * Learns from the number of our calls that seem to wait inside the vendor. It is exact for vendors whose answers all
   * take about the same time; for others it allows too few calls.
   */
  | {
    readonly _tag: "Vegas"
    /**
     * The limit grows below this many waiting calls; a whole number of at least 1.
     * @default 3 × ⌊log10 of the limit⌋ (Netflix)
     */
    readonly alpha?: number | undefined
    /**
     * The limit shrinks above this many waiting calls; a whole number of at least `alpha`.
     * @default 6 × ⌊log10 of the limit⌋ (Netflix)
     */
    readonly beta?: number | undefined
  }
  /** Learns from drops alone: for vendors that reject excess calls and whose answer times mean nothing. */
  | {
    readonly _tag: "Aimd"
    /** Share of the limit left after a drop; from 0.5, less than 1. @default 0.9 (Netflix) */
    readonly backoff?: number | undefined
    /** An answer that takes longer counts as a drop; longer than 0. @default "5 seconds" (Netflix) */
    readonly timeout?: Duration.Input | undefined
  }

export interface AdaptiveLimitOptions extends KeyOptions {
  /** The algorithm that learns the limit. @default Gradient */
  readonly algorithm?: Algorithm | undefined
  /** The initial limit; a whole number from `minLimit` to `maxLimit`. @default 20 (Netflix) */
  readonly initialLimit?: number | undefined
  /**
   * The lowest limit; a whole number of at least 1.
   * @default 1 (as failsafe-go; Netflix's 20 is more than a small vendor can serve)
   */
  readonly minLimit?: number | undefined
  /** The highest limit; a whole number. @default 200 (Netflix) */
  readonly maxLimit?: number | undefined
  /** Calls that may wait for a place, per key; a whole number, 0 to refuse at once. @default 64 */
  readonly queue?: number | undefined
  /** The longest a call waits for a place; at least 0. @default "1 second" */
  readonly maxWait?: Duration.Input | undefined
  /**
   * The share of the limit, rounded down, that is reserved for `Critical` calls once a key has seen one; from 0 to less
   * than 1.
   * @default 0.1
   */
  readonly criticalShare?: number | undefined
  /** Partition key: calls with the same key share one limit. @default the vendor */
  readonly by?: ((call: Call) => string) | undefined
  /** Fairness key: the queue serves the calls of each key in turn. @default the call's key */
  readonly fairBy?: ((call: Call) => string) | undefined
}

export interface AdaptiveLimit extends Gate {
  /** Calls that may run at once now under a key. */
  limit(key: string): number
  /** Calls running now under a key. */
  running(key: string): number
  /** Calls waiting now under a key. */
  waiting(key: string): number
  /** The limit, the running and the waiting calls now, over all keys of a vendor; with `by`, over all keys. */
  inUse(vendor: string): { readonly limit: number; readonly running: number; readonly waiting: number }
  /** Keys remembered now. */
  readonly size: number
}

/** Makes an adaptive limit. Throws when an option is out of its range. */
export const make = (options: AdaptiveLimitOptions = {}): AdaptiveLimit => new AdaptiveGate(options)

class AdaptiveGate implements AdaptiveLimit {
  readonly name = "adaptivelimit"
  readonly givesWay = true
  readonly maxQueue: number
  readonly maxWaitMillis: number
  readonly criticalShare: number
  readonly fairBy: (call: Call) => string
  private readonly initial: number
  private readonly by: ((call: Call) => string) | undefined
  private readonly states: Keyed<AdaptiveLimitState>

  constructor(options: AdaptiveLimitOptions) {
    const min = Range.whole("AdaptiveLimit: minLimit", options.minLimit ?? 1, 1)
    const max = Range.whole("AdaptiveLimit: maxLimit", options.maxLimit ?? Math.max(200, min), min)
    const initial = Range.whole(
      "AdaptiveLimit: initialLimit",
      options.initialLimit ?? Math.max(min, Math.min(20, max)),
      min
    )
    Range.between("AdaptiveLimit: initialLimit", initial, min, max)
    this.maxQueue = Range.whole("AdaptiveLimit: queue", options.queue ?? 64, 0)
    this.maxWaitMillis = Range.durationOrZero("AdaptiveLimit: maxWait", options.maxWait ?? Duration.seconds(1))
    this.criticalShare = Range.between("AdaptiveLimit: criticalShare", options.criticalShare ?? 0.1, 0, 1)
    if (this.criticalShare === 1) throw new Error("AdaptiveLimit: criticalShare must be less than 1, got 1")
    this.by = options.by
    this.fairBy = options.fairBy ?? ((call) => call.key)
    this.initial = initial
    const makeLearner = learnerMaker(options.algorithm ?? { _tag: "Gradient" }, { initial, min, max })
    this.states = new Keyed(
      settingsOf("AdaptiveLimit", options),
      (_key, now) => new AdaptiveLimitState(this, makeLearner(), now),
      (state) => state.running > 0
    )
  }

  get size() {
    return this.states.size
  }
  limit(key: string) {
    return this.states.peek(key)?.learner.limit ?? this.initial
  }
  running(key: string) {
    return this.states.peek(key)?.running ?? 0
  }
  waiting(key: string) {
    return this.states.peek(key)?.waiting ?? 0
  }
  inUse(vendor: string) {
    let [limit, running, waiting] = [0, 0, 0]
    for (const state of this.states.under(this.by === undefined ? vendor : undefined)) {
      limit += state.learner.limit
      running += state.running
      waiting += state.waiting
    }
    return { limit: limit || this.initial, running, waiting }
  }
  admit(call: Call): Admission {
    return this.states.get(this.by === undefined ? call.vendor : this.by(call), call.now).admit(call)
  }
}

const learnerMaker = (algorithm: Algorithm, bounds: Bounds): () => Learner => {
  switch (algorithm._tag) {
    case "Gradient": {
      const settings = {
        smoothing: Range.share("AdaptiveLimit: smoothing", algorithm.smoothing ?? 0.2),
        queueSize: Range.atLeast("AdaptiveLimit: queueSize", algorithm.queueSize ?? 4, 0),
        longWindow: Range.whole("AdaptiveLimit: longWindow", algorithm.longWindow ?? 600, 1),
        tolerance: Range.atLeast("AdaptiveLimit: tolerance", algorithm.tolerance ?? 1.5, 1),
        windowMillis: Range.duration("AdaptiveLimit: window", algorithm.window ?? Duration.seconds(1)),
        minimumCalls: Range.whole("AdaptiveLimit: minimumCalls", algorithm.minimumCalls ?? 10, 1)
      }
      return () => new Gradient(bounds, settings)
    }
    case "Vegas": {
      const alpha = algorithm.alpha === undefined
        ? undefined
        : Range.whole("AdaptiveLimit: alpha", algorithm.alpha, 1)
      const beta = algorithm.beta === undefined
        ? undefined
        : Range.whole("AdaptiveLimit: beta", algorithm.beta, alpha ?? 1)
      const settings = {
        alpha: (limit: number) => alpha ?? 3 * log10(limit),
        beta: (limit: number) => beta ?? 6 * log10(limit)
      }
      return () => new Vegas(bounds, settings)
    }
    case "Aimd": {
      const backoff = Range.between("AdaptiveLimit: backoff", algorithm.backoff ?? 0.9, 0.5, 1)
      if (backoff === 1) throw new Error("AdaptiveLimit: backoff must be less than 1, got 1")
      const timeoutMillis = Range.duration("AdaptiveLimit: timeout", algorithm.timeout ?? Duration.seconds(5))
      return () => new Aimd(bounds, { backoff, timeoutMillis })
    }
  }
}

const full = refuse(new BulkheadFull())

/** The calls of one key. */
class AdaptiveLimitState implements Cell {
  readonly learner: Learner
  running = 0
  touchedAt: number
  placedAt: number
  private readonly gate: AdaptiveGate
  private readonly critical = new FairQueue<AdaptiveLimitWaiter>()
  private readonly normal = new FairQueue<AdaptiveLimitWaiter>()
  private hasCritical = false

  constructor(gate: AdaptiveGate, learner: Learner, now: number) {
    this.gate = gate
    this.learner = learner
    this.touchedAt = this.placedAt = now
  }

  get waiting(): number {
    return this.critical.length + this.normal.length
  }
  admit(call: Call): Admission {
    const { priority } = call
    if (priority === "Critical") this.hasCritical = true
    const queue = priority === "Critical" ? this.critical : this.normal
    // No call is overtaken, because waiting calls are admitted as soon as a place is free.
    if (this.hasPlace(queue)) return new AdaptiveLimitPermit(this, call.now, ++this.running)
    if (priority === "Sheddable") return full
    const place = new AdaptiveLimitWaiter(this, this.gate.fairBy(call), queue, this.gate.maxWaitMillis)
    if (this.waiting >= this.gate.maxQueue && !this.makeWayFor(place)) return full
    queue.push(place)
    return place
  }
  /** Frees the place of a call, after its sample is taken, if it is one. */
  leave(call: Call, permit: AdaptiveLimitPermit, outcome: Outcome.Outcome | undefined): void {
    if (outcome !== undefined) this.learn(call, permit, outcome)
    this.running--
    this.callUp()
  }
  callUp(): void {
    for (const queue of [this.critical, this.normal]) {
      while (queue.length > 0 && this.hasPlace(queue)) queue.shift()!.grant(++this.running)
    }
  }

  private hasPlace(queue: FairQueue<AdaptiveLimitWaiter>): boolean {
    const { limit } = this.learner
    const kept = queue === this.normal && this.hasCritical ? Math.floor(limit * this.gate.criticalShare) : 0
    return this.running < limit - kept
  }
  private learn(call: Call, permit: AdaptiveLimitPermit, outcome: Outcome.Outcome): void {
    const dropped = Outcome.load(outcome) === "Overloaded"
    // An answer of the contract shows how fast the vendor is. A rejection or a broken response can be faster than any
    // answer.
    if (!dropped && (outcome._tag !== "Success" || outcome.reason !== undefined)) return
    const isInUse = permit.inflight * 2 >= this.learner.limit
    if (!isInUse && (dropped || !this.learner.learnsAtRest)) return
    const { inflight, startedAt } = permit
    this.learner.update({ startedAt, rttMillis: outcome.durationMillis, inflight, dropped }, () => call.random())
  }
  /** In a full queue, a new call takes the place of the last call of a longer line, or of one with lower priority. */
  private makeWayFor({ key, waitsIn }: AdaptiveLimitWaiter): boolean {
    const from = this.normal.length > 0 ? this.normal : this.critical
    const longest = from.longest
    if (longest === undefined) return false
    if (from === waitsIn ? from.waiting(longest) <= from.waiting(key) + 1 : waitsIn === this.normal) return false
    from.pop(longest)?.lose()
    return true
  }
}

class AdaptiveLimitPermit implements Permit {
  readonly _tag = "Permit"
  readonly startedAt: number
  /** Number of calls running when the permit was given out, including its own. */
  readonly inflight: number
  private readonly state: AdaptiveLimitState

  constructor(state: AdaptiveLimitState, startedAt: number, inflight: number) {
    this.state = state
    this.startedAt = startedAt
    this.inflight = inflight
  }
  settle(call: Call, outcome: Outcome.Outcome) {
    this.state.leave(call, this, outcome)
  }
  cancel(call: Call) {
    this.state.leave(call, this, undefined)
  }
}

class AdaptiveLimitWaiter extends FairWaiter implements Wait {
  readonly _tag = "Wait"
  readonly limitMillis: number
  readonly waitsIn: FairQueue<AdaptiveLimitWaiter>
  private readonly state: AdaptiveLimitState
  private inflight = 0
  private isLost = false
  private turn: ((delayMillis: number) => void) | undefined = undefined

  constructor(state: AdaptiveLimitState, key: string, waitsIn: FairQueue<AdaptiveLimitWaiter>, limitMillis: number) {
    super(key)
    this.state = state
    this.waitsIn = waitsIn
    this.limitMillis = limitMillis
  }
  grant(inflight: number) {
    this.inflight = inflight
    this.turn?.(0)
  }
  /** Another call has taken the place in the queue. */
  lose() {
    this.isLost = true
    this.turn?.(0)
  }
  onTurn(turn: (delayMillis: number) => void) {
    this.turn = turn
    if (this.inflight > 0 || this.isLost) turn(0)
  }
  claim(call: Call): Permit | Refusal | number {
    if (this.isLost) return full
    return this.inflight > 0 ? new AdaptiveLimitPermit(this.state, call.now, this.inflight) : Infinity
  }
  cancel() {
    if (this.isLost) return
    if (this.inflight === 0) return this.waitsIn.remove(this)
    this.state.running--
    this.state.callUp()
  }
  expired(): Refusal {
    return full
  }
}

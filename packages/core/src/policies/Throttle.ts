/**
 * Sends fewer calls to a vendor that rejects a large share of them, and always a few, so that its recovery is noticed.
 * This is client-side adaptive throttling as in Google's SRE book, chapter 21. Of the calls of the last two minutes, it
 * refuses
 *
 *     max(0, (requests − K × accepts) / (requests + 1))
 *
 * where requests includes those it refused. It acts less abruptly than a breaker: for a vendor that is overloaded, not
 * for one that is down. It refuses `Sheddable` calls first, and `Critical` ones last. Defaults without a source are our
 * own judgement.
 *
 * @example
 * ```ts
 * import { Stack, Throttle, Unavailable } from "@breakwater/core"
 * import { Effect } from "effect"
 *
 * const throttle = Throttle.make()
 * const policy = { throttle, breaker: false, retry: false } as const
 * const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent", policy })
 * const ring = Effect.flip(stack.guard(Effect.fail("busy"), () => new Unavailable(503)))
 *
 * await Effect.runPromise(Effect.all(Array.from({ length: 100 }, () => ring)))
 * console.log(throttle.probability("acme", performance.now())) // => 0.9
 * ```
 */
import * as Duration from "effect/Duration"
import type { Admission, Call, Gate, Permit } from "../Gate.ts"
import { refuse } from "../Gate.ts"
import * as Outcome from "../Outcome.ts"
import type { Priority } from "../Priority.ts"
import * as Range from "../Range.ts"
import { Throttled } from "../Reason.ts"
import { type Cell, Keyed, type KeyOptions, settingsOf } from "../structures/Keyed.ts"
import { Counts, priorities } from "./Throttle/Counts.ts"

export interface ThrottleOptions extends KeyOptions {
  /**
   * Calls sent for each accepted call; at least 1. At 2, nothing is refused while the vendor accepts half of the calls.
   * Lower is stricter.
   * @default 2 (Google's SRE book, chapter 21)
   */
  readonly k?: number | undefined
  /** Time span of the remembered calls; longer than 0. @default "2 minutes" (Google's SRE book, chapter 21) */
  readonly window?: Duration.Input | undefined
  /** Number of steps in which calls expire; a whole number of at least 1. @default 24 */
  readonly buckets?: number | undefined
  /** Calls needed before any is refused; a whole number of at least 1. @default 10 */
  readonly minimumCalls?: number | undefined
  /**
   * The share of the calls of each priority that is always admitted, so that a recovery is noticed; more than 0, up to
   * 1.
   * @default 0.1 (as failsafe-go)
   */
  readonly floor?: number | undefined
  /** Partition key: calls with the same key share one throttle. @default the vendor and the call's key */
  readonly by?: ((call: Call) => string) | undefined
}

export interface Throttle extends Gate {
  /** The share of calls that would be refused now under a key, over all priorities or of one. */
  probability(key: string, now: number, priority?: Priority): number
  /** The largest of these shares over all keys of a vendor; with `by`, over all keys. */
  worst(vendor: string, now: number): number
  /** Keys remembered now. */
  readonly size: number
}

/** Makes a throttle. Throws when an option is out of its range. */
export const make = (options: ThrottleOptions = {}): Throttle => new ThrottleGate(options)

/** The formula of the book, and nothing else. */
export const rejectionProbability = (requests: number, accepts: number, k: number): number =>
  Math.max(0, (requests - k * accepts) / (requests + 1))

class ThrottleGate implements Throttle {
  readonly name = "throttle"
  readonly k: number
  readonly minimumCalls: number
  readonly floor: number
  private readonly by: ((call: Call) => string) | undefined
  private readonly states: Keyed<ThrottleState>

  constructor(options: ThrottleOptions) {
    const windowMillis = Range.duration("Throttle: window", options.window ?? Duration.minutes(2))
    const buckets = Range.whole("Throttle: buckets", options.buckets ?? 24, 1)
    this.k = Range.atLeast("Throttle: k", options.k ?? 2, 1)
    this.minimumCalls = Range.whole("Throttle: minimumCalls", options.minimumCalls ?? 10, 1)
    this.floor = Range.share("Throttle: floor", options.floor ?? 0.1)
    this.by = options.by
    this.states = new Keyed(
      settingsOf("Throttle", options),
      (_key, now) => new ThrottleState(this, new Counts(windowMillis, buckets), now),
      (state) => state.running > 0
    )
  }

  get size() {
    return this.states.size
  }
  probability(key: string, now: number, priority?: Priority) {
    return this.states.peek(key)?.probability(now, priority) ?? 0
  }
  worst(vendor: string, now: number) {
    let worst = 0
    for (const state of this.states.under(this.by === undefined ? vendor : undefined)) {
      worst = Math.max(worst, state.probability(now))
    }
    return worst
  }
  admit(call: Call): Admission {
    const key = this.by === undefined ? keyOf(call) : this.by(call)
    return this.states.get(key, call.now).admit(call)
  }
}

const keyOf = (call: Call): string => call.key === "" ? call.vendor : `${call.vendor}/${call.key}`

const throttled = refuse(new Throttled())

/** The calls of one key. It serves as the permit of each call. */
class ThrottleState implements Permit, Cell {
  readonly _tag = "Permit"
  running = 0
  touchedAt: number
  placedAt: number
  private readonly gate: ThrottleGate
  private readonly counts: Counts

  constructor(gate: ThrottleGate, counts: Counts, now: number) {
    this.gate = gate
    this.counts = counts
    this.touchedAt = this.placedAt = now
  }

  admit(call: Call): Admission {
    const probability = this.probability(call.now, call.priority)
    if (probability > 0 && call.random() < probability) {
      this.counts.request(call.now, call.priority)
      return throttled
    }
    this.running++
    return this
  }
  /** A call is counted when it ends, because a running call says nothing yet. */
  settle(call: Call, outcome: Outcome.Outcome) {
    this.running--
    const load = Outcome.load(outcome)
    if (load === "Unknown") return
    this.counts.request(call.now, call.priority)
    if (load === "Accepted") this.counts.accept(call.now)
  }
  cancel() {
    this.running--
  }

  probability(now: number, priority?: Priority): number {
    const requests = this.counts.requests(now)
    if (requests < this.gate.minimumCalls) return 0
    const most = 1 - this.gate.floor
    let left = Math.min(most, rejectionProbability(requests, this.counts.accepts(now), this.gate.k))
    if (priority === undefined || left === 0) return left
    for (const lower of priorities) {
      if (lower === priority) break
      left -= Math.min(left, most * this.counts.requests(now, lower) / requests)
    }
    // The difference of two equal shares is not always exactly 0.
    if (left < 1e-9) return 0
    return Math.min(most, left * requests / this.counts.requests(now, priority))
  }
}

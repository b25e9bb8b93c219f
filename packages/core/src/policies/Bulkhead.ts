/**
 * Bounds how many calls of a vendor run at once, with a bounded, fair queue in front. It keeps a slow vendor from
 * taking every socket and fibre of the service. It does not bound how often calls start: that is `RateLimit`. Defaults
 * without a source are our own judgement.
 *
 * @example
 * ```ts
 * import { Bulkhead, Stack } from "@breakwater/core"
 * import { Effect } from "effect"
 *
 * const bulkhead = Bulkhead.make({ limit: 2, queue: 0 })
 * const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent", policy: { bulkhead } })
 * const ring = Effect.isSuccess(stack.guard(Effect.sleep("10 millis"), () => undefined))
 *
 * console.log(await Effect.runPromise(Effect.all([ring, ring, ring], { concurrency: "unbounded" })))
 * // => [ true, true, false ]
 * ```
 */
import * as Duration from "effect/Duration"
import type { Admission, Call, Gate, Permit, Refusal, Wait } from "../Gate.ts"
import { refuse } from "../Gate.ts"
import * as Range from "../Range.ts"
import { BulkheadFull } from "../Reason.ts"
import { type Cell, Keyed, type KeyOptions, settingsOf } from "../structures/Keyed.ts"
import { Waiter, WaitQueue } from "../structures/WaitQueue.ts"

export interface BulkheadOptions extends KeyOptions {
  /** Calls that may run at once, per key; a whole number of at least 1. @default 64 */
  readonly limit?: number | undefined
  /** Calls that may wait for a place, per key; a whole number, 0 to refuse at once. @default 64 */
  readonly queue?: number | undefined
  /** The longest a call waits for a place; at least 0. @default "1 second" */
  readonly maxWait?: Duration.Input | undefined
  /** Partition key: calls with the same key share one limit. @default the vendor */
  readonly by?: ((call: Call) => string) | undefined
}

export interface Bulkhead extends Gate {
  /** Calls running now under a key. */
  running(key: string): number
  /** Calls waiting now under a key. */
  waiting(key: string): number
  /** Calls running and waiting now, over all keys of a vendor; with `by`, over all keys. */
  inUse(vendor: string): { readonly running: number; readonly waiting: number }
}

/** Makes a bulkhead. Throws when an option is out of its range. */
export const make = (options: BulkheadOptions = {}): Bulkhead => new BulkheadGate(options)

class BulkheadGate implements Bulkhead {
  readonly name = "bulkhead"
  readonly limit: number
  readonly maxQueue: number
  readonly maxWaitMillis: number
  private readonly by: ((call: Call) => string) | undefined
  private readonly states: Keyed<BulkheadState>

  constructor(options: BulkheadOptions) {
    this.limit = Range.whole("Bulkhead: limit", options.limit ?? 64, 1)
    this.maxQueue = Range.whole("Bulkhead: queue", options.queue ?? 64, 0)
    this.maxWaitMillis = Range.durationOrZero("Bulkhead: maxWait", options.maxWait ?? Duration.seconds(1))
    this.by = options.by
    this.states = new Keyed(
      settingsOf("Bulkhead", options),
      (_key, now) => new BulkheadState(now),
      (state) => state.running > 0
    )
  }

  running(key: string) {
    return this.states.peek(key)?.running ?? 0
  }

  waiting(key: string) {
    return this.states.peek(key)?.queue.length ?? 0
  }

  inUse(vendor: string) {
    let running = 0
    let waiting = 0
    for (const state of this.states.under(this.by === undefined ? vendor : undefined)) {
      running += state.running
      waiting += state.queue.length
    }
    return { running, waiting }
  }

  admit(call: Call): Admission {
    const state = this.states.get(this.by === undefined ? call.vendor : this.by(call), call.now)
    if (state.running < this.limit) {
      state.running++
      return state
    }
    if (state.queue.length >= this.maxQueue) return full
    const place = new BulkheadWaiter(state, this.maxWaitMillis)
    state.queue.push(place)
    return place
  }
}

const full = refuse(new BulkheadFull())

/** The calls of one key. It serves as the permit of each call, because all calls leave alike. */
class BulkheadState implements Permit, Cell {
  readonly _tag = "Permit"
  readonly queue = new WaitQueue<BulkheadWaiter>()
  running = 0
  declare touchedAt: number
  declare placedAt: number

  constructor(now: number) {
    this.touchedAt = this.placedAt = now
  }
  settle() {
    this.leave()
  }
  cancel() {
    this.leave()
  }
  /** Passes the free place to the first call in the queue, if there is one. */
  leave() {
    const next = this.queue.shift()
    if (next === undefined) this.running--
    else next.grant()
  }
}

class BulkheadWaiter extends Waiter implements Wait {
  readonly _tag = "Wait"
  readonly limitMillis: number
  private readonly state: BulkheadState
  private granted = false
  private turn: ((delayMillis: number) => void) | undefined = undefined

  constructor(state: BulkheadState, limitMillis: number) {
    super()
    this.state = state
    this.limitMillis = limitMillis
  }
  grant() {
    this.granted = true
    this.turn?.(0)
  }
  onTurn(turn: (delayMillis: number) => void) {
    this.turn = turn
    if (this.granted) turn(0)
  }
  claim(): Permit | number {
    return this.granted ? this.state : Infinity
  }
  cancel() {
    if (this.granted) this.state.leave()
    else this.state.queue.remove(this)
  }
  expired(): Refusal {
    return full
  }
}

/**
 * Bounds how many calls of a vendor run at once, with a bounded, fair queue in front. It keeps a slow vendor from
 * taking every socket and fibre of the service. It does not bound how often calls start: that is `RateLimit`.
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
import { BulkheadFull } from "../Reason.ts"
import { type Cell, Keyed } from "./Keyed.ts"
import { Waiter, WaitQueue } from "./WaitQueue.ts"

export interface BulkheadOptions {
  /** Calls that may run at once, per key. At least 1. @default 64 */
  readonly limit?: number | undefined
  /** Calls that may wait for a place, per key; 0 to refuse at once. @default 64 */
  readonly queue?: number | undefined
  /** The longest a call waits for a place. @default "1 second" */
  readonly maxWait?: Duration.Input | undefined
  /** What is counted together. @default the vendor */
  readonly by?: ((call: Call) => string) | undefined
  /** Keys that are remembered; keys in use may exceed it. At least 1. @default 10_000 */
  readonly maxKeys?: number | undefined
  /** How long an unused key is remembered. @default "1 hour" */
  readonly idle?: Duration.Input | undefined
}

export interface Bulkhead extends Gate {
  /** Calls running now under a key. */
  running(key: string): number
  /** Calls waiting now under a key. */
  waiting(key: string): number
}

/** Makes a bulkhead. Throws when an option is out of its range. */
export const make = (options: BulkheadOptions = {}): Bulkhead => new BulkheadGate(options)

class BulkheadGate implements Bulkhead {
  readonly name = "bulkhead"
  readonly limit: number
  readonly maxQueue: number
  readonly maxWaitMillis: number
  private readonly by: (call: Call) => string
  private readonly rooms: Keyed<Room>

  constructor(options: BulkheadOptions) {
    this.limit = options.limit ?? 64
    this.maxQueue = options.queue ?? 64
    this.maxWaitMillis = Duration.toMillis(options.maxWait ?? Duration.seconds(1))
    this.by = options.by ?? ((call) => call.vendor)
    if (!Number.isInteger(this.limit) || this.limit < 1) {
      throw new Error(`Bulkhead: limit must be a whole number of at least 1, got ${options.limit}`)
    }
    if (!(this.maxQueue >= 0)) throw new Error(`Bulkhead: queue must be at least 0, got ${options.queue}`)
    const maxKeys = options.maxKeys ?? 10_000
    if (!(maxKeys >= 1)) throw new Error(`Bulkhead: maxKeys must be at least 1, got ${maxKeys}`)
    this.rooms = new Keyed(
      { maxKeys, idleMillis: Duration.toMillis(options.idle ?? Duration.hours(1)) },
      (_key, now) => new Room(now),
      (room) => room.running > 0
    )
  }

  running(key: string) {
    return this.rooms.peek(key)?.running ?? 0
  }

  waiting(key: string) {
    return this.rooms.peek(key)?.queue.length ?? 0
  }

  admit(call: Call): Admission {
    const room = this.rooms.get(this.by(call), call.now)
    if (room.running < this.limit) {
      room.running++
      return room
    }
    if (room.queue.length >= this.maxQueue) return full
    const place = new Place(room, this.maxWaitMillis)
    room.queue.push(place)
    return place
  }
}

const full = refuse(new BulkheadFull())

/** The calls of one key. It is the permit of each: leaving is the same whoever leaves. */
class Room implements Permit, Cell {
  readonly _tag = "Permit"
  readonly queue = new WaitQueue<Place>()
  running = 0
  touchedAt: number
  placedAt: number

  constructor(now: number) {
    this.touchedAt = this.placedAt = now
  }
  settle() {
    this.leave()
  }
  cancel() {
    this.leave()
  }
  /** The place of the one who leaves goes to the first in the queue, if there is one. */
  leave() {
    const next = this.queue.shift()
    if (next === undefined) this.running--
    else next.grant()
  }
}

class Place extends Waiter implements Wait {
  readonly _tag = "Wait"
  readonly limitMillis: number
  private readonly room: Room
  private granted = false
  private turn: ((delayMillis: number) => void) | undefined = undefined

  constructor(room: Room, limitMillis: number) {
    super()
    this.room = room
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
    return this.granted ? this.room : Infinity
  }
  cancel() {
    if (this.granted) this.room.leave()
    else this.room.queue.remove(this)
  }
  expired(): Refusal {
    return full
  }
}

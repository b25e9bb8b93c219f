/**
 * A bounded map from a key to the state a gate keeps for it. Idle state is evicted, and a full map evicts the least
 * recently used state first (second-chance order), or, if a gate says so, refuses a new key as long as all states still
 * matter. No call pays for a sweep: each looks at a few entries at most.
 *
 * If a gate says how, only recently used keys stay awake, as objects of the gate. The others rest as a few numbers
 * each, in the order of their last use, and wake on the next call. Numbers without a source are our own judgement.
 */
import * as Duration from "effect/Duration"
import * as Range from "../Range.ts"
import { KeyTable, none } from "./KeyTable.ts"

/** The bounds on the keys that a gate remembers. */
export interface KeyOptions {
  /** Number of keys remembered, a whole number of at least 1; keys in use may exceed it. @default 10_000 */
  readonly maxKeys?: number | undefined
  /** How long an unused key is remembered; longer than 0. @default "1 hour" */
  readonly idle?: Duration.Input | undefined
}

/** {@link KeyOptions} in the units used internally. Throws when an option is out of its range. */
export const settingsOf = (gate: string, options: KeyOptions): KeyedSettings => ({
  maxKeys: Range.whole(`${gate}: maxKeys`, options.maxKeys ?? 10_000, 1),
  idleMillis: Range.duration(`${gate}: idle`, options.idle ?? Duration.hours(1))
})

export interface KeyedSettings {
  readonly maxKeys: number
  readonly idleMillis: number
  /** How long after its last use a state still matters, so that {@link Keyed.enter} never evicts it. @default 0 */
  readonly keepMillis?: number
}

export interface Cell {
  /** The time of the cell's last use; a time in the future keeps it from being idle until then. */
  touchedAt: number
  /** The time when the cell took its present place in the order of eviction. */
  placedAt: number
}

/** The conversion of a key's state to numbers and back. */
export interface Rest<C> {
  /** The number of numbers that most states need; longer states take more room. */
  readonly width: number
  /** The numbers of an idle cell, none of them `NaN`; `undefined` when it must stay awake. */
  readonly pack: (cell: C, now: number) => ReadonlyArray<number> | undefined
  /** Restores a cell from its numbers. */
  readonly unpack: (key: string, numbers: ReadonlyArray<number>) => C
  /** Number of cells kept awake; busy cells may exceed it. @default 10_000 */
  readonly awake?: number | undefined
}

/** Whether a key is a scope or a part of it. */
export const isUnder = (key: string, scope: string): boolean => key === scope || key.startsWith(`${scope}/`)

/** Number of entries one call may look at, and one whose key is refused if none of them can be evicted. */
const stride = 4
const longStride = 64
/** Number of calls between two looks for idle entries when no key is new; a power of two. */
const period = 64

/** The columns of a resting state: the time of its last use, then its numbers up to the first `NaN`. */
const touchedAt = 0
const first = 1

export class Keyed<C extends Cell> {
  private readonly settings: KeyedSettings
  private readonly make: (key: string, now: number) => C
  private readonly isBusy: (cell: C) => boolean
  private readonly rest: Rest<C> | undefined
  private readonly onForget: ((key: string, cell: C | undefined) => void) | undefined
  private readonly mostAwake: number
  private readonly awake = new KeyTable<C>(0)
  /** Resting states, with the numbers that exceed the columns. */
  private readonly resting: KeyTable<ReadonlyArray<number> | undefined>
  private lastKey: string | undefined = undefined
  private lastCell: C | undefined = undefined
  private calls = 0

  constructor(
    settings: KeyedSettings,
    make: (key: string, now: number) => C,
    isBusy: (cell: C) => boolean,
    rest?: Rest<C>,
    /** Hears of each evicted key, with its cell if it was awake. */
    onForget?: (key: string, cell: C | undefined) => void
  ) {
    this.settings = settings
    this.make = make
    this.isBusy = isBusy
    this.rest = rest
    this.onForget = onForget
    this.mostAwake = rest === undefined ? Infinity : rest.awake ?? 10_000
    this.resting = new KeyTable(first + (rest?.width ?? 0))
  }

  get size(): number {
    return this.awake.size + this.resting.size
  }

  /** The state of a key, made on first use. */
  get(key: string, now: number): C {
    return this.enter(key, now, false)!
  }

  /**
   * The same; `undefined` if the key is new, and the map is full of states that are in use or still matter.
   */
  enter(key: string, now: number, isRefused = true): C | undefined {
    let cell = key === this.lastKey ? this.lastCell : this.find(key)
    if (cell === undefined) {
      cell = this.wake(key, now)
      if (cell === undefined) {
        this.evict(now, this.settings.maxKeys - 1, undefined)
        if (isRefused && this.size >= this.settings.maxKeys) return undefined
        cell = this.make(key, now)
      }
      this.awake.add(key, cell)
      if (this.awake.size > this.mostAwake) this.layDown(now, cell)
    } else {
      if (cell.touchedAt < now) cell.touchedAt = now
      if ((++this.calls & (period - 1)) === 0) this.evict(now, this.settings.maxKeys, cell)
    }
    this.lastKey = key
    this.lastCell = cell
    return cell
  }

  /** The state of a key, if there is one, for reading only; reading does not keep it alive. */
  peek(key: string): C | undefined {
    const cell = this.find(key)
    if (cell !== undefined) return cell
    const slot = this.resting.find(key)
    return slot === none ? undefined : this.unpack(slot)
  }

  /** Every state, for reading only and without a pause during the iteration. */
  *entries(): IterableIterator<[string, C]> {
    const { awake, resting } = this
    for (let slot = awake.oldest; slot !== none; slot = awake.newer(slot)) yield [awake.key(slot), awake.value(slot)]
    for (let slot = resting.oldest; slot !== none; slot = resting.newer(slot)) {
      yield [resting.key(slot), this.unpack(slot)]
    }
  }

  /**
   * The states of a scope and of its parts, as of `acme` and `acme/eu`; without a scope, all states. Resting states are
   * left out. For reading only and without a pause during the iteration.
   */
  *under(scope: string | undefined): IterableIterator<C> {
    for (const slot of this.awake.slots()) {
      if (scope === undefined || isUnder(this.awake.key(slot), scope)) yield this.awake.value(slot)
    }
  }

  /** Every state that is awake. The iteration may pause while states are added and removed. */
  *cells(): IterableIterator<C> {
    for (const slot of this.awake.slots()) yield this.awake.value(slot)
  }

  private find(key: string): C | undefined {
    const slot = this.awake.find(key)
    return slot === none ? undefined : this.awake.value(slot)
  }

  /** Wakes the resting state of a key. */
  private wake(key: string, now: number): C | undefined {
    const slot = this.resting.find(key)
    if (slot === none) return undefined
    const cell = this.unpack(slot)
    if (cell.touchedAt < now) cell.touchedAt = now
    cell.placedAt = now
    this.resting.remove(slot)
    return cell
  }
  private unpack(slot: number): C {
    const { resting } = this
    const { unpack, width } = this.rest!
    const numbers: Array<number> = []
    for (let index = first; index < first + width && !Number.isNaN(resting.number(slot, index)); index++) {
      numbers.push(resting.number(slot, index))
    }
    const more = resting.value(slot)
    const cell = unpack(resting.key(slot), more === undefined ? numbers : numbers.concat(more))
    cell.touchedAt = resting.number(slot, touchedAt)
    return cell
  }

  /** Lays to rest the cells that have been awake longest; never `current`, which is about to be used. */
  private layDown(now: number, current: C): void {
    const { awake, resting } = this
    const { pack, width } = this.rest!
    for (let looked = 0; looked < stride && awake.size > this.mostAwake; looked++) {
      const slot = awake.oldest
      const cell = awake.value(slot)
      const numbers = cell === current || this.isBusy(cell) ? undefined : pack(cell, now)
      if (numbers === undefined) {
        cell.placedAt = now
        awake.renew(slot)
        continue
      }
      const place = resting.add(awake.key(slot), numbers.length > width ? numbers.slice(width) : undefined)
      resting.setNumber(place, touchedAt, cell.touchedAt)
      for (let index = 0; index < width; index++) resting.setNumber(place, first + index, numbers[index] ?? NaN)
      awake.remove(slot)
    }
  }

  /** Evicts idle states and those beyond `most`, resting states first. */
  private evict(now: number, most: number, current: C | undefined): void {
    const { resting, settings: { idleMillis, keepMillis = 0 } } = this
    if (resting.size === 0) return this.evictAwake(now, most, current)
    const mostLooked = keepMillis === 0 || this.size <= most ? stride : longStride
    for (let looked = 1; looked <= mostLooked && resting.size > 0; looked++) {
      const slot = resting.oldest
      const at = resting.number(slot, touchedAt)
      const isExcess = this.size > most
      const isTurn = isExcess && (keepMillis === 0 ? at <= now || looked === stride : now - at >= keepMillis)
      if (isTurn || now - at >= idleMillis) {
        this.onForget?.(resting.key(slot), undefined)
        resting.remove(slot)
      } else if (isExcess || at > now) resting.renew(slot)
      else return
    }
  }

  /** Evicts idle states and those beyond `most`; never `current`, which is about to be used. */
  private evictAwake(now: number, most: number, current: C | undefined): void {
    const { awake, settings: { keepMillis = 0 } } = this
    const mostLooked = keepMillis === 0 || awake.size <= most ? stride : longStride
    for (let looked = 1; looked <= mostLooked && awake.size > 0; looked++) {
      const slot = awake.oldest
      const cell = awake.value(slot)
      const excess = awake.size - most
      // Cells are ordered by placement time, so no later cell has gone unchecked for longer.
      if (excess <= 0 && now - cell.placedAt < this.settings.idleMillis) return
      const idle = now - cell.touchedAt >= this.settings.idleMillis
      // With more than one in excess, busy cells were in the way before; a second chance would let the map grow for
      // ever.
      const spared = excess <= 0 || (keepMillis > 0 && now - cell.touchedAt < keepMillis) ||
        (excess === 1 && looked < stride && cell.touchedAt > cell.placedAt)
      if (cell === current || this.isBusy(cell) || (!idle && spared)) {
        cell.placedAt = now
        awake.renew(slot)
      } else {
        this.onForget?.(awake.key(slot), cell)
        awake.remove(slot)
      }
    }
  }
}

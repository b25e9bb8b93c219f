/**
 * A bounded map from a key to the state a gate keeps for it. Idle state is forgotten, and when the map is full the
 * least recently used goes first (second-chance order). No call pays for a sweep: each looks at a few entries at most.
 *
 * Where a gate says how, only the keys in use are kept as its own objects; the others rest as a few numbers each, in the
 * order in which they were last used, and wake when they are asked for.
 */
import * as Duration from "effect/Duration"
import * as Range from "../Range.ts"
import { KeyTable, none } from "./KeyTable.ts"

/** How much a gate remembers of the keys it counts apart. */
export interface KeyOptions {
  /** Keys that are remembered, a whole number of at least 1; keys in use may exceed it. @default 10_000 (ours) */
  readonly maxKeys?: number | undefined
  /** How long an unused key is remembered; longer than 0. @default "1 hour" (ours) */
  readonly idle?: Duration.Input | undefined
}

/** {@link KeyOptions} in the units that are counted in. Throws when one is out of its range. */
export const settingsOf = (gate: string, options: KeyOptions): KeyedSettings => ({
  maxKeys: Range.whole(`${gate}: maxKeys`, options.maxKeys ?? 10_000, 1),
  idleMillis: Range.duration(`${gate}: idle`, options.idle ?? Duration.hours(1))
})

export interface KeyedSettings {
  readonly maxKeys: number
  readonly idleMillis: number
}

export interface Cell {
  /** When the cell was last asked for; a time to come keeps it from being idle until then. */
  touchedAt: number
  /** When the cell took its present place in the order of eviction. */
  placedAt: number
}

/** How the state of a key is written down in numbers. */
export interface Rest<C> {
  /** How many numbers most states come to; longer ones take more room. */
  readonly width: number
  /** The state of a cell that is not busy, none of it `NaN`; `undefined` when it must stay awake. */
  readonly pack: (cell: C, now: number) => ReadonlyArray<number> | undefined
  /** A cell in the state that was written down. */
  readonly unpack: (key: string, numbers: ReadonlyArray<number>) => C
  /** Cells that are kept awake, and may be more only while they are busy. @default 10_000 (ours) */
  readonly awake?: number | undefined
}

/** Whether a key is that of a scope, or of a part of it. */
export const isUnder = (key: string, scope: string): boolean => key === scope || key.startsWith(`${scope}/`)

/** How many entries one call may look at (ours). */
const stride = 4
/** Every how many calls idle entries are looked for, when no key is new; a power of two (ours). */
const period = 64

/** The columns of a state at rest: when it was last asked for, and the first of its numbers, up to one that is none. */
const touchedAt = 0
const first = 1

export class Keyed<C extends Cell> {
  private readonly settings: KeyedSettings
  private readonly make: (key: string, now: number) => C
  private readonly isBusy: (cell: C) => boolean
  private readonly rest: Rest<C> | undefined
  private readonly onForget: ((cell: C) => void) | undefined
  private readonly mostAwake: number
  private readonly awake = new KeyTable<C>(0)
  /** States at rest, with those of their numbers that the columns do not hold. */
  private readonly resting: KeyTable<ReadonlyArray<number> | undefined>
  private lastKey: string | undefined = undefined
  private lastCell: C | undefined = undefined
  private calls = 0

  constructor(
    settings: KeyedSettings,
    make: (key: string, now: number) => C,
    isBusy: (cell: C) => boolean,
    rest?: Rest<C>,
    onForget?: (cell: C) => void
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
    let cell = key === this.lastKey ? this.lastCell : this.find(key)
    if (cell === undefined) {
      cell = this.wake(key, now)
      if (cell === undefined) {
        this.evict(now, this.settings.maxKeys - 1, undefined)
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

  /** The state of a key, if there is one, to be looked at only; asking does not keep it alive. */
  peek(key: string): C | undefined {
    const cell = this.find(key)
    if (cell !== undefined) return cell
    const slot = this.resting.find(key)
    return slot === none ? undefined : this.unpack(slot)
  }

  /** Every state, to be looked at only, and at once. */
  *entries(): IterableIterator<[string, C]> {
    const { awake, resting } = this
    for (let slot = awake.oldest; slot !== none; slot = awake.newer(slot)) yield [awake.key(slot), awake.value(slot)]
    for (let slot = resting.oldest; slot !== none; slot = resting.newer(slot)) {
      yield [resting.key(slot), this.unpack(slot)]
    }
  }

  /**
   * The states of a scope and of its parts, of `acme` and `acme/eu`, but for those at rest; without a scope all of them. To be
   * looked at only, and at once.
   */
  *under(scope: string | undefined): IterableIterator<C> {
    for (const slot of this.awake.slots()) {
      if (scope === undefined || isUnder(this.awake.key(slot), scope)) yield this.awake.value(slot)
    }
  }

  /** Every state that does not rest. It may be gone through bit by bit, whatever comes and goes meanwhile. */
  *cells(): IterableIterator<C> {
    for (const slot of this.awake.slots()) yield this.awake.value(slot)
  }

  private find(key: string): C | undefined {
    const slot = this.awake.find(key)
    return slot === none ? undefined : this.awake.value(slot)
  }

  /** The state of a key that rested. */
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

  /** Lays the cells to rest that have been awake for the longest; never `current`, which is about to be used. */
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

  /** Forgets what is idle, and what is more than `most`: at first of what rests. */
  private evict(now: number, most: number, current: C | undefined): void {
    const { resting } = this
    if (resting.size === 0) return this.evictAwake(now, most, current)
    for (let looked = 1; looked <= stride && resting.size > 0; looked++) {
      const slot = resting.oldest
      const at = resting.number(slot, touchedAt)
      const isTurn = this.size > most && (at <= now || looked === stride)
      if (isTurn || now - at >= this.settings.idleMillis) resting.remove(slot)
      else if (at > now) resting.renew(slot)
      else return
    }
  }

  /** Forgets what is idle, and what is more than `most`; never `current`, which is about to be used. */
  private evictAwake(now: number, most: number, current: C | undefined): void {
    const { awake } = this
    for (let looked = 1; looked <= stride && awake.size > 0; looked++) {
      const slot = awake.oldest
      const cell = awake.value(slot)
      const excess = awake.size - most
      // Places are taken in the order of time: no cell further on has gone unlooked at for longer.
      if (excess <= 0 && now - cell.placedAt < this.settings.idleMillis) return
      const idle = now - cell.touchedAt >= this.settings.idleMillis
      // More than one too many: busy cells stood in the way before, and a second chance would let the map grow for ever.
      const spared = excess <= 0 || (excess === 1 && looked < stride && cell.touchedAt > cell.placedAt)
      if (cell === current || this.isBusy(cell) || (!idle && spared)) {
        cell.placedAt = now
        awake.renew(slot)
      } else {
        awake.remove(slot)
        this.onForget?.(cell)
      }
    }
  }
}

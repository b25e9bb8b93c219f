/**
 * A bounded map from a key to the state a gate keeps for it. Idle state is forgotten, and when the map is full the
 * least recently used goes first (second-chance order). No call pays for a sweep: each looks at a few entries at most.
 */
import * as Duration from "effect/Duration"
import * as Range from "../Range.ts"

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
  idleMillis: Range.span(`${gate}: idle`, options.idle ?? Duration.hours(1))
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

/** How many entries one call may look at (ours). */
const stride = 4
/** Every how many calls idle entries are looked for, when no key is new (ours). */
const period = 64

export class Keyed<C extends Cell> {
  private readonly settings: KeyedSettings
  private readonly make: (key: string, now: number) => C
  private readonly isBusy: (cell: C) => boolean
  private readonly cellOf = new Map<string, C>()
  private lastKey: string | undefined = undefined
  private lastCell: C | undefined = undefined
  private calls = 0

  constructor(settings: KeyedSettings, make: (key: string, now: number) => C, isBusy: (cell: C) => boolean) {
    this.settings = settings
    this.make = make
    this.isBusy = isBusy
  }

  get size(): number {
    return this.cellOf.size
  }

  /** The state of a key, made on first use. */
  get(key: string, now: number): C {
    let cell = key === this.lastKey ? this.lastCell : this.cellOf.get(key)
    if (cell === undefined) {
      this.evict(now, this.settings.maxKeys - 1, undefined)
      cell = this.make(key, now)
      this.cellOf.set(key, cell)
    } else {
      if (cell.touchedAt < now) cell.touchedAt = now
      if (++this.calls % period === 0) this.evict(now, this.settings.maxKeys, cell)
    }
    this.lastKey = key
    this.lastCell = cell
    return cell
  }

  /** The state of a key, if there is one; asking does not keep it alive. */
  peek(key: string): C | undefined {
    return this.cellOf.get(key)
  }

  entries(): IterableIterator<[string, C]> {
    return this.cellOf.entries()
  }
  cells(): IterableIterator<C> {
    return this.cellOf.values()
  }

  /** Forgets what is idle, and what is more than `most`; never `current`, which is about to be used. */
  private evict(now: number, most: number, current: C | undefined): void {
    let looked = 0
    for (const [key, cell] of this.cellOf) {
      const excess = this.cellOf.size - most
      // Places are taken in the order of time: no cell further on has gone unlooked at for longer.
      if (excess <= 0 && now - cell.placedAt < this.settings.idleMillis) return
      this.cellOf.delete(key)
      const lastChance = ++looked === stride
      const idle = now - cell.touchedAt >= this.settings.idleMillis
      // More than one too many: busy cells stood in the way before, and a second chance would let the map grow for ever.
      const spared = excess <= 0 || (excess === 1 && !lastChance && cell.touchedAt > cell.placedAt)
      if (cell === current || this.isBusy(cell) || (!idle && spared)) {
        cell.placedAt = now
        this.cellOf.set(key, cell)
      }
      if (lastChance) return
    }
  }
}

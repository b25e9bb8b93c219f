/**
 * A bounded map from a key to the state a gate keeps for it. Idle state is forgotten, and when the map is full the
 * least recently used goes first (second-chance order). No call pays for a sweep: each looks at a few entries at most.
 */

export interface Cell {
  /** When the cell was last asked for; a time to come keeps it from being idle until then. */
  touchedAt: number
  /** When the cell took its present place in the order of eviction. */
  placedAt: number
}

export interface KeyedOptions {
  /** How many keys are remembered; keys in use may exceed it. */
  readonly maxKeys: number
  /** Milliseconds after which an unused key is forgotten. */
  readonly idleMillis: number
}

/** How many entries one call may look at. */
const stride = 4
/** Every how many calls idle entries are looked for, when no key is new. */
const period = 64

export class Keyed<C extends Cell> {
  private readonly options: KeyedOptions
  private readonly make: (key: string, now: number) => C
  private readonly isBusy: (cell: C) => boolean
  private readonly cells = new Map<string, C>()
  private lastKey: string | undefined = undefined
  private lastCell: C | undefined = undefined
  private calls = 0

  constructor(options: KeyedOptions, make: (key: string, now: number) => C, isBusy: (cell: C) => boolean) {
    this.options = options
    this.make = make
    this.isBusy = isBusy
  }

  get size(): number {
    return this.cells.size
  }

  /** The state of a key, made on first use. */
  get(key: string, now: number): C {
    let cell = key === this.lastKey ? this.lastCell : this.cells.get(key)
    if (cell === undefined) {
      this.evict(now, this.options.maxKeys - 1, undefined)
      cell = this.make(key, now)
      this.cells.set(key, cell)
    } else {
      if (cell.touchedAt < now) cell.touchedAt = now
      if (++this.calls % period === 0) this.evict(now, this.options.maxKeys, cell)
    }
    this.lastKey = key
    this.lastCell = cell
    return cell
  }

  /** The state of a key, if there is one; asking does not keep it alive. */
  peek(key: string): C | undefined {
    return this.cells.get(key)
  }

  entries(): IterableIterator<[string, C]> {
    return this.cells.entries()
  }

  /** Forgets what is idle, and what is more than `most`; never `current`, which is about to be used. */
  private evict(now: number, most: number, current: C | undefined): void {
    let looked = 0
    for (const [key, cell] of this.cells) {
      const excess = this.cells.size - most
      // Places are taken in the order of time: no cell further on has gone unlooked at for longer.
      if (excess <= 0 && now - cell.placedAt < this.options.idleMillis) return
      this.cells.delete(key)
      const lastChance = ++looked === stride
      const idle = now - cell.touchedAt >= this.options.idleMillis
      // More than one too many: busy cells stood in the way before, and a second chance would let the map grow for ever.
      const spared = excess <= 0 || (excess === 1 && !lastChance && cell.touchedAt > cell.placedAt)
      if (cell === current || this.isBusy(cell) || (!idle && spared)) {
        cell.placedAt = now
        this.cells.set(key, cell)
      }
      if (lastChance) return
    }
  }
}

/**
 * A bounded map from a key to the state a gate keeps for it. Idle state is forgotten, and when the map is full the
 * least recently used goes first (second-chance order). No call pays for a sweep: each looks at a few entries at most.
 */

export interface Cell {
  /** When the cell was last asked for. */
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
      this.evict(now)
      cell = this.make(key, now)
      this.cells.set(key, cell)
    } else if (++this.calls % period === 0) {
      this.evict(now)
    }
    cell.touchedAt = now
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

  private evict(now: number): void {
    let looked = 0
    for (const [key, cell] of this.cells) {
      const full = this.cells.size >= this.options.maxKeys
      const idle = now - cell.touchedAt >= this.options.idleMillis
      if (!full && !idle) return
      this.cells.delete(key)
      const lastChance = ++looked === stride
      if (this.isBusy(cell) || (!idle && !lastChance && cell.touchedAt > cell.placedAt)) {
        cell.placedAt = now
        this.cells.set(key, cell)
      } else if (key === this.lastKey) {
        this.lastKey = this.lastCell = undefined
      }
      if (lastChance) return
    }
  }
}

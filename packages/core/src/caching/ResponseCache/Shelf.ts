/**
 * The entries of a cache, bounded by number and by size, and evicted by SIEVE (Zhang et al., NSDI 2024). A hand walks
 * from the oldest entry to the youngest and evicts the first that was not used since its last pass. A hit moves
 * nothing. Entries are stored as columns of a table, and rebuilt on use.
 */
import { KeyTable, none } from "../../structures/KeyTable.ts"
import { Entry, type Kept } from "./Entry.ts"

/** Number of entries the hand may skip for one eviction, so that none causes a pause. Our own judgement. */
const longestWalk = 64

const bytes = 0
const at = 1
const freshMillis = 2
const quietUntil = 3
/** 1 if the entry was used since the hand's last pass, else 0. */
const isVisited = 4
const columns = 5

export class Shelf<A, E> {
  private readonly maxEntries: number
  private readonly maxBytes: number
  private readonly onEvict: (entry: Entry<A, E>) => void
  private readonly table = new KeyTable<Kept<A, E>>(columns)
  private hand = none
  private total = 0

  constructor(maxEntries: number, maxBytes: number, onEvict: (entry: Entry<A, E>) => void) {
    this.maxEntries = maxEntries
    this.maxBytes = maxBytes
    this.onEvict = onEvict
  }

  get count(): number {
    return this.table.size
  }
  /** The total size of all entries. */
  get size(): number {
    return this.total
  }
  /** The entry of a key; reading it counts as a use. */
  get(key: string): Entry<A, E> | undefined {
    const slot = this.table.find(key)
    if (slot === none) return undefined
    this.table.setNumber(slot, isVisited, 1)
    return this.entry(slot)
  }
  /** Stores an entry in place of any other of its key; `false` when it is larger than the whole shelf. */
  put(entry: Entry<A, E>): boolean {
    this.delete(entry.key)
    if (entry.bytes > this.maxBytes) return false
    while (this.count >= this.maxEntries || this.total + entry.bytes > this.maxBytes) this.evict()
    const slot = this.table.add(entry.key, entry.kept)
    this.table.setNumber(slot, bytes, entry.bytes)
    this.table.setNumber(slot, at, entry.at)
    this.table.setNumber(slot, freshMillis, entry.freshMillis)
    this.table.setNumber(slot, quietUntil, entry.quietUntil)
    this.table.setNumber(slot, isVisited, 0)
    this.total += entry.bytes
    return true
  }
  /** Blocks background calls for an entry until a time. */
  quiet(key: string, until: number): void {
    const slot = this.table.find(key)
    if (slot !== none) this.table.setNumber(slot, quietUntil, until)
  }
  /** Removes and returns the entry of a key. */
  delete(key: string): Entry<A, E> | undefined {
    const slot = this.table.find(key)
    return slot === none ? undefined : this.take(slot)
  }
  clear(): void {
    this.table.clear()
    this.hand = none
    this.total = 0
  }

  private entry(slot: number): Entry<A, E> {
    const { table } = this
    return new Entry(
      table.key(slot),
      table.value(slot),
      table.number(slot, bytes),
      table.number(slot, at),
      table.number(slot, freshMillis),
      table.number(slot, quietUntil)
    )
  }
  private take(slot: number): Entry<A, E> {
    const entry = this.entry(slot)
    if (this.hand === slot) this.hand = this.table.newer(slot)
    this.table.remove(slot)
    this.total -= entry.bytes
    return entry
  }
  private evict(): void {
    const { table } = this
    let slot = this.hand === none ? table.oldest : this.hand
    for (let passed = 0; table.number(slot, isVisited) === 1 && passed < longestWalk; passed++) {
      table.setNumber(slot, isVisited, 0)
      slot = table.newer(slot) === none ? table.oldest : table.newer(slot)
    }
    this.hand = slot
    this.onEvict(this.take(slot))
  }
}

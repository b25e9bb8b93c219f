/** The entries of this process, with their tags. */
import type * as Random from "effect/Random"
import type { Provenance } from "../../Provenance.ts"
import type { CachedAnswer } from "../ResponseCache.ts"
import { Described, Entry, type Failed, type Kept, type Origin } from "./Entry.ts"
import type { Settled } from "./Flight.ts"
import type { Settings } from "./Settings.ts"
import { Shelf } from "./Shelf.ts"

export class Entries<A, E> {
  /** Number of entries evicted before they expired. */
  evictions = 0
  private readonly jitter: number
  private readonly random: typeof Random.Random.Service
  private readonly shelf: Shelf<A, E>
  private readonly keysOf = new Map<string, Set<string>>()

  constructor({ jitter, maxBytes, maxEntries }: Settings, random: typeof Random.Random.Service) {
    this.jitter = jitter
    this.random = random
    this.shelf = new Shelf(maxEntries, maxBytes, (entry) => {
      this.evictions++
      this.untag(entry)
    })
  }

  get count(): number {
    return this.shelf.count
  }
  /** The total size of all entries. */
  get size(): number {
    return this.shelf.size
  }
  get(key: string): Entry<A, E> | undefined {
    return this.shelf.get(key)
  }
  /** The keys of the entries with a tag. */
  tagged(tag: string): ReadonlyArray<string> {
    return [...this.keysOf.get(tag) ?? []]
  }

  /** Keeps an answer that the vendor gave at a time. An origin other than the vendor, just now, is kept with it. */
  keep(key: string, answer: Settled<A>, at: number, provenance: Provenance): void {
    this.put(key, keptOf(answer, provenance), answer, at, answer.fresh)
  }
  /** Keeps a declared error for a while. */
  keepFailure(key: string, failed: Failed<E>, at: number, lifeMillis: number): void {
    this.put(key, failed, undefined, at, lifeMillis)
  }
  drop(key: string): void {
    const entry = this.shelf.delete(key)
    if (entry !== undefined) this.untag(entry)
  }
  /** Blocks background calls for an entry until a time. */
  quiet(key: string, until: number): void {
    this.shelf.quiet(key, until)
  }
  clear(): void {
    this.shelf.clear()
    this.keysOf.clear()
  }

  private put(
    key: string,
    kept: Kept<A, E>,
    answer: CachedAnswer<A> | undefined,
    at: number,
    lifeMillis: number
  ): void {
    this.drop(key)
    const freshMillis = lifeMillis * (1 - this.jitter * this.random.nextDoubleUnsafe())
    if (!this.shelf.put(new Entry(key, kept, answer?.bytes ?? 0, at, freshMillis))) return
    for (const tag of answer?.tags ?? []) {
      const keys = this.keysOf.get(tag)
      if (keys === undefined) this.keysOf.set(tag, new Set([key]))
      else keys.add(key)
    }
  }
  private untag(entry: Entry<A, E>): void {
    for (const tag of entry.tags) {
      const keys = this.keysOf.get(tag)
      keys?.delete(entry.key)
      if (keys?.size === 0) this.keysOf.delete(tag)
    }
  }
}

const keptOf = <A>({ isLoose, tags = [], validator, value }: Settled<A>, provenance: Provenance): A | Described<A> => {
  const origin = isOrigin(provenance) ? provenance : undefined
  return validator === undefined && tags.length === 0 && origin === undefined && !isLoose
    ? value
    : new Described(value, validator, tags, origin, isLoose)
}

const isOrigin = (provenance: Provenance): provenance is Origin =>
  provenance._tag === "Stale" || provenance._tag === "Fallback"

/**
 * A map bounded by entries and by size. What goes first is decided by SIEVE (Zhang et al., NSDI 2024): a hand walks from
 * the oldest entry to the youngest and takes the first that was not asked for since it came by. A hit moves nothing.
 */

/** How many entries the hand may pass over for one eviction, so that none is a pause (ours). */
const longestWalk = 64

interface Book<V> {
  readonly key: string
  readonly value: V
  readonly size: number
  /** Whether it was asked for since the hand came by. */
  isVisited: boolean
  newer: Book<V> | undefined
  older: Book<V> | undefined
}

export class Shelf<V> {
  private readonly maxEntries: number
  private readonly maxSize: number
  private readonly onEvict: (value: V) => void
  private readonly books = new Map<string, Book<V>>()
  private newest: Book<V> | undefined = undefined
  private oldest: Book<V> | undefined = undefined
  private hand: Book<V> | undefined = undefined
  private total = 0

  constructor(maxEntries: number, maxSize: number, onEvict: (value: V) => void) {
    this.maxEntries = maxEntries
    this.maxSize = maxSize
    this.onEvict = onEvict
  }

  get count(): number {
    return this.books.size
  }
  /** The sizes of all entries. */
  get size(): number {
    return this.total
  }
  /** The entry of a key, which counts as asked for. */
  get(key: string): V | undefined {
    const book = this.books.get(key)
    if (book === undefined) return undefined
    book.isVisited = true
    return book.value
  }
  /** Puts an entry in the place of any other of its key; `false` when it is larger than the whole shelf. */
  put(key: string, value: V, size: number): boolean {
    this.delete(key)
    if (size > this.maxSize) return false
    while (this.books.size >= this.maxEntries || this.total + size > this.maxSize) this.evict()
    const book: Book<V> = { key, value, size, isVisited: false, newer: undefined, older: this.newest }
    this.books.set(key, book)
    this.total += size
    if (this.newest === undefined) this.oldest = book
    else this.newest.newer = book
    this.newest = book
    return true
  }
  /** Takes the entry of a key away. */
  delete(key: string): V | undefined {
    const book = this.books.get(key)
    if (book === undefined) return undefined
    this.books.delete(key)
    this.total -= book.size
    if (this.hand === book) this.hand = book.newer
    if (book.newer === undefined) this.newest = book.older
    else book.newer.older = book.older
    if (book.older === undefined) this.oldest = book.newer
    else book.older.newer = book.newer
    return book.value
  }
  clear(): void {
    this.books.clear()
    this.newest = this.oldest = this.hand = undefined
    this.total = 0
  }

  private evict(): void {
    let book = this.hand ?? this.oldest!
    for (let passed = 0; book.isVisited && passed < longestWalk; passed++) {
      book.isVisited = false
      book = book.newer ?? this.oldest!
    }
    this.hand = book.newer
    this.delete(book.key)
    this.onEvict(book.value)
  }
}

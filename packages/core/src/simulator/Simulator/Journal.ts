/** A journal of the requests to a simulator, in order. All are counted, and the latest are kept whole. */

export interface JournalEntry {
  /** The time of arrival, as ISO 8601. */
  readonly at: string
  readonly method: string
  /** The path without its query. */
  readonly path: string
  /** The operation of the contract; `undefined` if no operation matches. */
  readonly operation: string | undefined
  /** The status of the response; `null` if there was none, or none yet. */
  status: number | null
}

/** The number of requests kept whole. */
const kept = 10_000

export class Journal {
  private entries: Array<JournalEntry> = []
  private total = 0

  get count(): number {
    return this.total
  }
  /** The latest requests, oldest first; up to ten thousand. */
  get requests(): ReadonlyArray<JournalEntry> {
    return this.entries
  }
  add(entry: JournalEntry): void {
    this.total++
    this.entries.push(entry)
    // Dropped in chunks, so a long run does not shift an array at every request.
    if (this.entries.length >= 2 * kept) this.entries = this.entries.slice(-kept)
  }
  clear(): void {
    this.entries = []
    this.total = 0
  }
}

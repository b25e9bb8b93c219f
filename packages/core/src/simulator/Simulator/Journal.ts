/** Every request a simulator has received, in order; the latest are kept whole, all are counted. */

export interface JournalEntry {
  /** When it came, as ISO 8601. */
  readonly at: string
  readonly method: string
  /** Without its query. */
  readonly path: string
  /** The operation of the contract; `undefined` when there is none for it. */
  readonly operation: string | undefined
  /** What was answered; `null` when nothing was, or not yet. */
  status: number | null
}

/** Requests that are kept whole (ours). */
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
    // Dropped in chunks, so that a long run does not shift an array at every request.
    if (this.entries.length >= 2 * kept) this.entries = this.entries.slice(-kept)
  }
  clear(): void {
    this.entries = []
    this.total = 0
  }
}

/**
 * Vocabulary of the bench, the same for all suites. A suite runs in its own process, so that no suite warms or clutters
 * another. All its comparisons are made inside that process.
 */

/** One comparison. Lower is better on both sides, so that a bar is always the largest ratio that holds. */
export interface Row {
  /** The name of the comparison, without the peer's name when the peer is a plain baseline; unique in its suite. */
  readonly name: string
  /** The unit per operation: "ns CPU", "ms", "bytes", "calls". */
  readonly unit: string
  readonly ours: number
  /** `NaN` where the peer's server is not installed; then `ratio` is too. */
  readonly peer: number
  /** `ours / peer`, the median of the rounds' own ratios where there are rounds. */
  readonly ratio: number
  /** The middle half of the rounds' ratios, where there are rounds. */
  readonly spread?: readonly [low: number, high: number] | undefined
  /** The largest ratio allowed; "10 times cheaper" is 0.1. Absent for a comparison without a bar. */
  readonly bar?: number | undefined
}

interface Picture {
  /** The file's name in `docs/benchmarks/`, with `.svg`. */
  readonly file: string
  readonly caption: string
  readonly svg: string
}

export interface Findings {
  readonly rows: ReadonlyArray<Row>
  /** Markdown under the table: settings of the peers, and what a ratio cannot say (percentiles, pauses, counts). */
  readonly notes?: ReadonlyArray<string> | undefined
  readonly pictures?: ReadonlyArray<Picture> | undefined
}

export interface Suite {
  readonly title: string
  /** The suite's question and its method: two or three sentences of markdown. */
  readonly about: string
  /**
   * In how many processes it runs, one after the other; of each row the middle one is told. For comparisons that come down
   * to what the engine makes of the code, which differs from process to process. @default 1
   */
  readonly processes?: number | undefined
  /** `quick` asks for a smoke run: few rounds, no bars promised. */
  run(options: { readonly quick: boolean }): Promise<Findings>
}

/** `undefined` where nothing is promised, or the peer's server is not installed. */
export const holds = (row: Row): boolean | undefined =>
  row.bar === undefined || Number.isNaN(row.ratio) ? undefined : row.ratio <= row.bar

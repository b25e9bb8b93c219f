/** The options of a cache, in the units used internally. */
export interface Settings {
  readonly vendor: string
  readonly operation: string
  /** How long a call may take, if its caller does not have less time. */
  readonly deadlineMillis: number
  readonly freshMillis: number
  readonly revalidateMillis: number
  readonly errorMillis: number
  readonly softMillis: number
  readonly negativeMillis: number
  readonly eager: number
  readonly jitter: number
  readonly maxEntries: number
  readonly maxBytes: number
  readonly failurePauseMillis: number
}

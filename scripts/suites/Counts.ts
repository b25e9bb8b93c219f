/** The last line of a suite, `N passed, N failed, N skipped`, and the sum of several. */
export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

export const none: Counts = { passed: 0, failed: 0, skipped: 0 }

export const add = (a: Counts, b: Counts): Counts => ({
  passed: a.passed + b.passed,
  failed: a.failed + b.failed,
  skipped: a.skipped + b.skipped
})

export const lineOf = ({ failed, passed, skipped }: Counts): string =>
  `${passed} passed, ${failed} failed, ${skipped} skipped`

/** The counts of a line; `undefined` when it is any other line. */
export const parse = (line: string): Counts | undefined => {
  const found = /^(\d+) passed, (\d+) failed, (\d+) skipped$/.exec(line)
  return found === null
    ? undefined
    : { passed: Number(found[1]), failed: Number(found[2]), skipped: Number(found[3]) }
}

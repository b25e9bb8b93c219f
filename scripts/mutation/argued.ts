/**
 * Mutants that no test can kill, each with the reason: the changed product does the same as the product. A drawn mutant is one of
 * these when its file and its changed lines are the same. A test says which of them no longer apply.
 */
import type { Drawn } from "./draw.ts"

export interface Argued {
  /** Relative to the root of the repository. */
  readonly file: string
  /** The changed lines as one line, before and after. */
  readonly from: string
  readonly to: string
  /** Why nobody can tell the two apart. */
  readonly because: string
}

export const argued: ReadonlyArray<Argued> = [
  {
    file: "packages/core/src/stack/Stack/AttemptRing.ts",
    from: "private blockedMillis = 0",
    to: "private blockedMillis = 1",
    because: "it is read only while the leaf runs, and set when the leaf starts"
  }
]

/** The reason for which a mutant is expected to survive; `undefined` without one. */
export const reasonFor = ({ file, from, to }: Pick<Drawn, "file" | "from" | "to">): string | undefined =>
  argued.find((known) => known.file === file && known.from === from && known.to === to)?.because

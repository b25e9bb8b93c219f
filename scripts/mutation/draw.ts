/** Draws changes of sources at random, the same ones for the same seed and sources. */
import { createHash } from "node:crypto"
import { changed, type Point, pointsOf } from "./points.ts"

export interface Source {
  /** Relative to the root of the repository. */
  readonly file: string
  readonly text: string
}

/** A mutant that was drawn: a source with one change. */
export interface Drawn extends Point {
  readonly file: string
  /** The line of the change, counted from 1. */
  readonly line: number
  /** The changed lines before and after, each as one line. */
  readonly from: string
  readonly to: string
  /** The changed source. */
  readonly source: string
}

/** Every mutant of some sources. */
export const mutantsOf = (sources: ReadonlyArray<Source>): ReadonlyArray<Drawn> =>
  sources.flatMap(({ file, text }) =>
    pointsOf(text).map((point): Drawn => {
      const source = changed(text, point)
      const first = text.lastIndexOf("\n", point.start - 1) + 1
      const last = text.indexOf("\n", point.end)
      const after = text.length - (last < 0 ? text.length : last)
      return {
        ...point,
        file,
        line: text.slice(0, point.start).split("\n").length,
        from: oneLine(text.slice(first, text.length - after)),
        to: oneLine(source.slice(first, source.length - after)),
        source
      }
    })
  )

/** The same items in the order of a seed. */
export function* shuffled<A>(seed: string, items: ReadonlyArray<A>): IterableIterator<A> {
  const left = items.slice()
  for (let drawn = 0; left.length > 0; drawn++) {
    // Six bytes of a hash are a number below 2^48, which is exact and even enough.
    const random = createHash("sha256").update(`${seed}/${drawn}`).digest().readUIntBE(0, 6)
    yield left.splice(random % left.length, 1)[0]!
  }
}

/** The name of a mutant: its place, and what was changed. */
export const nameOf = ({ file, from, line, operator, to }: Drawn): string =>
  `${file.replace(/^packages\/core\/src\//, "")}:${line} ${operator}: ${clipped(from, to)} → ${clipped(to, from)}`

const oneLine = (text: string): string => text.trim().replaceAll(/\s+/g, " ")

/** The part of a line in which it differs from another, with some words around it. */
const clipped = (line: string, other: string): string => {
  const around = 24
  let begin = 0
  while (begin < line.length && line[begin] === other[begin]) begin++
  let end = 0
  while (end < Math.min(line.length, other.length) - begin && line.at(-1 - end) === other.at(-1 - end)) end++
  const from = Math.max(0, begin - around)
  const to = Math.min(line.length, line.length - end + around)
  return `\`${from > 0 ? "…" : ""}${line.slice(from, to)}${to < line.length ? "…" : ""}\``
}

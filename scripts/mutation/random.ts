/**
 * Draws mutants of core at random and runs the tests that reach them: `node scripts/mutation/random.ts`. By default 100 of the
 * folders `policies/`, `stack/`, `caching/`, `client/` and `fleet/`, over three seeds: the last three commits. A mutant that does
 * not compile is replaced by the next one, so all that count do compile. Options:
 *
 * - `--seed TEXT`: a seed, as often as wanted
 * - `--count NUMBER`: mutants in all
 * - `--in PATH`: a folder or file of `packages/core/src`, as often as wanted; `--in .` is all of core
 * - `--list`: shows the mutants, and runs no test
 * - `--json FILE`: writes the table
 *
 * Ends well if at least 95 of 100 are killed and at most 3 of 100 are argued (`argued.ts`).
 */
import { globSync, writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { run as runProgram } from "../run.ts"
import { lineOf } from "../suites/Counts.ts"
import { reasonFor } from "./argued.ts"
import { checker } from "./compiles.ts"
import { type Drawn, mutantsOf, nameOf, shuffled } from "./draw.ts"
import { read, root } from "./mutants.ts"
import { importsOf, testsOf } from "./reach.ts"
import * as Trial from "./trial.ts"

interface Row {
  readonly seed: string
  readonly mutant: string
  readonly result: "killed" | "argued" | "survived"
  /** The test that noticed it, or the reason why none can. */
  readonly by: string
  readonly seconds: number
}

const core = "packages/core/src/"
const { values } = parseArgs({
  options: {
    seed: { type: "string", multiple: true },
    count: { type: "string", default: "100" },
    in: { type: "string", multiple: true, default: ["policies", "stack", "caching", "client", "fleet"] },
    list: { type: "boolean", default: false },
    json: { type: "string" }
  }
})
const seeds = values.seed ?? runProgram("git", ["log", "-3", "--format=%H"]).trim().split("\n")
const count = Number(values.count)
if (!Number.isInteger(count) || count < 1) throw new Error(`--count must be a whole number of at least 1, got ${count}`)

const sources = values.in
  .flatMap((path) =>
    path.endsWith(".ts") ? [core + path] : globSync(`${path}/**/*.ts`, { cwd: root + core }).map((file) => core + file)
  )
  .toSorted()
  .map((file) => ({ file, text: read(file) }))
const all = mutantsOf(sources)
const out = (line: string) => void process.stdout.write(`${line}\n`)
out(`${all.length} mutants in ${sources.length} files; ${count} of them are drawn`)

/** The mutants of each seed, as many of one as of another, and none twice. */
const drawn = (): ReadonlyArray<readonly [seed: string, mutant: Drawn]> => {
  using check = checker()
  if (!check.compiles(sources[0]!.file, sources[0]!.text)) throw new Error("the product as it is does not compile")
  const seen = new Set<Drawn>()
  let refused = 0
  const mutants = seeds.flatMap((seed, index) => {
    const own: Array<readonly [string, Drawn]> = []
    const wanted = Math.ceil((count - index) / seeds.length)
    for (const mutant of shuffled(seed, all)) {
      if (own.length === wanted) break
      if (seen.has(mutant)) continue
      seen.add(mutant)
      if (check.compiles(mutant.file, mutant.source)) own.push([seed, mutant])
      else refused++
    }
    return own
  })
  out(`${refused} others do not compile`)
  return mutants
}

const judged = async (seed: string, mutant: Drawn, tests: ReadonlyArray<string>): Promise<Row> => {
  const because = reasonFor(mutant)
  const row = { seed, mutant: nameOf(mutant) }
  if (because !== undefined) return { ...row, result: "argued", by: because, seconds: 0 }
  const { killer, of, ran, seconds } = await Trial.run(mutant, tests)
  return {
    ...row,
    result: killer === undefined ? "survived" : "killed",
    by: killer === undefined ? `${ran} of ${of} files that reach it` : `${killer.file}: ${killer.test}`,
    seconds: Math.round(seconds)
  }
}

const mutants = drawn()
const imports = importsOf()
const rows: Array<Row> = []
const killers = new Set<string>()
for (const [seed, mutant] of mutants) {
  if (values.list) {
    out(nameOf(mutant))
    continue
  }
  const row = await judged(seed, mutant, testsOf(imports, mutant.file))
  rows.push(row)
  if (row.result === "killed") killers.add(row.by.split(":")[0]!)
  out(`${row.result.padEnd(8)} ${row.seed.slice(0, 10)} ${row.mutant}\n         ${row.by} (${row.seconds} s)`)
}

if (!values.list) {
  // What fails without a change has noticed nothing.
  const { killer } = await Trial.run(undefined, [...killers].toSorted())
  if (killer !== undefined) throw new Error(`${killer.file} fails without a mutant: ${killer.test}`)
  const of = (result: Row["result"]) => rows.filter((row) => row.result === result).length
  const [killed, arguedOnes, survived] = [of("killed"), of("argued"), of("survived")]
  const isGood = killed >= 0.95 * rows.length && arguedOnes <= 0.03 * rows.length
  out(`${killed} of ${rows.length} mutants killed, ${arguedOnes} argued, ${survived} survived`)
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(rows, undefined, 2))
  if (!isGood) process.exitCode = 1
  out(
    lineOf({
      passed: killed,
      failed: isGood ? 0 : Math.max(1, survived),
      skipped: rows.length - killed - (isGood ? 0 : survived)
    })
  )
}

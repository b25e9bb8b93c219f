/**
 * Shows that the tests fail for every known mutant, and only then: `node scripts/mutation/run.ts`. Words after it select the
 * mutants with these words in their names. A removed redaction must be noticed by the leak test, another fault by a test that
 * reaches its file. Fails when a mutant survives or no longer applies.
 */
import { spawn } from "node:child_process"
import { availableParallelism } from "node:os"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { lineOf } from "../suites/Counts.ts"
import { mutants, read, root } from "./mutants.ts"
import { importsOf, testsOf } from "./reach.ts"
import * as Trial from "./trial.ts"
import type { Verdict } from "./worker.ts"

/** `--by=leaks` or `--by=tests` leaves the others out. */
const by = process.argv.find((word) => word.startsWith("--by="))?.slice("--by=".length)
const words = process.argv.slice(2).find((word) => !word.startsWith("--")) ?? ""
const selected = mutants().filter(({ name }) => name.includes(words))
const verdicts: Array<Verdict> = []

const show = ({ found, name, problem }: Verdict): string =>
  name === null
    ? `${found.length === 0 && problem === undefined ? "clean    " : "FAILS    "} the product as it is ${
      problem ?? found.join("; ")
    }`
    : `${found.length === 0 ? "SURVIVED " : "killed   "} ${name}${problem === undefined ? "" : `: ${problem}`}`

const tell = (verdict: Verdict) => {
  verdicts.push(verdict)
  process.stdout.write(`${show(verdict)}\n`)
}

const byLeaks = async (): Promise<void> => {
  const parts = Math.max(1, Math.min(4, availableParallelism()))
  await Promise.all(Array.from({ length: parts }, (_, part) =>
    new Promise<void>((resolve) => {
      const worker = spawn(
        process.execPath,
        [fileURLToPath(new URL("./worker.ts", import.meta.url)), String(part), String(parts), words],
        { cwd: root, stdio: ["ignore", "pipe", "inherit"] }
      )
      createInterface({ input: worker.stdout }).on("line", (line) => tell(JSON.parse(line) as Verdict))
      worker.once("close", (code) => {
        if (code !== 0) process.exitCode = 1
        resolve()
      })
    })))
}

const byTests = async (): Promise<void> => {
  const imports = importsOf()
  const killers = new Set<string>()
  for (const { by, change, file, name } of selected) {
    if (by !== "tests") continue
    const source = change(read(file))
    if (source === undefined) {
      tell({ name, found: [], problem: "the change no longer applies" })
      continue
    }
    const { killer } = await Trial.run({ file, source }, testsOf(imports, file))
    if (killer !== undefined) killers.add(killer.file)
    tell({ name, found: killer === undefined ? [] : [`${killer.file}: ${killer.test}`] })
  }
  // What fails without a change has noticed nothing.
  const { killer } = await Trial.run(undefined, [...killers].toSorted())
  tell({ name: null, found: killer === undefined ? [] : [`${killer.file}: ${killer.test}`] })
}

if (by !== "tests" && selected.some(({ by }) => by !== "tests")) await byLeaks()
if (by !== "leaks" && selected.some(({ by }) => by === "tests")) await byTests()

const killed = verdicts.filter(({ found, name }) => name !== null && found.length > 0).length
const count = verdicts.filter(({ name }) => name !== null).length
const isClean = verdicts.some(({ name }) => name === null) &&
  verdicts.every(({ found, name, problem }) => problem === undefined && (name === null) === (found.length === 0))
process.stdout.write(`${killed} of ${count} mutants killed\n`)
if (!isClean) process.exitCode = 1
process.stdout.write(`${lineOf({ passed: killed, failed: Math.max(count - killed, isClean ? 0 : 1), skipped: 0 })}\n`)

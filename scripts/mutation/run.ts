/**
 * Shows that the leak test fails when any one redaction is removed, and only then: `node scripts/mutation/run.ts`. Words
 * after it select the mutants with these words in their names. Fails when a mutant survives or no longer applies.
 */
import { spawn } from "node:child_process"
import { availableParallelism } from "node:os"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { lineOf } from "../suites/Counts.ts"
import { root } from "./mutants.ts"
import type { Verdict } from "./worker.ts"

const words = process.argv[2] ?? ""
const parts = Math.max(1, Math.min(4, availableParallelism()))
const verdicts: Array<Verdict> = []

const show = ({ found, name, problem }: Verdict): string =>
  name === null
    ? `${found.length === 0 && problem === undefined ? "clean    " : "LEAKS    "} the product as it is ${
      problem ?? found.join("; ")
    }`
    : `${found.length === 0 ? "SURVIVED " : "killed   "} ${name}${problem === undefined ? "" : `: ${problem}`}`

await Promise.all(Array.from({ length: parts }, (_, part) =>
  new Promise<void>((resolve) => {
    const worker = spawn(
      process.execPath,
      [fileURLToPath(new URL("./worker.ts", import.meta.url)), String(part), String(parts), words],
      { cwd: root, stdio: ["ignore", "pipe", "inherit"] }
    )
    createInterface({ input: worker.stdout }).on("line", (line) => {
      const verdict = JSON.parse(line) as Verdict
      verdicts.push(verdict)
      process.stdout.write(`${show(verdict)}\n`)
    })
    worker.once("close", (code) => {
      if (code !== 0) process.exitCode = 1
      resolve()
    })
  })))

const killed = verdicts.filter(({ found, name }) => name !== null && found.length > 0).length
const mutants = verdicts.filter(({ name }) => name !== null).length
const isClean = verdicts.some(({ name }) => name === null) &&
  verdicts.every(({ found, name, problem }) => problem === undefined && (name === null) === (found.length === 0))
process.stdout.write(`${killed} of ${mutants} mutants killed\n`)
if (!isClean) process.exitCode = 1
process.stdout.write(`${lineOf({ passed: killed, failed: Math.max(mutants - killed, isClean ? 0 : 1), skipped: 0 })}\n`)

/**
 * `node scripts/suites.ts TIER [words for vitest]`: runs every step of a tier, one after the other and also after one that
 * failed, and ends with one line, `N passed, N failed, N skipped`, over all of them. Ends with 1 when a step failed.
 */
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Tier } from "../test/setup/Effort.ts"
import { add, type Counts, lineOf, none, parse } from "./suites/Counts.ts"

const root = fileURLToPath(new URL("../", import.meta.url))

interface Step {
  readonly name: string
  readonly command: ReadonlyArray<string>
  /** The first tier that has it. @default "test" */
  readonly from?: Tier
}

const tiers = ["test", "check", "ci", "long"] as const
const [tier = "", ...words] = process.argv.slice(2)
if (!tiers.some((known) => known === tier)) throw new Error(`name a tier: ${tiers.join(", ")}`)

const node = process.execPath
const steps: ReadonlyArray<Step> = [
  { name: "types", command: ["tsc", "-b", "tsconfig.json"] },
  { name: "lint", command: ["oxlint", "--deny-warnings"], from: "check" },
  { name: "Effect's diagnostics", command: [node, "scripts/effectDiagnostics.ts"], from: "check" },
  { name: "format", command: ["dprint", "check"], from: "check" },
  { name: "unused code", command: ["knip"], from: "check" },
  { name: "tarballs", command: [node, "scripts/checkPublished.ts"], from: "check" },
  { name: "costly calls", command: [node, "--expose-gc", "test/bench/regression.ts"], from: "check" },
  { name: "evidence", command: [node, "scripts/evidence.ts"], from: "check" },
  { name: "tests", command: ["vitest", "run", ...words] },
  { name: "known mutants of redaction", command: [node, "scripts/mutation/run.ts", "--by=leaks"], from: "check" },
  { name: "known mutants of faults", command: [node, "scripts/mutation/run.ts", "--by=tests"], from: "long" },
  { name: "drawn mutants", command: [node, "scripts/evidence.ts", "mutants"], from: "long" },
  { name: "bench", command: [node, "scripts/evidence.ts", "bench"], from: "long" }
]

/** Runs a step, shows what it prints but for its own last line, and adds that up. */
const run = ({ command: [program = "", ...args], name }: Step): Promise<Counts> =>
  new Promise((resolve) => {
    process.stdout.write(`\n── ${name}\n`)
    const child = spawn(program, args, {
      cwd: root,
      stdio: ["inherit", "pipe", "inherit"],
      env: {
        ...process.env,
        EFFORT: tier,
        NODE_COMPILE_CACHE: join(root, "test/node_modules/.cache/compiled"),
        PATH: `${join(root, "node_modules/.bin")}${delimiter}${process.env["PATH"]}`
      }
    })
    let counts: Counts | undefined
    let rest = ""
    const show = (line: string, end: string) => {
      const found = parse(line)
      if (found === undefined) process.stdout.write(line + end)
      else counts = add(counts ?? none, found)
    }
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n")
      rest = lines.pop()!
      for (const line of lines) show(line, "\n")
    })
    child.once("error", ({ message }) => process.stdout.write(`${program}: ${message}\n`))
    child.once("close", (code) => {
      if (rest !== "") show(rest, "\n")
      const found = counts ?? none
      // A step that ends badly without a failed test has failed itself.
      resolve(code !== 0 && found.failed === 0 ? add(found, { ...none, failed: 1 }) : found)
    })
  })

/** CPU seconds of all processes that have ended, where the system tells: fields 16 and 17 of proc(5). */
const cpuSeconds = (): string => {
  if (process.platform !== "linux") return ""
  const stat = readFileSync("/proc/self/stat", "utf8")
  const [user, system] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(13, 15).map(Number)
  return `${Math.round((user! + system!) / 100)} CPU seconds, `
}

const began = performance.now()
let total = none
const failed: Array<string> = []
for (const step of steps) {
  if (tiers.indexOf(step.from ?? "test") > tiers.indexOf(tier as Tier)) continue
  const counts = await run(step)
  total = add(total, counts)
  if (counts.failed > 0) failed.push(step.name)
}
if (failed.length > 0) {
  process.stdout.write(`\nfailed: ${failed.join(", ")}`)
  process.exitCode = 1
}
process.stdout.write(`\n${cpuSeconds()}${Math.round((performance.now() - began) / 1_000)} s\n${lineOf(total)}\n`)

/**
 * Evidence is what a long run has found, in `docs/evidence/`: each file names its commit, its machine and its sources.
 * `node scripts/evidence.ts` says which is older than its sources; `node scripts/evidence.ts bench` writes that of the bench, and
 * `node scripts/evidence.ts mutants` that of the mutants drawn at random.
 */
import { spawnSync } from "node:child_process"
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { cpus, tmpdir, totalmem } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export interface Evidence {
  /** The commit that it is about. */
  readonly commit: string
  readonly date: string
  readonly machine: string
  /** What it depends on: paths of git. */
  readonly sources: ReadonlyArray<string>
  readonly rows: ReadonlyArray<unknown>
}

const root = fileURLToPath(new URL("../", import.meta.url))
const folder = `${root}docs/evidence/`

const git = (...words: ReadonlyArray<string>) => {
  const { status, stdout } = spawnSync("git", words, { cwd: root, encoding: "utf8" })
  return status === 0 ? stdout.trim() : undefined
}

/** What has changed of its sources since its commit; `undefined` when git cannot tell. */
export const changedSince = (
  { commit, sources }: Evidence,
  diff = (commit: string, sources: ReadonlyArray<string>) => git("diff", "--name-only", commit, "--", ...sources)
): ReadonlyArray<string> | undefined => diff(commit, sources)?.split("\n").filter((file) => file !== "")

/** What a reader should know of a file of evidence. */
export const verdict = (name: string, { commit }: Evidence, changed: ReadonlyArray<string> | undefined): string => {
  const short = commit.slice(0, 10)
  if (changed === undefined) return `unknown: ${name} is about ${short}, which is not in this repository`
  if (changed.length === 0) return `current: ${name}, about ${short}`
  return `older than its sources: ${name}, about ${short}; ${changed.length} files have changed since`
}

/** Runs a program that writes its table to the file of its last argument, and reads the table. */
const tableOf = (...args: ReadonlyArray<string>): ReadonlyArray<unknown> => {
  const file = join(tmpdir(), `evidence-${process.pid}.json`)
  const { status } = spawnSync(process.execPath, [...args, "--json", file], { cwd: root, stdio: "inherit" })
  if (status !== 0) process.exitCode = 1
  const rows = JSON.parse(readFileSync(file, "utf8")) as ReadonlyArray<unknown>
  rmSync(file)
  return rows
}

const suites: Readonly<
  Record<string, { readonly sources: ReadonlyArray<string>; readonly run: () => ReadonlyArray<unknown> }>
> = {
  bench: {
    sources: ["packages/core/src", "test/bench", "pnpm-lock.yaml"],
    run: () => tableOf("--expose-gc", "test/bench/main.ts")
  },
  mutants: {
    sources: [
      ...["policies", "stack", "caching", "client", "fleet"].map((folder) => `packages/core/src/${folder}`),
      "test/core",
      "test/regressions",
      "scripts/mutation"
    ],
    run: () => tableOf("scripts/mutation/random.ts")
  }
}

const write = (name: string): void => {
  const suite = suites[name]
  if (suite === undefined) throw new Error(`no evidence ${name}: there is ${Object.keys(suites).join(", ")}`)
  mkdirSync(folder, { recursive: true })
  const evidence: Evidence = {
    commit: git("rev-parse", "HEAD") ?? "unknown",
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} × ${cpus()[0]?.model.trim() ?? "unknown"}, ${
      Math.round(totalmem() / 2 ** 30)
    } GiB, Node ${process.versions.node}`,
    sources: suite.sources,
    rows: suite.run()
  }
  writeFileSync(`${folder}${name}.json`, `${JSON.stringify(evidence, undefined, 2)}\n`)
}

if (import.meta.main) {
  const [name] = process.argv.slice(2)
  if (name !== undefined) write(name)
  else {
    for (const file of globSync("*.json", { cwd: folder })) {
      const evidence = JSON.parse(readFileSync(folder + file, "utf8")) as Evidence
      console.log(verdict(file, evidence, changedSince(evidence)))
    }
  }
}

/**
 * Tries a changed source: runs test files on it, one after the other, until a test fails. The change is made in memory, in a
 * process of its own; no file of the repository is written.
 */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import type { Readable } from "node:stream"
import { fileURLToPath } from "node:url"
import { root } from "./mutants.ts"

export interface Trial {
  /** The file that noticed the change, and the test in it; `undefined` when all tests passed. */
  readonly killer: { readonly file: string; readonly test: string } | undefined
  /** Number of files that ran, of those that were to run. */
  readonly ran: number
  readonly of: number
  readonly seconds: number
}

/** What the runner reports, one line of JSON each. */
export type Report =
  | { readonly type: "began"; readonly file: string }
  | { readonly type: "ended"; readonly file: string }
  | { readonly type: "failed"; readonly file: string; readonly test: string }
  | { readonly type: "over" }

/** The variable that names the changed source to the runner. */
export const variable = "BREAKWATER_TRIAL"

/** A file that takes longer hangs, which is a way to notice a change. Files of the quick tier take some seconds. */
const fileMillis = 120_000
/** No further file begins after this time. */
const wholeMillis = 300_000

/** Runs test files, in this order, on a changed source; without one, on the product as it is. */
export const run = async (
  change: { readonly file: string; readonly source: string } | undefined,
  files: ReadonlyArray<string>
): Promise<Trial> => {
  // The runner would take an empty list for all files.
  if (files.length === 0) return { killer: undefined, ran: 0, of: 0, seconds: 0 }
  const began = performance.now()
  const folder = mkdtempSync(join(tmpdir(), "trial-"))
  const trial = join(folder, "trial.json")
  writeFileSync(trial, JSON.stringify({ change, files }))
  const child = spawn(
    process.execPath,
    [join(root, "node_modules/vitest/vitest.mjs"), "run", "--configLoader", "native", "--config", config, ...files],
    {
      cwd: root,
      env: { ...process.env, CI: "1", EFFORT: "test", [variable]: trial },
      // A group of its own, so that its workers end with it.
      detached: true,
      stdio: ["ignore", "ignore", "pipe", "pipe"]
    }
  )
  let errors = ""
  child.stderr!.setEncoding("utf8").on("data", (text: string) => errors = (errors + text).slice(-10_000))
  let killer: Trial["killer"]
  let current: string | undefined
  let ran = 0
  let isOver = false
  let limit: NodeJS.Timeout | undefined
  const stop = () => {
    isOver = true
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL")
  }
  const wait = () => {
    clearTimeout(limit)
    limit = setTimeout(() => {
      killer ??= { file: current ?? files[0]!, test: "(it hangs)" }
      stop()
    }, fileMillis)
  }
  wait()
  createInterface({ input: child.stdio[3] as Readable }).on("line", (line) => {
    if (isOver) return
    const report = JSON.parse(line) as Report
    wait()
    switch (report.type) {
      case "began":
        current = report.file
        if (performance.now() - began > wholeMillis) stop()
        break
      case "ended":
        ran++
        break
      case "failed":
        killer = { file: report.file, test: report.test }
        stop()
        break
      case "over":
        isOver = true
    }
  })
  const onSignal = () => {
    stop()
    process.exit(1)
  }
  const signals = ["SIGINT", "SIGTERM"] as const
  for (const signal of signals) process.once(signal, onSignal)
  await new Promise<void>((resolve) => child.once("close", () => resolve()))
  for (const signal of signals) process.off(signal, onSignal)
  clearTimeout(limit)
  rmSync(folder, { recursive: true, force: true })
  if (!isOver) throw new Error(`the test runner ended early:\n${errors}`)
  return { killer, ran, of: files.length, seconds: (performance.now() - began) / 1_000 }
}

const config = fileURLToPath(new URL("./vitest.config.ts", import.meta.url))

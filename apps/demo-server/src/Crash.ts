/**
 * Crash output without secrets. By default Node prints an uncaught error as it is, and with `--report-uncaught-exception`
 * writes a report with the whole environment, keys included. This module redacts the error and leaves the environment out
 * of the report. A core dump still holds the memory of the process: protect core dumps if you allow them.
 */
import { inspect } from "node:util"
import { printed } from "./RedactedOutput.ts"

/** Handles uncaught errors. The process still ends, with exit code 1. */
export const guard = (): void => {
  process.report.excludeEnv = true
  // The default would print and report the error as it is.
  process.once("uncaughtException", (error) => {
    const text = textOf(error)
    process.stderr.write(`${text}\n`)
    if (process.report.reportOnUncaughtException) process.report.writeReport(bare(text))
    process.exit(1)
  })
}

/** Inspecting a thrown value can itself throw. */
const textOf = (error: unknown): string => {
  try {
    return printed(inspect(error))
  } catch {
    return "an error that cannot be shown"
  }
}

const bare = (text: string): Error => Object.assign(new Error(text.split("\n", 1)[0]), { stack: text })

/**
 * What a crash leaves behind. Node prints the error that nobody caught, and with `--report-uncaught-exception` writes a
 * report with the whole environment, where the keys are. Here the one is printed without secrets, and the other is
 * written without the environment. A core dump holds the memory of the process: whoever allows those has to guard them.
 */
import { inspect } from "node:util"
import { printed } from "./RedactedOutput.ts"

/** Takes over what happens to an error that nobody caught; the process still ends, with exit code 1. */
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

/** What was thrown can throw again when it is looked at. */
const textOf = (error: unknown): string => {
  try {
    return printed(inspect(error))
  } catch {
    return "an error that cannot be shown"
  }
}

const bare = (text: string): Error => Object.assign(new Error(text.split("\n", 1)[0]), { stack: text })

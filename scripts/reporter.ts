/**
 * Ends a test run with the CPU seconds of its most expensive files and one plain line, `N passed, N failed, N skipped`,
 * after all other output.
 */
import type { Reporter, SerializedError, TestModule } from "vitest/node"
import { lineOf } from "./suites/Counts.ts"

/** The number of files in the list of CPU seconds. */
const shown = 10

export default class PlainSummary implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>, errors: ReadonlyArray<SerializedError>) {
    const seconds = modules.map((module) => [module.meta().cpuSeconds ?? 0, module.relativeModuleId] as const)
      .toSorted(([a], [b]) => b - a)
    const total = seconds.reduce((sum, [own]) => sum + own, 0)
    const count = { passed: 0, failed: errors.length, skipped: 0 }
    for (const module of modules) {
      const failedBefore = count.failed
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state !== "pending") count[state]++
      }
      // A file that cannot be loaded, or whose hooks fail, has no failed test.
      if (module.state() === "failed" && count.failed === failedBefore) count.failed++
    }
    process.once("exit", () => {
      process.stdout.write(`${Math.round(total)} CPU seconds in ${modules.length} files; the most in\n`)
      for (const [own, file] of seconds.slice(0, shown)) process.stdout.write(`${own.toFixed(1).padStart(6)} ${file}\n`)
      process.stdout.write(`${lineOf(count)}\n`)
    })
  }
}

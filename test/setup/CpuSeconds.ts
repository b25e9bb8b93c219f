/**
 * Measures the CPU that a test file takes, with the processes it has started and waited for, but without the start of its
 * worker, which other files may share. The reporter prints it.
 */
import { readFileSync } from "node:fs"
import { afterAll } from "vitest"

declare module "vitest" {
  interface TaskMeta {
    cpuSeconds?: number
  }
}

/** Clock ticks a second in `/proc`, on every Linux that Node runs on (`getconf CLK_TCK`). */
const ticks = 100

/** Fields 14 to 17 of `/proc/self/stat` (proc(5)): user and system time, of this process and of its children. */
const ofProcessAndChildren = (): number => {
  const stat = readFileSync("/proc/self/stat", "utf8")
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 15)
  return fields.reduce((sum, field) => sum + Number(field), 0) / ticks
}

const ofProcess = (): number => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1e6
}

const now = process.platform === "linux" ? ofProcessAndChildren : ofProcess
/** This module is evaluated once for each file, before it is loaded. */
const before = now()

// The runner reads the first parameter, which must list fixtures: this hook uses no fixture.
// oxlint-disable-next-line no-empty-pattern
afterAll(({}, { file }) => {
  file.meta.cpuSeconds = now() - before
})

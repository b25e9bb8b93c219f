/**
 * Runs Effect's own diagnostics over the whole project. The checker says "Checked 0 files" and exits 0 when it finds no
 * project, so a run that checked nothing is a failure here.
 */
import { spawnSync } from "node:child_process"

const run = spawnSync(
  "effect-tsgo",
  ["diagnostics", "--project", "tsconfig.json", "--format", "text", "--strict"],
  { encoding: "utf8" }
)
process.stdout.write(run.stdout ?? "")
process.stderr.write(run.stderr ?? "")
const checked = /Checked (\d+) files?/.exec(`${run.stdout}${run.stderr}`)
if (run.status !== 0 || checked === null || Number(checked[1]) === 0) {
  console.error("effect diagnostics failed, or checked nothing")
  process.exit(1)
}

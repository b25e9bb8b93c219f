/** Runs other programs in the repository. */
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../", import.meta.url))

/** Runs a program, and returns its output; throws with all that it printed when it fails. */
export const run = (program: string, args: ReadonlyArray<string>, cwd: string = root): string => {
  const { error, status, stderr, stdout } = spawnSync(program, args, { cwd, encoding: "utf8", maxBuffer: 2 ** 26 })
  if (status === 0) return stdout
  throw new Error(`${[program, ...args].join(" ")} failed:\n${error?.message ?? stdout + stderr}`)
}

/** Runs the project's own version of pnpm. */
export const pnpm = (args: ReadonlyArray<string>, cwd: string = root): string =>
  run("npx", ["-y", "pnpm@12.21.0", ...args], cwd)

/** The program of a package that is installed at the root. */
export const installed = (program: string): string => join(root, "node_modules/.bin", program)

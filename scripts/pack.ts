/** Builds the published packages from nothing, and packs them as `pnpm publish` would. */
import { spawnSync } from "node:child_process"
import { globSync, mkdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { bundle, published } from "./bundle.ts"

const root = fileURLToPath(new URL("../", import.meta.url))

/** Runs a program in the repository, and shows its output only when it fails. */
export const run = (program: string, args: ReadonlyArray<string>, cwd: string = root): void => {
  const { error, status, stderr, stdout } = spawnSync(program, args, { cwd, encoding: "utf8", maxBuffer: 2 ** 26 })
  if (status === 0) return
  throw new Error(`${[program, ...args].join(" ")} failed:\n${error?.message ?? stdout + stderr}`)
}

/** The program of a package that is installed at the root. */
export const installed = (program: string): string => join(root, "node_modules/.bin", program)

/** The paths of the tarballs: core, vendors, the command. */
export const pack = async (directory: string): Promise<ReadonlyArray<string>> => {
  // Otherwise the declarations of a deleted module would stay.
  for (const name of published) rmSync(join(root, "packages", name, "dist"), { recursive: true, force: true })
  run(installed("tsc"), ["-b", "tsconfig.build.json"])
  for (const name of published) await bundle(name)
  mkdirSync(directory, { recursive: true })
  for (const tarball of globSync("*.tgz", { cwd: directory })) rmSync(join(directory, tarball))
  return published.map((name) => {
    run("npx", ["-y", "pnpm@12.21.0", "pack", "--pack-destination", directory], join(root, "packages", name))
    return join(directory, globSync(`breakwater-${name}-*.tgz`, { cwd: directory })[0]!)
  })
}

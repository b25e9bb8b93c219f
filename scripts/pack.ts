/** Builds the published packages from nothing, and packs them as `pnpm publish` would. */
import { globSync, mkdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { bundle, published } from "./bundle.ts"
import { installed, pnpm, run } from "./run.ts"

const root = fileURLToPath(new URL("../", import.meta.url))

/** The paths of the tarballs: core, vendors, the command. */
export const pack = async (directory: string): Promise<ReadonlyArray<string>> => {
  // Otherwise the declarations of a deleted module would stay.
  for (const name of published) rmSync(join(root, "packages", name, "dist"), { recursive: true, force: true })
  run(installed("tsc"), ["-b", "tsconfig.build.json"])
  for (const name of published) await bundle(name)
  mkdirSync(directory, { recursive: true })
  for (const tarball of globSync("*.tgz", { cwd: directory })) rmSync(join(directory, tarball))
  return published.map((name) => {
    pnpm(["pack", "--pack-destination", directory], join(root, "packages", name))
    return join(directory, globSync(`breakwater-${name}-*.tgz`, { cwd: directory })[0]!)
  })
}

/**
 * `node scripts/installed.ts DIRECTORY`: installs the packages as their users have them, `DIRECTORY/node_modules/@breakwater/core`
 * and the others, without packing or a registry. Tests and benchmarks import them from there. Required packages are linked,
 * optional ones are left out.
 */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { bundle, packageJsonOf, published } from "./bundle.ts"

const core = fileURLToPath(new URL("../packages/core/node_modules/", import.meta.url))

const install = async (directory: string): Promise<void> => {
  const modules = join(directory, "node_modules")
  rmSync(modules, { recursive: true, force: true })
  for (const name of published) {
    const { publishConfig, ...packageJson } = packageJsonOf(name)
    const folder = join(modules, packageJson.name)
    await bundle(name, join(folder, "dist/bundle"))
    writeFileSync(join(folder, "package.json"), JSON.stringify({ ...packageJson, ...publishConfig }, undefined, 2))
  }
  for (const name of ["effect", "undici"]) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(core, name), join(modules, name), "junction")
  }
}

const [directory] = process.argv.slice(2)
if (directory === undefined) throw new Error("the directory is missing; use: node scripts/installed.ts DIRECTORY")
await install(directory)

/**
 * `node scripts/installed.ts DIRECTORY`: the packages as their users have them, `DIRECTORY/node_modules/@breakwater/core` and
 * the others, without packing and a registry. Tests and benchmarks import them from there. Packages that ours need are linked;
 * those that are optional are not there.
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
if (directory === undefined) throw new Error("say where: node scripts/installed.ts DIRECTORY")
await install(directory)

/**
 * `npm run release`: sets the next version and the changelogs of the packages, builds, packs and checks them, and stops. It
 * publishes nothing, but prints the tarballs and the commands to publish them. `npm run release -- --as-is` leaves versions
 * and changelogs as they are.
 */
import { execFileSync } from "node:child_process"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { relative } from "node:path"
import { fileURLToPath } from "node:url"
import { packageJsonOf, published } from "./bundle.ts"
import * as Changes from "./changes.ts"
import { check } from "./checkPublished.ts"
import { pack } from "./pack.ts"
import { installed, run } from "./run.ts"

const root = fileURLToPath(new URL("../", import.meta.url))
const git = (...args: ReadonlyArray<string>) => execFileSync("git", args, { cwd: root, encoding: "utf8" })
const packages = published.map((folder) => ({ folder, ...packageJsonOf(folder) }))
const versions = new Set(packages.map(({ version }) => version))

/** Writes versions and changelogs, and removes the changes that are in them. */
const bump = (version: string): string => {
  const changes = Changes.read(`${root}.changeset`, packages.map(({ name }) => name))
  if (changes.length === 0) throw new Error("no change to release: add a file to .changeset, or pass --as-is")
  const next = Changes.nextVersion(version, changes)
  for (const { folder, name } of packages) {
    const rewrite = (file: string, change: (text: string) => string) => {
      const path = `${root}packages/${folder}/${file}`
      writeFileSync(path, change(readFileSync(path, "utf8")))
    }
    rewrite("package.json", (text) => text.replace(`"version": "${version}"`, `"version": "${next}"`))
    rewrite("CHANGELOG.md", (text) => Changes.withSection(text, name, next, changes))
  }
  for (const { file } of changes) rmSync(file)
  return next
}

if (versions.size !== 1) {
  throw new Error(`the packages are released together, but have versions ${[...versions].join(", ")}`)
}
if (git("status", "--porcelain") !== "") throw new Error("commit or stash your changes first")

const [current] = versions as Iterable<string>
const isAsIs = process.argv.includes("--as-is")
const version = isAsIs ? current! : bump(current!)
const tarballs = await pack(`${root}dist/packed`)
check(tarballs)
process.env["EFFORT"] = "ci"
run(installed("vitest"), ["run", "test/consumer"])

console.log(`
Packed and checked, not published:
${tarballs.map((tarball) => `  ${relative(root, tarball)}`).join("\n")}

Read ${isAsIs ? "the changelogs" : "the diff"}, then:
${isAsIs ? "" : `  git commit --all --message "Version ${version}"\n`}  git tag v${version}
  git push origin main v${version}
${tarballs.map((tarball) => `  npm publish ${relative(root, tarball)} --access public`).join("\n")}`)

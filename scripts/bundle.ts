/**
 * Bundles core, vendors and the command for publishing: one file for each entry point of `publishConfig`, and a few files
 * that entry points share, so that each module is in one file. Node takes about half a millisecond to load even a small
 * file. Names and lines stay readable, because stack traces show them.
 */
import { readFileSync } from "node:fs"
import { relative } from "node:path"
import { fileURLToPath } from "node:url"
import { type CodeSplittingGroup, rolldown } from "rolldown"

export interface PackageJson {
  readonly name: string
  readonly version: string
  readonly publishConfig: {
    readonly bin?: Readonly<Record<string, string>>
    readonly exports?: Readonly<Record<string, string | { readonly default: string }>>
  }
}

/** The folders of the packages that are published, in the order in which they depend on each other. */
export const published = ["core", "vendors", "cli"] as const
type Published = typeof published[number]

const root = fileURLToPath(new URL("../packages/", import.meta.url))

export const packageJsonOf = (name: Published): PackageJson =>
  JSON.parse(readFileSync(`${root}${name}/package.json`, "utf8")) as PackageJson

/** Writes the bundle of a package to a directory. */
export const bundle = async (name: Published, directory: string = `${root}${name}/dist/bundle`): Promise<void> => {
  const entries = entriesOf(packageJsonOf(name))
  const build = await rolldown({
    cwd: `${root}${name}`,
    input: Object.fromEntries(entries.map((entry) => [entry, `${root}${name}/src/${entry}.ts`])),
    platform: "node",
    // Other packages, including our own, are installed beside this one.
    external: (id) => !id.startsWith(".") && !id.startsWith("/")
  })
  await build.write({
    dir: directory,
    cleanDir: true,
    format: "esm",
    sourcemap: true,
    // The sources are published beside it.
    sourcemapExcludeSources: true,
    minify: false,
    minifyInternalExports: false,
    // The declarations have the comments.
    comments: { jsdoc: false },
    entryFileNames: "[name].js",
    chunkFileNames: "shared/[name].js",
    codeSplitting: { groups: groups[name](entries) }
  })
  await build.close()
}

/** The source of each published file, without its ending: `guard` for `./dist/bundle/guard.js`. */
const entriesOf = ({ publishConfig: { bin = {}, exports = {} } }: PackageJson): ReadonlyArray<string> =>
  [...Object.values(exports), ...Object.values(bin)]
    .map((entry) => typeof entry === "string" ? entry : entry.default)
    .flatMap((file) => /^\.\/dist\/bundle\/(.+)\.js$/.exec(file)?.[1] ?? [])

const pathOf = (id: string): string => relative(root, id).replaceAll("\\", "/")

/** Modules and all that they import, unless a group with a higher priority has it. */
const all = (name: string, modules: ReadonlyArray<string>, priority: number): CodeSplittingGroup => ({
  name,
  priority,
  test: (id) => modules.some((module) => pathOf(id) === `core/src/${module}.ts`)
})

/** The modules of a folder that several entry points share, in one file of that folder's name; no entry point is in it. */
const shared = (folder: RegExp, entries: ReadonlyArray<string>, priority: number): CodeSplittingGroup => ({
  debugName: `shared in ${folder.source}`,
  name: (id) => folder.exec(pathOf(id))?.[1] ?? "words",
  priority,
  minShareCount: 2,
  test: (id) => folder.test(pathOf(id)) && !entries.some((entry) => pathOf(id).endsWith(`/src/${entry}.ts`))
})

const groups: Readonly<Record<Published, (entries: ReadonlyArray<string>) => Array<CodeSplittingGroup>>> = {
  core: () => [
    all("guard", ["guard", "transport/Transport"], 4),
    all("credentials", ["credentials/index"], 3),
    // The part that loads Effect's `HttpApi`: for a client and a simulator alone.
    all("contract", ["client/Contract"], 2),
    { name: "words", minShareCount: 2, priority: 1 }
  ],
  vendors: (entries) => [
    shared(/^vendors\/src\/[\w-]+\.ts$/, entries, 3),
    shared(/^vendors\/src\/([\w-]+)\/[\w-]+\.ts$/, entries, 2),
    shared(/^vendors\/src\/([\w-]+\/[\w-]+)\//, entries, 1)
  ],
  cli: () => []
}

if (import.meta.main) { for (const name of published) await bundle(name) }

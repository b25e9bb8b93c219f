/** The test files that reach a module by their imports, nearest first. */
import { globSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, matchesGlob, relative, resolve, sep } from "node:path"
import { parseSync } from "rolldown/utils"
import { leftOut } from "../../test/setup/Tiers.ts"
import { root } from "./mutants.ts"

/** The files that each file imports, as values and not only as types; paths relative to the root. */
export type Imports = ReadonlyMap<string, ReadonlyArray<string>>

/** Reads the imports of the whole repository. */
export const importsOf = (): Imports => {
  const files = ["packages/*/src/**/*.ts", "apps/*/src/**/*.ts", "test/**/*.ts"].flatMap((pattern) =>
    globSync(pattern, { cwd: root }).filter((file) => !file.includes("node_modules"))
  )
  return new Map(files.map((file) => [file, imported(file, readFileSync(root + file, "utf8"))]))
}

const imported = (file: string, text: string): ReadonlyArray<string> => {
  const { dynamicImports, staticExports, staticImports } = parseSync(file, text).module
  const names = [
    ...staticImports
      .filter(({ entries }) => entries.length === 0 || entries.some(({ isType }) => !isType))
      .map(({ moduleRequest }) => moduleRequest.value),
    ...staticExports.flatMap(({ entries }) =>
      entries.flatMap(({ isType, moduleRequest }) => isType || moduleRequest === null ? [] : [moduleRequest.value])
    ),
    ...dynamicImports.flatMap(({ moduleRequest }) => {
      const quoted = /^["'](.+)["']$/.exec(text.slice(moduleRequest.start, moduleRequest.end))
      return quoted === null ? [] : [quoted[1]!]
    })
  ]
  return names.flatMap((name) => resolved(file, name) ?? [])
}

/** The file that a specifier names, if it is one of this repository. */
const resolved = (from: string, name: string): string | undefined => {
  if (name.startsWith(".")) return slashed(relative(root, resolve(root, dirname(from), name)))
  if (!name.startsWith("@breakwater/")) return undefined
  return slashed(relative(root, createRequire(root + from).resolve(name)))
}

const slashed = (path: string): string => path.split(sep).join("/")

/**
 * The test files that reach a module, of those in a run of this tier: those of its own folder first, then by the number of
 * imports in between.
 */
export const testsOf = (imports: Imports, module: string): ReadonlyArray<string> => {
  const importers = new Map<string, Array<string>>()
  for (const [file, targets] of imports) {
    for (const target of targets) {
      const known = importers.get(target)
      if (known === undefined) importers.set(target, [file])
      else known.push(file)
    }
  }
  const distance = new Map([[module, 0]])
  // A map yields what is added during the iteration.
  for (const [file, steps] of distance) {
    for (const importer of importers.get(file) ?? []) {
      if (!distance.has(importer)) distance.set(importer, steps + 1)
    }
  }
  const mirrored = module.replace(/^packages\/(\w+)\/src\//, "test/$1/").replace(/\.ts$/, "")
  const isTest = (file: string) => file.endsWith(".test.ts") && !leftOut.some((glob) => matchesGlob(file, glob))
  return [...distance.keys()].filter(isTest).toSorted((a, b) =>
    shared(mirrored, b) - shared(mirrored, a) || distance.get(a)! - distance.get(b)! || (a < b ? -1 : 1)
  )
}

/** The number of leading folders, and the name, that two paths have in common. */
const shared = (mirrored: string, test: string): number => {
  const own = test.replace(/\.test\.ts$/, "").split("/")
  const parts = mirrored.split("/")
  const first = parts.findIndex((part, index) => part !== own[index])
  return first < 0 ? parts.length : first
}

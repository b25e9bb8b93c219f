import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { dirname, join, normalize, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { expect } from "vitest"

/**
 * The public surface: every name of every entry point is a line of `entry-points.txt`, so that a change of it is seen in a
 * diff. `vitest run test/entry-points.test.ts -u` writes the file anew.
 */
const root = fileURLToPath(new URL("..", import.meta.url))

interface PackageJson {
  readonly name: string
  readonly exports: Readonly<Record<string, string>>
  readonly publishConfig: {
    readonly exports?: Readonly<Record<string, { readonly types: string; readonly default: string }>>
  }
}

const packageJsonOf = (name: string): PackageJson =>
  JSON.parse(readFileSync(join(root, "packages", name, "package.json"), "utf8")) as PackageJson

/** A name that a module exports: a value, a type, or a module as a namespace. */
interface Exported {
  readonly name: string
  readonly kind: "type" | "value"
  readonly module?: string | undefined
}

const exportsOf = (file: string): ReadonlyArray<Exported> => {
  const text = readFileSync(file, "utf8").replaceAll(/\/\*.*?\*\//gs, "")
  const at = (module: string) => normalize(join(dirname(file), module))
  const found = new Map<string, Exported>()
  // A class or a schema is a value of the same name as its type.
  const add = (exported: Exported) => {
    if (found.get(exported.name)?.kind !== "value") found.set(exported.name, exported)
  }
  for (const [, word, name] of text.matchAll(/^export (?:abstract )?(const|class|function|interface|type) (\w+)/gm)) {
    add({ name: name!, kind: word === "interface" || word === "type" ? "type" : "value" })
  }
  for (const [, isType, name, module] of text.matchAll(/^export (type )?\* as (\w+) from "(.+)"/gm)) {
    add({ name: name!, kind: isType === undefined ? "value" : "type", module: at(module!) })
  }
  for (const [, module] of text.matchAll(/^export \* from "(.+)"/gm)) exportsOf(at(module!)).forEach(add)
  for (const [, isType, names] of text.matchAll(/^export (type )?\{([^}]*)\}/gm)) {
    for (const [, isAlsoType, name] of names!.matchAll(/(type )?(\w+)(?=,|\s*$)/g)) {
      add({ name: name!, kind: isType === undefined && isAlsoType === undefined ? "value" : "type" })
    }
  }
  return [...found.values()].toSorted((a, b) => a.name < b.name ? -1 : 1)
}

const entries = ["core", "vendors"].flatMap((name) => {
  const { exports, name: scope } = packageJsonOf(name)
  return Object.entries(exports).filter(([entry]) => !entry.includes("*") && entry !== "./package.json")
    .map(([entry, source]) => ({ name: join(scope, entry), file: join(root, "packages", name, source) }))
})

const lineOf = ({ kind, name }: Exported): string => `  ${kind === "type" ? "type " : ""}${name}`

describe("the entry points", () => {
  it("are the published ones, the wildcard for tests left out", () => {
    for (const name of ["core", "vendors"]) {
      const { exports, publishConfig } = packageJsonOf(name)
      const { "./package.json": _, "./*": __, ...own } = exports
      const { "./package.json": ___, ...published } = publishConfig.exports!
      const sources = Object.entries(published).map(([entry, { default: file, types }]) => {
        const source = file.replace("./dist/bundle/", "./src/").replace(/\.js$/, ".ts")
        assert.strictEqual(types, source.replace("./src/", "./dist/").replace(/\.ts$/, ".d.ts"))
        return [entry, source]
      })
      assert.deepStrictEqual(Object.fromEntries(sources), own)
    }
    assert.deepStrictEqual(Object.keys(packageJsonOf("cli").publishConfig.exports!), ["./package.json"])
  })

  it("export these names", async () => {
    const modules = new Map<string, ReadonlyArray<Exported>>()
    const visit = (exported: ReadonlyArray<Exported>) => {
      for (const { module } of exported) {
        if (module === undefined || modules.has(module)) continue
        modules.set(module, exportsOf(module))
        visit(modules.get(module)!)
      }
    }
    const sections = entries.map(({ file, name }) => {
      const exported = exportsOf(file)
      visit(exported)
      return [name, ...exported.map(lineOf)].join("\n")
    })
    const namespaces = [...modules].toSorted(([a], [b]) => a < b ? -1 : 1)
      .map(([module, exported]) => [relative(root, module), ...exported.map(lineOf)].join("\n"))
    await expect(`${[...sections, ...namespaces].join("\n\n")}\n`).toMatchFileSnapshot("entry-points.txt")
  })

  it.each(entries)("$name exports as values what is read from its text", async ({ file }) => {
    const names = exportsOf(file).filter(({ kind }) => kind === "value").map(({ name }) => name)
    assert.sameMembers(Object.keys(await import(file) as object), names)
  })
})

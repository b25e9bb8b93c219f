/**
 * Changes for the next release, in the format of Changesets. A file of `.changeset` names packages and kinds
 * (`"@breakwater/core": minor`) between two lines of dashes, with a text for users below them.
 */
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"

/** In order of weight. */
const kinds = ["patch", "minor", "major"] as const
export type Kind = typeof kinds[number]

export interface Change {
  readonly file: string
  readonly kinds: ReadonlyMap<string, Kind>
  readonly text: string
}

/** Reads all of them, in the order of their file names. Throws for one that cannot be read, or names another package. */
export const read = (directory: string, packages: ReadonlyArray<string>): ReadonlyArray<Change> =>
  globSync("*.md", { cwd: directory }).filter((file) => file !== "README.md").toSorted().map((file) =>
    parse(join(directory, file), readFileSync(join(directory, file), "utf8"), packages)
  )

export const parse = (file: string, text: string, packages: ReadonlyArray<string>): Change => {
  const [, head, body] = /^---\r?\n(.*?)\r?\n---\r?\n(.*)$/s.exec(text) ?? []
  if (head === undefined || body === undefined || body.trim() === "") {
    throw new Error(`${file}: expected packages and kinds between two lines of dashes, and a text below them`)
  }
  const found = head.split(/\r?\n/).filter((line) => line.trim() !== "").map((line): readonly [string, Kind] => {
    const [, name, word] = /^["']?([^"':]+)["']?:\s*(\w+)\s*$/.exec(line) ?? []
    const kind = kinds.find((kind) => kind === word)
    if (name === undefined || kind === undefined) {
      throw new Error(`${file}: expected "package": patch, minor or major, not ${line}`)
    }
    if (!packages.includes(name)) throw new Error(`${file}: ${name} is not a published package`)
    return [name, kind]
  })
  if (found.length === 0) throw new Error(`${file}: names no package`)
  return { file, kinds: new Map(found), text: body.trim() }
}

/** The version of all packages after the changes: that of the heaviest. Before 1.0.0 a major change is a minor version. */
export const nextVersion = (version: string, changes: ReadonlyArray<Change>): string => {
  const [major, minor, patch] = version.split(".").map(Number) as [number, number, number]
  const weight = Math.max(
    ...changes.flatMap(({ kinds: named }) => [...named.values()].map((kind) => kinds.indexOf(kind)))
  )
  switch (kinds[weight]!) {
    case "patch":
      return `${major}.${minor}.${patch + 1}`
    case "minor":
      return `${major}.${minor + 1}.0`
    case "major":
      return major === 0 ? `0.${minor + 1}.0` : `${major + 1}.0.0`
  }
}

/** The changelog of a package with a section for a version, above those of earlier ones. */
export const withSection = (
  changelog: string,
  name: string,
  version: string,
  changes: ReadonlyArray<Change>
): string => {
  const own = changes.filter(({ kinds }) => kinds.has(name))
  const lines = own.map(({ text }) => `- ${text.replaceAll(/\r?\n(?=.)/g, "\n  ")}`)
  const section = `## ${version}\n\n${lines.length === 0 ? "No change of its own." : lines.join("\n")}\n`
  const at = changelog.search(/^## /m)
  return at < 0 ? `${changelog.trimEnd()}\n\n${section}` : `${changelog.slice(0, at)}${section}\n${changelog.slice(at)}`
}

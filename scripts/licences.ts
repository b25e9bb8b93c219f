/**
 * `npm run licences`: writes `docs/licences.md`, the licence of every package that is installed at run time with the published
 * packages and the demo server, by what pnpm has installed.
 */
import { writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { pnpm } from "./run.ts"

const root = fileURLToPath(new URL("../", import.meta.url))

interface Installed {
  readonly name: string
  readonly versions: ReadonlyArray<string>
}

/** By licence, as pnpm tells them: without those for development. */
const installed = (): Readonly<Record<string, ReadonlyArray<Installed>>> => {
  const words = ["licenses", "list", "--prod", "--json", "--filter", "./packages/*", "--filter", "./apps/*"]
  return JSON.parse(pnpm(words)) as Readonly<Record<string, ReadonlyArray<Installed>>>
}

export const page = (byLicence: Readonly<Record<string, ReadonlyArray<Installed>>>): string => {
  const rows = Object.entries(byLicence).flatMap(([licence, packages]) =>
    packages.map(({ name, versions }) => ({ name, licence, version: versions.join(", ") }))
  ).toSorted((a, b) => a.name < b.name ? -1 : 1)
  return [
    "# Licences",
    "",
    "Breakwater itself has the [MIT licence](../LICENSE). This page lists what is installed at run time with its packages and",
    "the demo server. `npm run licences` writes it from what pnpm has installed, and a test compares the two.",
    "",
    "| package | version | licence |",
    "| --- | --- | --- |",
    ...rows.map(({ licence, name, version }) => `| ${name} | ${version} | ${licence} |`),
    ""
  ].join("\n")
}

export const licences = (): string => page(installed())

if (import.meta.main) writeFileSync(`${root}docs/licences.md`, licences())

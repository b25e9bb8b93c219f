/** Report of the measurements: a table, a JSON file, and the page `docs/benchmarks.md` with its pictures. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { cpus, totalmem } from "node:os"
import type { Ran } from "./main.ts"
import { holds, type Row } from "./Suite.ts"

/** The smallest ratio that is listed; a second run may reverse a lower one. Our own judgement. */
const ahead = 1.05

export const tableOf = (rows: ReadonlyArray<Row>): string =>
  [
    "| what | unit | ours | peer | ratio (middle half) | bar |",
    "|---|---|--:|--:|--:|---|",
    ...rows.map((row) =>
      `| ${row.name} | ${row.unit} | ${amount(row.ours)} | ${amount(row.peer)} | ${amount(row.ratio)}${
        row.spread === undefined ? "" : ` (${amount(row.spread[0])} … ${amount(row.spread[1])})`
      } | ${barOf(row)} |`
    )
  ].join("\n")

const barOf = (row: Row): string => {
  if (row.bar === undefined) return row.ratio > ahead ? "the peer is ahead" : ""
  const isHeld = holds(row)
  return `≤ ${amount(row.bar)} ${isHeld === undefined ? "no peer" : isHeld ? "holds" : "**does not hold**"}`
}

/** Three figures, without an exponent where people would not write one. */
export const amount = (value: number): string =>
  Number.isNaN(value) ? "–" : value === 0 || (Math.abs(value) >= 0.001 && Math.abs(value) < 1e7)
    ? String(Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3)))
    : value.toExponential(2)

export const jsonOf = (all: ReadonlyArray<Ran>): string =>
  JSON.stringify(
    all.flatMap(({ name: suite, findings }) =>
      findings.rows.map((row) => ({
        name: `${suite}: ${row.name}`,
        ours: row.ours,
        peer: row.peer,
        ratio: row.ratio,
        bar: row.bar ?? null,
        holds: holds(row) ?? null
      }))
    ),
    undefined,
    2
  )

const docs = new URL("../../docs/", import.meta.url)

export const writePage = (all: ReadonlyArray<Ran>): void => {
  const pictures = new URL("benchmarks/", docs)
  rmSync(pictures, { recursive: true, force: true })
  mkdirSync(pictures, { recursive: true })
  const page = ["# Benchmarks", "", ...introduction(), "", ...summary(all)]
  for (const { title, about, findings } of all) {
    page.push("", `## ${title}`, "", about, "", tableOf(findings.rows))
    for (const note of findings.notes ?? []) page.push("", note)
    for (const { caption, file, svg } of findings.pictures ?? []) {
      writeFileSync(new URL(`${file}.svg`, pictures), svg)
      page.push("", `![${caption}](benchmarks/${file}.svg)`, "", caption)
    }
  }
  writeFileSync(new URL("benchmarks.md", docs), `${page.join("\n")}\n`)
}

/** The bars, and the rows in which a peer is ahead, before all other tables. */
const summary = (all: ReadonlyArray<Ran>): ReadonlyArray<string> => {
  const rows = all.flatMap(({ findings, name }) =>
    findings.rows.map((row) => ({ ...row, name: `${name}: ${row.name}` }))
  )
  return [
    "## The bars",
    "",
    tableOf(rows.filter(({ bar }) => bar !== undefined)),
    "",
    "## Rows in which an alternative is ahead",
    "",
    "All comparisons are considered, including those with a bare effect, with raw undici, and with libraries that do half of the work.",
    "",
    ...rows.filter(({ bar, ratio }) => bar === undefined && ratio > ahead).map(({ name, ratio }) =>
      `- ${name}: ${amount(ratio)}`
    )
  ]
}

const introduction = (): ReadonlyArray<string> => [
  "`npm run bench` writes this page. A ratio is our figure divided by the peer's, within one process and one round (the middle",
  "half of the rounds in brackets). Below 1 we are ahead. CPU is that of the main thread. Figures are medians. Absolute",
  "figures describe the machine more than the code.",
  "",
  `Machine: ${cpus().length} × ${cpus()[0]?.model.trim() ?? "unknown"}, ${
    Math.round(totalmem() / 2 ** 30)
  } GiB, ${process.platform} ${process.arch}. Node ${process.versions.node}, V8 ${process.versions.v8}.`,
  "",
  `Versions: ${versions()}.`
]

const versions = (): string => {
  const { dependencies } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8")) as {
    readonly dependencies: Readonly<Record<string, string>>
  }
  return Object.keys(dependencies).filter((name) => !name.startsWith("@breakwater/"))
    .map((name) => `${name} ${versionOf(name)}`).join(", ")
}

const versionOf = (name: string): string => {
  const { version } = JSON.parse(
    readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url), "utf8")
  ) as { readonly version: string }
  return version
}

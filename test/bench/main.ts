/**
 * `npm run bench [-- --only NAME] [-- --json FILE] [-- --quick]`: runs every suite in a process of its own, prints the
 * table, and writes `docs/benchmarks.md` when all of them ran in full. Ends with 1 when a bar does not hold.
 */
import { fork } from "node:child_process"
import { readdirSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { jsonOf, tableOf, writePage } from "./report.ts"
import { type Findings, holds, type Suite } from "./Suite.ts"

export interface Ran {
  readonly name: string
  readonly title: string
  readonly about: string
  readonly findings: Findings
  readonly processes: number
}

const folder = new URL("suites/", import.meta.url)
const names = readdirSync(folder).filter((file) => file.endsWith(".ts")).map((file) => file.slice(0, -3))

const runHere = async (name: string, quick: boolean): Promise<Ran> => {
  const { suite } = await import(new URL(`${name}.ts`, folder).href) as { readonly suite: Suite }
  return {
    name,
    title: suite.title,
    about: suite.about,
    findings: await suite.run({ quick }),
    processes: suite.processes ?? 1
  }
}

const runApart = (name: string, quick: boolean): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), ["--here", name, ...(quick ? ["--quick"] : [])], {
      execArgv: ["--expose-gc"]
    })
    child.once("message", (ran) => resolve(ran as Ran))
    child.once("error", reject)
    child.once("exit", (code) => reject(new Error(`the suite ${name} ended with ${code} and told nothing`)))
  })

const runAll = async (name: string, quick: boolean): Promise<Ran> => {
  const first = await runApart(name, quick)
  const runs = [first]
  while (runs.length < (quick ? 1 : first.processes)) runs.push(await runApart(name, quick))
  const rows = first.findings.rows.map(({ name }) => {
    const found = runs.flatMap(({ findings }) => findings.rows.filter((row) => row.name === name))
    return found.toSorted((a, b) => a.ratio - b.ratio)[Math.floor(found.length / 2)]!
  })
  return { ...first, findings: { ...first.findings, rows } }
}

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    json: { type: "string" },
    quick: { type: "boolean", default: false },
    here: { type: "string" }
  }
})

if (values.here !== undefined) {
  const ran = await runHere(values.here, values.quick)
  process.send?.(ran, () => process.exit(0))
} else {
  if (values.only !== undefined && !names.includes(values.only)) {
    throw new Error(`no suite ${values.only}: there are ${names.join(", ")}`)
  }
  const all: Array<Ran> = []
  for (const name of values.only === undefined ? names : [values.only]) {
    const ran = await runAll(name, values.quick)
    all.push(ran)
    console.log(`\n${ran.title}\n${tableOf(ran.findings.rows)}`)
    for (const note of ran.findings.notes ?? []) console.log(`\n${note}`)
  }
  if (values.json !== undefined) writeFileSync(values.json, jsonOf(all))
  if (values.only === undefined && !values.quick) writePage(all)
  const broken = all.flatMap((ran) => ran.findings.rows).filter((row) => holds(row) === false)
  if (broken.length > 0) {
    console.log(`\nnot held: ${broken.map((row) => row.name).join("; ")}`)
    if (!values.quick) process.exitCode = 1
  }
}

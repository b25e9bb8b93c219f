/**
 * Runs the leak test once for every mutant of its share, in one process. Each mutant gets its own copy of every module of
 * this repository; installed packages are shared. Prints one line of JSON per mutant. Node runs it directly, without vitest.
 */
import { Effect } from "effect"
import { registerHooks } from "node:module"
import { pathToFileURL } from "node:url"
import type { Probe, Probes } from "../../test/leaks/Probes.ts"
import { type Mutant, mutants, read, root } from "./mutants.ts"

export interface Verdict {
  /** `null` is the product as it is. */
  readonly name: string | null
  /** Up to three findings of the leak test; none when the change no longer applies. */
  readonly found: ReadonlyArray<string>
  readonly problem?: string | undefined
}

/** The running mutants, by the number in the URLs of their modules. */
const underWay = new Map<string, Mutant>()

const home = pathToFileURL(root).href
const isOurs = (url: string): boolean => url.startsWith(home) && !url.includes("/node_modules/")

registerHooks({
  resolve(specifier, context, nextResolve) {
    const resolved = nextResolve(specifier, context)
    const number = /[?&]mutant=(\d+)/.exec(context.parentURL ?? "")?.[1]
    return number === undefined || !isOurs(resolved.url) || resolved.url.includes("?")
      ? resolved
      : { ...resolved, url: `${resolved.url}?mutant=${number}` }
  },
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    const mutant = underWay.get(/\?mutant=(\d+)/.exec(url)?.[1] ?? "")
    return mutant !== undefined && url.startsWith(`${home}${mutant.file}?`)
      ? { ...loaded, source: mutant.change(read(mutant.file)) ?? loaded.source ?? "" }
      : loaded
  }
})

const inProcess: ReadonlyArray<Probe> = ["rules", "start", "recordings", "wire"]
const inProcesses: ReadonlyArray<Probe> = ["demo", "crash"]

/** The probes that can see a change: for a change of the server, only those that run it. */
const probesFor = (mutant: Mutant | undefined): ReadonlyArray<Probe> =>
  mutant?.file.startsWith("apps/") === true ? inProcesses : [...inProcess, ...inProcesses]

const judge = async (mutant: Mutant | undefined, index: number): Promise<Verdict> => {
  const name = mutant?.name ?? null
  if (mutant !== undefined && mutant.change(read(mutant.file)) === undefined) {
    return { name, found: [], problem: "the change no longer applies" }
  }
  if (mutant !== undefined) {
    underWay.set(String(index), mutant)
    process.env["BREAKWATER_MUTANT"] = mutant.name
  }
  try {
    const { probes } = await import(`../../test/leaks/Probes.ts?mutant=${index}`) as { readonly probes: Probes }
    for (const probe of probesFor(mutant)) {
      const found = await Effect.runPromise(probes[probe])
      // The first leak is enough.
      if (found.length > 0) return { name, found: found.slice(0, 3) }
    }
    return { name, found: [] }
  } catch (error) {
    // A product that does not run has shown no leak.
    return { name, found: [], problem: String(error) }
  } finally {
    underWay.delete(String(index))
    delete process.env["BREAKWATER_MUTANT"]
  }
}

const [part = "0", parts = "1", words = ""] = process.argv.slice(2)
const all = [undefined, ...mutants().filter(({ by, name }) => by !== "tests" && name.includes(words))]

for (const [index, mutant] of all.entries()) {
  if (index % Number(parts) !== Number(part)) continue
  process.stdout.write(`${JSON.stringify(await judge(mutant, index))}\n`)
}

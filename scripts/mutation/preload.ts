/** Loaded into a process before any other module, to run the product with the change of `BREAKWATER_MUTANT`. */
import { registerHooks } from "node:module"
import { pathToFileURL } from "node:url"
import { mutants, read, root } from "./mutants.ts"

const name = process.env["BREAKWATER_MUTANT"]
const mutant = mutants().find((mutant) => mutant.name === name)
if (mutant === undefined) throw new Error(`there is no mutant ${name}`)

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    return url === pathToFileURL(root + mutant.file).href
      ? { ...loaded, source: mutant.change(read(mutant.file)) ?? loaded.source ?? "" }
      : loaded
  }
})

/** Imports that change the process: importing undici replaces the dispatcher of the process's own `fetch`. */
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { promisify } from "node:util"

const entries = ["", "/guard", "/credentials", "/sources", "/transport", "/fleet", "/simulator", "/testing"]
  .map((entry) => import.meta.resolve(`@breakwater/core${entry}`))

describe("importing every entry point", () => {
  it("leaves the globals of the process alone", async () => {
    const script = `
      const seen = () => Reflect.ownKeys(globalThis).map(String).toSorted()
      const dispatchers = () => [1, 2].map((n) => globalThis[Symbol.for("undici.globalDispatcher." + n)])
      await fetch("data:,").catch(() => {})
      const [before, own] = [seen(), dispatchers()]
      for (const entry of ${JSON.stringify(entries)}) await import(entry)
      const added = seen().filter((name) => !before.includes(name))
      console.log(JSON.stringify({ added, isSame: dispatchers().every((each, n) => each === own[n]) }))
    `
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script])
    assert.deepStrictEqual(JSON.parse(stdout), { added: [], isSame: true })
  })
})

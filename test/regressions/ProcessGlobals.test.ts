/** Imports that change the process: importing undici replaces the dispatcher of the process's own `fetch`. */
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { promisify } from "node:util"

const entries = ["", "/guard", "/credentials", "/sources", "/transport", "/fleet", "/simulator", "/testing"]
  .map((entry) => import.meta.resolve(`@breakwater/core${entry}`))

describe("importing every entry point", () => {
  it("leaves the globals of the process alone", async () => {
    const script = `
      import { registerHooks } from "node:module"
      const loaded = []
      registerHooks({
        load(url, context, next) {
          loaded.push(url)
          return next(url, context)
        }
      })
      const seen = () => Reflect.ownKeys(globalThis).map(String).toSorted()
      const dispatchers = () => [1, 2].map((n) => globalThis[Symbol.for("undici.globalDispatcher." + n)])
      await fetch("data:,").catch(() => {})
      const [before, own] = [seen(), dispatchers()]
      for (const entry of ${JSON.stringify(entries)}) await import(entry)
      const added = seen().filter((name) => !before.includes(name))
      console.log(JSON.stringify({
        added,
        isSame: dispatchers().every((each, n) => each === own[n]),
        // Node 22 and 24 are where these change the dispatcher; on Node 26 nothing is seen of it.
        guilty: loaded.filter((url) => /undici\\/(?:index|lib\\/global)\\.js$/.test(url)),
        agents: loaded.filter((url) => url.endsWith("undici/lib/dispatcher/agent.js")).length
      }))
    `
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script])
    assert.deepStrictEqual(JSON.parse(stdout), { added: [], isSame: true, guilty: [], agents: 1 })
  })
})

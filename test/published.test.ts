import { assert, beforeAll, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const node = (...args: ReadonlyArray<string>) => promisify(execFile)(process.execPath, args)
const published = (module: string) => new URL(`../packages/core/dist/bundle/${module}.js`, import.meta.url).href

/** Runs a script in a fresh process, which prints JSON. */
const told = async (script: string): Promise<unknown> => {
  const { stdout } = await node("--input-type=module", "--eval", script)
  return JSON.parse(stdout)
}

describe("what is published of core", () => {
  beforeAll(() => node(fileURLToPath(new URL("support/bundle.ts", import.meta.url))))

  it("guards an effect, and loads three files of ours for it, one of them the bundler's", async () => {
    const script = `
      import { registerHooks } from "node:module"
      const ours = []
      registerHooks({
        load(url, context, next) {
          if (url.includes("/dist/bundle/")) ours.push(url)
          return next(url, context)
        }
      })
      const Stack = await import(${JSON.stringify(published("vendor/Stack"))})
      const Effect = await import(${JSON.stringify(import.meta.resolve("effect/Effect"))})
      const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent" })
      const answer = await Effect.runPromise(stack.guard(Effect.succeed("ding"), () => undefined))
      console.log(JSON.stringify({ answer, files: ours.length }))
    `
    assert.deepStrictEqual(await told(script), { answer: "ding", files: 3 })
  })

  it("exports what the source exports, each thing once", async () => {
    const script = `
      const all = await import(${JSON.stringify(published("index"))})
      const { VendorError } = await import(${JSON.stringify(published("VendorError"))})
      console.log(JSON.stringify({ names: Object.keys(all), isSame: all.VendorError === VendorError }))
    `
    const { isSame, names } = await told(script) as { readonly names: ReadonlyArray<string>; readonly isSame: boolean }
    assert.sameMembers([...names], Object.keys(await import("@breakwater/core")))
    assert.isTrue(isSame)
  })
})

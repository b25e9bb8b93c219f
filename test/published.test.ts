import { assert, beforeAll, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { afterAll } from "vitest"

const directory = mkdtempSync(join(tmpdir(), "breakwater-published-"))
const node = (...args: ReadonlyArray<string>) => promisify(execFile)(process.execPath, args)

/** Runs a script in a fresh process where the packages are installed. It prints JSON. */
const told = async <A>(script: string): Promise<A> => {
  const file = join(directory, "script.mjs")
  writeFileSync(file, script)
  const { stdout } = await node(file)
  return JSON.parse(stdout) as A
}

/** The modules that are loaded with these, in a fresh process: `effect/Effect`, `@breakwater/core/guard.js`, `undici`. */
const loadedWith = async (modules: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const urls = await told<ReadonlyArray<string>>(`
    import { registerHooks } from "node:module"
    const urls = []
    registerHooks({
      load(url, context, next) {
        urls.push(url)
        return next(url, context)
      }
    })
    for (const module of ${JSON.stringify(modules)}) await import(module)
    console.log(JSON.stringify(urls))
  `)
  return urls.map((url) =>
    /\/effect\/dist\/(.+)\.js$/.exec(url)?.[1]?.replace(/^/, "effect/") ??
      /\/(@breakwater\/\w+)\/dist\/bundle(\/.+)$/.exec(url)?.slice(1).join("") ??
      /\/node_modules\/((?:@[^/]+\/)?[^/@.][^/]*)\/(?!.*\/node_modules\/)/.exec(url)?.[1] ??
      url
  ).filter((module) => !module.startsWith("node:"))
}

interface PackageJson {
  readonly name: string
  readonly publishConfig: { readonly exports: Readonly<Record<string, unknown>> }
}

const entriesOf = (name: string): ReadonlyArray<string> => {
  const file = fileURLToPath(new URL(`../packages/${name}/package.json`, import.meta.url))
  const { name: scope, publishConfig } = JSON.parse(readFileSync(file, "utf8")) as PackageJson
  return Object.keys(publishConfig.exports).filter((entry) => entry !== "./package.json").map((entry) =>
    join(scope, entry)
  )
}

const entries = ["core", "vendors"].flatMap(entriesOf)
const ours = (modules: ReadonlyArray<string>) => modules.filter((module) => module.startsWith("@breakwater/"))

describe("what is published", () => {
  beforeAll(() => node(fileURLToPath(new URL("../scripts/installed.ts", import.meta.url)), directory))
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  it("guards an effect, and loads three files of ours for it, one of them the bundler's", async () => {
    const answer = await told(`
      import { Stack } from "@breakwater/core/guard"
      import * as Effect from "effect/Effect"
      const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent" })
      console.log(JSON.stringify(await Effect.runPromise(stack.guard(Effect.succeed("ding"), () => undefined))))
    `)
    assert.strictEqual(answer, "ding")
    assert.deepStrictEqual(ours(await loadedWith(["@breakwater/core/guard"])), [
      "@breakwater/core/guard.js",
      "@breakwater/core/shared/guard.js",
      "@breakwater/core/shared/rolldown-runtime.js"
    ])
  })

  it("exports the names of the sources, from every entry point", async () => {
    const names = await told<Readonly<Record<string, ReadonlyArray<string>>>>(`
      const names = {}
      for (const entry of ${JSON.stringify(entries)}) names[entry] = Object.keys(await import(entry))
      console.log(JSON.stringify(names))
    `)
    for (const entry of entries) assert.sameMembers([...names[entry]!], Object.keys(await import(entry) as object))
  })

  it("has each thing once", async () => {
    const same = await told(`
      const [all, guard, transport] = await Promise.all(
        ["", "/guard", "/transport"].map((entry) => import("@breakwater/core" + entry))
      )
      console.log(JSON.stringify([all.VendorError === guard.VendorError, all.Transport === transport.Transport]))
    `)
    assert.deepStrictEqual(same, [true, true])
  })

  it("recognises the errors of another copy of core in the same process, and is recognised by it", async () => {
    const seen = await told(`
      import { Effect } from "effect"
      const copies = await Promise.all(["@breakwater/core", ${
      JSON.stringify(import.meta.resolve("@breakwater/core"))
    }].map((core) => import(core)))
      const seen = []
      for (const [one, other] of [copies, copies.toReversed()]) {
        const stack = one.Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent", policy: { deadline: 20 } })
        const error = await Effect.runPromise(Effect.flip(stack.guard(Effect.never, () => undefined)))
        seen.push(error instanceof other.VendorError, other.isVendorError(error), one.isVendorError(error))
        seen.push(other.isVendorError(new Error(error.message)))
      }
      console.log(JSON.stringify(seen))
    `)
    assert.deepStrictEqual(seen, [false, true, true, false, false, true, true, false])
  })

  it("loads undici with the entry point of the transport alone", async () => {
    const others = await loadedWith(entries.filter((entry) => entry !== "@breakwater/core/transport"))
    assert.notInclude(others, "undici")
    assert.include(await loadedWith(["@breakwater/core/transport"]), "undici")
  })

  it("loads for the client of a vendor little beside the modules of its contract, and no simulator", async () => {
    const loaded = await loadedWith(["@breakwater/vendors/payments/stripe", "@breakwater/core"])
    assert.deepStrictEqual(ours(loaded).toSorted(), [
      "@breakwater/core/index.js",
      "@breakwater/core/shared/contract.js",
      "@breakwater/core/shared/credentials.js",
      "@breakwater/core/shared/guard.js",
      "@breakwater/core/shared/rolldown-runtime.js",
      "@breakwater/core/shared/words.js",
      "@breakwater/vendors/payments/Payments.js",
      "@breakwater/vendors/payments/stripe/Stripe.js",
      "@breakwater/vendors/shared/payments/stripe.js",
      "@breakwater/vendors/shared/words.js"
    ])
    // Effect's own modules for a contract load its router and server; nobody who declares an `HttpApi` is without them.
    const contract = await loadedWith([
      "effect/Effect",
      "effect/Layer",
      "effect/Schema",
      "effect/http-api/HttpApi",
      "effect/http-api/HttpApiEndpoint",
      "effect/http-api/HttpApiGroup"
    ])
    assert.notInclude(loaded, "effect/http-api/HttpApiBuilder")
    const more = loaded.filter((module) => !contract.includes(module) && !module.startsWith("@breakwater/"))
    assert.deepStrictEqual(more.toSorted(), [
      "effect/Config",
      "effect/ConfigProvider",
      "effect/Random",
      "effect/UndefinedOr",
      "effect/encoding/Ndjson",
      "effect/http-api/HttpApiClient",
      "effect/http-api/internal/path",
      "effect/internal/schema/codegen",
      "effect/schema/SchemaCompiler",
      "effect/schema/SchemaCompiler/runtime",
      "effect/schema/SchemaJITCompiler"
    ])
  })
})

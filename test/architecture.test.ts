import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

/**
 * The layers of core, lowest first: a folder may import the vocabulary and the folders before it. A folder with a capital
 * letter is the inside of the module beside it.
 */
const layers = ["", "policies", "credentials", "transport", "delivery", "vendor", "webhooks", "operations", "testing"]

/** Says what is wrong with one import, `undefined` when nothing is. Paths are relative to the root of the repository. */
const violation = (file: string, imported: string): string | undefined => {
  const target = imported.startsWith(".") ? normalize(join(dirname(file), imported)) : imported
  const core = /^packages\/core\/src\/(?:([a-z]\w*)\/)?/.exec(file)
  if (core !== null) {
    const layer = core[1] ?? ""
    if (/^(?:@effect\/platform-node|undici)/.test(target) && layer !== "transport") {
      return "only transport may import undici or @effect/platform-node"
    }
    if (/^(?:packages\/vendors|apps)\/|^@breakwater\//.test(target)) return "core knows no vendor and no application"
    if (
      layer === "" && file !== "packages/core/src/index.ts" &&
      !/^(?:effect|packages\/core\/src\/(?:[A-Z]\w*\/)?\w+\.ts$)/.test(target)
    ) {
      return "the vocabulary imports only effect and itself"
    }
    const to = /^packages\/core\/src\/([a-z]\w*)\//.exec(target)?.[1] ?? ""
    const inside = /^packages\/core\/src\/([A-Z]\w*)\//.exec(target)?.[1]
    if (inside !== undefined && !new RegExp(`^packages/core/src/${inside}(?:/|\\.ts$)`).test(file)) {
      return `the inside of ${inside} is its own`
    }
    if (target.startsWith("packages/core/src/") && file !== "packages/core/src/index.ts") {
      if (!layers.includes(layer) || !layers.includes(to)) return "every folder of core has a place among the layers"
      if (layers.indexOf(to) > layers.indexOf(layer)) return `${layer || "the vocabulary"} may not import ${to}`
    }
    // The cache stands before the stack.
    const isCaching = /\/vendor\/(?:Caching|Client\/Cached)\.ts$/.test(file) && target.endsWith("/ResponseCache.ts")
    const isStack = /\/vendor\/(?:Policy|Stack|Stack\/\w+|Vendor)\.ts$/.test(file)
    if (to === "policies" && layer === "vendor" && !isStack && !isCaching) {
      return "only the stack knows the policies together"
    }
  }
  const vendor = /^packages\/vendors\/src\/([\w-]+)\/(?:([\w-]+)\/)?/.exec(file)
  if (file.startsWith("packages/vendors/")) {
    if (/^(?:apps|packages\/core)\//.test(target)) return "a package is imported by its name"
    const isBundled = file === "packages/vendors/src/countries/Bundled.ts" && target === "world-countries"
    if (!isBundled && !/^(?:effect|node:|@breakwater\/core|packages\/vendors\/src\/)/.test(target)) {
      return "vendors are made of core, effect and node alone"
    }
  }
  if (vendor !== null && target.startsWith("packages/vendors/src/")) {
    const to = /^packages\/vendors\/src\/([\w-]+)\/(?:([\w-]+)\/)?/.exec(target)
    if (to !== null && to[1] !== vendor[1]) return "a capability may not import another"
    const isComposed = /^packages\/vendors\/src\/[\w-]+\/layers\.ts$/.test(file)
    if (to?.[2] !== undefined && to[2] !== vendor[2] && !isComposed) return "a vendor is imported by itself alone"
  }
  return undefined
}

/** Every module that a text names, whatever the form: `from`, a bare `import`, `import()` also of a type, `require`. */
const modulesIn = (text: string): ReadonlyArray<string> =>
  Array.from(
    text.replaceAll(/\/\*.*?\*\//gs, "").matchAll(/(?:\bfrom\s*|\b(?:import|require)\s*\(?\s*)(["'`])(.+?)\1/g),
    ([, , module]) => module!
  )

const importsOf = (file: string) => modulesIn(readFileSync(join(root, file), "utf8"))

const sources = globSync(["packages/*/src/**/*.ts", "apps/*/src/**/*.ts"], { cwd: root })

describe("architecture", () => {
  it("lets a folder import only the layers below it", () => {
    assert.isAbove(sources.length, 50)
    const violations = sources.flatMap((file) =>
      importsOf(file).flatMap((imported) => {
        const wrong = violation(file, imported)
        return wrong === undefined ? [] : [`${file} imports ${imported}: ${wrong}`]
      })
    )
    assert.deepStrictEqual(violations, [])
  })

  it.each([
    [`import { a } from "./a.ts"`],
    [`import a from './a.ts'`],
    [`import {\n  a,\n  b\n} from "./a.ts"`],
    [`import type * as A from "./a.ts"`],
    [`import "./a.ts"`],
    [`export * from "./a.ts"`],
    [`export { a } from "./a.ts"`],
    [`const a = await import("./a.ts")`],
    [`const a: import("./a.ts").A = b`],
    [`const a = require("./a.ts")`]
  ])("sees what is imported by %j", (text) => {
    assert.deepStrictEqual(modulesIn(`/** import "no" */\n${text}`), ["./a.ts"])
  })

  it.each([
    ["packages/core/src/Gate.ts", "./policies/Breaker.ts", "the vocabulary imports only effect and itself"],
    ["packages/core/src/Redaction/Names.ts", "../policies/Retry.ts", "the vocabulary imports only effect and itself"],
    ["packages/core/src/vendor/Sample.ts", "../Redaction/Shapes.ts", "the inside of Redaction is its own"],
    ["packages/core/src/policies/Retry.ts", "../vendor/Stack.ts", "policies may not import vendor"],
    ["packages/core/src/policies/Retry.ts", "../transport/Transport.ts", "policies may not import transport"],
    ["packages/core/src/vendor/Client.ts", "@effect/platform-node/Undici", "only transport may import"],
    ["packages/core/src/vendor/Client.ts", "../policies/Retry.ts", "only the stack knows the policies together"],
    ["packages/core/src/vendor/Client.ts", "../testing/Recorder.ts", "vendor may not import testing"],
    ["packages/core/src/vendor/Client.ts", "../utils/strings.ts", "every folder of core has a place"],
    ["packages/core/src/vendor/Vendor.ts", "@breakwater/vendors", "core knows no vendor"],
    ["packages/vendors/src/payments/stripe/Stripe.ts", "stripe", "vendors are made of core, effect and node alone"],
    ["packages/vendors/src/payments/stripe/Stripe.ts", "../adyen/Adyen.ts", "a vendor is imported by itself alone"],
    ["packages/vendors/src/payments/Payments.ts", "./stripe/Stripe.ts", "a vendor is imported by itself alone"],
    ["packages/vendors/src/payments/stripe/Stripe.ts", "../../sms/Sms.ts", "a capability may not import another"],
    ["packages/vendors/src/payments/layers.ts", "../sms/twilio/Twilio.ts", "a capability may not import another"],
    ["packages/vendors/src/payments/stripe/layers.ts", "../adyen/Adyen.ts", "a vendor is imported by itself alone"],
    ["packages/vendors/src/countries/layers.ts", "world-countries", "vendors are made of core, effect and node alone"]
  ])("finds it wrong that %s imports %s", (file, imported, why) => {
    assert.include(violation(file, imported) ?? "", why)
  })

  it("lets one file compose the vendors of a capability, and one read the data that comes with the package", () => {
    for (
      const [file, imported] of [
        ["packages/vendors/src/payments/layers.ts", "./stripe/Stripe.ts"],
        ["packages/vendors/src/countries/Bundled.ts", "world-countries"]
      ] as const
    ) {
      assert.isUndefined(violation(file, imported))
    }
  })

  it("documents every option with its default", () => {
    let options = 0
    const undocumented = sources.filter((file) => file.startsWith("packages/")).flatMap((file) => {
      const text = readFileSync(join(root, file), "utf8")
      return Array.from(text.matchAll(/^export interface \w*(?:Options|Policy|Declaration)\b.*?^}/gms)).flatMap(
        ([declared]) =>
          Array.from(declared.matchAll(/(\/\*\*(?:(?!\*\/).)*\*\/)?\s*readonly (\w+)\?:/gs)).flatMap(
            ([, doc = "", name]) => {
              options++
              return doc.includes("@default") ? [] : [`${file}: ${name}`]
            }
          )
      )
    })
    assert.isAbove(options, 50)
    assert.deepStrictEqual(undocumented, [])
  })

  it("has no folder or file for odds and ends", () => {
    assert.deepStrictEqual(sources.filter((file) => /\b(?:utils?|helpers?|common|types|lib|misc)\b/i.test(file)), [])
  })
})

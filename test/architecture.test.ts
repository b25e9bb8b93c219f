import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

/**
 * The folders of core. A folder imports the root, the folders before it in this list, and itself.
 */
const folders = [
  "structures",
  "fleet",
  "policies",
  "caching",
  "stack",
  "degradation",
  "credentials",
  "transport",
  "client",
  "simulator",
  "sources",
  "delivery",
  "webhooks",
  "operations",
  "testing"
]

/** What a file may import besides modules of its own package, by package. */
const packages: ReadonlyArray<readonly [folder: string, allowed: RegExp]> = [
  ["packages/core/", /^(?:effect(?:\/|$)|node:)/],
  ["packages/vendors/", /^(?:effect(?:\/|$)|node:|@breakwater\/core(?:\/[a-z]+)?$)/],
  ["packages/cli/", /^(?:effect(?:\/|$)|node:|@breakwater\/core(?:\/[a-z]+)?$)/],
  [
    "apps/",
    /^(?:effect(?:\/|$)|node:|@effect\/|@opentelemetry\/|@breakwater\/core(?:\/[a-z]+)?$|@breakwater\/vendors(?:\/[a-z/-]+)?$)/
  ]
]

/** Packages that one place of the house may import, each with the place. */
const places: ReadonlyArray<readonly [module: RegExp, place: RegExp]> = [
  [/^undici(?:\/|$)/, /^packages\/core\/src\/transport\//],
  [/^age-encryption$/, /^packages\/core\/src\/sources\/EncryptedFile\//],
  [/^@aws-sdk\//, /^packages\/core\/src\/sources\/AwsSecretsManager\//],
  [/^@effect\/platform-node(?:\/|$)/, /^(?:packages\/core\/src\/fleet\/|apps\/)/],
  [/^world-countries$/, /^packages\/vendors\/src\/countries\/Bundled\.ts$/]
]

const folderOf = (file: string): string | undefined => /^packages\/core\/src\/(?:([a-z]\w*)\/)?/.exec(file)?.[1] ?? ""

/** The module that a file is the inside of: `a/X` for `a/X/Y.ts`. */
const ownerOf = (file: string): string | undefined => /^(.*?\/[A-Z]\w*)\//.exec(file)?.[1]

interface Rule {
  readonly says: string
  /** Whether an import breaks it. Paths are relative to the root of the repository. */
  readonly broken: (file: string, target: string) => boolean
  /** One import that breaks it, and may break no other. */
  readonly wrong: readonly [file: string, imported: string]
}

const isCore = (file: string): boolean => file.startsWith("packages/core/src/")
const isIndex = (file: string): boolean => /^packages\/core\/src\/(?:guard|(?:[a-z]\w*\/)?index)\.ts$/.test(file)
const isOwn = (target: string): boolean => /^(?:packages|apps)\//.test(target)
const packageOf = (path: string): string => path.split("/").slice(0, 2).join("/")

/** Where a file of the vendors stands: `[capability, vendor]`, as far as it is in one. */
const vendorOf = (file: string): readonly [string | undefined, string | undefined] => {
  const [, capability, vendor] = /^packages\/vendors\/src\/([\w-]+)\/(?:([a-z][\w-]*)\/)?/.exec(file) ?? []
  return [capability, vendor]
}

const rules: ReadonlyArray<Rule> = [
  {
    says: "the root of core imports effect and itself alone",
    broken: (file, target) =>
      isCore(file) && !isIndex(file) && folderOf(file) === "" &&
      !(/^effect(?:\/|$)/.test(target) || (isCore(target) && folderOf(target) === "")),
    wrong: ["packages/core/src/Gate.ts", "node:crypto"]
  },
  {
    says: "every folder of core has a place in the list",
    broken: (file, target) =>
      isCore(file) && [file, target].some((path) => isCore(path) && !["", ...folders].includes(folderOf(path)!)),
    wrong: ["packages/core/src/client/Client.ts", "../utils/strings.ts"]
  },
  ...folders.slice(0, -1).map((folder, place): Rule => ({
    says: `${folder} imports only the folders before it`,
    broken: (file, target) =>
      isCore(file) && folderOf(file) === folder && isCore(target) && folders.indexOf(folderOf(target)!) > place,
    wrong: [`packages/core/src/${folder}/Module.ts`, `../${folders[place + 1]}/Other.ts`]
  })),
  {
    says: "nothing imports a list of exports of its own package",
    broken: (file, target) => file !== target && !isIndex(file) && isIndex(target),
    wrong: ["packages/core/src/client/Client.ts", "../stack/index.ts"]
  },
  {
    says: "the list of exports of a folder lists that folder alone",
    broken: (file, target) =>
      isIndex(file) && folderOf(file) !== "" && (!isCore(target) || folderOf(target) !== folderOf(file)),
    wrong: ["packages/core/src/sources/index.ts", "../transport/Tls.ts"]
  },
  {
    says: "only the stack knows the policies together",
    broken: (file, target) =>
      isCore(file) && isCore(target) && folderOf(target) === "policies" && !isIndex(file) &&
      !["policies", "stack"].includes(folderOf(file)!),
    wrong: ["packages/core/src/degradation/Failover.ts", "../policies/Breaker.ts"]
  },
  {
    says: "the inside of a module is its own",
    broken: (file, target) => {
      const owner = ownerOf(target)
      return isOwn(target) && owner !== undefined && file !== `${owner}.ts` && !file.startsWith(`${owner}/`)
    },
    wrong: ["packages/core/src/degradation/FeatureSwitch.ts", "../policies/Breaker/TimeWindow.ts"]
  },
  {
    says: "a package is imported by its name",
    broken: (file, target) => isOwn(target) && packageOf(file) !== packageOf(target),
    wrong: ["packages/vendors/src/Money.ts", "../../core/src/Range.ts"]
  },
  {
    says: "a package imports only what is listed for it, and other packages by their entry points",
    broken: (file, target) =>
      !isOwn(target) && !places.some(([module]) => module.test(target)) &&
      packages.some(([folder, allowed]) => file.startsWith(folder) && !allowed.test(target)),
    wrong: ["packages/vendors/src/payments/stripe/Stripe.ts", "@breakwater/core/client/Vendor"]
  },
  ...places.map(([module, place]): Rule => ({
    says: `${module.source} is imported in one place`,
    broken: (file, target) => module.test(target) && !place.test(file),
    wrong: ["packages/core/src/client/Client.ts", module.source.replaceAll(/[\\^$]|\(.*?\)/g, "")]
  })),
  {
    says: "a capability imports no other",
    broken: (file, target) => {
      const [[from], [to]] = [vendorOf(file), vendorOf(target)]
      return from !== undefined && to !== undefined && from !== to
    },
    wrong: ["packages/vendors/src/payments/stripe/Stripe.ts", "../../sms/Sms.ts"]
  },
  {
    says: "a vendor is imported by itself and by the layers of its capability alone",
    broken: (file, target) => {
      const [[capability, vendor], [to, other]] = [vendorOf(file), vendorOf(target)]
      const isComposed = file === `packages/vendors/src/${capability}/Layers.ts`
      return capability !== undefined && capability === to && other !== undefined && vendor !== other && !isComposed
    },
    wrong: ["packages/vendors/src/payments/stripe/Stripe.ts", "../adyen/Adyen.ts"]
  },
  {
    says: "a vendor's client knows no simulator",
    broken: (file, target) =>
      file.startsWith("packages/vendors/src/") && !/\/Simulator(?:\/|\.ts$)|\/simulator\.ts$/.test(file) &&
      (target === "@breakwater/core/simulator" || /\/Simulator(?:\/.*)?\.ts$/.test(target)),
    wrong: ["packages/vendors/src/payments/stripe/Stripe.ts", "./Simulator.ts"]
  }
]

const targetOf = (file: string, imported: string): string =>
  imported.startsWith(".") ? normalize(join(dirname(file), imported)) : imported

const violations = (file: string, imported: string): ReadonlyArray<string> =>
  rules.filter(({ broken }) => broken(file, targetOf(file, imported))).map(({ says }) => says)

/** Every module that a text names, in every form: `from`, a bare `import`, `import()` also of a type, `require`. */
const modulesIn = (text: string): ReadonlyArray<string> =>
  Array.from(
    text.replaceAll(/\/\*.*?\*\//gs, "").matchAll(/(?:\bfrom\s*|\b(?:import|require)\s*\(?\s*)(["'`])(.+?)\1/g),
    ([, , module]) => module!
  )

const importsOf = (file: string) => modulesIn(readFileSync(join(root, file), "utf8"))

const sources = globSync(["packages/*/src/**/*.ts", "apps/*/src/**/*.ts"], { cwd: root })

describe("architecture", () => {
  it("holds every rule in every file", () => {
    assert.isAbove(sources.length, 50)
    const broken = sources.flatMap((file) =>
      importsOf(file).flatMap((imported) => violations(file, imported).map((says) => `${file} → ${imported}: ${says}`))
    )
    assert.deepStrictEqual(broken, [])
  })

  it.each(rules)("goes red for a wrong import: $says", ({ says, wrong: [file, imported] }) => {
    assert.include(violations(file, imported), says)
  })

  it("lets structures stand that are used by two concepts or more", () => {
    const structures = sources.filter((file) => file.startsWith("packages/core/src/structures/"))
    assert.isNotEmpty(structures)
    const conceptOf = (file: string) => ownerOf(file) ?? file.replace(/\.ts$/, "")
    const users = (structure: string) =>
      new Set(
        sources.filter((file) =>
          !isIndex(file) && importsOf(file).some((imported) => targetOf(file, imported) === structure)
        )
          .map(conceptOf)
      )
    assert.deepStrictEqual(structures.filter((file) => !isIndex(file) && users(file).size < 2), [])
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

  it("has no folder or file for odds and ends, and none that other tools pass over", () => {
    assert.deepStrictEqual(
      sources.filter((file) =>
        /\b(?:[Uu]tils?|[Hh]elpers?|common|types|lib|misc|vendor|third-party|external|cache|dist|env|tools|build)\b/
          .test(file)
      ),
      []
    )
  })
})

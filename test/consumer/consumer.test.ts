import * as StripeSimulator from "@breakwater/vendors/payments/stripe/simulator"
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { afterAll } from "vitest"
import * as Project from "./project.ts"

// It packs, and installs from the registry. `.ci/run` (`EFFORT=ci`) and `npm run release` run it.
describe("a project that installs the tarballs", () => {
  let project: Project.Project
  let stripe: Readonly<Record<string, string>>
  const scope = Scope.makeUnsafe()

  beforeAll(async () => {
    project = await Project.make()
    const { baseUrl } = await Effect.runPromise(Scope.provide(StripeSimulator.serve(), scope))
    stripe = { STRIPE_BASE_URL: baseUrl, STRIPE_API_KEY: "sk_simulated" }
    const entries = ["@breakwater/core", "@breakwater/vendors"].flatMap((name) =>
      Project.entriesOf(project.directory, name)
    )
    assert.isAbove(entries.length, 20)
    const lines = entries.map((entry, index) => `import * as entry${index} from "${entry}"\n`).join("")
    const names = entries.map((_, index) => `entry${index}`).join(", ")
    writeFileSync(join(project.directory, "entries.ts"), `${lines}console.log([${names}].length)\n`)
  })
  afterAll(async () => {
    rmSync(dirname(project.directory), { recursive: true, force: true })
    await Effect.runPromise(Scope.close(scope, Exit.void))
  })

  /** Runs a compiled or bundled module with every Node, and expects of each that it prints the lines. */
  const prints = async (module: string, ...lines: ReadonlyArray<string | number>) => {
    for (const node of project.nodes.values()) {
      const { code, error, out } = await project.run(node, [module], stripe)
      assert.deepStrictEqual({ code, out }, { code: 0, out: `${lines.join("\n")}\n` }, error)
    }
  }
  const count = () => readFileSync(join(project.directory, "entries.ts"), "utf8").match(/^import/gm)!.length

  it("installs the packages that a user of one vendor needs, and no others", () => {
    assert.deepStrictEqual(Project.installedIn(project.directory), [
      "@breakwater/cli",
      "@breakwater/core",
      "@breakwater/vendors",
      "@types/node",
      "effect",
      "undici",
      "undici-types"
    ])
  })

  it("compiles strictly, all declarations checked", async () => {
    const compilerOptions = {
      target: "ES2024",
      module: "NodeNext",
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      types: ["node"],
      outDir: "out"
    }
    writeFileSync(join(project.directory, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }))
    assert.deepStrictEqual(await project.run(project.tsc, ["-p", "."]), { code: 0, out: "", error: "" })
  })

  it("runs, and imports every entry point", async () => {
    await prints("out/program.js", "succeeded PaymentDeclined", "ConnectFailed")
    await prints("out/entries.js", count())
  })

  it.each(["esbuild", "rolldown"])("is bundled by %s without a flag, and runs", async (name) => {
    const bundle = async (module: string, extension: string) => {
      const [program, args] = project.bundlers[name]!(`${module}.ts`, `${name}/${module}`)
      const { code, error } = await project.run(program, args)
      assert.strictEqual(code, 0, error)
      return `${name}/${module}${extension}`
    }
    const extension = name === "esbuild" ? ".cjs" : ".mjs"
    await prints(await bundle("program", extension), "succeeded PaymentDeclined", "ConnectFailed")
    await prints(await bundle("entries", extension), count())
    await prints(await bundle("optional", extension), ...absent)
  })

  const absent = [
    "needs the package age-encryption: install it",
    "AWS keys need the package @aws-sdk/credential-providers or the option `credentials`",
    "install the package world-countries, or set bundled: false"
  ]

  it("gets the name of the package to install, when it uses a part that needs one", async () => {
    await prints("out/optional.js", ...absent)
  })

  it("sees the line of our code that threw, short enough to read, and the line of its own", async () => {
    for (const node of project.nodes.values()) {
      const { code, error } = await project.run(node, ["out/mistake.js"])
      assert.strictEqual(code, 1)
      const [place, line] = error.split("\n")
      assert.match(place!, /\/node_modules\/@breakwater\/core\/dist\/bundle\/shared\/guard\.js:\d+$/)
      assert.match(line!, /^\s*(?:if \(.{1,80}\) )?throw new Error\(`Policy: attemptTimeout .{1,120}$/)
      assert.include(error, "Error: Policy: attemptTimeout (20000 ms) is longer than deadline (10000 ms)")
      assert.match(error, /\/shop\/out\/mistake\.js:\d+:\d+/)
      // With source maps it is the line of the source.
      const mapped = await project.run(node, ["--enable-source-maps", "out/mistake.js"])
      assert.match(mapped.error, /core\/src\/stack\/Policy\.ts:\d+/)
    }
  })

  it("runs the command", async () => {
    for (const node of project.nodes.values()) {
      const { code, error, out } = await project.run(node, ["node_modules/.bin/breakwater", "--help"])
      assert.deepStrictEqual([code, error], [0, ""])
      assert.include(out, "secrets    Creates and edits an encrypted file of secrets")
    }
    const { code, error } = await project.run("node_modules/.bin/breakwater", ["secrets", "key", "key"], {
      PATH: `${dirname(process.execPath)}:${process.env["PATH"]}`
    })
    assert.strictEqual(error, "breakwater secrets: making a key needs the package age-encryption: install it\n")
    assert.strictEqual(code, 1)
  })
})

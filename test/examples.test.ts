import * as FrankfurterSimulator from "@breakwater/vendors/exchange-rates/frankfurter/simulator"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { spawnSync } from "node:child_process"
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { format } from "node:util"
import { afterAll, beforeAll, vi } from "vitest"

/**
 * Every example that a reader can find is type-checked and run. `// => text` after a `console.log`, or on the line below
 * it, is what it prints.
 */
const root = fileURLToPath(new URL("..", import.meta.url))
const folder = join(root, "test", ".examples")

interface Example {
  readonly source: string
  readonly file: string
  readonly expected: ReadonlyArray<string>
}

const codeBlocks = (text: string): ReadonlyArray<string> =>
  Array.from(text.matchAll(/^```ts\n([\s\S]*?)^```/gm), ([, code]) => code!)

/** The examples in the comments of a module. */
const inComments = (text: string): ReadonlyArray<string> =>
  Array.from(text.matchAll(/\/\*\*[\s\S]*?\*\//g)).flatMap(([comment]) =>
    codeBlocks(comment.replaceAll(/^ *\* ?/gm, ""))
  )

const sources = [
  ...globSync([
    "README.md",
    "CONTRIBUTING.md",
    "docs/guides/**/*.md",
    "packages/*/README.md",
    "packages/vendors/src/*/*/README.md"
  ], {
    cwd: root
  }),
  ...globSync("packages/*/src/**/*.ts", { cwd: root })
].toSorted((a, b) => a.localeCompare(b))

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })

const examples = sources.flatMap((source): ReadonlyArray<Example> => {
  const text = readFileSync(join(root, source), "utf8")
  return (source.endsWith(".md") ? codeBlocks(text) : inComments(text)).map((code, index) => {
    const file = join(folder, `${source.replaceAll(/[^\w]+/g, "-")}-${index + 1}.ts`)
    writeFileSync(file, `${code}\nexport {}\n`)
    return { source, file, expected: Array.from(code.matchAll(/\/\/ => (.*)$/gm), ([, text]) => text!) }
  })
})

writeFileSync(
  join(folder, "tsconfig.json"),
  JSON.stringify({
    extends: "../../tsconfig.base.json",
    compilerOptions: {
      composite: false,
      incremental: false,
      declaration: false,
      declarationMap: false,
      noEmit: true,
      types: ["node"]
    },
    include: ["*.ts"]
  })
)

describe("the examples", () => {
  const scope = Scope.makeUnsafe()
  beforeAll(async () => {
    // What the examples call is on this machine.
    const { baseUrl } = await Effect.runPromise(Scope.provide(FrankfurterSimulator.serve(), scope))
    vi.stubEnv("FRANKFURTER_BASE_URL", baseUrl)
  })
  afterAll(async () => {
    vi.unstubAllEnvs()
    await Effect.runPromise(Scope.close(scope, Exit.void))
  })

  it("are where readers look for them", () => {
    const missing = ["README.md", "packages/core/src/client/Vendor.ts", "packages/core/src/policies/Breaker.ts"]
      .filter((source) => !examples.some((example) => example.source === source))
    assert.deepStrictEqual(missing, [])
  })

  it("type-check", () => {
    const { status, stdout } = spawnSync(join(root, "node_modules/.bin/tsc"), ["-p", folder], { encoding: "utf8" })
    assert.strictEqual(status, 0, stdout)
  })

  it.each(examples.map((example) => [example.source, example] as const))(
    "print what they say: %s",
    async (_, example) => {
      const printed: Array<string> = []
      const log = vi.spyOn(console, "log").mockImplementation((...values) => {
        printed.push(format(...values))
      })
      try {
        await import(pathToFileURL(example.file).href)
      } finally {
        log.mockRestore()
      }
      assert.deepStrictEqual(printed, example.expected)
    }
  )
})

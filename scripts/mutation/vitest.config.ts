/** The test runner of a trial: it replaces one source in memory, keeps the order of the files, and stops at the first failure. */
import { readFileSync, writeSync } from "node:fs"
import { defineConfig } from "vitest/config"
import type { TestModule, TestSpecification } from "vitest/node"
import { apart } from "../../test/setup/Apart.ts"
import { leftOut } from "../../test/setup/Tiers.ts"
import { root } from "./mutants.ts"
import { type Report, variable } from "./trial.ts"

const { change, files } = JSON.parse(readFileSync(process.env[variable]!, "utf8")) as {
  readonly change?: { readonly file: string; readonly source: string }
  readonly files: ReadonlyArray<string>
}

/** The third descriptor is the pipe to the process that started the trial. */
const report = (line: Report): void => void writeSync(3, `${JSON.stringify(line)}\n`)

const exclude = ["**/node_modules/**", ...leftOut]

const order = ({ moduleId }: TestSpecification): number => files.findIndex((file) => moduleId === root + file)

export default defineConfig({
  plugins: [{
    name: "changed source",
    enforce: "pre",
    load: (id) => change !== undefined && id.split("?")[0] === root + change.file ? change.source : undefined
  }],
  test: {
    // The cache knows a module by its file, which has not changed.
    fsModuleCache: false,
    bail: 1,
    maxWorkers: 1,
    fileParallelism: false,
    // What hangs is ended by the trial.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    projects: [
      {
        extends: true,
        test: { name: "shared", include: ["test/**/*.test.ts"], exclude: [...exclude, ...apart], isolate: false }
      },
      { extends: true, test: { name: "apart", include: [...apart], exclude } }
    ],
    sequence: {
      sequencer: class {
        shard = (specifications: Array<TestSpecification>) => specifications
        sort = (specifications: Array<TestSpecification>) => specifications.toSorted((a, b) => order(a) - order(b))
      }
    },
    reporters: [{
      onTestModuleStart: ({ relativeModuleId: file }: TestModule) => report({ type: "began", file }),
      onTestModuleEnd: (module: TestModule) => {
        const file = module.relativeModuleId
        const failed = module.children.allTests("failed").next().value
        if (module.state() === "failed") report({ type: "failed", file, test: failed?.fullName ?? "(the file itself)" })
        else report({ type: "ended", file })
      },
      onTestRunEnd: (modules: ReadonlyArray<TestModule>, errors: ReadonlyArray<unknown>) => {
        // The file that ran last is the most likely one.
        const file = modules.at(-1)?.relativeModuleId ?? ""
        if (errors.length > 0) report({ type: "failed", file, test: "(an error outside of a test)" })
        report({ type: "over" })
      }
    }]
  }
})

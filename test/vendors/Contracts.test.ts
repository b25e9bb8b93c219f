import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const program = fileURLToPath(new URL("./ContractProcess.ts", import.meta.url))

interface Told {
  /** The number of schemas compiled to code. */
  readonly compiled: number
  /** By contract and operation. */
  readonly outcomes: ReadonlyArray<ReadonlyArray<string>>
}

const run = (...options: ReadonlyArray<string>): Told =>
  JSON.parse(execFileSync(process.execPath, [...options, program], { encoding: "utf8", maxBuffer: 2 ** 28 })) as Told

describe("compiled schemas", () => {
  it("encode and decode all contracts as interpreted ones do, valid or not, with the same error texts", () => {
    const compiled = run()
    const interpreted = run("--disallow-code-generation-from-strings")
    assert.isAbove(compiled.compiled, 100)
    assert.strictEqual(interpreted.compiled, 0)
    assert.isAbove(compiled.outcomes.flat().length, 20)
    for (const [contract, operations] of compiled.outcomes.entries()) {
      for (const [operation, outcomes] of operations.entries()) {
        assert.strictEqual(outcomes, interpreted.outcomes[contract]![operation])
      }
    }
  })
})

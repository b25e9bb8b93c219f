import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import packageJson from "../../packages/cli/package.json" with { type: "json" }
import * as CompileCache from "../processes/CompileCache.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

const run = (...words: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = spawnSync(`${root}node_modules/.bin/breakwater`, words, {
    encoding: "utf8",
    env: { ...process.env, ...CompileCache.environment }
  })
  return { code: status, out: stdout, error: stderr }
}

describe("breakwater", () => {
  it("lists its commands for --help, from the root of the repository", () => {
    const { code, error, out } = run("--help")
    assert.deepStrictEqual([code, error], [0, ""])
    assert.match(out, /^DESCRIPTION\n[^]*SUBCOMMANDS\n {2}secrets {4}Creates and edits an encrypted file of secrets\n$/)
  })

  it("prints the help of a command", () => {
    const { code, error, out } = run("secrets", "set", "--help")
    assert.deepStrictEqual([code, error], [0, ""])
    assert.include(out, "breakwater secrets set [flags] <FILE> <NAME>")
  })

  it("prints its version alone", () => {
    assert.deepStrictEqual(run("--version"), { code: 0, out: `${packageJson.version}\n`, error: "" })
  })

  it("prints its help to standard error, and exits with 2, for a missing or unknown command", () => {
    for (const [words, end] of [[[], "secrets\n"], [["marked"], "breakwater: unknown command\n"]] as const) {
      const { code, error, out } = run(...words)
      assert.deepStrictEqual([code, out], [2, ""])
      assert.include(error, "SUBCOMMANDS")
      assert.isTrue(error.endsWith(end), error)
      assert.notInclude(error, "marked")
    }
  })
})

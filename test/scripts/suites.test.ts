import { assert, describe, it } from "@effect/vitest"
import * as Evidence from "../../scripts/evidence.ts"
import { add, lineOf, none, parse } from "../../scripts/suites/Counts.ts"

describe("the last lines of suites", () => {
  it("are added up into one", () => {
    const lines = ["12 passed, 0 failed, 2 skipped", "3 passed, 1 failed, 0 skipped"]
    assert.strictEqual(
      lineOf(lines.reduce((sum, line) => add(sum, parse(line)!), none)),
      "15 passed, 1 failed, 2 skipped"
    )
  })

  it("are told from all other lines", () => {
    for (const line of ["12 passed", " 1 passed, 0 failed, 0 skipped", "1 passed, 0 failed, 0 skipped."]) {
      assert.isUndefined(parse(line))
    }
  })
})

describe("evidence", () => {
  const evidence = { commit: "0123456789abcdef", date: "", machine: "", sources: ["packages"], rows: [] }
  const verdict = (diff: string | undefined) =>
    Evidence.verdict("bench.json", evidence, Evidence.changedSince(evidence, () => diff))

  it("is older than its sources, current, or unknown", () => {
    assert.strictEqual(verdict(""), "current: bench.json, about 0123456789")
    assert.strictEqual(
      verdict("packages/a.ts\npackages/b.ts"),
      "older than its sources: bench.json, about 0123456789; 2 files have changed since"
    )
    assert.strictEqual(verdict(undefined), "unknown: bench.json is about 0123456789, which is not in this repository")
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as Changes from "../../scripts/changes.ts"

const packages = ["@breakwater/core", "@breakwater/vendors"]
const change = (head: string, text = "Something new.") =>
  Changes.parse("a.md", `---\n${head}\n---\n\n${text}\n`, packages)

describe("changes", () => {
  it("become the next version and a section of each changelog", () => {
    const changes = [change(`"@breakwater/core": patch`, "Mended.\nTwice."), change(`'@breakwater/core': minor`)]
    assert.strictEqual(Changes.nextVersion("0.1.2", changes), "0.2.0")
    const changelog = "# Changelog\n\n## 0.1.2\n\nOld.\n"
    assert.strictEqual(
      Changes.withSection(changelog, "@breakwater/core", "0.2.0", changes),
      "# Changelog\n\n## 0.2.0\n\n- Mended.\n  Twice.\n- Something new.\n\n## 0.1.2\n\nOld.\n"
    )
    assert.include(Changes.withSection(changelog, "@breakwater/vendors", "0.2.0", changes), "No change of its own.")
  })

  it.each([
    ["0.1.2", "patch", "0.1.3"],
    ["0.1.2", "minor", "0.2.0"],
    ["0.1.2", "major", "0.2.0"],
    ["1.1.2", "minor", "1.2.0"],
    ["1.1.2", "major", "2.0.0"]
  ])("take %s by a %s change to %s", (version, kind, next) => {
    assert.strictEqual(Changes.nextVersion(version, [change(`"@breakwater/core": ${kind}`)]), next)
  })

  it.each([
    ["an unknown package", `"@breakwater/code": minor`, "Text", /@breakwater\/code is not a published package/],
    ["an unknown kind", `"@breakwater/core": huge`, "Text", /expected "package": patch, minor or major/],
    ["no package", "", "Text", /names no package|expected packages/],
    ["no text", `"@breakwater/core": minor`, "", /a text below them/]
  ])("throw for %s", (_, head, text, message) => {
    assert.throws(() => change(head, text), message)
  })
})

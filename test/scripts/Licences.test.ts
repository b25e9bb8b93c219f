import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as Licences from "../../scripts/licences.ts"

describe("docs/licences.md", () => {
  it("lists what is installed at run time, as `npm run licences` writes it", () => {
    assert.strictEqual(readFileSync(new URL("../../docs/licences.md", import.meta.url), "utf8"), Licences.licences())
  })
})

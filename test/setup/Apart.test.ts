/** Every file that replaces what its process shares has a process of its own. */
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { apart, replaces } from "./Apart.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const files = (glob: string) => globSync(glob, { cwd: root }).filter((file) => !file.includes("node_modules"))

describe("a test file that replaces timers, clocks or modules", () => {
  it.each([
    "vi.useFakeTimers({ toFake: [] })",
    "vi.mock(\"node:fs\", () => ({}))",
    "await inVirtualTime(() => pause(1))"
  ])("is recognized by %s", (text) => {
    assert.isTrue(replaces.test(text))
  })

  it("has a process of its own", () => {
    const own = new Set(apart.flatMap(files))
    const shared = files("test/**/*.test.ts").filter((file) =>
      !own.has(file) && !file.startsWith("test/setup/") && replaces.test(readFileSync(`${root}/${file}`, "utf8"))
    )
    assert.deepStrictEqual(shared, [])
    // A row whose file has moved says nothing.
    for (const glob of apart) assert.isNotEmpty(files(glob), glob)
  })
})

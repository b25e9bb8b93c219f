import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { expect } from "vitest"
import * as Effort from "./Effort.ts"
import * as Requirements from "./Requirements.ts"
import { later } from "./Tiers.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const glob = (pattern: string) => globSync(pattern, { cwd: root })

describe("the tiers of the tests", () => {
  it("name files that are there", () => {
    assert.deepStrictEqual(later.filter(({ file }) => glob(file).length === 0).map(({ file }) => file), [])
  })

  it("name every file that runs a part of itself later", () => {
    const listed = new Set(later.flatMap(({ file, part }) => part === undefined ? [] : glob(file)))
    const split = glob("test/**/*.test.ts").filter((file) =>
      !file.includes("node_modules") && !file.startsWith("test/setup/") &&
      /\b(?:describeFrom|Effort\.everyNth|Effort\.isAtLeast)\(/.test(readFileSync(root + file, "utf8"))
    )
    assert.deepStrictEqual(split.toSorted(), [...listed].toSorted())
  })

  it("are listed in docs/tests.md, which `vitest -u` writes anew", async () => {
    await expect(page()).toMatchFileSnapshot("../../docs/tests.md")
  })
})

describe("the effort of a run", () => {
  it("grows with each tier", () => {
    const runs = (["test", "check", "ci", "long"] as const).map((tier) => Effort.runsIn(tier, 300))
    assert.deepStrictEqual(runs, [50, 300, 300, 6_000])
    assert.strictEqual(Effort.runsIn("test", 20), 20)
  })
})

describe("a server that is not installed", () => {
  const isInstalled = (list: string) => Requirements.isInstalled("redis", "/no/redis-server", list)

  it("is skipped, and is a failure where REQUIRE names it", () => {
    assert.isFalse(isInstalled(""))
    assert.isFalse(isInstalled("chromium"))
    assert.throws(() => isInstalled("chromium, redis"), "REQUIRE names redis, and /no/redis-server is not installed")
  })

  it("must be one that tests use, where REQUIRE names it", () => {
    assert.throws(() => isInstalled("rediss"), "REQUIRE must name redis, chromium, got rediss")
  })
})

const page = () =>
  [
    "# Tests and their tiers",
    "",
    "The same tests run in four sizes. Each tier does all that the tiers before it do.",
    "",
    "| command | tier | what it adds | CPU, waiting |",
    "| --- | --- | --- | --- |",
    "| `npm test` | `test` | types, and every file that is not listed below; at most 50 runs of a property | at most 200 CPU seconds, 180 s |",
    "| `npm run check` | `check` | lint, format, unused code, tarballs, costly calls, the known mutants of redaction; all runs of a property | at most 15 min |",
    "| `.ci/run` | `ci` | real servers and the project that installs the tarballs, from a frozen lockfile | at most 25 min |",
    "| `npm run long` | `long` | twenty times as many runs of a property, the known mutants of faults, a hundred mutants drawn at random, and the bench; writes [`docs/evidence`](evidence) | hours |",
    "",
    "`EFFORT=check npx vitest run test/leaks` runs one file in the size of a tier. A command ends with one line,",
    "`N passed, N failed, N skipped`, over all that it ran. `REQUIRE=redis,chromium` makes a server that is not installed a",
    "failure instead of a skip; `.ci/run` sets it.",
    "",
    "`test/setup/Tiers.ts` holds the table below, and a test writes this page from it.",
    "",
    "| file | part | first tier | because |",
    "| --- | --- | --- | --- |",
    ...later.map(({ because, file, part = "all of it", tier }) =>
      `| \`${file}\` | ${part} | \`${tier}\` | ${because} |`
    ),
    ""
  ].join("\n")

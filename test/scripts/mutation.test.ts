import { assert, describe, it } from "@effect/vitest"
import { globSync } from "node:fs"
import { argued } from "../../scripts/mutation/argued.ts"
import { mutantsOf, nameOf, shuffled } from "../../scripts/mutation/draw.ts"
import { mutants, read, root } from "../../scripts/mutation/mutants.ts"
import { changed, pointsOf } from "../../scripts/mutation/points.ts"
import { importsOf, testsOf } from "../../scripts/mutation/reach.ts"
import * as Trial from "../../scripts/mutation/trial.ts"
import { describeFrom } from "../setup/DescribeFrom.ts"

/** Every text that results from one change of a source. */
const changes = (source: string) => pointsOf(source).map((point) => changed(source, point))

describe("the changes of a source", () => {
  it.each<readonly [source: string, ...changed: ReadonlyArray<string>]>([
    ["if (isOpen()) refuse()", "if (!(isOpen())) refuse()", "if (isOpen()) {}"],
    ["const a = isOpen ? 'b' : 'c'", "const a = !(isOpen) ? 'b' : 'c'"],
    ["const a = !isOpen", "const a = isOpen"],
    ["const a = b && c", "const a = b || c"],
    ["const a = b || c", "const a = b && c"],
    ["const a = b ?? c", "const a = b", "const a = c"],
    ["const a = b < c", "const a = b <= c"],
    ["const a = b >= c", "const a = b > c"],
    ["const a = b === c", "const a = b !== c"],
    ["const a = b + c", "const a = b - c"],
    ["const a = b * c", "const a = b / c"],
    ["const a = 64", "const a = 65", "const a = 63"],
    ["const a = 0", "const a = 1"],
    ["const a = true", "const a = false"],
    ["const a = Math.max(b, c)", "const a = Math.min(b, c)", "const a = (b)", "const a = (c)"],
    ["a.count += b", "{}", "a.count -= b"],
    ["a.count++", "{}", "a.count--"],
    ["this.isOver = true", "{}", "this.isOver = false"],
    ["timer?.cancel()", "{}"],
    ["function* a() { yield* b }", "function* a() { {} }"],
    [
      "function a() { if (b) return; c() }",
      "function a() { {} c() }",
      "function a() { if (!(b)) return; c() }",
      "function a() { if (b) return; {} }"
    ]
  ])("are made by the operators: %s", (source, ...expected) => {
    assert.sameMembers([...changes(source)], expected)
  })

  it.each([
    ["types", "interface A { readonly b?: 1 | true }\ntype C = 2 extends 3 ? 4 : 5\nconst d = e as 6"],
    ["comments", "// a < b\n/** 64 */\nconst a = b"],
    ["texts", "const a = 'b && c'\nconst d = `at most ${e + 1} of ${f ?? g}`"],
    ["what is thrown", "throw new RangeError('at least ' + (a + 1))"],
    ["imports", "import { a } from 'b'\nexport * from 'c'"]
  ])("leave %s as they are", (_, source) => {
    assert.deepStrictEqual(changes(source), [])
  })

  it("are of one place each, and leave the rest of the source", () => {
    const source = "// 😀\nconst a = [1, 2]\n"
    assert.deepStrictEqual(changes(source), [
      "// 😀\nconst a = [2, 2]\n",
      "// 😀\nconst a = [0, 2]\n",
      "// 😀\nconst a = [1, 3]\n",
      "// 😀\nconst a = [1, 1]\n"
    ])
  })
})

describe("mutants", () => {
  const sources = [
    { file: "packages/core/src/a.ts", text: "const a = b < c\nconst d = {\n  e: 64\n}\n" },
    { file: "packages/core/src/f.ts", text: "export const f = true\n" }
  ]

  it("have a place, a name and the changed source", () => {
    const [first, second] = mutantsOf(sources)
    assert.strictEqual(nameOf(first!), "a.ts:1 bound moved: `const a = b < c` → `const a = b <= c`")
    assert.strictEqual(first!.source, sources[0]!.text.replace("<", "<="))
    assert.deepInclude(second, { file: "packages/core/src/a.ts", line: 3, from: "e: 64", to: "e: 65" })
  })

  it("are drawn in the same order for the same seed, each once, and in another for another seed", () => {
    const items = Array.from({ length: 50 }, (_, i) => i)
    const order = (seed: string) => [...shuffled(seed, items)]
    assert.deepStrictEqual(order("2f1c"), order("2f1c"))
    assert.notDeepEqual(order("2f1c"), order("2f1d"))
    assert.notDeepEqual(order("2f1c"), items)
    assert.sameMembers(order("2f1c"), items)
    // No change of this project may change what a seed draws.
    assert.deepStrictEqual(order("2f1c").slice(0, 5), [39, 41, 2, 11, 29])
  })

  it("that are known still apply to the sources", () => {
    const stale = mutants().filter(({ change, file }) => change(read(file)) === undefined)
    assert.deepStrictEqual(stale.map(({ name }) => name), [])
  })

  it("that are argued still apply to the sources, and are at most 3", () => {
    const files = [...new Set(argued.map(({ file }) => file))]
    const drawn = mutantsOf(files.map((file) => ({ file, text: read(file) })))
    const stale = argued.filter((known) =>
      !drawn.some(({ file, from, to }) => file === known.file && from === known.from && to === known.to)
    )
    assert.deepStrictEqual(stale, [])
    assert.isAtMost(argued.length, 3)
  })
})

describe("the tests of a module", () => {
  const tests = testsOf(importsOf(), "packages/core/src/policies/RateLimit/SlidingWindow.ts")

  it("begin with those of the module itself and of its folder", () => {
    assert.deepStrictEqual(tests.slice(0, 2), [
      "test/core/policies/RateLimit/SlidingWindow.test.ts",
      "test/core/policies/RateLimit/Rest.test.ts"
    ])
  })

  it("are those that import it, however many modules are in between, and no others", () => {
    assert.include(tests, "test/core/stack/Order.test.ts")
    assert.notInclude(tests, "test/core/transport/Json.test.ts")
    assert.isBelow(tests.length, globSync("test/**/*.test.ts", { cwd: root }).length)
  })
})

describeFrom("check")("a trial", { timeout: 120_000 }, () => {
  const file = "packages/core/src/policies/RetryBudget.ts"
  const tests = ["test/core/policies/RetryBudget.test.ts"]
  const tried = (from: string, to: string) => Trial.run({ file, source: read(file).replace(from, to) }, tests)

  it("names the test that noticed a change, and writes no file", async () => {
    const before = read(file)
    const { killer } = await tried("this.saved -= 1", "")
    assert.strictEqual(killer?.file, tests[0])
    assert.include(killer?.test, "pays for its reserve")
    assert.strictEqual(read(file), before)
  })

  it("has no such test for the product as it is", async () => {
    assert.deepInclude(await tried("", ""), { killer: undefined, ran: 1, of: 1 })
  })
})

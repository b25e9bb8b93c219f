/**
 * A test file begins with a concrete example, and so does each `describe` that has one: a reader meets fixed numbers before a
 * property or a model. Files named `*.fuzz.test.ts` are exempt: they consist of one search, and the other tests in them are
 * about what that search has found. `UndiciTransport.test.ts` beside them has the examples.
 */
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { type ESTree, parseSync, Visitor } from "rolldown/utils"

const root = fileURLToPath(new URL("../..", import.meta.url))

interface Group {
  readonly title: string
  /** Its own tests in their order, without those of a group inside. */
  readonly tests: Array<"example" | "property">
}

/** The words of a callee: `it`, `live`, `prop` for `it.live.prop`, and `it`, `each` for `it.each([1, 2])`. */
const wordsOf = (callee: ESTree.Expression | ESTree.Super): ReadonlyArray<string> => {
  if (callee.type === "Identifier") return [callee.name]
  if (callee.type === "CallExpression") return wordsOf(callee.callee)
  if (callee.type !== "MemberExpression") return []
  return [...wordsOf(callee.object), callee.property.type === "Identifier" ? callee.property.name : ""]
}

/** The call that names a test and has its body, unlike the `it.each(table)` in front of it. */
const isTest = ({ arguments: args, callee }: ESTree.CallExpression): boolean =>
  wordsOf(callee)[0] === "it" && args.length > 1

const isGroup = ({ arguments: args, callee }: ESTree.CallExpression): boolean =>
  wordsOf(callee)[0]?.startsWith("describe") === true && args.length > 1

/** The places of a file where a property comes before the first example. */
const flaws = (text: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  const file: Group = { title: "the file", tests: [] }
  const groups: Array<Group> = [file]
  const all: Group["tests"] = []
  new Visitor({
    CallExpression: (call) => {
      if (isTest(call)) {
        const kind = wordsOf(call.callee).includes("prop") ? "property" : "example"
        all.push(kind)
        groups.at(-1)!.tests.push(kind)
      }
      if (isGroup(call)) {
        const [title] = call.arguments
        groups.push({ title: text.slice(title!.start, title!.end), tests: [] })
      }
    },
    "CallExpression:exit": (call) => {
      if (!isGroup(call)) return
      const { tests, title } = groups.pop()!
      if (tests[0] === "property" && tests.includes("example")) found.push(title)
    }
  }).visit(parseSync("a.test.ts", text).program)
  return all[0] === "property" ? [file.title, ...found] : found
}

describe("a concrete example", () => {
  it("begins every test file, and every group that has one", () => {
    const files = globSync("test/**/*.test.ts", { cwd: root }).filter((file) =>
      !file.includes("node_modules") && !file.endsWith(".fuzz.test.ts")
    )
    assert.isAbove(files.length, 100)
    const found = files.flatMap((file) =>
      flaws(readFileSync(root + file, "utf8")).map((place) => `${file}: ${place} begins with a property`)
    )
    assert.deepStrictEqual(found, [])
  })

  it.each<readonly [string, string, ReadonlyArray<string>]>([
    ["a file of properties", "describe('a', () => { it.prop('b', [], () => {}) })", ["the file"]],
    ["a property first", "it.effect.prop('a', [], () => {})\nit('b', () => {})", ["the file"]],
    [
      "a property first in a later group",
      "it('a', () => {})\ndescribe('b', () => { it.live.prop('c', [], () => {}); it.effect('d', () => {}) })",
      ["'b'"]
    ],
    [
      "a property before a table",
      "it('a', () => {})\ndescribe('b', () => { it.prop('c', [], () => {}); it.each([1, 2])('d %d', () => {}) })",
      ["'b'"]
    ]
  ])("is missing: %s", (_, text, expected) => {
    assert.deepStrictEqual(flaws(text), expected)
  })

  it.each([
    ["an example first", "describe('a', () => { it('b', () => {}); it.prop('c', [], () => {}) })"],
    ["a table first", "it.each([1, 2])('a %d', () => {})\nit.prop('b', [], () => {})"],
    [
      "a later group of properties alone",
      "it('a', () => {})\ndescribe('b', () => { it.prop('c', [], () => {}) })"
    ],
    [
      "an example outside, and properties in a group before it",
      "it('a', () => {})\ndescribe('b', () => { describe('c', () => { it.prop('d', [], () => {}) }); it('e', () => {}) })"
    ]
  ])("is there: %s", (_, text) => {
    assert.deepStrictEqual(flaws(text), [])
  })
})

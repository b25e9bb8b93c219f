import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

/** Phrases that a reader stumbles over, each with what to write instead. */
const phrases: ReadonlyArray<readonly [found: RegExp, instead: string]> = [
  [/\b(?:is|are) none\b/i, "is not a …"],
  [/\bgo(?:es)? before\b/i, "overrides"],
  [/\b(?:past|within) its time\b/i, "stale, fresh"],
  [/\b(?:who|what|whom)(?:so)?ever\b/i, "name the person or thing"],
  [/\(ours\)/, "say once on a page that defaults without a source are our own"],
  [/\b(?:comes?|came) to (?:nothing|an answer|an end)\b/i, "results in, ends"],
  [/\bnobody's business\b/i, "say who may see it"]
]

/** A module comment begins with a noun phrase or a verb in the third person. */
const headless = /^(?:What|How|Where|Why|Who|Whom|Whose|Which|With what|That)\b/

/** The comments of a text in TypeScript, each with the line it begins on. */
const commentsOf = (text: string): ReadonlyArray<readonly [line: number, words: string]> =>
  Array.from(text.matchAll(/\/\*\*?[\s\S]*?\*\/|(?<=^|[\s;{}(,])\/\/.*$/gm), (match) => [
    text.slice(0, match.index).split("\n").length,
    match[0].replaceAll(/^\s*(?:\/\*\*?|\*\/|\*|\/\/)\s?/gm, "").replace(/\s*\*\/$/, "")
  ])

/** Texts in quotes that hold a space: messages, and a few other things. */
const messagesOf = (text: string): ReadonlyArray<readonly [line: number, words: string]> =>
  text.replaceAll(/\/\*[\s\S]*?\*\//g, (comment) => comment.replaceAll(/[^\n]/g, " ")).split("\n").flatMap((line, at) =>
    Array.from(
      line.replace(/(?<=^|\s)\/\/.*$/, "").matchAll(/"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`/g),
      ([quoted]) => [at + 1, quoted.slice(1, -1)] as const
    ).filter(([, words]) => words.includes(" "))
  )

const isExample = (line: string) => /^\s*(?:import|const|await|console|yield|\}|\{)/.test(line)

const stumbles = (file: string): ReadonlyArray<string> => {
  const text = readFileSync(join(root, file), "utf8")
  const texts = file.endsWith(".md")
    ? text.replaceAll(/```[\s\S]*?```/g, (code) => code.replaceAll(/[^\n]/g, "")).split("\n").map((line, at) =>
      [at + 1, line] as const
    )
    : [...commentsOf(text), ...messagesOf(text)]
  const found = texts.flatMap(([line, words]) =>
    words.split("\n").flatMap((sentence, offset) =>
      isExample(sentence) ? [] : phrases.flatMap(([phrase, instead]) => {
        const match = phrase.exec(sentence)
        return match === null ? [] : [`${file}:${line + offset}: "${match[0]}" → ${instead}`]
      })
    )
  )
  const [first] = file.endsWith(".md") ? [] : commentsOf(text)
  return first !== undefined && headless.test(first[1].trimStart())
    ? [
      `${file}:${first[0]}: a comment begins with a noun or a verb, not with "${first[1].trimStart().split(" ")[0]}"`,
      ...found
    ]
    : found
}

const files = globSync([
  "packages/*/src/**/*.ts",
  "apps/*/src/**/*.ts",
  "scripts/**/*.ts",
  "test/**/*.ts",
  "*.md",
  "docs/**/*.md",
  "packages/*/*.md",
  "packages/*/src/**/*.md",
  "apps/*/*.md"
], { cwd: root, exclude: (name) => name === "node_modules" || name.includes("/node_modules") || name === "dist" })

describe("speech", () => {
  it("says everything in plain words", () => {
    assert.isAbove(files.length, 300)
    assert.deepStrictEqual(files.filter((file) => file !== "test/speech.test.ts").flatMap(stumbles), [])
  })
})

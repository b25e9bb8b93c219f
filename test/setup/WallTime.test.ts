/** No test has an upper bound of wall time: a busy machine would break it. `test/watches/Within.ts` has what to use instead. */
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Files whose clocks are virtual, each with what makes them so. */
const virtual: Readonly<Record<string, RegExp>> = {
  "test/core/Timeline.test.ts": /vi\.useFakeTimers\(/,
  "test/core/Timeline/Wheel.test.ts": /vi\.useFakeTimers\(/,
  "test/bench/behaviour/VirtualTime.test.ts": /inVirtualTime\(/
}

const clock = /\b(?:performance\.now\(|Date\.now\(|process\.hrtime|Effect\.timed\b)/
const bound = /\b(?:isAtMost|isBelow|closeTo|approximately|toBeLessThan|toBeLessThanOrEqual|toBeCloseTo|lessThan)\(/g

/** What stands between a bracket and the one that closes it. */
const bracketed = (text: string, from: number): string => {
  let depth = 1
  let at = from
  while (at < text.length && depth > 0) {
    if (text[at] === "(") depth++
    if (text[at] === ")") depth--
    at++
  }
  return text.slice(from, at - 1)
}

const mentions = (text: string, names: ReadonlySet<string>) =>
  Array.from(text.matchAll(/[A-Za-z_$][\w$]*/g)).some(([name]) => names.has(name))

/** The names that have been given a time, or what was made of one, as far as a line shows. */
const measured = (text: string): ReadonlySet<string> => {
  const times = new Set<string>()
  const given = Array.from(
    text.matchAll(/(?:(?:const|let)\s+(\w+)(?::[^=\n]+)?\s*=|(?<=[{,]\s*)(\w+):|(\w+)\.push\()\s*([^\n]+)/g),
    ([, declared, field, pushed, value]) => [declared ?? field ?? pushed!, value!] as const
  )
  for (let before = -1; before !== times.size;) {
    before = times.size
    for (const [name, value] of given) {
      // A function that reads the clock is not a time; neither is what a call makes of one.
      if (/=>\s*(?:$|\{)/.test(value)) continue
      if (clock.test(value) || (/[-+]/.test(value) && mentions(value, times))) times.add(name)
    }
  }
  return times
}

/** The upper bounds of a test on times that it has measured. */
const bounds = (text: string): ReadonlyArray<string> => {
  const times = measured(text)
  const asserted = Array.from(text.matchAll(bound), (found) => {
    const from = found.index + found[0].length
    const said = bracketed(text, from)
    const before = text.slice(text.lastIndexOf("\n", found.index) + 1, found.index)
    // What is near to a time may not be later than it either.
    const checked = /^(?:closeTo|approximately)/.test(found[0]) ? said : `${before} ${said.split(",")[0]!}`
    return { call: `${found[0]}${said})`, checked }
  })
  const compared = Array.from(
    text.matchAll(/isTrue\(([^\n]*?)<=?\s*[\d_]+/g),
    ([call, checked]) => ({ call, checked: checked! })
  )
  return [...asserted, ...compared]
    .filter(({ checked }) => clock.test(checked) || mentions(checked, times))
    .map(({ call }) => call)
}

/** The limits that a test sets itself, where `vitest.config.ts` has one for all. */
const ownLimits = (text: string): ReadonlyArray<string> =>
  Array.from(
    text.matchAll(
      /^ *\}\)?(?:\.pipe\([^\n]*\))?, \d+_000\)$|\}\)?(?:\.pipe\([^\n]*\))?,\n +[\d_]+\n *\)$|^ *(?:describe|it)\b[^\n]*\{ timeout: /gm
    ),
    ([limit]) => limit.trim()
  )

describe("an upper bound of wall time", () => {
  it("is in no test", () => {
    const files = globSync("test/**/*.test.ts", { cwd: root }).filter((file) =>
      !file.includes("node_modules") && file !== "test/setup/WallTime.test.ts"
    )
    assert.isAbove(files.length, 100)
    const found = files.flatMap((file) => {
      const text = readFileSync(root + file, "utf8")
      if (virtual[file] !== undefined) {
        assert.match(text, virtual[file], `${file} has no virtual clock`)
        return []
      }
      return [...bounds(text), ...ownLimits(text)].map((call) => `${file}: ${call}`)
    })
    assert.deepStrictEqual(found, [])
  })

  it.each([
    ["on the clock itself", "assert.isBelow(performance.now() - began, 4_000)"],
    ["on a constant", "const took = performance.now() - from\nassert.isAtMost(took, limit)"],
    ["on a field", "return { fault, millis: performance.now() - from }\nassert.isBelow(millis, 18_000, fault)"],
    ["on what was made of a time", "const end = Date.now()\nconst span = end - begin\nassert.isBelow(span, 9)"],
    ["by expect", "const took = performance.now() - from\nexpect(took).toBeLessThan(500)"],
    ["by hand", "const took = performance.now() - from\nassert.isTrue(took < 500)"],
    ["near a value", "assert.approximately(sum, 5, 1)\nassert.closeTo(Date.now() - from, 1_000, 100)"],
    ["near the clock", "assert.approximately(iat, Date.now() / 1_000, 5)"]
  ])("is found: %s", (_, text) => {
    assert.lengthOf(bounds(text), 1)
  })

  it.each([
    ["after its body", "  it.live(\"ends\", () =>\n    Effect.gen(function*() {\n    }).pipe(Effect.scoped), 40_000)"],
    ["on a line of its own", "      Effect.gen(function*() {\n      }),\n    60_000\n  )"],
    ["as an option", "describe(\"a server\", { timeout: 60_000 }, () => {"]
  ])("is found where a test sets its own limit %s", (_, text) => {
    assert.lengthOf(ownLimits(text), 1)
  })

  it.each([
    ["a lower bound", "const took = performance.now() - from\nassert.isAtLeast(took, 500)"],
    ["a count", "const began = performance.now()\nassert.isAtMost(attempts, 1_110)"]
  ])("is not: %s", (_, text) => {
    assert.lengthOf(bounds(text), 0)
  })
})

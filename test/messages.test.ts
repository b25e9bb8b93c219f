import {
  ConnectFailed,
  type ConnectFailure,
  type CredentialProblem,
  CredentialUnavailable,
  Timeout,
  VendorError
} from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect } from "vitest"
import { reasons } from "./drivers/Reasons.ts"

/**
 * Every message in one place, for review: `docs/messages.md` has the messages of all reasons, and those that the sources
 * throw, fail with or log. `vitest run test/messages.test.ts -u` writes the page anew.
 */
const root = fileURLToPath(new URL("..", import.meta.url))

const failures: Readonly<Record<ConnectFailure, true>> = {
  Dns: true,
  Forbidden: true,
  Pin: true,
  Proxy: true,
  Refused: true,
  Tls: true,
  Unreachable: true
}
const problems: Readonly<Record<CredentialProblem, true>> = {
  Missing: true,
  Refused: true,
  Revoked: true,
  Unreachable: true,
  Unusable: true
}

const variants = [
  ...Object.values(reasons),
  ...(["Connect", "Headers", "Body"] as const).map((phase) => new Timeout(phase, 1_000)),
  ...(Object.keys(failures) as Array<ConnectFailure>).map((failure) => new ConnectFailed(failure)),
  ...(Object.keys(problems) as Array<CredentialProblem>).map((problem) =>
    new CredentialUnavailable("ACME_API_KEY", problem)
  )
]

const ofReasons = Array.from(
  new Set(variants.map((reason) => `| \`${reason._tag}\` | ${reason.message.replaceAll("|", "\\|")} |`))
)

/** Sentences in the sources: texts of four words or more in the calls that throw, fail, refuse, log or describe a trouble. */
const speaks =
  /\b(?:new \w*(?:Error|Misconfigured|Refused)\(|trouble\(|refused\(|unchanged\(|sourceUnavailable\(|sourceRefusal\(|mistaken\(|message:|log(?:Error|Warning|Info)\()/

const ofSources = globSync(["packages/*/src/**/*.ts", "apps/*/src/**/*.ts"], { cwd: root }).toSorted().flatMap(
  (file) => {
    const lines = readFileSync(join(root, file), "utf8").replaceAll(
      /\/\*[\s\S]*?\*\//g,
      (comment) => comment.replaceAll(/[^\n]/g, "")
    ).split("\n")
    const found = lines.flatMap((_, at) => {
      const near = lines.slice(Math.max(0, at - 2), at + 1).join(" ")
      return speaks.test(near)
        ? Array.from(
          lines[at]!.matchAll(/"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`/g),
          ([, plain, template]) => plain ?? template!
        )
          .filter((words) => /^\W*(?:\S+\s+){3,}\S+/.test(words) && !words.includes("import "))
        : []
    })
    return found.length === 0 ? [] : [
      `### ${file}`,
      "",
      ...Array.from(new Set(found), (words) => `- ${words}`),
      ""
    ]
  }
)

const page = [
  "# Messages",
  "",
  "Every message of a reason, and every sentence that the sources throw, fail with or log. Written by `test/messages.test.ts`.",
  "",
  "## Reasons",
  "",
  "| reason | message |",
  "|---|---|",
  ...ofReasons,
  "",
  "## Sources",
  "",
  ...ofSources
].join("\n")

describe("messages", () => {
  it("are on one page", async () => {
    assert.isAbove(ofSources.length, 50)
    await expect(page).toMatchFileSnapshot(join(root, "docs/messages.md"))
  })

  it.each(variants)("are short, and end without a full stop: $message", (reason) => {
    const error = new VendorError({ vendor: "acme", operation: "ring", safety: "Idempotent", reason })
    assert.isAtMost(reason.message.length, 100)
    assert.notMatch(reason.message, /\.$|\n/)
    assert.strictEqual(error.message, `acme ring: ${reason.message}`)
  })
})

/** Fake secrets, new in every run, which can be recognised in any output. */
import * as Redaction from "@breakwater/core/Redaction"
import { randomUUID } from "node:crypto"

const lower = "abcdefghijklmnopqrstuvwxyz"
const alphabets = { lower, upper: lower.toUpperCase(), digits: "0123456789", hex: "0123456789abcdef" }

/** So many random characters of an alphabet. */
export const random = (length: number, alphabet: keyof typeof alphabets): string =>
  Array.from(
    crypto.getRandomValues(new Uint8Array(length)),
    (byte) => alphabets[alphabet][byte % alphabets[alphabet].length]
  ).join("")

/** A secret of no known shape, with characters that every encoding writes in its own way. */
export const unshaped = (): string => `q&${randomUUID().replaceAll("-", "").slice(0, 18)}/"é`

/** A secret that can stand in a header and a URL as it is, and has no known shape. */
export const plain = (): string => `m${randomUUID().replaceAll("-", "").slice(0, 22)}`

/** A secret that could be the name of a field. */
export const nameLike = (): string => `k_${randomUUID().replaceAll("-", "").slice(0, 22)}`

/** Outputs, searched for secrets. */
export class Search {
  readonly found: Array<string> = []
  private readonly secrets: ReadonlyArray<string>
  /** Lines without a finding, which are skipped later: most outputs repeat lines of others. */
  private readonly seen = new Set<string>()

  constructor(secrets: ReadonlyArray<string>) {
    this.secrets = secrets
  }
  in(where: string, text: string): void {
    const lines = new Set(text.split("\n").filter((line) => !this.seen.has(line)))
    if (lines.size === 0) return
    const survival = Redaction.survives([...lines].join("\n"), this.secrets)
    if (survival !== undefined) this.found.push(`${where}: secret ${survival.secret}, ${survival.encoding}`)
    else for (const line of lines) this.seen.add(line)
  }
}

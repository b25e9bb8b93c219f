/**
 * The texts of a request, in its path, query, headers and body: each must be one that UTF-8 can carry, and a number in
 * it is written as a plain decimal.
 */
import { illFormed } from "./Issues.ts"

/** The numbers of an input that JavaScript writes with an exponent, by that text, as plain decimals. */
export type Exponents = ReadonlyMap<string, string>

/** Reads the numbers of an input. Throws if one of its texts holds half a surrogate pair. */
export const exponentsOf = (input: unknown): Exponents => {
  const found = new Map<string, string>()
  walk(input, new Set(), (leaf) => {
    if (typeof leaf === "string") return refuseIllFormed(leaf)
    if (typeof leaf !== "number" || !Number.isFinite(leaf)) return
    const text = String(leaf)
    if (text.includes("e")) found.set(text, plainDecimal(text))
  })
  return found
}

/** Throws if a text of a value holds half a surrogate pair, also as the name of a field. */
export const refuseHalves = (value: unknown): void =>
  walk(value, new Set(), (leaf) => {
    if (typeof leaf === "string") refuseIllFormed(leaf)
  })

/** A value of a flat record, with numbers as plain decimals. */
export const plainValue = <Value>(value: Value, exponents: Exponents): Value | string =>
  typeof value === "string" ? exponents.get(value) ?? value : value

/** A path and query, with numbers as plain decimals. */
export const plainUrl = (url: string, exponents: Exponents): string => {
  let plain = url
  for (const [text, decimal] of exponents) {
    const written = encodeURIComponent(text).replace(/[.]/g, "\\$&")
    plain = plain.replace(new RegExp(`(?<![\\w.%+-])${written}(?![\\w.%+-])`, "g"), decimal)
  }
  return plain
}

/** The digits of a number without its exponent: `1e-7` is `0.0000001`. */
export const plainDecimal = (text: string): string => {
  const [, sign = "", whole = "", decimals = "", exponent = "0"] = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text) ?? []
  const shift = Number(exponent)
  return shift < 0
    ? `${sign}0.${"0".repeat(-shift - 1)}${whole}${decimals}`
    : `${sign}${whole}${decimals.padEnd(shift, "0")}`
}

const refuseIllFormed = (text: string): void => {
  if (half.test(text)) throw illFormed
}

const half = /\p{Surrogate}/u

const walk = (value: unknown, seen: Set<object>, visit: (leaf: unknown) => void): void => {
  if (typeof value !== "object" || value === null) return visit(value)
  if (ArrayBuffer.isView(value) || seen.has(value)) return
  seen.add(value)
  for (const [name, part] of Object.entries(value)) {
    visit(name)
    walk(part, seen, visit)
  }
}

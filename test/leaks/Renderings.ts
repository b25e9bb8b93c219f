/** All renderings of a value as text. */
import { Cause, Exit, Formatter } from "effect"
import { inspect } from "node:util"

const attempt = (render: () => string): string => {
  try {
    return render()
  } catch (error) {
    return `could not be rendered: ${inspect(error, everything)}`
  }
}

const everything = { depth: 20, showHidden: true, getters: true, maxArrayLength: 1_000, maxStringLength: 100_000 }

export const renderings = (value: unknown): ReadonlyArray<readonly [how: string, text: string]> => {
  const ways: Array<readonly [string, () => string]> = [
    ["String", () => String(value)],
    ["JSON", () => JSON.stringify(value) ?? ""],
    ["inspect", () => inspect(value, everything)],
    ["inspect at the console's depth", () => inspect(value)],
    ["Formatter", () => Formatter.format(value)],
    ["structuredClone", () => inspect(clone(value), everything)]
  ]
  if (value instanceof Error) {
    ways.push([
      "message and stack",
      () => `${value.name}\n${value.message}\n${value.stack ?? ""}\n${inspect(value.cause)}`
    ])
  }
  if (Cause.isCause(value)) ways.push(["Cause.pretty", () => Cause.pretty(value)])
  if (Exit.isExit(value) && Exit.isFailure(value)) {
    ways.push(["Cause.pretty", () => Cause.pretty(value.cause)])
    for (const reason of value.cause.reasons) {
      if (reason._tag === "Interrupt") continue
      const inner = reason._tag === "Fail" ? reason.error : reason.defect
      for (const [how, text] of renderings(inner)) ways.push([`${how} of what it failed with`, () => text])
    }
  }
  return ways.map(([how, render]) => [how, attempt(render)])
}

/** A structured clone of a value, or the error when it cannot be cloned. */
const clone = (value: unknown): unknown => {
  try {
    return structuredClone(value)
  } catch (error) {
    return error
  }
}

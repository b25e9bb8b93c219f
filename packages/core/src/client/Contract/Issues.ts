/** Schema issues, described without the values they are about. */
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as ResponseShape from "../ResponseShape.ts"

/** A body that is not JSON where JSON is declared. */
export const notJson = new Error("Expected a JSON body")

/** A body that is not a text in its own charset where a text is declared. */
export const notText = new Error("Expected a text in the charset of its content type")

/** A text that no encoding can carry, so a vendor would get another one. */
export const illFormed = new Error("Expected texts without half a surrogate pair")

const said: ReadonlySet<Error> = new Set([notJson, notText, illFormed])

/**
 * The problem and its place. A schema's issue holds no value unless `reportInput` asks for it, which no code here does.
 */
const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

/** An error of a codec as a sentence of at most 500 characters. */
export const issueOf = (error: unknown): string => {
  const message = Schema.isSchemaError(error)
    ? formatIssues(error.issue).issues.map(({ message, path = [] }) => message + placeOf(path)).join(" ")
    : error instanceof Error && said.has(error)
    ? error.message
    : describe(error)
  return message.replaceAll(/\s*\n\s*/g, " ").slice(0, 500)
}

/** The keys that lead to a value, where they look like names: the keys of a record are values themselves. */
const placeOf = (path: ReadonlyArray<unknown>): string =>
  path.length === 0
    ? ""
    : ` at ${path.map((key) => `[${typeof key === "number" ? key : nameOf(String(key))}]`).join("")}`

const nameOf = (key: string): string => ResponseShape.isName(key) ? `"${key}"` : "<key>"

/** A missing, empty or `..` path parameter is named in the message. Any other error is an exception in a codec. */
const describe = (error: unknown): string =>
  error instanceof Error && /^(?:Invalid|Missing) path parameter: \w+$/.test(error.message)
    ? error.message
    : "a codec of the contract failed"

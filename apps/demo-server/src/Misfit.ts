/**
 * One sentence about a request that does not fit its schema. It names the field and the expected value, never the value
 * that was sent.
 */
import type { HttpApiError } from "effect/http-api"
import type * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import * as Problem from "./Problem.ts"

export const problemOf = (error: HttpApiError.HttpApiSchemaError): typeof Problem.InvalidRequest.Type => {
  const place = error.kind === "Query" ? "query" : "body"
  const flaws = flawsOf(error.cause.issue, [])
  const unknown = flaws.filter(({ isUnknown }) => isUnknown).map(({ path }) => path.join("."))
  if (unknown.length > 0) {
    const names = unknown.filter(isShown).slice(0, 10)
    return names.length === 0
      ? Problem.invalidRequest(place, "has an unknown field")
      : Problem.invalidRequest(names[0]!, `Unknown ${names.length === 1 ? "field" : "fields"}: ${names.join(", ")}`)
  }
  const [first] = flaws
  return Problem.invalidRequest(
    first === undefined || first.path.length === 0 ? place : first.path.join("."),
    first?.message ?? "is not valid"
  )
}

/** A longer name, or a long one with digits, may be a secret in the wrong place. */
const isShown = (name: string): boolean => /^(?:[A-Za-z_$.-]{1,40}|[\w$.-]{1,20})$/.test(name)

interface Flaw {
  readonly path: ReadonlyArray<string>
  readonly message: string
  readonly isUnknown: boolean
}

const flawsOf = (issue: SchemaIssue.Issue, path: ReadonlyArray<string>): ReadonlyArray<Flaw> => {
  switch (issue._tag) {
    case "Pointer":
      return flawsOf(issue.issue, [...path, ...issue.path.map(String)])
    case "Encoding":
      return flawsOf(issue.issue, path)
    case "Composite":
      return issue.issues.flatMap((issue) => flawsOf(issue, path))
    case "AnyOf":
      return issue.issues.length === 0 ? [noMember(issue, path)] : issue.issues.flatMap((one) => flawsOf(one, path))
    case "UnexpectedKey":
      return [{ path, message: "Unknown field", isUnknown: true }]
    case "Filter":
    case "Forbidden":
    case "InvalidType":
    case "InvalidValue":
    case "MissingKey":
    case "OneOf":
      return [flaw(path, sentence(issue))]
  }
}

const flaw = (path: ReadonlyArray<string>, message: string): Flaw => ({ path, message, isUnknown: false })

/** A value that fits no member of a union: its kind, or the value itself, is not one of those known. */
const noMember = (issue: SchemaIssue.AnyOf, path: ReadonlyArray<string>): Flaw => {
  const kinds = kindsOf(issue.ast)
  return kinds === undefined
    ? flaw(path, sentence(issue))
    : flaw([...path, kinds.field], `must be one of ${kinds.values.join(", ")}`)
}

/** The field that tells the members of a union apart, with its values. */
const kindsOf = (
  { types }: SchemaAST.Union
): { readonly field: string; readonly values: ReadonlyArray<string> } | undefined => {
  for (const { name } of types[0]?._tag === "Objects" ? types[0].propertySignatures : []) {
    const values = types.flatMap((member) => {
      const type = member._tag === "Objects"
        ? member.propertySignatures.find((property) => property.name === name)?.type
        : undefined
      return type?._tag === "Literal" ? [String(type.literal)] : []
    })
    if (values.length === types.length && values.length > 1) return { field: String(name), values }
  }
  return undefined
}

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

/** The first sentence about an issue. */
const sentence = (issue: SchemaIssue.Issue): string => {
  const message = formatIssues(issue).issues[0]?.message ?? "is not valid"
  return message.length <= 200 ? message : "is not valid"
}

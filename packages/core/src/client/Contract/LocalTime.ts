/**
 * Refuses responses that are decoded by this machine's time zone: JavaScript reads `2026-07-01T12:00:00`, a time without
 * a zone, as local time. `Schema.Date` and `Schema.DateFromString` do; `Schema.DateTimeUtcFromString` reads it as UTC.
 */
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import * as SchemaTransformation from "effect/SchemaTransformation"
import type { Schemas } from "./Answers.ts"

/** Throws if a response of an endpoint has a text that is decoded to a `Date`, with or without a zone. */
export const refuseLocalTimes = (id: string, responses: Schemas): void => {
  for (const schema of Array.from(responses.values()).flat()) {
    const parts = HttpApiSchema.isWithHeaders(schema) ? [schema.schema, schema.headers] : [schema]
    for (const { ast } of parts) {
      const place = find(ast, [], new Set())
      if (place === undefined) continue
      const where = place.length === 0 ? "" : ` at ${place.join(".")}`
      throw new Error(
        `Vendor: ${id} decodes a time without a zone${where} as this machine's local time; ` +
          `declare Schema.DateTimeUtcFromString, or a text with a check that demands a zone`
      )
    }
  }
}

/** The names that lead to the first such text; `undefined` without one. */
const find = (
  ast: SchemaAST.AST,
  place: ReadonlyArray<string>,
  seen: Set<SchemaAST.AST>
): ReadonlyArray<string> | undefined => {
  if (seen.has(ast)) return undefined
  seen.add(ast)
  if (isLocal(ast)) return place
  for (const [name, part] of partsOf(ast)) {
    const found = find(part, name === undefined ? place : [...place, name], seen)
    if (found !== undefined) return found
  }
  return undefined
}

const partsOf = (ast: SchemaAST.AST): ReadonlyArray<readonly [name: string | undefined, part: SchemaAST.AST]> => {
  const unnamed = (parts: ReadonlyArray<SchemaAST.AST>) => parts.map((part) => [undefined, part] as const)
  const encoded = unnamed((ast.encoding ?? []).map(({ to }) => to))
  if (ast._tag === "Arrays") return [...unnamed([...ast.elements, ...ast.rest]), ...encoded]
  if (ast._tag === "Union") return [...unnamed(ast.types), ...encoded]
  if (ast._tag === "Suspend") return [...unnamed([ast.thunk()]), ...encoded]
  if (ast._tag !== "Objects") return encoded
  return [
    ...ast.propertySignatures.map(({ name, type }) => [String(name), type] as const),
    ...unnamed(ast.indexSignatures.map(({ type }) => type)),
    ...encoded
  ]
}

/** Whether a text without a zone is decoded to a `Date` here. */
const isLocal = (ast: SchemaAST.AST): boolean =>
  (ast.encoding ?? []).some(({ to, transformation }) =>
    to._tag === "String" && (transformation === SchemaTransformation.dateFromString || isDate(ast)) &&
    withoutZone.some((text) => Schema.is(Schema.make(to))(text))
  )

const isDate = ({ annotations }: SchemaAST.AST): boolean =>
  (annotations?.["representation"] as { readonly id?: unknown } | undefined)?.id === "effect/schema/Date"

/** Times without a zone, in the formats that JavaScript reads as local time. */
const withoutZone = ["2026-07-01T12:00:00", "2026-07-01 12:00:00", "07/01/2026", "Jul 1, 2026", "1 Jul 2026 12:00"]

/**
 * Form bodies with nested brackets, `metadata[order]=7&items[0][price]=p_1`, as PHP, Rails and Stripe read them. One
 * schema serves both sides of a contract: the client writes what the simulator reads.
 *
 * @example
 * ```ts
 * import { bracketForm } from "@breakwater/core"
 * import { Schema } from "effect"
 *
 * const Form = bracketForm(Schema.Struct({ amount: Schema.Int, metadata: Schema.Record(Schema.String, Schema.String) }))
 * console.log(Schema.encodeSync(Form)({ amount: 1999, metadata: { order: "7" } }))
 * // => { amount: '1999', 'metadata[order]': '7' }
 * ```
 */
import * as Effect from "effect/Effect"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"

type Flat = Readonly<Record<string, string | ReadonlyArray<string>>>
type Tree = string | undefined | null | ReadonlyArray<Tree> | { readonly [key: string]: Tree }

/** The deepest nesting of names and the most fields of a body. Reading rejects a body beyond them. */
const maxDepth = 8
const maxFields = 2_000

/**
 * Makes the payload schema of an endpoint from the schema of its fields. Absent and undefined fields are left out;
 * arrays are written with their indices.
 */
export const bracketForm = <S extends Schema.Top>(schema: S) => {
  const codec = Schema.toCodecStringTree(schema)
  const shape = SchemaAST.toEncoded(codec.ast)
  return Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Array(Schema.String)])).pipe(
    Schema.decodeTo(
      codec,
      SchemaTransformation.transformEffect<Schema.StringTree, Flat>({
        decode: (flat, options) => {
          const tree = unflatten(flat, shape)
          return typeof tree === "string"
            ? Effect.fail(new SchemaIssue.InvalidValue({ message: tree }, flat, options))
            : Effect.succeed(tree as Schema.StringTree)
        },
        encode: (tree, options) => {
          const flat = flatten(tree)
          return typeof flat === "string"
            ? Effect.fail(new SchemaIssue.InvalidValue({ message: flat }, tree, options))
            : Effect.succeed(flat)
        }
      })
    ),
    HttpApiSchema.asFormUrlEncoded()
  )
}

/** Writes a tree as flat names, or says why they could not be read back. */
export const flatten = (tree: Tree): Record<string, string> | string => {
  const flat: Array<[name: string, value: string]> = []
  /** Whether all keys below this node can be written. */
  const walk = (name: string, node: Tree): boolean => {
    if (node === undefined || node === null) return true
    if (typeof node === "string") {
      flat.push([name, node])
      return true
    }
    // `Object.keys` of an array are its indices.
    const children = node as { readonly [key: string]: Tree }
    return Object.keys(children).every((key) =>
      /^[^[\]]+$/.test(key) && walk(name === "" ? key : `${name}[${key}]`, children[key])
    )
  }
  return walk("", tree) ? Object.fromEntries(flat) : "a key that is empty or holds a bracket"
}

interface Branch extends Map<string, string | Branch> {}

/** Reads flat names as a tree in the shape of a schema, or says what is wrong with them. */
export const unflatten = (flat: Flat, shape: SchemaAST.AST): Tree | string => {
  const names = Object.keys(flat)
  const fields = names.reduce((sum, name) => sum + (typeof flat[name] === "string" ? 1 : flat[name]!.length), 0)
  if (fields > maxFields) return `more than ${maxFields} fields`
  const root: Branch = new Map()
  for (const name of names) {
    const path = parseName(name)
    if (path === undefined) return "a field name with unbalanced brackets"
    if (path.length > maxDepth) return `a field name with more than ${maxDepth} levels`
    const value = flat[name]!
    const values = typeof value === "string" ? [value] : value
    for (const one of values) {
      if (!put(root, path, one)) return "a field that is both a value and a group"
    }
  }
  return toTree(root, alternatives(shape))
}

/** `a[b][]` is `["a", "b", ""]`. */
const parseName = (name: string): ReadonlyArray<string> | undefined => {
  const open = name.indexOf("[")
  const head = open < 0 ? name : name.slice(0, open)
  const rest = name.slice(head.length)
  if (head.includes("]")) return undefined
  if (rest === "") return [head]
  if (!/^(?:\[[^[\]]*\])+$/.test(rest)) return undefined
  return [head, ...rest.slice(1, -1).split("][")]
}

const put = (root: Branch, path: ReadonlyArray<string>, value: string): boolean => {
  let branch = root
  for (let i = 0; i < path.length; i++) {
    // `[]` is the next index.
    const key: string = path[i] === "" && i > 0 ? String(branch.size) : path[i]!
    const existing: string | Branch | undefined = branch.get(key)
    if (i === path.length - 1) {
      if (typeof existing === "object") return false
      branch.set(key, value)
      return true
    }
    if (typeof existing === "string") return false
    const next: Branch = existing ?? new Map()
    if (existing === undefined) branch.set(key, next)
    branch = next
  }
  return true
}

/** A branch whose keys are 0, 1, 2, … is an array, unless the schema allows only a record in its place. */
const toTree = (node: string | Branch, shapes: ReadonlyArray<SchemaAST.AST>): Tree => {
  if (typeof node === "string") return node
  const arrays = shapes.filter(SchemaAST.isArrays)
  const objects = shapes.filter(SchemaAST.isObjects)
  const indices = Array.from(node.keys(), (_, index) => String(index))
  if (indices.length > 0 && indices.every((index) => node.has(index)) && (arrays.length > 0 || objects.length === 0)) {
    return indices.map((key, index) =>
      toTree(node.get(key)!, arrays.flatMap((array) => alternatives(array.elements[index] ?? array.rest[0])))
    )
  }
  return Object.fromEntries(Array.from(node, ([key, child]) => [
    key,
    toTree(
      child,
      objects.flatMap((object) => {
        const property = object.propertySignatures.find(({ name }) => name === key)
        return property === undefined
          ? object.indexSignatures.flatMap(({ type }) => alternatives(type))
          : alternatives(property.type)
      })
    )
  ]))
}

/** The alternatives of a schema, without the unions and suspensions around them. */
const alternatives = (shape: SchemaAST.AST | undefined): ReadonlyArray<SchemaAST.AST> => {
  if (shape === undefined) return []
  if (SchemaAST.isUnion(shape)) return shape.types.flatMap(alternatives)
  return SchemaAST.isSuspend(shape) ? alternatives(SchemaAST.toEncoded(shape.thunk())) : [shape]
}

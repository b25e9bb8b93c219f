/**
 * Form bodies with nested brackets, `metadata[order]=7&items[0][price]=p_1`, as PHP, Rails and Stripe read them. A schema
 * for both sides of a contract: the client writes what the simulator reads.
 */
import * as Effect from "effect/Effect"
import { HttpApiSchema } from "effect/http-api"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"

type Flat = Readonly<Record<string, string | ReadonlyArray<string>>>
type Tree = string | undefined | null | ReadonlyArray<Tree> | { readonly [key: string]: Tree }

/** How deep names may nest, and how many fields a body may have: more is refused when reading. */
const maxDepth = 8
const maxFields = 2_000

/**
 * Makes the payload schema of an endpoint from the schema of its fields. Absent and undefined fields are left out;
 * arrays are written with their indices.
 */
export const bracketForm = <S extends Schema.Top>(schema: S) =>
  Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Array(Schema.String)])).pipe(
    Schema.decodeTo(
      Schema.toCodecStringTree(schema),
      SchemaTransformation.transformEffect<Schema.StringTree, Flat>({
        decode: (flat, options) => {
          const tree = unflatten(flat)
          return typeof tree === "string"
            ? Effect.fail(new SchemaIssue.InvalidValue({ message: tree }, flat, options))
            : Effect.succeed(tree as Schema.StringTree)
        },
        encode: (tree) => Effect.succeed(flatten(tree as Tree))
      })
    ),
    HttpApiSchema.asFormUrlEncoded()
  )

/** Writes a tree as flat names. */
export const flatten = (tree: Tree): Record<string, string> => {
  const flat: Record<string, string> = {}
  const walk = (name: string, node: Tree): void => {
    if (node === undefined || node === null) return
    if (typeof node === "string") {
      flat[name] = node
    } else if (isArray(node)) {
      node.forEach((item, index) => walk(name === "" ? String(index) : `${name}[${index}]`, item))
    } else {
      for (const key of Object.keys(node)) walk(name === "" ? key : `${name}[${key}]`, node[key])
    }
  }
  walk("", tree)
  return flat
}

const isArray = (node: Exclude<Tree, string | undefined | null>): node is ReadonlyArray<Tree> => Array.isArray(node)

interface Branch {
  [key: string]: string | Branch
}

/** Reads flat names as a tree, or says what is wrong with them. */
export const unflatten = (flat: Flat): Tree | string => {
  const names = Object.keys(flat)
  if (names.length > maxFields) return `more than ${maxFields} fields`
  const root = makeBranch()
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
  return toTree(root)
}

const makeBranch = (): Branch => Object.create(null) as Branch

/** `a[b][]` is `["a", "b", ""]`. */
const parseName = (name: string): ReadonlyArray<string> | undefined => {
  const open = name.indexOf("[")
  if (open < 0) return name.includes("]") ? undefined : [name]
  const head = name.slice(0, open)
  const rest = name.slice(open)
  if (!/^(?:\[[^[\]]*\])+$/.test(rest)) return undefined
  return [head, ...rest.slice(1, -1).split("][")]
}

const put = (root: Branch, path: ReadonlyArray<string>, value: string): boolean => {
  let branch = root
  for (let i = 0; i < path.length; i++) {
    // `[]` is the next index.
    const key = path[i] === "" && i > 0 ? String(Object.keys(branch).length) : path[i]!
    const existing = branch[key]
    if (i === path.length - 1) {
      if (typeof existing === "object") return false
      branch[key] = value
      return true
    }
    if (typeof existing === "string") return false
    branch = existing ?? (branch[key] = makeBranch())
  }
  return true
}

/** A branch whose keys are 0, 1, 2, … is an array. */
const toTree = (node: string | Branch): Tree => {
  if (typeof node === "string") return node
  const keys = Object.keys(node)
  if (keys.length > 0 && keys.every((key, index) => key === String(index))) return keys.map((key) => toTree(node[key]!))
  return Object.fromEntries(keys.map((key) => [key, toTree(node[key]!)]))
}

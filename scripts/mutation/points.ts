/**
 * Places of a source where it can be changed so that it most likely behaves differently: conditions, operators, numbers,
 * early exits, statements. Types, texts, and what is thrown are left as they are.
 */
import { type ESTree, parseSync, Visitor } from "rolldown/utils"

/** One change of a source: the text from `start` to `end` is replaced. */
export interface Point {
  /** What is done, in words. */
  readonly operator: string
  readonly start: number
  readonly end: number
  readonly replacement: string
}

/** Every change that the operators know for a source, in the order of the text. */
export const pointsOf = (source: string): ReadonlyArray<Point> => {
  const points: Array<Point> = []
  /** Number of nodes around the present one whose content is left as it is. */
  let quiet = 0
  const text = (node: ESTree.Span) => source.slice(node.start, node.end)
  const add = (operator: string, { end, start }: ESTree.Span, ...replacements: ReadonlyArray<string>) => {
    if (quiet > 0) return
    for (const replacement of replacements) points.push({ operator, start, end, replacement })
  }
  /** Exchanges the operator between two operands. */
  const exchange = (
    operator: string,
    node: ESTree.Span & { readonly left: ESTree.Span; readonly right: ESTree.Span; readonly operator: string },
    by: string | undefined
  ) => {
    if (by === undefined) return
    const between = source.slice(node.left.end, node.right.start).replace(node.operator, by)
    add(operator, node, text(node.left) + between + text(node.right))
  }
  const condition = (test: ESTree.Expression) => {
    // These have an operator of their own with the same effect.
    if (test.type === "UnaryExpression" && test.operator === "!") return
    if (test.type === "BinaryExpression" && negations[test.operator] !== undefined) return
    add("condition negated", test, `!(${text(test)})`)
  }
  const leave = () => void quiet--
  const enter = () => void quiet++

  new Visitor({
    ThrowStatement: enter,
    "ThrowStatement:exit": leave,
    TemplateLiteral: enter,
    "TemplateLiteral:exit": leave,
    TSLiteralType: enter,
    "TSLiteralType:exit": leave,
    IfStatement: (node) => {
      condition(node.test)
      const { alternate, consequent } = node
      const [only, ...others] = consequent.type === "BlockStatement" ? consequent.body : [consequent]
      if (alternate === null && others.length === 0 && exits.has(only?.type ?? "")) {
        add("early exit removed", node, "{}")
      }
    },
    ConditionalExpression: ({ test }) => condition(test),
    LogicalExpression: (node) => {
      if (node.operator === "??") {
        add("fallback removed", node, text(node.left))
        add("fallback always", node, text(node.right))
      } else exchange("and/or exchanged", node, node.operator === "&&" ? "||" : "&&")
    },
    BinaryExpression: (node) => {
      const between = { ...node, left: node.left, right: node.right }
      exchange("bound moved", between, bounds[node.operator])
      exchange("comparison negated", between, negations[node.operator])
      exchange("arithmetic exchanged", between, arithmetic[node.operator])
    },
    UnaryExpression: (node) => {
      if (node.operator === "!") add("negation removed", node, text(node.argument))
    },
    Literal: (node) => {
      if (typeof node.value === "boolean") add("constant swapped", node, String(!node.value))
      if (typeof node.value !== "number") return
      add("number changed", node, String(node.value + 1))
      if (node.value > 0) add("number changed", node, String(node.value - 1))
    },
    AssignmentExpression: (node) => {
      exchange("arithmetic exchanged", node, assignments[node.operator])
    },
    UpdateExpression: (node) => {
      const by = node.operator === "++" ? "--" : "++"
      add("arithmetic exchanged", node, node.prefix ? by + text(node.argument) : text(node.argument) + by)
    },
    CallExpression: (node) => {
      const name = text(node.callee)
      const [a, b, ...more] = node.arguments
      if ((name !== "Math.max" && name !== "Math.min") || a === undefined || b === undefined || more.length > 0) return
      add("limit exchanged", node, `${name === "Math.max" ? "Math.min" : "Math.max"}(${text(a)}, ${text(b)})`)
      add("limit removed", node, `(${text(a)})`, `(${text(b)})`)
    },
    ExpressionStatement: (node) => {
      const { expression } = node
      const isSuper = expression.type === "CallExpression" && expression.callee.type === "Super"
      if (effects.has(expression.type) && !isSuper) add("statement removed", node, "{}")
    }
  }).visit(parseSync("source.ts", source).program)
  return points.toSorted((a, b) => a.start - b.start || a.end - b.end)
}

/** A source with one change. */
export const changed = (source: string, { end, replacement, start }: Point): string =>
  source.slice(0, start) + replacement + source.slice(end)

type Exchange = Readonly<Record<string, string | undefined>>
const bounds: Exchange = { "<": "<=", "<=": "<", ">": ">=", ">=": ">" }
const negations: Exchange = { "===": "!==", "!==": "===" }
const arithmetic: Exchange = { "+": "-", "-": "+", "*": "/", "/": "*", "%": "*" }
const assignments: Exchange = { "+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=", "??=": "=" }

/** Statements with which a function or a turn of a loop ends early. */
const exits: ReadonlySet<string> = new Set(["ReturnStatement", "ContinueStatement", "BreakStatement", "ThrowStatement"])
/** Expressions that are statements for what they do. */
const effects: ReadonlySet<string> = new Set([
  "CallExpression",
  "ChainExpression",
  "AssignmentExpression",
  "UpdateExpression",
  "YieldExpression"
])

/** The stack: the policies in their order, around any effect. */
export type { Attempt, Leaf } from "./Leaf.ts"
export * as Order from "./Order.ts"
export * as Policy from "./Policy.ts"
export * as Stack from "./Stack.ts"

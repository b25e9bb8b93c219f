/** Typed clients of third parties, each made from one declaration. */
export * as Answer from "./Answer.ts"
export { bracketForm } from "./BracketForm.ts"
export type { CallOptions, Client } from "./Client.ts"
export type { Auth, Declaration } from "./Declaration.ts"
export * as ExactInteger from "./ExactInteger.ts"
export * as Operation from "./Operation.ts"
export * as Vendor from "./Vendor.ts"

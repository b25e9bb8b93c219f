/** A vendor's secret: read for every attempt, kept fresh, replaced while calls run. `@breakwater/core/credentials`. */
export * as Chain from "./Chain.ts"
export * as Credential from "./Credential.ts"
export * as Given from "./Given.ts"
export * as Keeper from "./Keeper.ts"
export type * as Source from "./Source.ts"

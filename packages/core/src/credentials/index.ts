/**
 * Credentials of vendors: read for every attempt, refreshed, and rotated while calls run.
 * `@breakwater/core/credentials`.
 */
export * as Chain from "./Chain.ts"
export * as Credential from "./Credential.ts"
export * as RefreshingCredentials from "./RefreshingCredentials.ts"
export type * as Source from "./Source.ts"
export * as SourceSecret from "./SourceSecret.ts"

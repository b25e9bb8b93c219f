/**
 * Breakwater: guarded calls to third parties, for services written with Effect. The public surface, ground up; every
 * module can also be imported by its own path, `@breakwater/core/policies/Breaker`.
 */

// The vocabulary.
export * as Gate from "./Gate.ts"
export * as Outcome from "./Outcome.ts"
export * as Priority from "./Priority.ts"
export * as Provenance from "./Provenance.ts"
export * as Redaction from "./Redaction.ts"
export * as Safety from "./Safety.ts"
export * as Telemetry from "./Telemetry.ts"
export * as Timeline from "./Timeline.ts"
export * from "./VendorError.ts"

// Policies: they know nothing of HTTP or vendors.
export type { CacheOptions } from "./caching/CacheOptions.ts"
export * as CacheStore from "./caching/CacheStore.ts"
export * as ResponseCache from "./caching/ResponseCache.ts"
export * as Deadline from "./Deadline.ts"
export * as Failover from "./degradation/Failover.ts"
export * as FeatureSwitch from "./degradation/FeatureSwitch.ts"
export * as Partial from "./degradation/Partial.ts"
export * as LateRedis from "./fleet/LateRedis.ts"
export * as SharedState from "./fleet/SharedState.ts"
export * as AdaptiveLimit from "./policies/AdaptiveLimit.ts"
export * as Breaker from "./policies/Breaker.ts"
export * as Bulkhead from "./policies/Bulkhead.ts"
export * as Hedge from "./policies/Hedge.ts"
export * as RateLimit from "./policies/RateLimit.ts"
export * as Retry from "./policies/Retry.ts"
export * as RetryBudget from "./policies/RetryBudget.ts"
export * as Throttle from "./policies/Throttle.ts"

// A secret, kept fresh.
export * as Chain from "./credentials/Chain.ts"
export * as Credential from "./credentials/Credential.ts"
export * as Given from "./credentials/Given.ts"
export * as Keeper from "./credentials/Keeper.ts"
export type * as Source from "./credentials/Source.ts"
export * as AwsSecretsManager from "./sources/AwsSecretsManager.ts"
export * as Configured from "./sources/Configured.ts"
export * as EncryptedFile from "./sources/EncryptedFile.ts"
export * as Files from "./sources/Files.ts"
export * as OAuth from "./sources/OAuth.ts"
export * as Vault from "./sources/Vault.ts"

// The socket.
export * as AddressGuard from "./transport/AddressGuard.ts"
export * as Tls from "./transport/Tls.ts"
export * as Transport from "./transport/Transport.ts"
export * as TransportHttpClient from "./transport/TransportHttpClient.ts"
export * as UndiciTransport from "./transport/UndiciTransport.ts"

// At least once on the wire, once in effect.
export * as IdempotencyKey from "./IdempotencyKey.ts"

// Declare a third party.
export * as Answer from "./client/Answer.ts"
export { bracketForm } from "./client/BracketForm.ts"

export type { CallOptions, Client } from "./client/Client.ts"
export type { Auth, Declaration } from "./client/Declaration.ts"
export * as Operation from "./client/Operation.ts"
export * as Vendor from "./client/Vendor.ts"
export * as Simulator from "./simulator/Simulator.ts"
export * as Order from "./stack/Order.ts"
export * as Policy from "./stack/Policy.ts"
export * as Stack from "./stack/Stack.ts"

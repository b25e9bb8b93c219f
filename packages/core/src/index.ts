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
export * as AdaptiveLimit from "./policies/AdaptiveLimit.ts"
export * as Breaker from "./policies/Breaker.ts"
export * as Bulkhead from "./policies/Bulkhead.ts"
export * as CacheStore from "./policies/CacheStore.ts"
export * as Deadline from "./policies/Deadline.ts"
export * as Failover from "./policies/Failover.ts"
export * as FeatureSwitch from "./policies/FeatureSwitch.ts"
export * as Hedge from "./policies/Hedge.ts"
export * as LateRedis from "./policies/LateRedis.ts"
export * as Partial from "./policies/Partial.ts"
export * as RateLimit from "./policies/RateLimit.ts"
export * as ResponseCache from "./policies/ResponseCache.ts"
export * as Retry from "./policies/Retry.ts"
export * as RetryBudget from "./policies/RetryBudget.ts"
export * as SharedState from "./policies/SharedState.ts"
export * as Throttle from "./policies/Throttle.ts"

// A secret, kept fresh.
export * as AwsSecretsManager from "./credentials/AwsSecretsManager.ts"
export * as Chain from "./credentials/Chain.ts"
export * as Configured from "./credentials/Configured.ts"
export * as Credential from "./credentials/Credential.ts"
export * as EncryptedFile from "./credentials/EncryptedFile.ts"
export * as Files from "./credentials/Files.ts"
export * as Given from "./credentials/Given.ts"
export * as Keeper from "./credentials/Keeper.ts"
export * as OAuth from "./credentials/OAuth.ts"
export type * as Source from "./credentials/Source.ts"
export * as Vault from "./credentials/Vault.ts"

// The socket.
export * as AddressGuard from "./transport/AddressGuard.ts"
export * as Tls from "./transport/Tls.ts"
export * as Transport from "./transport/Transport.ts"
export * as TransportHttpClient from "./transport/TransportHttpClient.ts"
export * as UndiciTransport from "./transport/UndiciTransport.ts"

// At least once on the wire, once in effect.
export * as IdempotencyKey from "./delivery/IdempotencyKey.ts"

// Declare a third party.
export * as Answer from "./vendor/Answer.ts"
export { bracketForm } from "./vendor/BracketForm.ts"
export type * as Caching from "./vendor/Caching.ts"
export type { CallOptions, Client } from "./vendor/Client.ts"
export type { Auth, Declaration } from "./vendor/Declaration.ts"
export * as Operation from "./vendor/Operation.ts"
export * as Policy from "./vendor/Policy.ts"
export * as Simulator from "./vendor/Simulator.ts"
export * as Stack from "./vendor/Stack.ts"
export * as Vendor from "./vendor/Vendor.ts"

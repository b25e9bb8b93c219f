/** The policies of a call, one module each. They know nothing of HTTP or vendors. */
export * as AdaptiveLimit from "./AdaptiveLimit.ts"
export * as Breaker from "./Breaker.ts"
export * as Bulkhead from "./Bulkhead.ts"
export * as Hedge from "./Hedge.ts"
export * as RateLimit from "./RateLimit.ts"
export * as Retry from "./Retry.ts"
export * as RetryBudget from "./RetryBudget.ts"
export * as Throttle from "./Throttle.ts"

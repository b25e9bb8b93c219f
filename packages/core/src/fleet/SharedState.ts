/**
 * What a fleet of processes knows together of its vendors: how much of a rate limit is used up, and which breakers are
 * open. It rides on Effect's own stores, in Redis for a fleet or in memory for a test.
 *
 * Each process decides by what it knows itself wherever that is enough, and asks the store for what only the others know.
 * A store that is slow, full, cut off or down is passed over: every process is then limited and broken off for itself.
 * Answers are shared through `CacheStore`.
 *
 * @example
 * ```ts
 * import { RateLimit, Stack } from "@breakwater/core"
 * import { SharedState } from "@breakwater/core/fleet"
 * import { Effect, Layer } from "effect"
 * import { CircuitBreaker, RateLimiter } from "effect/persistence"
 *
 * // Two processes of a fleet, in one: three calls in all, however they fall.
 * const fleet = SharedState.layer().pipe(
 *   Layer.provide([RateLimiter.layerStoreMemory, CircuitBreaker.layerStoreMemory()])
 * )
 * const process = Effect.gen(function*() {
 *   const rateLimit = RateLimit.make({ limit: 3, window: "1 minute", queue: 0 })
 *   yield* rateLimit.share("acme")
 *   const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent", policy: { rateLimit } })
 *   return Effect.isSuccess(stack.guard(Effect.void, () => undefined))
 * })
 * const program = Effect.gen(function*() {
 *   const [one, other] = [yield* process, yield* process]
 *   console.log(yield* Effect.all([one, other, one, other])) // => [ true, true, true, false ]
 * })
 * await Effect.runPromise(Effect.provide(program, fleet))
 * ```
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import * as RateLimiter from "effect/persistence/RateLimiter"
import type * as Redis from "effect/persistence/Redis"
import * as Range from "../Range.ts"
import * as Telemetry from "../Telemetry.ts"
import { FailOpen } from "./FailOpen.ts"
import { SharedState } from "./Fleet.ts"

export interface SharedStateOptions {
  /** How long the store may take before it is passed over; longer than 0. @default "100 millis" (ours) */
  readonly timeout?: Duration.Input | undefined
  /** How long it is passed over then; at least 0. @default "1 second" (ours) */
  readonly pause?: Duration.Input | undefined
  /** How often a process asks which breakers the others have opened; longer than 0. @default "1 second" (ours) */
  readonly poll?: Duration.Input | undefined
}

export { type Fleet, SharedState } from "./Fleet.ts"

/** Over stores of Effect's. Throws when an option is out of its range. */
export const layer = (
  options: SharedStateOptions = {}
): Layer.Layer<never, never, RateLimiter.RateLimiterStore | CircuitBreaker.CircuitBreakerStore> => {
  const timeoutMillis = Range.duration("SharedState: timeout", options.timeout ?? Duration.millis(100))
  const pauseMillis = Range.durationOrZero("SharedState: pause", options.pause ?? Duration.seconds(1))
  const pollMillis = Range.duration("SharedState: poll", options.poll ?? Duration.seconds(1))
  return Layer.effect(
    SharedState,
    Effect.gen(function*() {
      const context = yield* Effect.context<never>()
      const bypass = new FailOpen({ what: "the state that the fleet shares", timeoutMillis, pauseMillis })
      Telemetry.show(context, Telemetry.sharedStateBypassed, {}, () => bypass.count)
      return {
        rateLimits: yield* RateLimiter.RateLimiterStore,
        breakers: yield* CircuitBreaker.CircuitBreakerStore,
        timeoutMillis,
        pollMillis,
        bypass
      }
    })
  )
}

/** In Redis, under keys that begin with `breakwater:`. Throws when an option is out of its range. */
export const layerRedis = (options: SharedStateOptions = {}): Layer.Layer<never, never, Redis.Redis> =>
  Layer.provide(layer(options), [
    RateLimiter.layerStoreRedis({ prefix: "breakwater:rate-limit:" }),
    CircuitBreaker.layerStoreRedis({ prefix: "breakwater:breaker:" })
  ])

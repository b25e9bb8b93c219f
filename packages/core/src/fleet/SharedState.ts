/**
 * State that a fleet of processes shares about its vendors: the use of rate limits, and open breakers. It uses Effect's
 * own stores, in Redis for a fleet or in memory for a test.
 *
 * Each process decides by its own state wherever that is enough, and asks the store only for the state of the others. A
 * store that is slow, full, disconnected or down is bypassed: each process then breaks for itself, and keeps to its part
 * of a limit (`whenDown`). Answers are shared through `CacheStore`. Defaults without a source are our own judgement.
 *
 * @example
 * ```ts
 * import { RateLimit, Stack } from "@breakwater/core"
 * import { SharedState } from "@breakwater/core/fleet"
 * import { Effect, Layer } from "effect"
 * import { CircuitBreaker, RateLimiter } from "effect/persistence"
 *
 * // Two processes of a fleet, simulated in one: three calls in all, in any split.
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
import * as Redis from "effect/persistence/Redis"
import { randomUUID } from "node:crypto"
import * as Range from "../Range.ts"
import * as Telemetry from "../Telemetry.ts"
import { FailOpen } from "./FailOpen.ts"
import { ask, type Fleet, SharedState, under } from "./Fleet.ts"
import * as RedisCounts from "./RedisCounts.ts"

export interface SharedStateOptions {
  /**
   * The deployment whose state this is: 1 to 64 letters, digits, dots, underscores or hyphens, such as
   * `shop-production`. Deployments under other names that use the same stores have their own limits and breakers.
   * @default names without one, for stores that one deployment has for itself
   */
  readonly namespace?: string | undefined
  /** How long the store may take before it is bypassed; longer than 0. @default "100 millis" */
  readonly timeout?: Duration.Input | undefined
  /** How long the store is then bypassed; at least 0. @default "1 second" */
  readonly pause?: Duration.Input | undefined
  /** How often a process asks which breakers the others have opened; longer than 0. @default "1 second" */
  readonly poll?: Duration.Input | undefined
  /**
   * The number of processes of the fleet, this one included, asked every 5 seconds. A rate limit divides itself by the last
   * known number while the store is bypassed.
   * @default in Redis, the processes seen in the last 15 seconds; in another store 1
   */
  readonly processes?: Effect.Effect<number, unknown> | undefined
}

export { type Fleet, SharedState } from "./Fleet.ts"

/** Shares state through Effect's own stores. Throws when an option is out of its range. */
export const layer = (
  options: SharedStateOptions = {}
): Layer.Layer<never, never, RateLimiter.RateLimiterStore | CircuitBreaker.CircuitBreakerStore> => {
  const timeoutMillis = Range.duration("SharedState: timeout", options.timeout ?? Duration.millis(100))
  const pauseMillis = Range.durationOrZero("SharedState: pause", options.pause ?? Duration.seconds(1))
  const pollMillis = Range.duration("SharedState: poll", options.poll ?? Duration.seconds(1))
  const namespace = options.namespace === undefined
    ? undefined
    : Range.name("SharedState: namespace", options.namespace)
  return Layer.effect(
    SharedState,
    Effect.gen(function*() {
      const context = yield* Effect.context<never>()
      const bypass = new FailOpen({ what: "the shared state of the fleet", timeoutMillis, pauseMillis })
      Telemetry.show(context, Telemetry.sharedStateBypassed, {}, () => bypass.count)
      let processes = 1
      const fleet: Fleet = {
        rateLimits: yield* RateLimiter.RateLimiterStore,
        breakers: yield* CircuitBreaker.CircuitBreakerStore,
        timeoutMillis,
        pollMillis,
        bypass,
        get processes() {
          return processes
        }
      }
      const counting = options.processes
      if (counting !== undefined) {
        const count = Effect.map(ask(fleet, "count", () => counting, undefined), (counted) => {
          if (counted !== undefined && counted >= 1) processes = counted
        })
        yield* Effect.forkScoped(Effect.forever(Effect.andThen(count, Effect.sleep(countMillis))))
      }
      return namespace === undefined ? fleet : under(fleet, namespace)
    })
  )
}

/** How often the processes are counted, and how long one is remembered, in milliseconds. Our own judgement. */
const [countMillis, rememberedMillis] = [5_000, 15_000]

/** Options of shared state in Redis, which deployments often share. */
export interface RedisOptions extends SharedStateOptions {
  readonly namespace: string
}

/** Shares state in Redis, under keys that begin with `breakwater:`. Throws when an option is out of its range. */
export const layerRedis = (options: RedisOptions): Layer.Layer<never, never, Redis.Redis> => {
  const namespace = Range.name("SharedState: namespace", options.namespace)
  return Layer.unwrap(
    Effect.map(Redis.Redis, (redis) =>
      layer({
        ...options,
        processes: options.processes ??
          RedisCounts.processes(redis, `breakwater:processes:${namespace}`, randomUUID(), rememberedMillis)
      }))
  ).pipe(
    Layer.provide([
      RedisCounts.layerRateLimits("breakwater:rate-limit:"),
      CircuitBreaker.layerStoreRedis({ prefix: "breakwater:breaker:" })
    ])
  )
}

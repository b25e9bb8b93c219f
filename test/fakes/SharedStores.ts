/** Effect's own stores in memory, shared by a fleet that is simulated in one process. They can be cut off from it. */
import * as SharedState from "@breakwater/core/fleet/SharedState"
import { Context, Effect, Layer, type Scope } from "effect"
import { CircuitBreaker, RateLimiter } from "effect/persistence"

type Health = "well" | "slow" | "down" | "hangs"

/** The time that a slow store takes, below the timeout. */
export const slowMillis = 40

export interface SharedStores {
  health: Health
  /** Number of requests to the stores. */
  asked: number
  /** Runs an effect as a process of the fleet. */
  readonly join: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** The state of a breaker's key in the store, also while the store is cut off. */
  readonly stateOf: (key: string) => Effect.Effect<CircuitBreaker.State["_tag"]>
}

/** `processes` is the number of processes that the fleet counts. */
export const make = (
  { processes = 1, ...options }: Omit<SharedState.SharedStateOptions, "processes"> & { readonly processes?: number } =
    {}
): Effect.Effect<SharedStores, never, Scope.Scope> =>
  Effect.gen(function*() {
    const context = yield* Layer.build(Layer.mergeAll(RateLimiter.layerStoreMemory, CircuitBreaker.layerStoreMemory()))
    const guarded = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.suspend(() => {
        stores.asked++
        if (stores.health === "hangs") return Effect.never
        if (stores.health === "slow") return Effect.delay(effect, slowMillis)
        return stores.health === "down" ? Effect.die(new Error("the store is down")) : effect
      })
    const rateLimits = Context.get(context, RateLimiter.RateLimiterStore)
    const breakers = Context.get(context, CircuitBreaker.CircuitBreakerStore)
    const wrapped = Layer.mergeAll(
      Layer.succeed(RateLimiter.RateLimiterStore, {
        ...rateLimits,
        tokenBucket: (options) => guarded(rateLimits.tokenBucket(options))
      }),
      Layer.succeed(CircuitBreaker.CircuitBreakerStore, {
        admit: (key) => guarded(breakers.admit(key)),
        record: (options) => guarded(breakers.record(options)),
        state: (key) => guarded(breakers.state(key))
      })
    )
    const fleet = yield* Layer.build(
      Layer.provide(SharedState.layer({ ...options, processes: Effect.succeed(processes) }), wrapped)
    )
    const stores: SharedStores = {
      health: "well",
      asked: 0,
      join: Effect.provideContext(fleet),
      stateOf: (key) => Effect.orDie(Effect.map(breakers.state(key), ({ _tag }) => _tag))
    }
    return stores
  })

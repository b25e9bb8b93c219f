/**
 * The same policies composed of Effect's own parts, in the order that the docs of its CircuitBreaker recommend: retry and
 * timeout inside the breaker, the limits outside.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"

export interface EffectParts {
  readonly timeout: <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, unknown>
  readonly retry: <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, unknown>
  readonly breaker: <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, unknown>
  readonly rateLimit: <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, unknown>
  readonly bulkhead: <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, unknown>
  readonly metrics: <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, unknown>
  readonly whole: <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, unknown>
  /** All but timeout and retry, around a circuit that never opens. */
  readonly enduring: <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, unknown>
}

export const settings =
  "Effect: `Effect.timeout` 3 s → `Effect.retry` exponential from 500 ms, jittered, 3 times → `CircuitBreaker` (memory " +
  "store, rate 0.5 over 100 calls) → `RateLimiter` (memory store, token bucket) → `Semaphore` 64 → a histogram by " +
  "`Effect.trackDuration` and a counter of successes by `Effect.trackSuccesses`; one timeout, and neither budget, " +
  "deadline nor bounded queue."

const durations = Metric.withAttributes(
  Metric.histogram("bench.duration", { boundaries: Metric.exponentialBoundaries({ start: 1, factor: 2, count: 14 }) }),
  { vendor: "acme" }
)
const successes = Metric.withAttributes(
  Metric.counter("bench.calls", { incremental: true }),
  { vendor: "acme" }
)

export const make: Effect.Effect<EffectParts> = Effect.gen(function*() {
  const context = yield* Layer.buildWithScope(
    Layer.merge(
      CircuitBreaker.layerStoreMemory(),
      RateLimiter.layer.pipe(Layer.provideMerge(RateLimiter.layerStoreMemory))
    ),
    yield* Scope.make()
  )
  const scope = yield* Scope.make()
  const circuitOf = (tripPolicy: CircuitBreaker.TripPolicy) =>
    CircuitBreaker.make({ tripPolicy, openDuration: "5 seconds" }).pipe(Effect.provide(context), Scope.provide(scope))
  const circuit = yield* circuitOf(CircuitBreaker.rate({ threshold: 0.5, size: 100 }))
  const enduring = yield* circuitOf(CircuitBreaker.consecutive(Number.MAX_SAFE_INTEGER))
  const withLimit = yield* RateLimiter.makeWithRateLimiter.pipe(
    Effect.provideService(RateLimiter.RateLimiter, Context.get(context, RateLimiter.RateLimiter))
  )
  const semaphore = yield* Semaphore.make(64)
  const schedule = Schedule.exponential("500 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 3 }))
  const parts: Omit<EffectParts, "whole" | "enduring"> = {
    timeout: Effect.timeout("3 seconds"),
    retry: Effect.retry(schedule),
    breaker: circuit.execute({ key: "acme" }),
    rateLimit: withLimit({
      key: "acme",
      limit: 1e8,
      window: "1 second",
      algorithm: "token-bucket",
      onExceeded: "delay"
    }),
    bulkhead: (self) => semaphore.withPermit(self),
    metrics: (self) =>
      self.pipe(Effect.trackDuration(durations, Duration.toMillis), Effect.trackSuccesses(successes, () => 1))
  }
  return {
    ...parts,
    whole: (self) =>
      self.pipe(
        parts.timeout,
        parts.retry,
        parts.breaker,
        parts.rateLimit,
        parts.bulkhead,
        parts.metrics
      ),
    enduring: (self) =>
      self.pipe(
        enduring.execute({ key: "enduring" }),
        parts.rateLimit,
        parts.bulkhead,
        parts.metrics
      )
  }
})

/** A circuit that is open and stays so. */
export const openCircuit: Effect.Effect<EffectParts["breaker"]> = Effect.gen(function*() {
  const scope = yield* Scope.make()
  const context = yield* Layer.buildWithScope(CircuitBreaker.layerStoreMemory(), scope)
  const circuit = yield* CircuitBreaker.make({
    tripPolicy: CircuitBreaker.consecutive(1),
    openDuration: "1 hour"
  }).pipe(Effect.provide(context), Scope.provide(scope))
  yield* Effect.exit(Effect.fail("busy").pipe(circuit.execute({ key: "acme" })))
  return circuit.execute({ key: "acme" })
})

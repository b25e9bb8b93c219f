/**
 * The fleet a process belongs to, as breakers and rate limits know it. It is separate from the stores, so that a
 * process that shares nothing does not load them.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import type * as RateLimiter from "effect/persistence/RateLimiter"
import * as Timeline from "../Timeline.ts"
import type { FailOpen } from "./FailOpen.ts"

/** The stores of a fleet, with the settings for their use. */
export interface Fleet {
  readonly rateLimits: RateLimiter.RateLimiterStore["Service"]
  readonly breakers: CircuitBreaker.CircuitBreakerStore["Service"]
  readonly timeoutMillis: number
  readonly pollMillis: number
  /** Number of processes, this one included, as last counted; 1 before the first count. */
  readonly processes: number
  readonly bypass: FailOpen
}

/** The fleet that this process belongs to. @default none: each process acts alone */
export const SharedState: Context.Reference<Fleet | undefined> = Context.Reference<Fleet | undefined>(
  "breakwater/fleet/SharedState",
  { defaultValue: () => undefined }
)

/** Asks the store of a fleet; returns `otherwise` when the store is bypassed. */
export const ask = <X, Y, R>(
  { bypass }: Fleet,
  question: Effect.Effect<X, unknown, R>,
  otherwise: Y
): Effect.Effect<X | Y, never, R> => Effect.withFiber((fiber) => bypass.ask(Timeline.of(fiber), question, otherwise))

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
  readonly rateLimits: Pick<RateLimiter.RateLimiterStore["Service"], "tokenBucket">
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

/** Asks the store of a fleet, by a command; returns `otherwise` when the store is bypassed. */
export const ask = <X, Y, R>(
  { bypass }: Fleet,
  command: string,
  question: () => Effect.Effect<X, unknown, R>,
  otherwise: Y
): Effect.Effect<X | Y, never, R> =>
  Effect.withFiber((fiber) => bypass.ask(Timeline.of(fiber), command, question, otherwise))

/** The same fleet, with its state under names of its own: of a deployment, or of a vendor's origin. */
export const under = (fleet: Fleet, name: string): Fleet => {
  const { breakers, rateLimits } = fleet
  const own = (key: string) => `${name}/${key}`
  return {
    ...fleet,
    get processes() {
      return fleet.processes
    },
    rateLimits: { tokenBucket: (options) => rateLimits.tokenBucket({ ...options, key: own(options.key) }) },
    breakers: {
      admit: (key) => breakers.admit(own(key)),
      record: (options) => breakers.record({ ...options, key: own(options.key) }),
      state: (key) => breakers.state(own(key))
    }
  }
}

/** Shares what an effect shares under the origin of a vendor: its sandbox has another one than its production. */
export const ofOrigin = (origin: string) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const fleet = fiber.getRef(SharedState)
    return fleet === undefined ? effect : Effect.provideService(effect, SharedState, under(fleet, origin))
  })

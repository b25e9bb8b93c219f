/**
 * The importance of a call when capacity is short. It travels with the fibre, so a server sets it once per request. The
 * policies that shed load (`AdaptiveLimit`, `Throttle`) let calls of higher priority pass first; with enough capacity
 * it makes no call faster. The idea is the criticality of Google's SRE book, chapter 21.
 *
 * @example
 * ```ts
 * import { AdaptiveLimit, Priority, Stack } from "@breakwater/core"
 * import { Effect } from "effect"
 *
 * const adaptiveLimit = AdaptiveLimit.make({ initialLimit: 2, criticalShare: 0.5, queue: 0 })
 * const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent", policy: { adaptiveLimit } })
 * const ring = Effect.isSuccess(stack.guard(Effect.sleep("10 millis"), () => undefined))
 *
 * const critical = ring.pipe(Priority.withPriority("Critical"))
 * console.log(await Effect.runPromise(Effect.all([critical, ring, critical], { concurrency: "unbounded" })))
 * // => [ true, false, true ]
 * ```
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/**
 * - `Critical`: a user waits, and a failure costs money or trust: a payment.
 * - `Normal`: a user waits.
 * - `Sheddable`: nobody waits, or the work can be done later: a batch, an early refresh.
 */
export type Priority = "Critical" | "Normal" | "Sheddable"

/** The priority of the current fibre's calls. */
export const Priority: Context.Reference<Priority> = Context.Reference<Priority>("breakwater/Priority", {
  defaultValue: () => "Normal"
})

/** Sets the priority of every guarded call within an effect. */
export const withPriority = (priority: Priority) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(self, Priority, priority)

/**
 * How much a call matters while there is not enough for all. It travels with the fibre, so that whoever serves a request
 * says it once. What sheds load (`AdaptiveLimit`, `Throttle`) gives way to it; it makes no call faster while there is
 * enough. (The idea is that of the criticality in Google's SRE book, chapter 21.)
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
 * - `Critical`: somebody waits, and it costs money or trust when it fails: a payment.
 * - `Normal`: somebody waits.
 * - `Sheddable`: nobody waits, or it can be done later: a batch, a refresh ahead of time.
 */
export type Priority = "Critical" | "Normal" | "Sheddable"

/** The priority of the current fibre's calls. */
export const Priority: Context.Reference<Priority> = Context.Reference<Priority>("breakwater/Priority", {
  defaultValue: () => "Normal"
})

/** Gives every guarded call within an effect a priority. */
export const withPriority = (priority: Priority) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(self, Priority, priority)

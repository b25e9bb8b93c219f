/**
 * The time by which an operation must end. It travels with the fibre: a call made while serving a request inherits the
 * rest of that request's deadline, and can shorten it but never extend it. It bounds guarded calls, not the code
 * between them; use `Effect.timeout` for that.
 *
 * @example
 * ```ts
 * import { Deadline, Stack } from "@breakwater/core"
 * import { Effect } from "effect"
 *
 * const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent" })
 * const ring = Effect.flip(stack.guard(Effect.never, () => undefined))
 *
 * // Guarded calls in here end within this time, even if the stack allows more.
 * const error = await Effect.runPromise(ring.pipe(Deadline.within("20 millis")))
 * console.log(error.reason._tag) // => DeadlineExceeded
 * ```
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Timeline from "./Timeline.ts"

/**
 * The time by which the current operation must end, in milliseconds of the fibre's timeline; `Infinity` without a
 * deadline.
 */
export const Deadline: Context.Reference<number> = Context.Reference<number>("breakwater/Deadline", {
  defaultValue: () => Infinity
})

/** Sets a deadline, this long from now, for all guarded calls within an effect. A sooner deadline stays. */
export const within = (duration: Duration.Input) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const due = Timeline.of(fiber).now() + Duration.toMillis(duration)
    return Effect.provideService(self, Deadline, Math.min(due, fiber.getRef(Deadline)))
  })

/**
 * Leaves the deadline behind: for work that outlives the request that started it, such as a detached fibre, which would
 * otherwise inherit a deadline that has passed.
 */
export const none = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(self, Deadline, Infinity)

/** The time left until the deadline; `Duration.infinity` without one, zero when it has passed. */
export const remaining: Effect.Effect<Duration.Duration> = Effect.withFiber((fiber) =>
  Effect.succeed(Duration.millis(Math.max(0, fiber.getRef(Deadline) - Timeline.of(fiber).now())))
)

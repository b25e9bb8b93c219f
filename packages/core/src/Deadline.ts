/**
 * The moment by which an operation must be over. It travels with the fibre: a call made while serving a request inherits
 * what is left of that request's deadline, and can shorten it, never lengthen it. It bounds guarded calls, not the code
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
 * // Whatever the stack allows, nothing in here takes longer than this.
 * const error = await Effect.runPromise(ring.pipe(Deadline.within("20 millis")))
 * console.log(error.reason._tag) // => DeadlineExceeded
 * ```
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Timeline from "./Timeline.ts"

/** When the current operation must be over, in milliseconds of the fibre's timeline; `Infinity` without a deadline. */
export const Deadline: Context.Reference<number> = Context.Reference<number>("breakwater/Deadline", {
  defaultValue: () => Infinity
})

/** Gives an effect, and every guarded call within it, at most this long. */
export const within = (duration: Duration.Input) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const due = Timeline.of(fiber).now() + Duration.toMillis(duration)
    return Effect.provideService(self, Deadline, Math.min(due, fiber.getRef(Deadline)))
  })

/** What is left until the deadline; `Duration.infinity` without one, zero when it has passed. */
export const remaining: Effect.Effect<Duration.Duration> = Effect.withFiber((fiber) =>
  Effect.succeed(Duration.millis(Math.max(0, fiber.getRef(Deadline) - Timeline.of(fiber).now())))
)

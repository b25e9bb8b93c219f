/** A clock that a test sets by hand for one part only, such as a simulator, while its clients run in real time. */
import { Clock, Context, Effect, Layer, type Scope } from "effect"
import { TestClock } from "effect/testing"

export interface OwnClock extends Pick<TestClock.TestClock, "adjust" | "setTime"> {
  /** Runs an effect, and all fibres it starts, on this clock. */
  readonly on: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

export const make: Effect.Effect<OwnClock, never, Scope.Scope> = Effect.gen(function*() {
  const context = yield* Layer.build(TestClock.layer())
  const clock = Context.get(context, Clock.Clock) as TestClock.TestClock
  return {
    adjust: (duration) => clock.adjust(duration),
    setTime: (timestamp) => clock.setTime(timestamp),
    on: (effect) => Effect.provideContext(effect, context)
  }
})

/**
 * A machine whose wall clock and monotonic clock disagree: it sleeps, or its wall clock is set. Both otherwise follow the
 * virtual time of the test.
 */
import { Clock, Effect } from "effect"

export interface Machine {
  /** Moves the wall clock alone, in milliseconds: forward as during a sleep, or back. */
  step(millis: number): void
  /** Runs an effect, and all fibres it starts, on this machine. */
  readonly on: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

export const make: Effect.Effect<Machine> = Effect.clockWith((clock) =>
  Effect.sync(() => {
    let ahead = 0
    const currentTimeMillisUnsafe = () => clock.currentTimeMillisUnsafe() + ahead
    const currentTimeNanosUnsafe = () => clock.currentTimeNanosUnsafe() + BigInt(ahead) * 1_000_000n
    const own: Clock.Clock = {
      currentTimeMillisUnsafe,
      currentTimeMillis: Effect.sync(currentTimeMillisUnsafe),
      currentTimeNanosUnsafe,
      currentTimeNanos: Effect.sync(currentTimeNanosUnsafe),
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
      monotonicTimeNanos: clock.monotonicTimeNanos,
      sleep: (duration) => clock.sleep(duration)
    }
    return {
      step(millis) {
        ahead += millis
      },
      on: Effect.provideService(Clock.Clock, own)
    }
  })
)

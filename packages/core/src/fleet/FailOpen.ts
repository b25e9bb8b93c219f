/**
 * A store that several processes share may be slow, full or down. Then it is passed over for a while, which is told once,
 * and nobody fails because of it.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Timeline from "../Timeline.ts"

export interface BypassSettings {
  /** What is told to be passed over. */
  readonly what: string
  /** How long the store may take. */
  readonly timeoutMillis: number
  /** How long it is passed over when it has failed. */
  readonly pauseMillis: number
}

/** In how many slices a store is waited for (ours). */
const slices = 5

export class FailOpen {
  /** How often the store was passed over. */
  count = 0
  private readonly settings: BypassSettings
  private quietUntil = -Infinity
  private isDown = false

  constructor(settings: BypassSettings) {
    this.settings = settings
  }

  /** Whether the store is passed over now. */
  isQuiet(now: number): boolean {
    return now < this.quietUntil
  }

  /** What the store answers; `otherwise` when it is passed over, fails, or takes too long. */
  ask<X, Y, R>(
    timeline: Timeline.Timeline,
    ask: Effect.Effect<X, unknown, R>,
    otherwise: Y
  ): Effect.Effect<X | Y, never, R> {
    return Effect.suspend((): Effect.Effect<X | Y, never, R> => {
      if (this.isQuiet(timeline.now())) {
        this.count++
        return Effect.succeed(otherwise)
      }
      return Effect.flatMap(
        Effect.exit(Effect.raceFirst(ask, this.tooSlow)),
        (exit): Effect.Effect<X | Y> => {
          if (Exit.isSuccess(exit)) return Effect.as(this.recovered(), exit.value)
          if (Exit.hasInterrupts(exit)) return Effect.interrupt
          this.count++
          this.quietUntil = timeline.now() + this.settings.pauseMillis
          return Effect.as(this.failed(), otherwise)
        }
      )
    })
  }

  /**
   * Waits in slices, each of which is over only after answers that have come were read: it may be this process that is
   * too busy to look, and its delay is not the store's.
   */
  private get tooSlow(): Effect.Effect<never, "TooSlow"> {
    const slice = Effect.sleep(this.settings.timeoutMillis / slices)
    return Effect.andThen(Effect.replicateEffect(slice, slices, { discard: true }), Effect.fail("TooSlow" as const))
  }
  private failed(): Effect.Effect<void> {
    if (this.isDown) return Effect.void
    this.isDown = true
    return Effect.logWarning(`${this.settings.what} is slow or down, and passed over`)
  }
  private recovered(): Effect.Effect<void> {
    if (!this.isDown) return Effect.void
    this.isDown = false
    return Effect.logInfo(`${this.settings.what} is there again`)
  }
}

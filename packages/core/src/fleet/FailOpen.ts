/**
 * Bypasses a shared store that is slow, full or down, so that no call fails because of it. The bypass lasts for a while
 * and is logged once. The store works again once it has answered the command that failed.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Jitter from "../Jitter.ts"
import type * as Timeline from "../Timeline.ts"

export interface BypassSettings {
  /** The name of the store in the log. */
  readonly what: string
  /** How long the store may take, in milliseconds. */
  readonly timeoutMillis: number
  /** How long the store is bypassed after a failure, in milliseconds. */
  readonly pauseMillis: number
}

/** Number of slices in which a store is waited for. Our own judgement. */
const slices = 5

export class FailOpen {
  /** Number of times the store was bypassed. */
  count = 0
  private readonly settings: BypassSettings
  private quietUntil = -Infinity
  /** The command that failed last, until it succeeds: a replica that was a primary still answers all reads. */
  private failing: string | undefined = undefined

  constructor(settings: BypassSettings) {
    this.settings = settings
  }

  /** Whether the store is bypassed now. */
  isQuiet(now: number): boolean {
    return now < this.quietUntil
  }

  /**
   * The answer of the store to a command; `otherwise` when it is bypassed, takes too long, or fails in any way: it may also
   * throw, die, interrupt itself, or resist its interruption.
   */
  ask<X, Y, R>(
    timeline: Timeline.Timeline,
    command: string,
    ask: () => Effect.Effect<X, unknown, R>,
    otherwise: Y
  ): Effect.Effect<X | Y, never, R> {
    return Effect.suspend((): Effect.Effect<X | Y, never, R> => {
      if (this.isQuiet(timeline.now())) {
        this.count++
        return Effect.succeed(otherwise)
      }
      return Effect.flatMap(
        this.inTime(Effect.suspend(ask)),
        (exit): Effect.Effect<X | Y> => {
          if (exit !== undefined && Exit.isSuccess(exit)) return Effect.as(this.recovered(command), exit.value)
          this.count++
          return Effect.flatMap(Random.next, (random) => {
            this.quietUntil = timeline.now() + Jitter.later(this.settings.pauseMillis, random)
            return Effect.as(this.failed(command), otherwise)
          })
        }
      )
    })
  }

  /** How the store ends; `undefined` when it takes too long. It runs in a fibre that nobody has to wait for. */
  private inTime<X, R>(ask: Effect.Effect<X, unknown, R>): Effect.Effect<Exit.Exit<X, unknown> | undefined, never, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.forkDetach(ask, { startImmediately: true }), (fiber) =>
        Effect.ensuring(
          restore(Effect.raceFirst(Fiber.await(fiber), this.tooSlow)),
          Effect.sync(() => fiber.interruptUnsafe())
        ))
    )
  }
  /**
   * Waits in slices. A slice ends only after pending responses were read, because this process itself may be too busy
   * to read them, and that delay is not the store's.
   */
  private get tooSlow(): Effect.Effect<undefined> {
    const slice = Effect.sleep(this.settings.timeoutMillis / slices)
    return Effect.as(Effect.replicateEffect(slice, slices, { discard: true }), undefined)
  }
  private failed(command: string): Effect.Effect<void> {
    const wasDown = this.failing !== undefined
    this.failing = command
    if (wasDown) return Effect.void
    return Effect.logWarning(`${this.settings.what} is slow or down; it is bypassed`)
  }
  private recovered(command: string): Effect.Effect<void> {
    if (this.failing !== command) return Effect.void
    this.failing = undefined
    return Effect.logInfo(`${this.settings.what} works again`)
  }
}

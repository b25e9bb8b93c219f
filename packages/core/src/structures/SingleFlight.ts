/**
 * One load shared by many waiting callers. It runs in its own fibre, so that a caller that leaves does not take it from
 * the others. When the last caller leaves, the load is interrupted, unless it is marked as wanted anyway.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Timeline } from "../Timeline.ts"

export class SingleFlight<A, E> {
  /** The time at which the load is cut off, in milliseconds of the timeline; `Infinity` without a deadline. */
  readonly deadline: number
  private readonly waiters = new Set<(exit: Exit.Exit<A, E>) => void>()
  private readonly onAbandoned: () => void
  private isWanted: boolean
  private fiber: Fiber.Fiber<A, E> | undefined = undefined
  private exit: Exit.Exit<A, E> | undefined = undefined

  constructor(deadline: number, isWanted: boolean, onAbandoned: () => void) {
    this.deadline = deadline
    this.isWanted = isWanted
    this.onAbandoned = onAbandoned
  }
  /** Attaches the fibre of the load. `onEnd` is told how it ended, before all waiting callers. */
  carry(fiber: Fiber.Fiber<A, E>, onEnd: (exit: Exit.Exit<A, E>) => void): void {
    this.fiber = fiber
    fiber.addObserver((exit) => {
      this.exit = exit
      try {
        onEnd(exit)
      } finally {
        for (const waiter of this.waiters) waiter(exit)
        this.waiters.clear()
      }
    })
  }
  /**
   * Waits for the load, at most until `dueAt` if `isDue` says so then. After `softMillis` the caller leaves and the load
   * continues.
   */
  join(
    timeline: Timeline,
    softMillis: number,
    dueAt: number,
    isDue: () => boolean = always
  ): Effect.Effect<Exit.Exit<A, E> | "Slow" | "Late"> {
    return Effect.callback((resume) => {
      if (this.exit !== undefined) return resume(Effect.succeed(this.exit))
      const done = (end: Exit.Exit<A, E> | "Slow" | "Late") => {
        leave()
        resume(Effect.succeed(end))
      }
      const soft = softMillis === Infinity ? undefined : timeline.after(softMillis, () => {
        this.isWanted = true
        done("Slow")
      })
      const due = dueAt === Infinity
        ? undefined
        : timeline.after(Math.max(0, dueAt - timeline.now()), () => {
          if (isDue()) done("Late")
        })
      const leave = () => {
        soft?.cancel()
        due?.cancel()
        this.waiters.delete(done)
        if (this.waiters.size > 0 || this.isWanted || this.exit !== undefined) return
        this.onAbandoned()
        this.fiber?.interruptUnsafe()
      }
      this.waiters.add(done)
      return Effect.sync(leave)
    })
  }
}

const always = (): boolean => true

/**
 * Several concurrent attempts of one call. The first answer wins and the others are cancelled. When all have failed,
 * the failure of the first one counts.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Hedge } from "../../policies/Hedge.ts"
import { Facts } from "../../Reason.ts"
import type * as Timeline from "../../Timeline.ts"
import type { AttemptEnd, AttemptRing } from "./AttemptRing.ts"

/** The parts of a call that a hedged attempt needs. */
export interface Hedging<A, E> {
  readonly timeline: Timeline.Timeline
  /** The time before which the vendor asked for no further attempt. */
  notBefore(): number
  /** Makes one more attempt; its effect succeeds with the attempt's result. */
  another(): AttemptRing<A, E, AttemptEnd<A, E>, never>
  /** Whether a failed attempt may be followed by another. */
  isWorthwhile(end: AttemptEnd<A, E>): boolean
  /** Pays for a hedge; `false` when the budget is empty or the deadline has passed. */
  pay(): boolean
  /** Runs an effect with the services of the fibre that made the call. */
  fork<X>(effect: Effect.Effect<X>): Fiber.Fiber<X>
}

/** Makes attempts until one is final, and returns its result. */
export const attempt = <A, E>(hedge: Hedge, call: Hedging<A, E>): Effect.Effect<AttemptEnd<A, E>> =>
  Effect.callback((resume) => {
    const running = new Map<AttemptRing<A, E, AttemptEnd<A, E>, never>, Fiber.Fiber<AttemptEnd<A, E>>>()
    let begun = 0
    let isOver = false
    let first: AttemptEnd<A, E> | undefined
    let latest: AttemptRing<A, E, AttemptEnd<A, E>, never> | undefined
    let timer: Timeline.Timer | undefined

    const stop = (label: "interrupted" | "overtaken") => {
      isOver = true
      timer?.cancel()
      for (const [attempt, fiber] of running) {
        attempt.leave(cancelled, label)
        fiber.interruptUnsafe()
      }
      running.clear()
    }
    const over = (exit: Exit.Exit<AttemptEnd<A, E>>) => {
      stop("overtaken")
      resume(exit)
    }
    const begin = () => {
      timer?.cancel()
      const index = begun++
      const attempt = latest = call.another()
      const fiber = call.fork(Effect.suspend(() => attempt.begin()))
      running.set(attempt, fiber)
      armNext()
      fiber.addObserver(guarded((exit: Exit.Exit<AttemptEnd<A, E>>) => {
        running.delete(attempt)
        if (Exit.isFailure(exit)) {
          attempt.leave(exit, "defect")
          return over(exit)
        }
        ended(index, exit.value)
      }))
    }
    const ended = (index: number, end: AttemptEnd<A, E>) => {
      if (index === 0) first = end
      if (end.reason === undefined) return over(Exit.succeed(end))
      // A refusal of our own, also of a further request, does not end the attempts that are still running.
      const isOwn = !end.wasStarted || Facts.isOurs(end.reason)
      if (!isOwn && !call.isWorthwhile(end)) return over(Exit.succeed(end))
      if (running.size > 0) return
      if (isOwn && end.wasStarted) return over(Exit.succeed(end))
      // A wait that the vendor asked for is the retry's.
      const mayFollow = end.wasStarted && begun <= hedge.hedges && call.notBefore() <= call.timeline.now()
      if (mayFollow && call.pay()) return begin()
      over(Exit.succeed(first ?? end))
    }
    const armNext = () => {
      if (begun > hedge.hedges) return
      const delay = hedge.delay(begun, call.timeline.now())
      if (delay < Infinity) arm(delay, delay)
    }
    // Whole milliseconds, rounded up: a timer that is early would be set again and again.
    const arm = (millis: number, delay: number) => {
      timer = call.timeline.after(Math.ceil(millis), guarded(() => next(delay)))
    }
    /** The delay is the vendor's time: an attempt that waits in a queue of our own has not used any of it. */
    const next = (delay: number) => {
      const early = call.notBefore() - call.timeline.now()
      const left = latest !== undefined && running.has(latest) ? delay - latest.vendorMillis() : 0
      // The first attempt begins a moment after its timer is set: less than a timer's unit is not worth another one.
      if (early > 0 || left >= 1) arm(Math.max(early, left), delay)
      else if (call.pay()) begin()
    }
    /** A delay or a budget of a user may throw, and in a timer or an observer the exception would be lost. */
    const guarded = <Args extends ReadonlyArray<unknown>>(step: (...args: Args) => void) => (...args: Args) => {
      if (isOver) return
      try {
        step(...args)
      } catch (defect) {
        over(Exit.die(defect))
      }
    }
    guarded(begin)()
    return Effect.sync(() => stop("interrupted"))
  })

const cancelled = Exit.interrupt()

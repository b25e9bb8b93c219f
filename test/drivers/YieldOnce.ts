/**
 * Runs an effect in a fibre that yields once, at its n-th step, and is interrupted there: the moments at which a permit, a
 * probe, a lead or a secret is on its way from one step to the next.
 */
import { Context, Effect, type Exit, Fiber, Scheduler } from "effect"
import { TestClock } from "effect/testing"

class YieldOnce extends Scheduler.MixedScheduler {
  /** Whether the fibre came as far as the step. */
  wasReached = false
  private readonly step: number
  private steps = 0
  private fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined

  constructor(step: number) {
    super()
    this.step = step
  }

  override shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    // The first fibre is the one under test; those that it forks run on.
    this.fiber ??= fiber
    if (fiber !== this.fiber || this.wasReached || ++this.steps < this.step) return super.shouldYield(fiber)
    this.wasReached = true
    queueMicrotask(() => fiber.interruptUnsafe())
    return true
  }
}

/** Interrupts an effect at a step, if it has so many, and lets a minute of virtual time pass. */
export const interruptedAt = <A, E, R>(
  step: number,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<{ readonly wasInterrupted: boolean; readonly exit: Exit.Exit<A, E> }, never, R> =>
  Effect.gen(function*() {
    const scheduler = new YieldOnce(step)
    const context = Context.add(yield* Effect.context<R>(), Scheduler.Scheduler, scheduler)
    const fiber = Effect.runForkWith(context)(effect)
    yield* TestClock.adjust("1 minute")
    return { wasInterrupted: scheduler.wasReached, exit: yield* Fiber.await(fiber) }
  })

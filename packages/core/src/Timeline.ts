/**
 * Monotonic time and cheap timers, on whatever clock a fibre runs with.
 *
 * Under the live clock this is `performance.now` and one-shot timers without a fibre; under any other clock (TestClock
 * above all) it is that clock, so that everything built on it obeys virtual time.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

export interface Timer {
  cancel(): void
}

export interface Timeline {
  /** Milliseconds since an arbitrary origin; never goes back. */
  now(): number
  /** Runs `f` once, later and not earlier than after `millis`, unless the timer is cancelled before. */
  after(millis: number, f: () => void): Timer
}

/** `setTimeout` counts in 32 bits; a longer timer is armed in steps. */
const longestTimeout = 2 ** 31 - 1

/** The hot path of every guarded call: a timer without a fibre, and time without a `bigint`. */
const live: Timeline = {
  now: () => performance.now(),
  after(millis, f) {
    const due = performance.now() + millis
    const arm = (left: number) =>
      setTimeout(() => {
        const missing = due - performance.now()
        // Node rounds timers to its own idea of now and may fire up to a millisecond early.
        if (missing > 0) handle = arm(missing)
        else f()
      }, Math.min(Math.ceil(left), longestTimeout))
    let handle = arm(millis)
    return { cancel: () => clearTimeout(handle) }
  }
}

const liveClock = Context.get(Context.empty(), Clock.Clock)

class ClockTimeline implements Timeline {
  readonly clock: Clock.Clock
  readonly context: Context.Context<never>
  constructor(clock: Clock.Clock, context: Context.Context<never>) {
    this.clock = clock
    this.context = context
  }
  now() {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1e6
  }
  after(millis: number, f: () => void) {
    if (millis <= 0) return soon(f)
    const fiber = Effect.runForkWith(this.context)(
      Effect.andThen(this.clock.sleep(Duration.millis(millis)), Effect.sync(f))
    )
    return { cancel: () => fiber.interruptUnsafe() }
  }
}

const soon = (f: () => void): Timer => {
  let isCancelled = false
  queueMicrotask(() => {
    if (!isCancelled) f()
  })
  return {
    cancel() {
      isCancelled = true
    }
  }
}

/** The timeline of a fibre's clock. */
export const of = (fiber: Fiber.Fiber<unknown, unknown>): Timeline => {
  const clock = fiber.getRef(Clock.Clock)
  return clock === liveClock ? live : new ClockTimeline(clock, fiber.context)
}

/** The monotonic time of the current fibre, in milliseconds. */
export const now: Effect.Effect<number> = Effect.withFiber((fiber) => Effect.succeed(of(fiber).now()))

/** Sleeps until the timeline has reached `due`, never less. */
export const sleepUntil = (timeline: Timeline, due: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const missing = due - timeline.now()
    return missing <= 0
      ? Effect.void
      : Effect.andThen(Effect.sleep(Duration.millis(missing)), sleepUntil(timeline, due))
  })

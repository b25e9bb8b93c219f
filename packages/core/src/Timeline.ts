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
import * as Wheel from "./Timeline/Wheel.ts"
import { soon } from "./Timeline/YieldQueue.ts"

export interface Timer {
  cancel(): void
}

export interface Timeline {
  /** Milliseconds since an arbitrary origin; never goes back. */
  now(): number
  /** Runs `f` once, later and not earlier than after `millis`, unless the timer is cancelled before. */
  after(millis: number, f: () => void): Timer
  /**
   * The same, `millis` after a `now` that has just been read, for limits that are seldom reached: up to a tenth later, and
   * almost for nothing when it is cancelled before. It is told in the async context of anybody.
   */
  limit(now: number, millis: number, limited: Limited): Timer
  /** Runs `f` as soon as the present work is done; where many ask for that, a few in each turn of the event loop. */
  soon(f: () => void): void
}

/** What has a limit. */
export interface Limited {
  timeIsUp(): void
}

/** `setTimeout` counts in 32 bits; a longer timer is armed in steps. */
const longestTimeout = 2 ** 31 - 1

/** The hot path of every guarded call: a timer without a fibre, and time without a `bigint`. */
const live: Timeline = {
  // As a property, for V8 does not inline the getter behind the bare name, and that takes as long as reading the time.
  now: () => globalThis.performance.now(),
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
  },
  limit: (now, millis, limited) =>
    millis < Wheel.shortestMillis
      ? live.after(millis, () => limited.timeIsUp())
      : wheel.add(now, now + millis, limited),
  soon
}

const wheel = new Wheel.Wheel(() => performance.now())

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
    if (millis <= 0) return atOnce(f)
    const fiber = Effect.runForkWith(this.context)(
      Effect.andThen(this.clock.sleep(Duration.millis(millis)), Effect.sync(f))
    )
    return { cancel: () => fiber.interruptUnsafe() }
  }
  limit(_now: number, millis: number, limited: Limited) {
    return this.after(millis, () => limited.timeIsUp())
  }
  soon(f: () => void) {
    queueMicrotask(f)
  }
}

const atOnce = (f: () => void): Timer => {
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
export const of = (fiber: Fiber.Fiber<unknown, unknown>): Timeline => ofContext(fiber.context)

/** The timeline of the clock of a context. */
export const ofContext = (context: Context.Context<never>): Timeline => {
  const clock = Context.get(context, Clock.Clock)
  return clock === liveClock ? live : new ClockTimeline(clock, context)
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

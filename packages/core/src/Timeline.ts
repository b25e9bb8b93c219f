/**
 * Monotonic time and cheap timers, on the clock of a fibre.
 *
 * Under the live clock these are `performance.now` and one-shot timers without a fibre. Under any other clock, such as
 * TestClock, they follow that clock, so that everything built on them obeys virtual time.
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
  /** Milliseconds since an arbitrary origin; never decreases. */
  now(): number
  /**
   * Milliseconds since an arbitrary origin, for ages; never decreases. Unlike `now` it also counts the time in which
   * the machine slept, and every step of the wall clock forward.
   */
  elapsed(): number
  /** Runs `f` once, always asynchronously and at least `millis` from now, unless the timer is cancelled first. */
  after(millis: number, f: () => void): Timer
  /**
   * The same, `millis` after a `now` that has just been read, for limits that are rarely reached. It may run up to a
   * tenth late, and costs almost nothing when it is cancelled first. It runs in an arbitrary async context.
   */
  limit(now: number, millis: number, limited: Limited): Timer
  /** Runs `f` as soon as the current work is done; of many such requests, a few run in each turn of the event loop. */
  soon(f: () => void): void
  /** Calls `limited` once, after the input that has arrived at the process's sockets is read. */
  afterInput(limited: Limited): Timer
  /**
   * The milliseconds for which the event loop has been blocked until `now`, a time just read, in spans of more than 50 ms, while a limit was
   * set. Never decreases; always 0 on virtual time.
   */
  blockedMillis(now: number): number
}

/** Something with a time limit. */
export interface Limited {
  timeIsUp(): void
}

/** The longest time that `setTimeout` counts, in milliseconds: 32 bits. A longer one would be over at once. */
export const longestTimeout = 2 ** 31 - 1

/**
 * How often the monotonic clock is looked at for an age, and what the wall clock may lose on it unnoticed, in
 * milliseconds. Our own judgement: no age matters to a tenth of a second, and reading two clocks takes twice as long.
 */
const [checkMillis, noticedMillis] = [100, 100]

/**
 * The time of the wall clock, which goes on while a machine sleeps, plus what it has lost on the monotonic clock, because
 * it was set back. So an age measured with it is the larger one of both clocks.
 */
class Elapsed {
  private lost = 0
  private latest = -Infinity
  private checkedAt = -Infinity
  /** The largest lead over the monotonic clock. */
  private lead = -Infinity

  at(wallClock: number, clock: { now(): number }): number {
    const elapsed = wallClock + this.lost
    if (elapsed >= this.latest && elapsed - this.checkedAt < checkMillis) return this.latest = elapsed
    return this.latest = this.checkedAt = this.checked(Math.max(elapsed, this.latest), wallClock, clock.now())
  }

  private checked(elapsed: number, wallClock: number, monotonic: number): number {
    const behind = this.lead - (elapsed - monotonic)
    const right = behind > noticedMillis ? elapsed + behind : elapsed
    this.lead = Math.max(this.lead, right - monotonic)
    this.lost = right - wallClock
    return right
  }
}

/**
 * The timeline of real time, which sockets have under every clock of a test. It is the hot path of every guarded call:
 * timers without a fibre, and time without a `bigint`.
 */
export const live: Timeline = {
  // Read as a property: V8 does not inline the getter behind the bare name, and calling it takes as long as reading the
  // time.
  now: () => globalThis.performance.now(),
  elapsed: () => liveElapsed.at(Date.now(), live),
  after(millis, f) {
    const due = performance.now() + millis
    const arm = (left: number) =>
      setTimeout(() => {
        const missing = due - performance.now()
        // Node rounds timers to its own clock and may fire up to a millisecond early.
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
  soon,
  afterInput(limited) {
    const turn = setImmediate(() => limited.timeIsUp())
    return { cancel: () => clearImmediate(turn) }
  },
  blockedMillis: (now) => wheel.blockedMillis(now)
}

const wheel = new Wheel.Wheel(() => performance.now())

const liveElapsed = new Elapsed()
/** Of all other clocks. */
const elapsed = new WeakMap<Clock.Clock, Elapsed>()

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
  elapsed() {
    let known = elapsed.get(this.clock)
    if (known === undefined) elapsed.set(this.clock, known = new Elapsed())
    return known.at(this.clock.currentTimeMillisUnsafe(), this)
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
  afterInput(limited: Limited) {
    return atOnce(() => limited.timeIsUp())
  }
  blockedMillis() {
    return 0
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

/** The timeline of a context's clock. */
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
    return !(missing > 0)
      ? Effect.void
      : Effect.andThen(Effect.sleep(Duration.millis(missing)), sleepUntil(timeline, due))
  })

/**
 * One guarded call: the gates of the operation ring, and inside them attempts until one is final. A healthy call is one
 * synchronous pass and one attempt: two objects, one timer, no fibre. Only waiting, failing and retrying use Effect's
 * combinators.
 *
 * However the call ends (an answer, a refusal, an interruption, a defect), every permit is settled or cancelled once,
 * the leaf is cancelled, and the timer is stopped.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type * as Tracer from "effect/Tracer"
import * as DeclaredFailure from "../../DeclaredFailure.ts"
import type { Refusal, Wait } from "../../Gate.ts"
import * as Jitter from "../../Jitter.ts"
import * as Outcome from "../../Outcome.ts"
import type { Hedge } from "../../policies/Hedge.ts"
import * as Retry from "../../policies/Retry.ts"
import { Priority } from "../../Priority.ts"
import { DeadlineExceeded, type Reason } from "../../Reason.ts"
import { type Fate, worstFate } from "../../Safety.ts"
import * as Timeline from "../../Timeline.ts"
import { VendorError } from "../../VendorError.ts"
import type { Leaf } from "../Leaf.ts"
import * as Trace from "../Trace.ts"
import * as Ambient from "./Ambient.ts"
import { type AttemptEnd, AttemptRing, type Failed, type Maker } from "./AttemptRing.ts"
import * as HedgedAttempt from "./HedgedAttempt.ts"
import type { Plan } from "./Plan.ts"
import { type Held, leaveQueue, passGates, type Ring, settlePermits, tick, underway } from "./Ring.ts"

type Step = (now: number, error: VendorError) => Pull.Pull<[unknown, Duration.Duration], never, unknown>

/** Makes one guarded call. */
export const run = <A, E>(
  plan: Plan,
  leaf: Leaf<A, E>,
  key: string,
  cost: number
): Effect.Effect<A, E | VendorError> =>
  Effect.callback((resume) => {
    const fiber = Fiber.getCurrent()!
    const ambient = Ambient.of(fiber.context)
    const now = ambient.timeline.now()
    const deadline = Math.min(ambient.deadline, now + plan.deadlineMillis)
    return new OperationRing(leaf, resume, plan, fiber, ambient.timeline, now, deadline, key, cost).start()
  })

export class OperationRing<A, E> implements Ring<A, E | VendorError>, Maker<A, E, A, E | VendorError> {
  // Declared, for the same reason as in an attempt.
  declare readonly plan: Plan
  declare readonly fiber: Fiber.Fiber<unknown, unknown>
  declare readonly timeline: Timeline.Timeline
  declare readonly deadline: number
  declare readonly key: string
  declare readonly cost: number
  declare now: number
  permits: Held | undefined = undefined
  wait: Wait | undefined = undefined
  /** Number of attempts begun. */
  attempt = 0
  /** Number of attempts whose leaf was started. */
  started = 0
  span: Tracer.Span | undefined = undefined
  /** Whether attempts start outside the fibre: until now the call has waited only for the vendor. */
  isDirect = true
  private isStarting = true
  declare private readonly resume: (effect: Effect.Effect<A, E | VendorError>) => void
  declare private readonly leaf: Leaf<A, E>
  declare private readonly beganAt: number
  private isOver = false
  /** What became of the call, over all its attempts. The error is built from it at the end. */
  private fate: Fate = "NotSent"
  /** The time before which the vendor asked for no further attempt, in any of its responses to this call. */
  notBefore = -Infinity
  private current: AttemptRing<A, E, A, E | VendorError> | undefined = undefined
  private step: Step | undefined = undefined

  constructor(
    leaf: Leaf<A, E>,
    resume: (effect: Effect.Effect<A, E | VendorError>) => void,
    plan: Plan,
    fiber: Fiber.Fiber<unknown, unknown>,
    timeline: Timeline.Timeline,
    now: number,
    deadline: number,
    key: string,
    cost: number
  ) {
    this.plan = plan
    this.fiber = fiber
    this.timeline = timeline
    this.now = now
    this.deadline = deadline
    this.key = key
    this.cost = cost
    this.leaf = leaf
    this.resume = resume
    this.beganAt = now
  }

  get vendor() {
    return this.plan.vendor
  }
  get operation() {
    return this.plan.operation
  }
  get scope() {
    return this.plan.scope
  }
  get safety() {
    return this.plan.safety
  }
  get priority() {
    return this.fiber.getRef(Priority)
  }
  random() {
    return this.fiber.getRef(Random.Random).nextDoubleUnsafe()
  }

  /** Begins the call, and returns an effect that leaves it when the fibre is interrupted. */
  start(): Effect.Effect<void> | void {
    let next: Effect.Effect<A, E | VendorError>
    try {
      next = this.begin()
    } catch (defect) {
      next = Exit.die(defect)
    }
    if (next !== underway) this.proceed(next)
    this.isStarting = false
    if (!this.isOver) return Effect.sync(() => this.leave(interrupted))
  }

  /** Continues with the next step: the end of the call, or work for the fibre. */
  proceed(next: Effect.Effect<A, E | VendorError>): void {
    if (this.isOver) return this.resume(next)
    this.isDirect = false
    const step = Effect.onExitPrimitive(next, (exit) => this.leave(exit))
    // Without a suspension the fibre could be interrupted before the step, and the call would never be left.
    if (this.isStarting) queueMicrotask(() => this.resume(step))
    else this.resume(step)
  }

  private begin(): Effect.Effect<A, E | VendorError> {
    const { operationSpanAttributes, operationSpanName } = this.plan
    this.span = Trace.open(this.fiber, undefined, operationSpanName, "internal", operationSpanAttributes)
    this.plan.retryBudget?.deposit(this.now)
    return passGates(this, this.plan.operationGates)
  }

  /** The fibre leaves the call. Unless the call has ended, it was interrupted or has a defect. */
  leave(exit: Exit.Exit<A, E | VendorError>): undefined {
    if (this.isOver) return
    tick(this)
    const label = Exit.hasInterrupts(exit) ? "interrupted" : "defect"
    this.current?.leave(exit, label)
    leaveQueue(this)
    this.end(exit, label, Outcome.abandoned(this.now - this.beganAt))
  }

  /** The error for a reason, with the fate of all attempts so far. */
  error(reason: Reason): VendorError {
    return new VendorError({
      vendor: this.vendor,
      operation: this.operation,
      safety: this.safety,
      reason,
      fate: worstFate(this.fate, reason.fate),
      attempts: this.started
    })
  }

  /** A started attempt failed: its fate and its time to come back count for the whole call. */
  failed(reason: Reason, now: number): void {
    this.fate = worstFate(this.fate, reason.fate)
    if (reason.retryAfterMillis !== undefined) {
      // Other callers were told the same time.
      this.notBefore = Math.max(this.notBefore, now + Jitter.later(reason.retryAfterMillis, this.random()))
    }
  }

  /** A started attempt was cut off. */
  cutOff(fate: Fate): void {
    this.fate = worstFate(this.fate, fate)
  }

  inside(): Effect.Effect<A, E | VendorError> {
    return this.nextAttempt()
  }

  refused({ reason }: Refusal): Effect.Effect<A, E | VendorError> {
    return this.giveUp(reason)
  }

  private nextAttempt(): Effect.Effect<A, E | VendorError> {
    if (this.now >= this.deadline) return this.giveUp(new DeadlineExceeded("NotSent"))
    const { hedge } = this.plan
    if (hedge !== undefined) {
      this.isDirect = false
      return Effect.flatMap(
        HedgedAttempt.attempt(hedge, this.hedging(hedge)),
        (end) => this.ended(end, this.timeline.now())
      )
    }
    this.current = new AttemptRing(this, ++this.attempt, this.leaf, this)
    return this.current.begin()
  }

  private hedging(hedge: Hedge): HedgedAttempt.Hedging<A, E> {
    return {
      timeline: this.timeline,
      notBefore: () => this.notBefore,
      another: () =>
        new AttemptRing(this, ++this.attempt, this.leaf, {
          ended: (end, now) => {
            if (end.wasStarted && end.reason === undefined) hedge.record(end.outcome.durationMillis, now)
            return Effect.succeed(end)
          }
        }),
      isWorthwhile: ({ reason }) => reason !== undefined && Retry.isWorthwhile(this.safety, reason, this.fate),
      pay: () => {
        tick(this)
        if (this.now >= this.deadline || this.plan.retryBudget?.withdraw(this.now) === false) return false
        this.plan.meter?.hedge()
        return true
      },
      fork: Effect.runForkWith(this.fiber.context)
    }
  }

  /** Decides what follows the end of an attempt. */
  ended(end: AttemptEnd<A, E>, now: number): Effect.Effect<A, E | VendorError> {
    this.current = undefined
    this.now = now
    // A refusal by one of our own gates is not retried.
    if (!end.wasStarted) return this.giveUp(end.reason)
    if (end.reason === undefined) return this.end(end.exit, end.label, end.outcome)
    const { retry } = this.plan
    return retry !== undefined && Retry.isWorthwhile(this.safety, end.reason, this.fate)
      ? this.retry(retry, end)
      : this.giveUp(end.reason, end)
  }

  private retry(schedule: Retry.RetrySchedule, failed: Failed<A, E>): Effect.Effect<A, E | VendorError> {
    const { reason } = failed
    const giveUp = Effect.suspend(() => this.giveUp(reason, failed))
    return Effect.flatMap(
      this.stepOf(schedule),
      (step) =>
        Pull.matchEffect(step(this.fiber.getRef(Clock.Clock).currentTimeMillisUnsafe(), this.error(reason)), {
          onDone: () => giveUp,
          onFailure: (cause) => Effect.failCause(cause),
          onSuccess: ([, delay]) => {
            tick(this)
            // Whole milliseconds, rounded up, so that no clock is early.
            const millis = Math.ceil(Math.max(Duration.toMillis(delay), this.notBefore - this.now))
            if (this.now + millis >= this.deadline) return giveUp
            if (this.plan.retryBudget?.withdraw(this.now) === false) return giveUp
            this.plan.meter?.retry()
            return Effect.flatMap(Timeline.sleepUntil(this.timeline, this.now + millis), () => {
              tick(this)
              return this.nextAttempt()
            })
          }
        })
    )
  }

  private stepOf(schedule: Retry.RetrySchedule): Effect.Effect<Step> {
    return this.step === undefined
      ? Effect.map(Schedule.toStep(schedule), (step) => this.step = step)
      : Effect.succeed(this.step)
  }

  /** Ends the call with a failure, which its last attempt may have put in words of its own. */
  private giveUp(reason: Reason, failed?: Failed<A, E>): Effect.Effect<A, E | VendorError> {
    const outcome = Outcome.failed(this.now - this.beganAt, reason, failed?.outcome.quota)
    const error = this.error(reason)
    const exit = failed?.exit === undefined ? Exit.fail(error) : DeclaredFailure.carry(failed.exit, error)
    return this.end(exit, reason._tag, outcome)
  }

  private end(
    exit: Exit.Exit<A, E | VendorError>,
    label: string,
    outcome: Outcome.Outcome
  ): Exit.Exit<A, E | VendorError> {
    this.isOver = true
    const broken = settlePermits(this, outcome)
    this.plan.meter?.operation(this.now - this.beganAt, label, this.key)
    if (this.span !== undefined) {
      this.span.attribute("breakwater.outcome", label)
      this.span.attribute("breakwater.attempts", this.started)
      Trace.close(this.fiber, this.span, broken ?? exit)
    }
    return broken ?? exit
  }
}

const interrupted = Exit.interrupt()

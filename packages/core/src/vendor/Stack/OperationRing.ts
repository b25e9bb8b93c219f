/**
 * One guarded call: the gates of the operation ring, and inside them attempts until one is final. A healthy call is one
 * synchronous pass and one attempt: two objects, one timer, no fibre. Only waiting, failing and retrying go through
 * Effect's combinators.
 *
 * Whatever ends the call (an answer, a refusal, an interruption, a defect), every permit is settled or cancelled once,
 * the leaf is cancelled, the timer is gone.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import type * as Tracer from "effect/Tracer"
import type { Refusal } from "../../Gate.ts"
import * as Outcome from "../../Outcome.ts"
import { Deadline } from "../../policies/Deadline.ts"
import type { Hedge } from "../../policies/Hedge.ts"
import * as Retry from "../../policies/Retry.ts"
import { DeadlineExceeded, type Reason } from "../../Reason.ts"
import { type Fate, worstFate } from "../../Safety.ts"
import * as Timeline from "../../Timeline.ts"
import { VendorError } from "../../VendorError.ts"
import { type AttemptEnd, AttemptRing } from "./AttemptRing.ts"
import * as HedgedAttempt from "./HedgedAttempt.ts"
import type { Leaf } from "./Leaf.ts"
import type { Plan } from "./Plan.ts"
import { Ring } from "./Ring.ts"
import * as Trace from "./Trace.ts"

type Step = (now: number, error: VendorError) => Pull.Pull<[unknown, Duration.Duration], never, unknown>

/** Makes one guarded call. */
export const run = <A, E>(
  plan: Plan,
  leaf: Leaf<A, E>,
  key: string,
  cost: number
): Effect.Effect<A, E | VendorError> =>
  Effect.withFiber((fiber) => {
    const timeline = Timeline.of(fiber)
    const now = timeline.now()
    const deadline = Math.min(fiber.getRef(Deadline), now + plan.deadlineMillis)
    const call = new OperationRing(leaf, plan, fiber, timeline, now, deadline, key, cost)
    return Effect.onExitPrimitive(Effect.suspend(() => call.begin()), (exit) => call.leave(exit))
  })

export class OperationRing<A, E> extends Ring<A, E | VendorError> {
  /** Attempts that were begun. */
  attempt = 0
  /** Attempts whose leaf was started. */
  started = 0
  span: Tracer.Span | undefined = undefined
  private readonly leaf: Leaf<A, E>
  private readonly beganAt: number
  private isOver = false
  private fate: Fate = "NotSent"
  private current: AttemptRing<A, E, A, E | VendorError> | undefined = undefined
  private step: Step | undefined = undefined

  constructor(leaf: Leaf<A, E>, ...surroundings: ConstructorParameters<typeof Ring>) {
    super(...surroundings)
    this.leaf = leaf
    this.beganAt = this.now
  }

  /** What an attempt has in common with its call. */
  get surroundings(): ConstructorParameters<typeof Ring> {
    return [this.plan, this.fiber, this.timeline, this.now, this.deadline, this.key, this.cost]
  }

  begin(): Effect.Effect<A, E | VendorError> {
    this.span = Trace.open(this.fiber, undefined, `${this.vendor} ${this.operation}`, "internal", {
      "breakwater.vendor": this.vendor,
      "breakwater.operation": this.operation
    })
    this.plan.retryBudget?.deposit(this.now)
    return this.passGates(this.plan.operationGates)
  }

  /** The fibre leaves the call. Unless the call ended by itself it was interrupted, or something in it is broken. */
  leave(exit: Exit.Exit<A, E | VendorError>): undefined {
    if (this.isOver) return
    this.tick()
    const label = Exit.hasInterrupts(exit) ? "interrupted" : "defect"
    this.current?.leave(exit, label)
    this.leaveQueue()
    this.end(exit, label, Outcome.abandoned(this.now - this.beganAt))
  }

  /** The error that a reason is now, after all that has happened so far. */
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

  /** An attempt that was started has failed: what may have happened in it may have happened. */
  note(reason: Reason): void {
    this.fate = worstFate(this.fate, reason.fate)
  }

  protected inside(): Effect.Effect<A, E | VendorError> {
    return this.nextAttempt()
  }

  protected refused({ reason }: Refusal): Effect.Effect<A, E | VendorError> {
    return this.giveUp(reason)
  }

  private nextAttempt(): Effect.Effect<A, E | VendorError> {
    if (this.now >= this.deadline) return this.giveUp(new DeadlineExceeded("NotSent"))
    const { hedge } = this.plan
    if (hedge !== undefined) return Effect.flatMap(HedgedAttempt.attempt(hedge, this.hedging(hedge)), this.finish)
    this.current = new AttemptRing(this, ++this.attempt, this.leaf, this.finish)
    return this.current.begin()
  }

  private hedging(hedge: Hedge): HedgedAttempt.Hedging<A, E> {
    return {
      timeline: this.timeline,
      another: () =>
        new AttemptRing(this, ++this.attempt, this.leaf, (end) => {
          if (end.reason === undefined) hedge.record(end.outcome.durationMillis, this.timeline.now())
          return Effect.succeed(end)
        }),
      isWorthwhile: ({ reason }) => reason !== undefined && Retry.isWorthwhile(this.safety, reason, this.fate),
      pay: () => {
        this.tick()
        if (this.now >= this.deadline || this.plan.retryBudget?.withdraw(this.now) === false) return false
        this.plan.meter?.hedge()
        return true
      },
      fork: Effect.runForkWith(this.fiber.context)
    }
  }

  /** What follows on the end of an attempt. */
  private readonly finish = (end: AttemptEnd<A, E>): Effect.Effect<A, E | VendorError> => {
    this.current = undefined
    this.tick()
    const { reason } = end
    // What one of our own gates has refused is not asked for again.
    if (reason !== undefined && !end.wasStarted) return this.giveUp(reason)
    const { retry } = this.plan
    return reason !== undefined && retry !== undefined && Retry.isWorthwhile(this.safety, reason, this.fate)
      ? this.retry(retry, reason, end.exit)
      : this.end(end.exit, end.label, end.outcome)
  }

  private retry(
    schedule: Retry.RetrySchedule,
    reason: Reason,
    failure: Exit.Exit<A, E | VendorError>
  ): Effect.Effect<A, E | VendorError> {
    const giveUp = Effect.suspend(() => this.end(failure, reason._tag, Outcome.failed(this.now - this.beganAt, reason)))
    return Effect.flatMap(
      this.stepOf(schedule),
      (step) =>
        Pull.matchEffect(step(this.fiber.getRef(Clock.Clock).currentTimeMillisUnsafe(), this.error(reason)), {
          onDone: () => giveUp,
          onFailure: (cause) => Effect.failCause(cause),
          onSuccess: ([, delay]) => {
            this.tick()
            // Whole milliseconds, rounded up: never early, on any clock.
            const millis = Math.ceil(Math.max(Duration.toMillis(delay), reason.retryAfterMillis ?? 0))
            if (this.now + millis >= this.deadline) return giveUp
            if (this.plan.retryBudget?.withdraw(this.now) === false) return giveUp
            this.plan.meter?.retry()
            return Effect.flatMap(Timeline.sleepUntil(this.timeline, this.now + millis), () => {
              this.tick()
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

  private giveUp(reason: Reason): Effect.Effect<A, E | VendorError> {
    return this.end(Exit.fail(this.error(reason)), reason._tag, Outcome.failed(this.now - this.beganAt, reason))
  }

  private end(
    exit: Exit.Exit<A, E | VendorError>,
    label: string,
    outcome: Outcome.Outcome
  ): Exit.Exit<A, E | VendorError> {
    this.isOver = true
    this.settlePermits(outcome)
    this.plan.meter?.operation(this.now - this.beganAt, label, this.key)
    if (this.span !== undefined) {
      this.span.attribute("breakwater.outcome", label)
      this.span.attribute("breakwater.attempts", this.started)
      Trace.close(this.fiber, this.span, exit)
    }
    return exit
  }
}

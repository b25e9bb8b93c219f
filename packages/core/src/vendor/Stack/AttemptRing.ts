/**
 * One attempt: the gates of the attempt ring, the leaf and its time. It ends once, with whatever comes first: an answer,
 * a failure, a limit of time, or whoever cancels it; then its permits are settled, its leaf and its timer are gone.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Tracer from "effect/Tracer"
import type { Refusal } from "../../Gate.ts"
import * as Outcome from "../../Outcome.ts"
import { DeadlineExceeded, type Phase, type Reason, Timeout } from "../../Reason.ts"
import type * as Timeline from "../../Timeline.ts"
import type { VendorError } from "../../VendorError.ts"
import type { Attempt, Leaf } from "./Leaf.ts"
import type { OperationRing } from "./OperationRing.ts"
import { Ring } from "./Ring.ts"
import * as Trace from "./Trace.ts"

/** What an attempt came to. */
export interface AttemptEnd<A, E> {
  /** Why there is no answer; `undefined` when there is one. */
  readonly reason: Reason | undefined
  /** What the call ends with, if nothing better comes. */
  readonly exit: Exit.Exit<A, E | VendorError>
  /** What telemetry calls it. */
  readonly label: string
  readonly outcome: Outcome.Outcome
  /** Whether the leaf was started; one of our own gates refused otherwise. */
  readonly wasStarted: boolean
}

export class AttemptRing<A, E, B, F> extends Ring<B, F> implements Attempt<A, E> {
  readonly attempt: number
  status: number | undefined = undefined
  span: Tracer.Span | undefined = undefined
  private readonly call: OperationRing<A, E>
  private readonly leaf: Leaf<A, E>
  private readonly finish: (end: AttemptEnd<A, E>) => Effect.Effect<B, F>
  /** Whether the leaf has been started and has not ended. */
  private isRunning = false
  private beganAt = 0
  private currentPhase: Phase = "Connect"
  private phaseAt = 0
  private progressAt = 0
  private timer: Timeline.Timer | undefined = undefined
  private timerDue = Infinity
  private cancelLeaf: (() => void) | undefined = undefined
  private resume: ((effect: Effect.Effect<B, F>) => void) | undefined = undefined

  /** `finish` says what is to follow on the end of the attempt. */
  constructor(
    call: OperationRing<A, E>,
    attempt: number,
    leaf: Leaf<A, E>,
    finish: (end: AttemptEnd<A, E>) => Effect.Effect<B, F>
  ) {
    super(...call.surroundings)
    this.call = call
    this.attempt = attempt
    this.leaf = leaf
    this.finish = finish
  }

  get context(): Context.Context<never> {
    return this.fiber.context
  }

  begin(): Effect.Effect<B, F> {
    return this.passGates(this.plan.attemptGates)
  }

  /** Whoever waits for the attempt has left: it was interrupted, another was faster, or something is broken. */
  leave(exit: Exit.Exit<unknown, unknown>, label: string): void {
    this.tick()
    this.leaveQueue()
    if (this.isRunning) this.end(Outcome.abandoned(this.now - this.beganAt), label, exit)
    else this.cancelPermits()
  }

  phase(phase: Phase): void {
    if (!this.isRunning) return
    this.tick()
    this.currentPhase = phase
    this.phaseAt = this.progressAt = this.now
    // Normally a later phase ends later, and the timer finds that out when it fires.
    if (this.due() < this.timerDue) this.arm()
  }

  progress(): void {
    if (!this.isRunning) return
    this.tick()
    this.progressAt = this.now
  }

  answer(exit: Exit.Exit<A, E>, quota?: Outcome.Quota): void {
    if (!this.isRunning) return
    this.tick()
    const label = labelOf(exit)
    const isAnswer = label === "success" || label === "declared"
    const duration = this.now - this.beganAt
    // What is broken on our side says nothing about the vendor.
    const outcome = isAnswer ? Outcome.answered(duration, quota) : Outcome.abandoned(duration)
    this.end(outcome, isAnswer ? this.errorType(undefined) : label, exit)
    this.resume!(this.finish({ reason: undefined, exit, label, outcome, wasStarted: true }))
  }

  fail(reason: Reason, quota?: Outcome.Quota, exit?: Exit.Exit<A, E>): void {
    if (!this.isRunning) return
    this.tick()
    this.call.note(reason)
    const failure = exit ?? Exit.fail(this.call.error(reason))
    const outcome = this.isFairEvidence(reason)
      ? Outcome.failed(this.now - this.beganAt, reason, quota)
      : Outcome.abandoned(this.now - this.beganAt)
    this.end(outcome, this.errorType(reason), failure)
    this.resume!(this.finish({ reason, exit: failure, label: reason._tag, outcome, wasStarted: true }))
  }

  protected inside(): Effect.Effect<B, F> {
    return Effect.callback((resume) => {
      this.resume = resume
      this.isRunning = true
      this.call.started++
      this.beganAt = this.phaseAt = this.now
      this.span = Trace.open(this.fiber, this.call.span, this.plan.spanName, "client", this.plan.spanAttributes)
      if (this.attempt > 1) this.span?.attribute("http.request.resend_count", this.attempt - 1)
      this.arm()
      const cancel = this.leaf(this)
      if (this.isRunning) this.cancelLeaf = cancel
    })
  }

  protected refused({ reason }: Refusal): Effect.Effect<B, F> {
    this.cancelPermits()
    const exit = Exit.fail(this.call.error(reason))
    return this.finish({ reason, exit, label: reason._tag, outcome: Outcome.failed(0, reason), wasStarted: false })
  }

  private end(outcome: Outcome.Outcome, errorType: string | undefined, exit: Exit.Exit<unknown, unknown>): void {
    this.isRunning = false
    this.timer?.cancel()
    this.timer = undefined
    const cancel = this.cancelLeaf
    this.cancelLeaf = undefined
    cancel?.()
    this.plan.meter?.attempt(outcome.durationMillis, this.status, errorType)
    if (this.span !== undefined) {
      if (this.status !== undefined) this.span.attribute("http.response.status_code", this.status)
      if (errorType !== undefined) this.span.attribute("error.type", errorType)
      Trace.close(this.fiber, this.span, exit)
      this.span = undefined
    }
    this.settlePermits(outcome)
  }

  /** A caller in a hurry says nothing about the vendor: being cut off counts once half the usual time was given. */
  private isFairEvidence(reason: Reason): boolean {
    return reason._tag !== "DeadlineExceeded" || this.deadline - this.beganAt >= this.plan.attemptMillis / 2
  }

  private errorType(reason: Reason | undefined): string | undefined {
    if (this.status !== undefined && this.status >= 400) return String(this.status)
    return reason?._tag
  }

  /** When the present phase, the attempt or the operation is over, whichever comes first. */
  private due(): number {
    return Math.min(this.phaseDue(), this.beganAt + this.plan.attemptMillis, this.deadline)
  }

  private phaseDue(): number {
    const whole = this.phaseAt + this.plan.phaseMillis[this.currentPhase]
    return this.currentPhase === "Body" ? Math.min(whole, this.progressAt + this.plan.bodyIdleMillis) : whole
  }

  private arm(): void {
    this.timer?.cancel()
    this.timerDue = this.due()
    this.timer = this.timeline.after(Math.max(0, this.timerDue - this.now), () => this.onTimer())
  }

  private onTimer(): void {
    if (!this.isRunning) return
    this.timer = undefined
    this.tick()
    if (this.now < this.due()) return this.arm()
    if (this.now >= this.deadline) {
      return this.fail(new DeadlineExceeded(this.currentPhase === "Connect" ? "NotSent" : "Unknown"))
    }
    const { attemptMillis, bodyIdleMillis, phaseMillis } = this.plan
    const phaseLimit = phaseMillis[this.currentPhase]
    const limit = this.now < this.phaseDue()
      ? attemptMillis
      : this.now >= this.phaseAt + phaseLimit
      ? phaseLimit
      : bodyIdleMillis
    this.fail(new Timeout(this.currentPhase, limit))
  }
}

/** What telemetry calls the end of an attempt that its leaf has answered. */
const labelOf = (exit: Exit.Exit<unknown, unknown>): "success" | "declared" | "interrupted" | "defect" =>
  Exit.isSuccess(exit)
    ? "success"
    : Exit.hasFails(exit)
    ? "declared"
    : Exit.hasInterrupts(exit)
    ? "interrupted"
    : "defect"

/**
 * One attempt: the gates of the attempt ring, the leaf and its timeout. It ends once, with the first answer, failure,
 * timeout or cancellation. Then its permits are settled, and its leaf and timer are stopped.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Tracer from "effect/Tracer"
import type { Refusal, Wait } from "../../Gate.ts"
import * as Outcome from "../../Outcome.ts"
import { DeadlineExceeded, type Phase, type Reason, Timeout } from "../../Reason.ts"
import type * as Timeline from "../../Timeline.ts"
import type { VendorError } from "../../VendorError.ts"
import type { Attempt, Leaf } from "../Leaf.ts"
import * as Trace from "../Trace.ts"
import type { OperationRing } from "./OperationRing.ts"
import { cancelPermits, type Held, leaveQueue, passGates, type Ring, settlePermits, tick, underway } from "./Ring.ts"

/** The result of an attempt. */
export type AttemptEnd<A, E> = Ended<A, E> | Refused

/** One of our own gates refused, and the leaf was never started. */
export interface Refused {
  readonly wasStarted: false
  readonly reason: Reason
}

export interface Ended<A, E> {
  readonly wasStarted: true
  /** The reason for the failure; `undefined` when there is an answer. */
  readonly reason: Reason | undefined
  /** The exit of the call, unless a later attempt does better. */
  readonly exit: Exit.Exit<A, E | VendorError>
  /** The outcome's name in telemetry. */
  readonly label: string
  readonly outcome: Outcome.Outcome
}

/** The owner of an attempt, which decides what follows it. */
export interface Maker<A, E, B, F> {
  ended(end: AttemptEnd<A, E>, now: number): Effect.Effect<B, F>
}

export class AttemptRing<A, E, B, F> implements Ring<B, F>, Attempt<A, E> {
  // Declared, so that V8 first sees a field with its value: it boxes a number field anew at each write if it was once
  // undefined.
  declare readonly attempt: number
  declare now: number
  permits: Held | undefined = undefined
  wait: Wait | undefined = undefined
  status: number | undefined = undefined
  span: Tracer.Span | undefined = undefined
  declare private readonly call: OperationRing<A, E>
  declare private readonly leaf: Leaf<A, E>
  declare private readonly maker: Maker<A, E, B, F>
  /** Whether the leaf has been started and has not ended. */
  private isRunning = false
  private beganAt = 0
  private currentPhase: Phase = "Connect"
  private phaseAt = 0
  private progressAt = 0
  private timer: Timeline.Timer | undefined = undefined
  /** The time when the timer fires; `-Infinity` without a timer, because nothing is earlier. */
  private timerDue = -Infinity
  private cancelLeaf: (() => void) | undefined = undefined
  private resume: ((effect: Effect.Effect<B, F>) => void) | undefined = undefined

  constructor(call: OperationRing<A, E>, attempt: number, leaf: Leaf<A, E>, maker: Maker<A, E, B, F>) {
    this.call = call
    this.now = call.now
    this.attempt = attempt
    this.leaf = leaf
    this.maker = maker
  }

  get context(): Context.Context<never> {
    return this.call.fiber.context
  }
  get plan() {
    return this.call.plan
  }
  get timeline() {
    return this.call.timeline
  }
  get vendor() {
    return this.call.plan.vendor
  }
  get operation() {
    return this.call.plan.operation
  }
  get scope() {
    return this.call.plan.scope
  }
  get safety() {
    return this.call.plan.safety
  }
  get key() {
    return this.call.key
  }
  get cost() {
    return this.call.cost
  }
  get deadline() {
    return this.call.deadline
  }
  get priority() {
    return this.call.priority
  }
  random() {
    return this.call.random()
  }

  begin(): Effect.Effect<B, F> {
    return passGates(this, this.plan.attemptGates)
  }

  /** The call abandons the attempt: it was interrupted, another attempt was faster, or something is broken. */
  leave(exit: Exit.Exit<unknown, unknown>, label: string): void {
    tick(this)
    leaveQueue(this)
    if (this.isRunning) this.end(Outcome.abandoned(this.now - this.beganAt), label, exit)
    else cancelPermits(this)
  }

  phase(phase: Phase, now = this.timeline.now()): void {
    if (!this.isRunning) return
    this.currentPhase = phase
    this.now = this.phaseAt = this.progressAt = now
    // Normally a later phase ends later, and the timer finds that out when it fires.
    if (this.due() < this.timerDue) this.arm()
  }

  progress(): void {
    if (!this.isRunning) return
    tick(this)
    this.progressAt = this.now
  }

  answer(exit: Exit.Exit<A, E>, quota?: Outcome.Quota): void {
    if (!this.isRunning) return
    tick(this)
    const label = labelOf(exit)
    const isAnswer = label === "success" || label === "declared"
    const duration = this.now - this.beganAt
    // A defect on our side says nothing about the vendor.
    const outcome = isAnswer ? Outcome.answered(duration, quota) : Outcome.abandoned(duration)
    this.end(outcome, isAnswer ? this.errorType(undefined) : label, exit)
    this.ended({ wasStarted: true, reason: undefined, exit, label, outcome })
  }

  fail(reason: Reason, quota?: Outcome.Quota, exit?: Exit.Exit<A, E>): void {
    if (!this.isRunning) return
    tick(this)
    this.call.note(reason)
    const failure = exit ?? Exit.fail(this.call.error(reason))
    const outcome = this.isFairEvidence(reason)
      ? Outcome.failed(this.now - this.beganAt, reason, quota)
      : Outcome.abandoned(this.now - this.beganAt)
    this.end(outcome, this.errorType(reason), failure)
    this.ended({ wasStarted: true, reason, exit: failure, label: reason._tag, outcome })
  }

  inside(): Effect.Effect<B, F> {
    if (this.call.isDirect) {
      this.start()
      return underway
    }
    return Effect.callback((resume) => {
      this.resume = resume
      this.start()
    })
  }

  private start(): void {
    this.isRunning = true
    this.call.started++
    this.beganAt = this.phaseAt = this.now
    if (this.call.span !== undefined) {
      this.span = Trace.open(this.call.fiber, this.call.span, this.plan.spanName, "client", this.plan.spanAttributes)
      if (this.attempt > 1) this.span?.attribute("http.request.resend_count", this.attempt - 1)
    }
    const cancel = this.leaf(this)
    if (!this.isRunning) return
    this.cancelLeaf = cancel
    this.arm()
  }

  refused({ reason }: Refusal): Effect.Effect<B, F> {
    cancelPermits(this)
    return this.maker.ended({ wasStarted: false, reason }, this.now)
  }

  private ended(end: AttemptEnd<A, E>): void {
    const next = this.maker.ended(end, this.now)
    if (this.resume !== undefined) this.resume(next)
    // Only the call itself runs attempts directly, so the next step is its own.
    else this.call.proceed(next as Effect.Effect<never>)
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
      Trace.close(this.call.fiber, this.span, exit)
      this.span = undefined
    }
    settlePermits(this, outcome)
  }

  /** Whether a failure is evidence about the vendor. A deadline is, only if the attempt had half the usual time. */
  private isFairEvidence(reason: Reason): boolean {
    return reason._tag !== "DeadlineExceeded" || this.deadline - this.beganAt >= this.plan.attemptMillis / 2
  }

  private errorType(reason: Reason | undefined): string | undefined {
    if (this.status !== undefined && this.status >= 400) return String(this.status)
    return reason?._tag
  }

  /** The time when the present phase, the attempt or the operation ends, whichever comes first. */
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
    this.timer = this.timeline.limit(this.now, Math.max(0, this.timerDue - this.now), this)
  }

  /** See {@link Timeline.Limited}. */
  timeIsUp(): void {
    if (!this.isRunning) return
    this.timer = undefined
    tick(this)
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

/** The outcome's name in telemetry, for an attempt that ended with an answer. */
const labelOf = (exit: Exit.Exit<unknown, unknown>): "success" | "declared" | "interrupted" | "defect" =>
  Exit.isSuccess(exit)
    ? "success"
    : Exit.hasFails(exit)
    ? "declared"
    : Exit.hasInterrupts(exit)
    ? "interrupted"
    : "defect"

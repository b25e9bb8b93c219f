/**
 * One attempt: the gates of the attempt ring, the leaf and its timeout. It ends once, with the first answer, failure,
 * timeout or cancellation. Then its permits are settled, and its leaf and timer are stopped.
 */
import type * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Tracer from "effect/Tracer"
import type { Refusal, Wait } from "../../Gate.ts"
import * as Outcome from "../../Outcome.ts"
import { fateIn, isOwnPhase, type Phase } from "../../Phase.ts"
import { DeadlineExceeded, type Reason, Timeout } from "../../Reason.ts"
import type { Fate } from "../../Safety.ts"
import type * as Timeline from "../../Timeline.ts"
import type { Attempt, Leaf } from "../Leaf.ts"
import { slowShare } from "../Policy.ts"
import * as Trace from "../Trace.ts"
import type { OperationRing } from "./OperationRing.ts"
import { cancelPermits, type Held, leaveQueue, passGates, type Ring, settlePermits, tick, underway } from "./Ring.ts"

/** The result of an attempt. */
export type AttemptEnd<A, E> = Answered<A, E> | Failed<A, E> | Refused

/** One of our own gates refused, and the leaf was never started. */
export interface Refused {
  readonly wasStarted: false
  readonly reason: Reason
}

/** There is an answer, or a defect: the call ends with it. */
export interface Answered<A, E> {
  readonly wasStarted: true
  readonly reason: undefined
  readonly exit: Exit.Exit<A, E>
  /** The outcome's name in telemetry. */
  readonly label: string
  readonly outcome: Outcome.Outcome
}

/** There is no answer. The call fails with the reason, unless a later attempt does better. */
export interface Failed<A, E> {
  readonly wasStarted: true
  readonly reason: Reason
  /** The failure of a guarded effect, which comes out unchanged. */
  readonly exit: Exit.Exit<A, E> | undefined
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
  /** The time when the vendor's part of the attempt began: later than the attempt by the time that was ours. */
  private beganAt = 0
  /** The time for which the event loop had been blocked, as far as it is part of the other times. */
  private blockedMillis = 0
  currentPhase: Phase = "Connect"
  private phaseAt = 0
  private progressAt = 0
  private timer: Timeline.Timer | undefined = undefined
  /** The time when the timer fires; `-Infinity` without a timer, because nothing is earlier. */
  private timerDue = -Infinity
  private cancelLeaf: (() => void) | undefined = undefined
  /** Sends a further request of the attempt, once it has its permits. */
  private further: (() => void) | undefined = undefined
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

  /**
   * The call abandons the attempt: it was interrupted, another attempt was faster, or something is broken. An interruption
   * by the caller is like a deadline: evidence, if the vendor had a fair share of time.
   */
  leave(exit: Exit.Exit<unknown, unknown>, label: "interrupted" | "overtaken" | "defect"): void {
    tick(this)
    leaveQueue(this)
    if (!this.isRunning) return void cancelPermits(this)
    // The vendor may act on a request that is cut off on its way.
    const fate = fateIn(this.currentPhase)
    this.call.cutOff(fate)
    const duration = this.duration()
    const outcome = label === "interrupted" && this.hadFairShare(this.now)
      ? Outcome.failed(duration, new DeadlineExceeded(fate, { wasFair: true }))
      : Outcome.abandoned(duration)
    this.end(outcome, label === "defect" ? label : "interrupted", exit)
  }

  phase(phase: Phase, now = this.timeline.now()): void {
    if (!this.isRunning) return
    this.now = now
    this.excludeBlocked()
    if (isOwnPhase(this.currentPhase)) this.beganAt += now - this.phaseAt
    this.currentPhase = phase
    this.phaseAt = this.progressAt = now
    // Normally a later phase ends later, and the timer finds that out when it fires.
    if (this.due() < this.timerDue) this.arm()
  }

  progress(): void {
    if (!this.isRunning) return
    tick(this)
    this.progressAt = this.now
  }

  /** The time that the vendor has had for it so far. */
  vendorMillis(): number {
    if (!this.isRunning || isOwnPhase(this.currentPhase)) return 0
    tick(this)
    return this.duration()
  }

  answer(exit: Exit.Exit<A, E>, quota?: Outcome.Quota): void {
    if (!this.isRunning) return
    tick(this)
    const label = labelOf(exit)
    const isAnswer = label === "success" || label === "declared"
    const duration = this.duration()
    // A defect on our side says nothing about the vendor.
    const outcome = isAnswer ? Outcome.answered(duration, quota) : Outcome.abandoned(duration)
    const broken = this.end(outcome, isAnswer ? this.errorType(undefined) : label, exit)
    this.ended(broken ?? { wasStarted: true, reason: undefined, exit, label, outcome })
  }

  fail(reason: Reason, quota?: Outcome.Quota, exit?: Exit.Exit<A, E>): void {
    if (!this.isRunning) return
    tick(this)
    this.call.failed(reason, this.now)
    const outcome = Outcome.failed(this.duration(), reason, quota)
    const broken = this.end(outcome, this.errorType(reason), exit ?? Exit.fail(this.call.error(reason)))
    this.ended(broken ?? { wasStarted: true, reason, exit, outcome })
  }

  cutOff(fate: Fate): void {
    this.call.cutOff(fate)
  }

  again(fate: Fate, go: () => void): void {
    if (!this.isRunning) return
    this.call.cutOff(fate)
    this.phase("Queue")
    this.further = go
    let passed: Effect.Effect<unknown, unknown>
    try {
      passed = passGates(this, this.plan.requestGates)
    } catch (defect) {
      return this.answer(Exit.die(defect))
    }
    if (passed === settled) return
    const fiber = Effect.runForkWith(this.context)(passed)
    fiber.addObserver((exit) => {
      if (Exit.isFailure(exit)) this.answer(Exit.failCause(exit.cause as Cause.Cause<never>))
    })
    const cancel = this.cancelLeaf
    this.cancelLeaf = () => {
      fiber.interruptUnsafe()
      cancel?.()
    }
  }

  inside(): Effect.Effect<B, F> {
    const { further } = this
    if (further !== undefined) {
      this.further = undefined
      further()
      return settled
    }
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
    this.blockedMillis = this.timeline.blockedMillis(this.now)
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
    if (this.isRunning) {
      this.fail(reason)
      return settled
    }
    const broken = cancelPermits(this)
    return this.maker.ended(broken === undefined ? { wasStarted: false, reason } : brokenBy(broken), this.now)
  }

  private ended(end: AttemptEnd<A, E>): void {
    const next = this.maker.ended(end, this.now)
    if (this.resume !== undefined) this.resume(next)
    // Only the call itself runs attempts directly, so the next step is its own.
    else this.call.proceed(next as Effect.Effect<never>)
  }

  /** Ends the attempt, and returns another end for it if a gate has thrown. */
  private end(
    outcome: Outcome.Outcome,
    errorType: string | undefined,
    exit: Exit.Exit<unknown, unknown>
  ): Answered<A, E> | undefined {
    this.isRunning = false
    if (this.wait !== undefined) leaveQueue(this)
    this.timer?.cancel()
    this.timer = undefined
    let broken = this.stopLeaf()
    this.plan.meter?.attempt(outcome.durationMillis, this.status, errorType)
    if (this.span !== undefined) {
      if (this.status !== undefined) this.span.attribute("http.response.status_code", this.status)
      if (errorType !== undefined) this.span.attribute("error.type", errorType)
      Trace.close(this.call.fiber, this.span, exit)
      this.span = undefined
    }
    broken = settlePermits(this, outcome) ?? broken
    return broken && brokenBy(broken)
  }

  /** Stops the leaf; returns what it has thrown. */
  private stopLeaf(): Exit.Exit<never> | undefined {
    const cancel = this.cancelLeaf
    this.cancelLeaf = undefined
    try {
      cancel?.()
    } catch (defect) {
      return Exit.die(defect)
    }
    return undefined
  }

  /** The time that the vendor has taken: the attempt's, without what was ours. */
  private duration(): number {
    this.excludeBlocked()
    return this.now - this.beganAt
  }

  /** Takes the time for which our event loop was blocked out of the attempt's times. Returns whether there was any. */
  private excludeBlocked(): boolean {
    const blocked = this.timeline.blockedMillis(this.now) - this.blockedMillis
    if (blocked === 0) return false
    this.blockedMillis += blocked
    const { now } = this
    this.beganAt = Math.min(now, this.beganAt + blocked)
    this.phaseAt = Math.min(now, this.phaseAt + blocked)
    this.progressAt = Math.min(now, this.progressAt + blocked)
    return true
  }

  private errorType(reason: Reason | undefined): string | undefined {
    if (this.status !== undefined && this.status >= 400) return String(this.status)
    return reason?._tag
  }

  /** The time when the present phase, the attempt or the operation ends, whichever comes first. */
  private due(): number {
    const whole = isOwnPhase(this.currentPhase) ? Infinity : this.beganAt + this.plan.attemptMillis
    return Math.min(this.phaseDue(), whole, this.deadline)
  }

  /** Whether the vendor had a fair share of the attempt's time until `end`, and not on our own side. */
  private hadFairShare(end: number): boolean {
    return !isOwnPhase(this.currentPhase) && end - this.beganAt >= this.plan.attemptMillis * slowShare
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
    if (this.excludeBlocked()) {
      // The answer may have been lying in the socket meanwhile.
      this.timer = this.timeline.afterInput(this)
      return
    }
    if (this.now < this.due()) return this.arm()
    if (this.now >= this.deadline) {
      const wasFair = this.hadFairShare(this.deadline)
      return this.fail(new DeadlineExceeded(fateIn(this.currentPhase), { wasFair }))
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

/** The next step of a further request's pass through the gates: it was made. */
const settled: Effect.Effect<never> = Exit.void as Effect.Effect<unknown> as Effect.Effect<never>

/** The end of an attempt by an exception of foreign code. */
const brokenBy = (exit: Exit.Exit<never>): Answered<never, never> => ({
  wasStarted: true,
  reason: undefined,
  exit,
  label: "defect",
  outcome: Outcome.abandoned(0)
})

/** The outcome's name in telemetry, for an attempt that ended with an answer. */
const labelOf = (exit: Exit.Exit<unknown, unknown>): "success" | "declared" | "interrupted" | "defect" =>
  Exit.isSuccess(exit)
    ? "success"
    : Exit.hasFails(exit)
    ? "declared"
    : Exit.hasInterrupts(exit)
    ? "interrupted"
    : "defect"

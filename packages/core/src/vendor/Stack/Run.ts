/**
 * One guarded call. A healthy call passes all gates in one synchronous pass, starts its leaf and is resumed by it: one
 * object, one timer, no fibre. Only waiting, failing and retrying go through Effect's combinators.
 *
 * Whatever ends the call (an answer, a refusal, an interruption, a defect), every permit is settled or cancelled once,
 * the leaf is cancelled, the timer is gone.
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import type * as Tracer from "effect/Tracer"
import type { Call, Gate, Permit, Refusal, Wait } from "../../Gate.ts"
import { refuse } from "../../Gate.ts"
import * as Outcome from "../../Outcome.ts"
import { Deadline } from "../../policies/Deadline.ts"
import * as Retry from "../../policies/Retry.ts"
import type { RetryBudget } from "../../policies/RetryBudget.ts"
import { DeadlineExceeded, type Phase, type Reason, Timeout } from "../../Reason.ts"
import { type Fate, type Safety, worstFate } from "../../Safety.ts"
import type { OperationMeter } from "../../Telemetry.ts"
import * as Timeline from "../../Timeline.ts"
import { VendorError } from "../../VendorError.ts"
import type { Attempt, Leaf } from "./Leaf.ts"
import * as Trace from "./Trace.ts"

/** Everything about the calls of one operation that does not change from call to call. */
export interface Plan {
  readonly vendor: string
  readonly operation: string
  readonly scope: string
  readonly safety: Safety
  readonly deadlineMillis: number
  readonly attemptMillis: number
  /** The limit of each phase, within that of the attempt. */
  readonly phaseMillis: Readonly<Record<Phase, number>>
  /** The limit between two pieces of the body. */
  readonly bodyIdleMillis: number
  readonly retry: Retry.RetrySchedule | undefined
  readonly retryBudget: RetryBudget | undefined
  /** Asked once a call, outermost first. */
  readonly operationGates: ReadonlyArray<Gate>
  /** Asked once an attempt, outermost first. */
  readonly attemptGates: ReadonlyArray<Gate>
  readonly meter: OperationMeter | undefined
  /** The name and attributes of an attempt's span. */
  readonly spanName: string
  readonly spanAttributes: Trace.Attributes
}

type Step = (now: number, error: VendorError) => Pull.Pull<[unknown, Duration.Duration], never, unknown>

/** Makes one guarded call. */
export const run = <A, E>(
  plan: Plan,
  leaf: Leaf<A, E>,
  key: string,
  cost: number
): Effect.Effect<A, E | VendorError> =>
  Effect.withFiber((fiber) => {
    const call = new Run(plan, leaf, key, cost, fiber)
    return Effect.onExitPrimitive(Effect.suspend(() => call.begin()), (exit) => call.leave(exit))
  })

class Run<A, E> implements Call, Attempt<A, E> {
  readonly vendor: string
  readonly operation: string
  readonly scope: string
  readonly safety: Safety
  readonly key: string
  readonly cost: number
  now: number
  deadline: number
  attempt = 0
  status: number | undefined = undefined
  span: Tracer.Span | undefined = undefined

  private readonly plan: Plan
  private readonly leaf: Leaf<A, E>
  private readonly fiber: Fiber.Fiber<unknown, unknown>
  private readonly timeline: Timeline.Timeline
  private readonly beganAt: number
  private operationSpan: Tracer.Span | undefined = undefined
  private isOver = false
  /** Attempts whose leaf was started. */
  private started = 0
  private fate: Fate = "NotSent"
  private readonly operationPermits: Array<Permit> = []
  private attemptPermits: Array<Permit> = []
  private wait: Wait | undefined = undefined
  private step: Step | undefined = undefined

  /** Whether the leaf of the present attempt has been started and has not ended. */
  private isRunning = false
  private attemptAt = 0
  private currentPhase: Phase = "Connect"
  private phaseAt = 0
  private progressAt = 0
  private timer: Timeline.Timer | undefined = undefined
  private timerDue = Infinity
  private cancelLeaf: (() => void) | undefined = undefined
  private resume: ((effect: Effect.Effect<A, E | VendorError>) => void) | undefined = undefined

  constructor(plan: Plan, leaf: Leaf<A, E>, key: string, cost: number, fiber: Fiber.Fiber<unknown, unknown>) {
    this.plan = plan
    this.leaf = leaf
    this.key = key
    this.cost = cost
    this.fiber = fiber
    this.vendor = plan.vendor
    this.operation = plan.operation
    this.scope = plan.scope
    this.safety = plan.safety
    this.timeline = Timeline.of(fiber)
    this.beganAt = this.now = this.timeline.now()
    this.deadline = Math.min(fiber.getRef(Deadline), this.now + plan.deadlineMillis)
  }

  get context(): Context.Context<never> {
    return this.fiber.context
  }

  begin(): Effect.Effect<A, E | VendorError> {
    this.operationSpan = Trace.open(this.fiber, undefined, `${this.vendor} ${this.operation}`, "internal", {
      "breakwater.vendor": this.vendor,
      "breakwater.operation": this.operation
    })
    this.plan.retryBudget?.deposit(this.now)
    return this.passGates(this.plan.operationGates, 0)
  }

  /** The fibre leaves the call. Unless the call ended by itself it was interrupted, or something in it is broken. */
  leave(exit: Exit.Exit<A, E | VendorError>): undefined {
    if (this.isOver) return
    this.tick()
    this.wait?.cancel(this)
    this.wait = undefined
    const label = Exit.hasInterrupts(exit) ? "interrupted" : "defect"
    if (this.isRunning) this.endAttempt(Outcome.abandoned(this.now - this.attemptAt), label, exit)
    else this.cancelAttemptPermits()
    this.end(exit, label, Outcome.abandoned(this.now - this.beganAt))
  }

  // ------------------------------------------------------------------------------------------------------ the gates

  private passGates(gates: ReadonlyArray<Gate>, from: number): Effect.Effect<A, E | VendorError> {
    const isOperation = gates === this.plan.operationGates
    const permits = isOperation ? this.operationPermits : this.attemptPermits
    for (let i = from; i < gates.length; i++) {
      const gate = gates[i]!
      const admission = gate.admit(this)
      if (admission._tag === "Refusal") return this.refused(gate, admission)
      if (admission._tag === "Wait") {
        return Effect.flatMap(this.queueUp(admission), (admitted) => {
          if (admitted._tag === "Refusal") return this.refused(gate, admitted)
          permits.push(admitted)
          return this.passGates(gates, i + 1)
        })
      }
      permits.push(admission)
    }
    return isOperation ? this.nextAttempt() : this.start()
  }

  private refused(gate: Gate, refusal: Refusal): Effect.Effect<A, E | VendorError> {
    this.cancelAttemptPermits()
    this.plan.meter?.refusal(gate.name)
    return this.giveUp(refusal.reason)
  }

  /** Waits for a turn, up to the gate's own limit and the call's deadline. */
  private queueUp(wait: Wait): Effect.Effect<Permit | Refusal> {
    this.wait = wait
    return Effect.callback((resume) => {
      let turn: Timeline.Timer | undefined
      let isSubscribing = true
      const done = (admission: Permit | Refusal) => {
        this.wait = undefined
        limit.cancel()
        turn?.cancel()
        resume(Effect.succeed(admission))
      }
      const claim = () => {
        if (this.wait !== wait) return
        this.tick()
        const claimed = wait.claim(this)
        if (typeof claimed !== "number") done(claimed)
        else if (claimed < Infinity) turn = this.timeline.after(Math.ceil(claimed), claim)
      }
      const limit = this.timeline.after(Math.max(0, Math.min(wait.limitMillis, this.deadline - this.now)), () => {
        if (this.wait !== wait) return
        this.tick()
        const refusal = this.now >= this.deadline ? refuse(new DeadlineExceeded("NotSent")) : wait.expired(this)
        wait.cancel(this)
        done(refusal)
      })
      wait.onTurn((delay) => {
        turn?.cancel()
        turn = undefined
        if (delay > 0) turn = this.timeline.after(Math.ceil(delay), claim)
        else if (isSubscribing) claim()
        // Who gives the turn is in the middle of its own call, and may be followed by thousands.
        else queueMicrotask(claim)
      })
      isSubscribing = false
      return Effect.sync(() => {
        limit.cancel()
        turn?.cancel()
      })
    })
  }

  // ---------------------------------------------------------------------------------------------------- the attempt

  private nextAttempt(): Effect.Effect<A, E | VendorError> {
    if (this.now >= this.deadline) return this.giveUp(new DeadlineExceeded("NotSent"))
    this.attempt++
    return this.passGates(this.plan.attemptGates, 0)
  }

  private start(): Effect.Effect<A, E | VendorError> {
    return Effect.callback((resume) => {
      this.resume = resume
      this.isRunning = true
      this.started++
      this.status = undefined
      this.currentPhase = "Connect"
      this.attemptAt = this.phaseAt = this.now
      this.span = Trace.open(
        this.fiber,
        this.operationSpan,
        this.plan.spanName,
        "client",
        this.plan.spanAttributes
      )
      if (this.attempt > 1) this.span?.attribute("http.request.resend_count", this.attempt - 1)
      this.arm()
      const cancel = this.leaf(this)
      if (this.isRunning) this.cancelLeaf = cancel
    })
  }

  phase(phase: Exclude<Phase, "Connect">): void {
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
    const duration = this.now - this.attemptAt
    // What is broken on our side says nothing about the vendor.
    const outcome = isAnswer ? Outcome.answered(duration, quota) : Outcome.abandoned(duration)
    this.endAttempt(outcome, isAnswer ? this.errorType(undefined) : label, exit)
    this.resume!(this.end(exit, label, outcome))
  }

  fail(reason: Reason, quota?: Outcome.Quota, exit?: Exit.Exit<A, E>): void {
    if (!this.isRunning) return
    this.tick()
    this.fate = worstFate(this.fate, reason.fate)
    const failure = exit ?? Exit.fail(this.error(reason))
    const outcome = this.isFairEvidence(reason)
      ? Outcome.failed(this.now - this.attemptAt, reason, quota)
      : Outcome.abandoned(this.now - this.attemptAt)
    this.endAttempt(outcome, this.errorType(reason), failure)
    this.resume!(
      this.plan.retry !== undefined && Retry.isWorthwhile(this.safety, reason, this.fate)
        ? this.retry(this.plan.retry, reason, failure)
        : this.end(failure, reason._tag, outcome)
    )
  }

  /** A caller in a hurry says nothing about the vendor: being cut off counts once half the usual time was given. */
  private isFairEvidence(reason: Reason): boolean {
    return reason._tag !== "DeadlineExceeded" || this.deadline - this.attemptAt >= this.plan.attemptMillis / 2
  }

  private errorType(reason: Reason | undefined): string | undefined {
    if (this.status !== undefined && this.status >= 400) return String(this.status)
    return reason?._tag
  }

  private endAttempt(outcome: Outcome.Outcome, errorType: string | undefined, exit: Exit.Exit<unknown, unknown>): void {
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
    const permits = this.attemptPermits
    this.attemptPermits = []
    for (let i = permits.length - 1; i >= 0; i--) permits[i]!.settle(this, outcome)
  }

  private cancelAttemptPermits(): void {
    const permits = this.attemptPermits
    this.attemptPermits = []
    for (let i = permits.length - 1; i >= 0; i--) permits[i]!.cancel(this)
  }

  // ---------------------------------------------------------------------------------------------------------- time

  private tick(): void {
    this.now = this.timeline.now()
  }

  /** When the present phase, the attempt or the operation is over, whichever comes first. */
  private due(): number {
    return Math.min(this.phaseDue(), this.attemptAt + this.plan.attemptMillis, this.deadline)
  }

  private phaseDue(): number {
    const whole = this.phaseAt + this.plan.phaseMillis[this.currentPhase]
    return this.currentPhase === "Body" ? Math.min(whole, this.progressAt + this.plan.bodyIdleMillis) : whole
  }

  private arm(): void {
    this.timer?.cancel()
    this.timerDue = this.due()
    this.timer = this.timerDue === Infinity
      ? undefined
      : this.timeline.after(Math.max(0, this.timerDue - this.now), () => this.onTimer())
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

  // ------------------------------------------------------------------------------------------------------ the retry

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

  // -------------------------------------------------------------------------------------------------------- the end

  private error(reason: Reason): VendorError {
    return new VendorError({
      vendor: this.vendor,
      operation: this.operation,
      safety: this.safety,
      reason,
      fate: worstFate(this.fate, reason.fate),
      attempts: this.started
    })
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
    for (let i = this.operationPermits.length - 1; i >= 0; i--) this.operationPermits[i]!.settle(this, outcome)
    this.plan.meter?.operation(this.now - this.beganAt, label)
    if (this.operationSpan !== undefined) {
      this.operationSpan.attribute("breakwater.outcome", label)
      this.operationSpan.attribute("breakwater.attempts", this.started)
      Trace.close(this.fiber, this.operationSpan, exit)
    }
    return exit
  }
}

/** What telemetry calls the end of a call that its leaf has answered. */
const labelOf = (exit: Exit.Exit<unknown, unknown>): "success" | "declared" | "interrupted" | "defect" =>
  Exit.isSuccess(exit)
    ? "success"
    : Exit.hasFails(exit)
    ? "declared"
    : Exit.hasInterrupts(exit)
    ? "interrupted"
    : "defect"

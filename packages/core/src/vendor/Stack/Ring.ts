/**
 * A call on its way through the gates of a ring, inwards. A healthy call passes all of them in one synchronous pass. What
 * it was given it keeps in `permits`; a place in a queue is kept in `wait`: whoever ends the call gives both back.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type { Call, Gate, Permit, Refusal, Wait } from "../../Gate.ts"
import { refuse } from "../../Gate.ts"
import type { Outcome } from "../../Outcome.ts"
import { Priority } from "../../Priority.ts"
import { DeadlineExceeded } from "../../Reason.ts"
import * as Timeline from "../../Timeline.ts"
import type { Plan } from "./Plan.ts"

export abstract class Ring<B, F> implements Call {
  readonly key: string
  readonly cost: number
  readonly deadline: number
  now: number
  abstract readonly attempt: number
  protected readonly plan: Plan
  protected readonly fiber: Fiber.Fiber<unknown, unknown>
  protected readonly timeline: Timeline.Timeline
  private permits: Array<Permit> = []
  private wait: Wait | undefined = undefined

  constructor(
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

  /** What is inside the gates. */
  protected abstract inside(): Effect.Effect<B, F>
  /** A gate has refused. */
  protected abstract refused(refusal: Refusal): Effect.Effect<B, F>

  protected passGates(gates: ReadonlyArray<Gate>, from = 0): Effect.Effect<B, F> {
    for (let i = from; i < gates.length; i++) {
      const gate = gates[i]!
      const admission = gate.admit(this)
      if (admission._tag === "Refusal") return this.turnedAway(gate, admission)
      if (admission._tag === "Wait") {
        return Effect.flatMap(this.queueUp(admission), (admitted) => {
          if (admitted._tag === "Refusal") return this.turnedAway(gate, admitted)
          this.permits.push(admitted)
          return this.passGates(gates, i + 1)
        })
      }
      this.permits.push(admission)
    }
    return this.inside()
  }
  private turnedAway(gate: Gate, refusal: Refusal): Effect.Effect<B, F> {
    this.plan.meter?.refusal(gate.name)
    return this.refused(refusal)
  }
  protected settlePermits(outcome: Outcome): void {
    const { permits } = this
    this.permits = []
    for (let i = permits.length - 1; i >= 0; i--) permits[i]!.settle(this, outcome)
  }
  protected leaveQueue(): void {
    this.wait?.cancel(this)
    this.wait = undefined
  }
  protected cancelPermits(): void {
    const { permits } = this
    this.permits = []
    for (let i = permits.length - 1; i >= 0; i--) permits[i]!.cancel(this)
  }
  protected tick(): void {
    this.now = this.timeline.now()
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
}

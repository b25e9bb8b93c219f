/**
 * A call on its way through the gates of a ring, outermost first. A healthy call passes all of them in one synchronous
 * pass. `permits` holds its permits and `wait` its place in a queue; the end of the call gives both back.
 *
 * These are functions over the common part of both rings, not a base class. Two objects per call are made on the hot
 * path, and V8 constructs one without a super constructor in a fraction of the time.
 */
import * as Effect from "effect/Effect"
import type { Call, Gate, Permit, Refusal, Wait } from "../../Gate.ts"
import { refuse } from "../../Gate.ts"
import type { Outcome } from "../../Outcome.ts"
import { DeadlineExceeded } from "../../Reason.ts"
import type * as Timeline from "../../Timeline.ts"
import type { Plan } from "./Plan.ts"

export interface Ring<B, F> extends Call {
  now: number
  readonly plan: Plan
  readonly timeline: Timeline.Timeline
  /** The permits received so far, the innermost gate's first. */
  permits: Held | undefined
  wait: Wait | undefined
  /** The work inside the gates. */
  inside(): Effect.Effect<B, F>
  /** Handles the refusal of a gate. */
  refused(refusal: Refusal): Effect.Effect<B, F>
}

/** A permit, linked to those received before it. */
export class Held {
  declare readonly permit: Permit
  declare readonly outer: Held | undefined
  constructor(permit: Permit, outer: Held | undefined) {
    this.permit = permit
    this.outer = outer
  }
}

/** The next step while a direct attempt is running: nothing runs in the fibre until it ends. */
export const underway: Effect.Effect<never> = Effect.never

export const passGates = <B, F>(ring: Ring<B, F>, gates: ReadonlyArray<Gate>, from = 0): Effect.Effect<B, F> => {
  for (let i = from; i < gates.length; i++) {
    const gate = gates[i]!
    const admission = gate.admit(ring)
    if (admission._tag === "Refusal") return turnedAway(ring, gate, admission)
    if (admission._tag === "Wait") {
      return Effect.flatMap(queueUp(ring, admission), (admitted) => {
        if (admitted._tag === "Refusal") return turnedAway(ring, gate, admitted)
        ring.permits = new Held(admitted, ring.permits)
        return passGates(ring, gates, i + 1)
      })
    }
    ring.permits = new Held(admission, ring.permits)
  }
  return ring.inside()
}

const turnedAway = <B, F>(ring: Ring<B, F>, gate: Gate, refusal: Refusal): Effect.Effect<B, F> => {
  ring.plan.meter?.refusal(gate.name)
  return ring.refused(refusal)
}

/** Tells every gate that admitted the call how it ended, innermost first. */
export const settlePermits = (ring: Ring<unknown, unknown>, outcome: Outcome): void => {
  for (let held = ring.permits; held !== undefined; held = ring.permits) {
    ring.permits = held.outer
    held.permit.settle(ring, outcome)
  }
}

/** Gives back the permits of a call that never started, innermost first. */
export const cancelPermits = (ring: Ring<unknown, unknown>): void => {
  for (let held = ring.permits; held !== undefined; held = ring.permits) {
    ring.permits = held.outer
    held.permit.cancel(ring)
  }
}

export const leaveQueue = (ring: Ring<unknown, unknown>): void => {
  ring.wait?.cancel(ring)
  ring.wait = undefined
}

export const tick = (ring: Ring<unknown, unknown>): void => {
  ring.now = ring.timeline.now()
}

/** Waits for a turn, up to the gate's own limit and the call's deadline. */
const queueUp = (ring: Ring<unknown, unknown>, wait: Wait): Effect.Effect<Permit | Refusal> => {
  ring.wait = wait
  return Effect.callback((resume) => {
    let turn: Timeline.Timer | undefined
    let isSubscribing = true
    const done = (admission: Permit | Refusal) => {
      ring.wait = undefined
      limit.cancel()
      turn?.cancel()
      resume(Effect.succeed(admission))
    }
    const claim = () => {
      if (ring.wait !== wait) return
      tick(ring)
      const claimed = wait.claim(ring)
      if (typeof claimed !== "number") done(claimed)
      else if (claimed < Infinity) turn = ring.timeline.after(Math.ceil(claimed), claim)
    }
    const limit = ring.timeline.after(Math.max(0, Math.min(wait.limitMillis, ring.deadline - ring.now)), () => {
      if (ring.wait !== wait) return
      tick(ring)
      const refusal = ring.now >= ring.deadline ? refuse(new DeadlineExceeded("NotSent")) : wait.expired(ring)
      wait.cancel(ring)
      done(refusal)
    })
    wait.onTurn((delay) => {
      turn?.cancel()
      turn = undefined
      if (delay > 0) turn = ring.timeline.after(Math.ceil(delay), claim)
      else if (isSubscribing) claim()
      // The turn comes in the middle of another call, and thousands of turns may follow.
      else ring.timeline.soon(claim)
    })
    isSubscribing = false
    return Effect.sync(() => {
      limit.cancel()
      turn?.cancel()
    })
  })
}

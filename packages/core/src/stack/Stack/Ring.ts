/**
 * A call on its way through the gates of a ring, inwards. A healthy call passes all of them in one synchronous pass. What
 * it was given it keeps in `permits`; a place in a queue is kept in `wait`: whoever ends the call gives both back.
 *
 * These are functions over what both rings have, and no class that both extend: two objects a call are made on the hot
 * path, and the engine makes one without a super constructor in a fraction of the time.
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
  /** What it was given, the innermost gate's first. */
  permits: Held | undefined
  wait: Wait | undefined
  /** What is inside the gates. */
  inside(): Effect.Effect<B, F>
  /** A gate has refused. */
  refused(refusal: Refusal): Effect.Effect<B, F>
}

/** A permit on top of those that were given before. */
export class Held {
  declare readonly permit: Permit
  declare readonly outer: Held | undefined
  constructor(permit: Permit, outer: Held | undefined) {
    this.permit = permit
    this.outer = outer
  }
}

/** What a step comes to whose attempt has been started directly: there is nothing to be run until it ends. */
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

/** Tells every gate that has admitted the call how it ended, innermost first. */
export const settlePermits = (ring: Ring<unknown, unknown>, outcome: Outcome): void => {
  for (let held = ring.permits; held !== undefined; held = ring.permits) {
    ring.permits = held.outer
    held.permit.settle(ring, outcome)
  }
}

/** Gives back what was given for a call that never started, innermost first. */
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
      // Who gives the turn is in the middle of its own call, and may be followed by thousands.
      else ring.timeline.soon(claim)
    })
    isSubscribing = false
    return Effect.sync(() => {
      limit.cancel()
      turn?.cancel()
    })
  })
}

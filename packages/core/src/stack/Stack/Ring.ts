/**
 * A call on its way through the gates of a ring, outermost first. A healthy call passes all of them in one synchronous
 * pass. `permits` holds its permits and `wait` its place in a queue; the end of the call gives both back.
 *
 * These are functions over the common part of both rings, not a base class. Two objects per call are made on the hot
 * path, and V8 constructs one without a super constructor in a fraction of the time.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
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

/** A permit and the place of its gate, linked to those received before it. */
export class Held {
  declare readonly permit: Permit
  declare readonly index: number
  declare readonly outer: Held | undefined
  constructor(permit: Permit, index: number, outer: Held | undefined) {
    this.permit = permit
    this.index = index
    this.outer = outer
  }
}

/** The next step while a direct attempt is running: nothing runs in the fibre until it ends. */
export const underway: Effect.Effect<never> = Effect.never

/** Passes gates; permits that the ring holds already are those of other gates, or of an earlier request. */
export const passGates = <B, F>(ring: Ring<B, F>, gates: ReadonlyArray<Gate>): Effect.Effect<B, F> => {
  const before = ring.permits
  for (let i = 0; i < gates.length; i++) {
    const gate = gates[i]!
    const admission = gate.admit(ring)
    if (admission._tag === "Refusal") return turnedAway(ring, gate, admission)
    if (admission._tag === "Wait") return waitAt(ring, gates, i, admission, before)
    ring.permits = new Held(admission, i, ring.permits)
  }
  return ring.inside()
}

/**
 * Waits at a gate, unless one that is still to come would refuse the call anyway. Permits that give way are given back
 * before the wait and asked for again when it is over, so that the call holds none of them while it waits, and all are new
 * when it goes out. If one of them has to be waited for in turn, so it goes on from there.
 */
const waitAt = <B, F>(
  ring: Ring<B, F>,
  gates: ReadonlyArray<Gate>,
  index: number,
  wait: Wait,
  before: Held | undefined
): Effect.Effect<B, F> => {
  const gate = gates[index]!
  const { attemptGates } = ring.plan
  ring.wait = wait
  const broken = giveWay(ring, gates, before)
  if (broken !== undefined) return broken
  // A further request of an attempt has passed them all.
  const ahead = gates === ring.plan.requestGates ? [] : attemptGates
  for (const [i, other] of ahead.entries()) {
    const isPassed = other === gate || (gates === attemptGates && isHeld(ring, i, before))
    const refusal = isPassed ? undefined : other.forecast?.(ring)
    if (refusal === undefined) continue
    leaveQueue(ring)
    return turnedAway(ring, other, refusal)
  }
  return Effect.flatMap(queueUp(ring, index, wait), (refusal) => {
    if (refusal !== undefined) return turnedAway(ring, gate, refusal)
    for (const [i, next] of gates.entries()) {
      if (isHeld(ring, i, before)) continue
      const admission = next.admit(ring)
      if (admission._tag === "Refusal") return turnedAway(ring, next, admission)
      if (admission._tag === "Wait") return waitAt(ring, gates, i, admission, before)
      ring.permits = new Held(admission, i, ring.permits)
    }
    return ring.inside()
  })
}

/** Whether the ring holds the permit of a gate, received after those before. */
const isHeld = (ring: Ring<unknown, unknown>, index: number, before: Held | undefined): boolean => {
  for (let held = ring.permits; held !== before && held !== undefined; held = held.outer) {
    if (held.index === index) return true
  }
  return false
}

/** Gives back the permits that give way, received after those before; returns what a gate has thrown. */
const giveWay = (
  ring: Ring<unknown, unknown>,
  gates: ReadonlyArray<Gate>,
  before: Held | undefined
): Exit.Exit<never> | undefined => {
  const kept: Array<Held> = []
  const given: Array<Held> = []
  for (let held = ring.permits; held !== before && held !== undefined; held = held.outer) {
    if (gates[held.index]!.givesWay === true) given.push(held)
    else kept.unshift(held)
  }
  if (given.length === 0) return undefined
  ring.permits = kept.reduce((outer, { index, permit }) => new Held(permit, index, outer), before)
  let broken: Exit.Exit<never> | undefined
  for (const { permit } of given) broken = cancel(ring, permit) ?? broken
  return broken
}

const turnedAway = <B, F>(ring: Ring<B, F>, gate: Gate, refusal: Refusal): Effect.Effect<B, F> => {
  ring.plan.meter?.refusal(gate.name)
  return ring.refused(refusal)
}

/**
 * Tells every gate that admitted the call how it ended, innermost first. A gate of a user may throw: the others are
 * still told, and the exception is returned as the end of the call.
 */
export const settlePermits = (ring: Ring<unknown, unknown>, outcome: Outcome): Exit.Exit<never> | undefined => {
  let broken: Exit.Exit<never> | undefined
  for (let held = ring.permits; held !== undefined; held = ring.permits) {
    ring.permits = held.outer
    try {
      held.permit.settle(ring, outcome)
    } catch (defect) {
      broken ??= Exit.die(defect)
    }
  }
  return broken
}

/** Gives back the permits of a call that never started, innermost first; returns what a gate has thrown. */
export const cancelPermits = (ring: Ring<unknown, unknown>): Exit.Exit<never> | undefined => {
  let broken: Exit.Exit<never> | undefined
  for (let held = ring.permits; held !== undefined; held = ring.permits) {
    ring.permits = held.outer
    broken = cancel(ring, held.permit) ?? broken
  }
  return broken
}

const cancel = (ring: Ring<unknown, unknown>, permit: Permit): Exit.Exit<never> | undefined => {
  try {
    permit.cancel(ring)
  } catch (defect) {
    return Exit.die(defect)
  }
  return undefined
}

export const leaveQueue = (ring: Ring<unknown, unknown>): void => {
  const { wait } = ring
  ring.wait = undefined
  wait?.cancel(ring)
}

export const tick = (ring: Ring<unknown, unknown>): void => {
  ring.now = ring.timeline.now()
}

/**
 * Waits for a turn, up to the gate's own limit and the call's deadline. The permit belongs to the ring at once, so that a
 * call which is interrupted before its next step gives it back.
 */
const queueUp = (ring: Ring<unknown, unknown>, index: number, wait: Wait): Effect.Effect<Refusal | undefined> =>
  Effect.callback((resume) => {
    let turn: Timeline.Timer | undefined
    let isSubscribing = true
    const done = (next: Effect.Effect<Refusal | undefined>) => {
      ring.wait = undefined
      limit.cancel()
      turn?.cancel()
      resume(next)
    }
    /** Runs in a timer, where an exception of a user's gate would be lost. */
    const guarded = (step: () => void) => () => {
      if (ring.wait !== wait) return
      try {
        tick(ring)
        step()
      } catch (defect) {
        done(Exit.die(defect))
      }
    }
    const claim = guarded(() => {
      const claimed = wait.claim(ring)
      if (typeof claimed === "number") {
        if (claimed < Infinity) turn = ring.timeline.after(Math.ceil(claimed), claim)
      } else if (claimed._tag === "Refusal") done(Effect.succeed(claimed))
      else {
        ring.permits = new Held(claimed, index, ring.permits)
        done(Effect.undefined)
      }
    })
    const expire = guarded(() => {
      const refusal = ring.now >= ring.deadline ? refuse(new DeadlineExceeded("NotSent")) : wait.expired(ring)
      leaveQueue(ring)
      done(Effect.succeed(refusal))
    })
    const limit = ring.timeline.after(Math.max(0, Math.min(wait.limitMillis, ring.deadline - ring.now)), expire)
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

/**
 * A policy is a gate: it admits a call, makes it wait, or refuses it, and hears how it ended.
 *
 * Gates are small synchronous state machines. They know nothing of HTTP, hold no timer and start no fibre: the stack
 * asks them, sleeps for them, and tells them the time. Choose a plain Effect combinator instead where a policy must run
 * effects of its own.
 *
 * @example
 * ```ts
 * import { BulkheadFull, Gate, Stack } from "@breakwater/core"
 * import { Effect } from "effect"
 *
 * // A gate of your own: closed at night.
 * const curfew: Gate.Gate = {
 *   name: "curfew",
 *   admit: (call) => call.now < 0 ? Gate.freePermit : Gate.refuse(new BulkheadFull(60_000))
 * }
 * const stack = Stack.make({
 *   vendor: "acme",
 *   operation: "ring",
 *   safety: "Idempotent",
 *   policy: { gates: { operation: [curfew] } }
 * })
 * const error = await Effect.runPromise(Effect.flip(stack.guard(Effect.succeed("ding"), () => undefined)))
 * console.log(error.reason._tag) // => BulkheadFull
 * ```
 */
import type { Outcome } from "./Outcome.ts"
import type { Priority } from "./Priority.ts"
import type { Reason } from "./Reason.ts"
import type { Safety } from "./Safety.ts"

/** What a gate is told about the call that stands before it. */
export interface Call {
  readonly vendor: string
  readonly operation: string
  /** `vendor/operation`, made once. */
  readonly scope: string
  /** The partition the call belongs to (credential, tenant, region); `""` when there is only one. */
  readonly key: string
  readonly safety: Safety
  /** How many permits of the vendor's quota the call costs. @default 1 */
  readonly cost: number
  /** Monotonic time at the moment of the question, in milliseconds since an arbitrary origin. */
  readonly now: number
  /** When the operation must be over, on the same scale as `now`; `Infinity` when it has no deadline. */
  readonly deadline: number
  /** Which attempt this is: 1 for the first. */
  readonly attempt: number
  /** How much the call matters while there is not enough for all. */
  readonly priority: Priority
  /** A number from 0 to just below 1, from the random numbers of the call's own fibre. */
  random(): number
}

/** The gate let the call through. Exactly one of `settle` and `cancel` is called, once. */
export interface Permit {
  readonly _tag: "Permit"
  /** The call ran and came to this. */
  settle(call: Call, outcome: Outcome): void
  /** The call never started: whatever was taken for it is given back. */
  cancel(call: Call): void
}

/** The gate does not let the call through. */
export interface Refusal {
  readonly _tag: "Refusal"
  readonly reason: Reason
}

/**
 * The call has a place in the gate's queue.
 *
 * The caller subscribes with `onTurn`. When it has come to the head of the queue it hears how many milliseconds later
 * its permit is due (again, with a smaller number, if that becomes sooner), sleeps that long and claims it. Exactly one
 * of a successful `claim` and `cancel` ends the wait.
 */
export interface Wait {
  readonly _tag: "Wait"
  /** The longest this gate lets a call wait, in milliseconds from now. */
  readonly limitMillis: number
  onTurn(turn: (delayMillis: number) => void): void
  /** The permit, the milliseconds that are still missing, or that the place was lost to another: then the wait is over. */
  claim(call: Call): Permit | Refusal | number
  /** Leaves the queue and gives back what was held; those behind move up. */
  cancel(call: Call): void
  /** What to fail with when the wait has reached `limitMillis`. */
  expired(call: Call): Refusal
}

export type Admission = Permit | Refusal | Wait

export interface Gate {
  /** The name by which telemetry and errors know the gate: lower case, one word. */
  readonly name: string
  admit(call: Call): Admission
}

/** A permit that has nothing to hear and nothing to give back. */
export const freePermit: Permit = { _tag: "Permit", settle() {}, cancel() {} }

/** Refuses with a reason. */
export const refuse = (reason: Reason): Refusal => ({ _tag: "Refusal", reason })

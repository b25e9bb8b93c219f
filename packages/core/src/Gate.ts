/**
 * A gate is a policy that admits a call, makes it wait, or refuses it, and is told how the call ended.
 *
 * Gates are small synchronous state machines. They know nothing of HTTP, hold no timer and start no fibre: the stack
 * calls them, sleeps for them, and tells them the time. Choose a plain Effect combinator instead where a policy must
 * run effects of its own.
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

/** The facts a gate gets about a call. */
export interface Call {
  readonly vendor: string
  readonly operation: string
  /** `vendor/operation`, built once. */
  readonly scope: string
  /** The partition key of the call (credential, tenant, region); `""` when there is only one. */
  readonly key: string
  readonly safety: Safety
  /** Number of permits of the vendor's quota that the call costs. @default 1 */
  readonly cost: number
  /** The current monotonic time, in milliseconds since an arbitrary origin. */
  readonly now: number
  /** The time by which the operation must end, on the same scale as `now`; `Infinity` when it has no deadline. */
  readonly deadline: number
  /** The number of this attempt: 1 for the first. */
  readonly attempt: number
  /** How important the call is when capacity is short. */
  readonly priority: Priority
  /** A random number of at least 0 and below 1, from the generator of the call's own fibre. */
  random(): number
}

/** The gate admitted the call. Exactly one of `settle` and `cancel` is called, once. */
export interface Permit {
  readonly _tag: "Permit"
  /** The call ran and ended with this outcome. */
  settle(call: Call, outcome: Outcome): void
  /** The call never started; the gate takes back everything it reserved for it. */
  cancel(call: Call): void
}

/** The gate refused the call. */
export interface Refusal {
  readonly _tag: "Refusal"
  readonly reason: Reason
}

/**
 * The call has a place in the gate's queue.
 *
 * The caller subscribes with `onTurn`. When the call reaches the head of the queue, the caller is told how many
 * milliseconds remain until its permit is due. It is told again, with a smaller number, if that becomes sooner. The
 * caller sleeps that long and claims the permit. The wait ends with exactly one of a successful `claim` and `cancel`.
 */
export interface Wait {
  readonly _tag: "Wait"
  /** The longest time this gate lets a call wait, in milliseconds from now. */
  readonly limitMillis: number
  onTurn(turn: (delayMillis: number) => void): void
  /**
   * Returns the permit, or the milliseconds still to wait, or a refusal if another call took the place; a refusal ends
   * the wait.
   */
  claim(call: Call): Permit | Refusal | number
  /** Leaves the queue and gives back the reservation; the calls behind move up. */
  cancel(call: Call): void
  /** The refusal to fail with when the wait has reached `limitMillis`. */
  expired(call: Call): Refusal
}

export type Admission = Permit | Refusal | Wait

export interface Gate {
  /** The name of the gate in telemetry and errors: lower case, one word. */
  readonly name: string
  /**
   * Whether a call gives its permit back while it waits for a later gate of the attempt, and asks again afterwards. True
   * for a place that others need, and for a permit that is only good for a call that goes out at once. Not for a permit
   * that others must agree to, such as the probe of a breaker in a fleet: it would have to be waited for again.
   * @default false
   */
  readonly givesWay?: boolean
  admit(call: Call): Admission
  /**
   * Asked before the call waits for another gate: the refusal that it would get here now, if any. It takes nothing and
   * changes nothing. A gate without it is asked in its turn.
   */
  forecast?(call: Call): Refusal | undefined
}

/** A permit that ignores the outcome and has nothing to give back. */
export const freePermit: Permit = { _tag: "Permit", settle() {}, cancel() {} }

/** Refuses a call with a reason. */
export const refuse = (reason: Reason): Refusal => ({ _tag: "Refusal", reason })

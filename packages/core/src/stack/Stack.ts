/**
 * A call with its policies around it: compiles a policy, with the gates in their order (see `Order`), to one plan.
 *
 * @example
 * ```ts
 * import { ConnectionLost, Stack } from "@breakwater/core"
 * import { Effect } from "effect"
 *
 * // Any effect can be guarded; `classify` returns a reason for the errors that are no answer.
 * const stack = Stack.make({ vendor: "ldap", operation: "lookup", safety: "Idempotent", policy: { retry: { base: 0 } } })
 * let attempts = 0
 * const lookup = Effect.suspend(() => ++attempts === 1 ? Effect.fail("socket closed") : Effect.succeed("Ada"))
 *
 * console.log(await Effect.runPromise(stack.guard(lookup, () => new ConnectionLost("Headers")))) // => Ada
 * ```
 */
import * as Effect from "effect/Effect"
import * as IdempotencyKey from "../IdempotencyKey.ts"
import * as Range from "../Range.ts"
import type { Reason } from "../Reason.ts"
import type { Safety } from "../Safety.ts"
import type { OperationMeter } from "../Telemetry.ts"
import type { VendorError } from "../VendorError.ts"
import { fromEffect, type Leaf } from "./Leaf.ts"
import * as Order from "./Order.ts"
import * as Policy from "./Policy.ts"
import { run } from "./Stack/OperationRing.ts"
import type { Plan } from "./Stack/Plan.ts"
import type { Attributes } from "./Trace.ts"

export interface StackOptions {
  readonly vendor: string
  readonly operation: string
  readonly safety: Safety
  /** @default {@link Policy.read} */
  readonly policy?: Policy.Policy | undefined
  /** Gates made elsewhere, shared between operations. @default made from the policy */
  readonly gates?: Order.Gates | undefined
  /** The meter that counts the calls. @default nothing */
  readonly meter?: OperationMeter | undefined
  /** The name of an attempt's span. @default the operation */
  readonly spanName?: string | undefined
  /** The attributes of every attempt's span. @default nothing */
  readonly spanAttributes?: Attributes | undefined
}

/** The partition and the cost of a call. */
export interface StackCallOptions {
  /**
   * The partition: credential, tenant, region. It is a name that metrics show, so never pass a secret. Limits and
   * breakers count per key.
   * @default ""
   */
  readonly key?: string | undefined
  /** Permits of the vendor's quota; at least 0, and at most what the rate limit ever has. @default 1 */
  readonly cost?: number | undefined
}

export interface Stack {
  readonly plan: Plan
  /** Guards a leaf. */
  call<A, E>(leaf: Leaf<A, E>, options?: StackCallOptions): Effect.Effect<A, E | VendorError>
  /**
   * Guards any effect. `classify` returns a reason for the errors that are no answer. Those are retried as their reason
   * allows, and come out unchanged. Each attempt runs in its own fibre, so that it can be cut off. With the safety
   * `Keyed`, all attempts of a call find the same key in `IdempotencyKey`: the caller's, or a new one.
   */
  guard<A, E, R>(
    effect: Effect.Effect<A, E, R>,
    classify: (error: E) => Reason | undefined,
    options?: StackCallOptions
  ): Effect.Effect<A, E | VendorError, R>
}

/** Makes the stack of an operation, with the gates in their order. Throws when the policy contradicts itself. */
export const make = (options: StackOptions): Stack => {
  const policy = options.policy ?? {}
  const limits = Policy.limits(policy)
  const gates = options.gates ?? Order.makeGates(policy)
  const rings = Order.rings(gates, policy)
  const plan: Plan = {
    vendor: options.vendor,
    operation: options.operation,
    scope: `${options.vendor}/${options.operation}`,
    safety: options.safety,
    // The deadline is outermost: every wait and every attempt below counts against it.
    deadlineMillis: limits.deadlineMillis,
    operationGates: rings.operation,
    // The retry stands between the rings: it repeats attempts, and keeps the operation's place meanwhile.
    retry: gates.retry,
    retryBudget: gates.retryBudget,
    // Around the attempts, so that a hedge is a full attempt: it costs quota, and its breaker is told.
    hedge: Order.hedgeFor(options.safety, gates),
    attemptGates: rings.attempt,
    requestGates: rings.request,
    // Innermost, so that it times the vendor and not our own queues.
    attemptMillis: limits.attemptMillis,
    phaseMillis: {
      // Our own queues may take the time of the operation, as they may before the attempt.
      Queue: limits.deadlineMillis,
      // A source of secrets is given the time of a connection.
      Secret: limits.connectMillis,
      Connect: limits.connectMillis,
      Headers: limits.headersMillis,
      Body: limits.bodyMillis
    },
    bodyIdleMillis: limits.bodyIdleMillis,
    meter: options.meter,
    operationSpanName: `${options.vendor} ${options.operation}`,
    operationSpanAttributes: { "breakwater.vendor": options.vendor, "breakwater.operation": options.operation },
    spanName: options.spanName ?? options.operation,
    spanAttributes: options.spanAttributes ?? {}
  }
  const capacity = gates.rateLimit?.capacity ?? Infinity
  const call: Stack["call"] = (leaf, { cost, key } = {}) => {
    if (cost !== undefined && Range.atLeast("Stack: cost", cost, 0) > capacity) {
      throw new Error(`Stack: cost must be at most ${capacity}, the most permits of the rate limit, got ${cost}`)
    }
    return run(plan, leaf, key ?? "", cost ?? 1)
  }
  return {
    plan,
    call,
    guard: (effect, classify, callOptions) => {
      const guarded = call(fromEffect(effect, classify), callOptions)
      return options.safety !== "Keyed" ? guarded : Effect.flatMap(
        IdempotencyKey.IdempotencyKey,
        (key) => key === undefined ? IdempotencyKey.withKey(IdempotencyKey.make())(guarded) : guarded
      )
    }
  }
}

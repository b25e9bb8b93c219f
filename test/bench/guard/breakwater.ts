/** Our stack around the bench's work: whole as a vendor declares it, with one gate at a time, or with none. */
import type { Reason } from "@breakwater/core/Reason"
import { Unavailable } from "@breakwater/core/Reason"
import type { Leaf } from "@breakwater/core/stack/Leaf"
import type { Policy } from "@breakwater/core/stack/Policy"
import * as Stack from "@breakwater/core/stack/Stack"
import * as Telemetry from "@breakwater/core/Telemetry"
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"

/** A stack without gates. Only the time limits remain, which every stack has. */
export const bare: Policy = { bulkhead: false, breaker: false, retry: false, retryBudget: false, rateLimit: false }

/** More permits than any bench needs: counting is measured, not waiting. */
export const rateLimit = { limit: 1e8, window: "1 second", algorithm: "TokenBucket" } as const

/** The defaults with a rate limit. */
export const whole: Policy = { rateLimit }

export interface Metered {
  readonly meter?: boolean
}

export const stackOf = (operation: string, policy: Policy, { meter = false }: Metered = {}): Stack.Stack =>
  Stack.make({
    vendor: "acme",
    operation,
    safety: "Idempotent",
    policy,
    meter: meter ? meterOf(operation) : undefined
  })

const meterOf = (operation: string) =>
  Telemetry.operationMeter(Context.empty(), {
    vendor: "acme",
    operation,
    method: "GET",
    address: "api.acme.test",
    port: 443
  })

/** A promise as a leaf: what a transport does, without a socket. */
export const leafOf = <A>(work: () => Promise<A>): Leaf<A, never> => (attempt) => {
  work().then((value) => attempt.answer(Exit.succeed(value)), () => attempt.fail(busy))
  return nothing
}

/** Answers before it returns. */
export const instantLeaf = <A>(value: A): Leaf<A, never> => (attempt) => {
  attempt.answer(Exit.succeed(value))
  return nothing
}

/** Starts and never ends. */
export const hangingLeaf: Leaf<never, never> = (attempt) => {
  attempt.phase("Headers")
  return nothing
}

export const busy: Reason = new Unavailable(503)

const nothing = (): void => {}

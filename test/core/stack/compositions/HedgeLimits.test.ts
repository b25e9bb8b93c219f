import { type Policy, Stack } from "@breakwater/core"
import { type Gate, refuse } from "@breakwater/core/Gate"
import { BulkheadFull, Unavailable, type VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { played, vendor } from "../../../drivers/PlayedVendor.ts"

const stack = (policy: Policy.Policy) =>
  Stack.make({
    vendor: "acme",
    operation: "rate",
    safety: "Idempotent",
    policy: { retry: false, breaker: false, bulkhead: false, retryBudget: false, ...policy }
  })

const reasonOf = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isFailure(exit) && exit.cause.reasons[0]?._tag === "Fail"
    ? (exit.cause.reasons[0].error as VendorError).reason._tag
    : undefined

describe("a hedged call", () => {
  it.effect("ends at once when one of our own gates refuses its attempt", () =>
    Effect.gen(function*() {
      const { leaf, seen } = vendor(() => ({ after: 10 }))
      let asked = 0
      const closed: Gate = {
        name: "closed",
        admit: () => {
          asked++
          return refuse(new BulkheadFull())
        }
      }
      const exit = yield* played(
        stack({ hedge: { after: "OnFailure", hedges: 3 }, gates: { attempt: [closed] } }).call(leaf)
      )
      assert.deepStrictEqual([reasonOf(exit), asked, seen], ["BulkheadFull", 1, []])
    }))

  it.effect("makes no further attempt at its deadline or later", () =>
    Effect.gen(function*() {
      const limits = { deadline: "1 second", attemptTimeout: "1 second" } as const
      for (const after of [1_000, 1_001, 5_000]) {
        const { leaf, seen } = vendor(() => "never")
        const exit = yield* played(stack({ hedge: { after }, ...limits }).call(leaf))
        assert.strictEqual(reasonOf(exit), "DeadlineExceeded")
        assert.lengthOf(seen, 1)
      }
      for (const [after, attempts] of [[999, 2], [1_000, 1]] as const) {
        const { leaf, seen } = vendor(() => ({ after, reason: new Unavailable(503) }))
        yield* played(stack({ hedge: { after: "OnFailure" }, ...limits }).call(leaf))
        assert.lengthOf(seen, attempts)
      }
    }))
})

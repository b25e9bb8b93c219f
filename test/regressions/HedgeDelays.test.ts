/** A hedge follows when the vendor has had its time: what an attempt waits for on our side is not the vendor's. */
import type { Call, Gate, Permit, Wait } from "@breakwater/core/Gate"
import type { Phase } from "@breakwater/core/Phase"
import type * as Policy from "@breakwater/core/stack/Policy"
import * as Stack from "@breakwater/core/stack/Stack"
import { Unavailable } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { played, vendor } from "../drivers/PlayedVendor.ts"

const stack = (policy: Policy.Policy) =>
  Stack.make({
    vendor: "acme",
    operation: "rate",
    safety: "Idempotent",
    policy: {
      retry: false,
      breaker: false,
      bulkhead: false,
      retryBudget: false,
      attemptTimeout: "10 seconds",
      deadline: "10 seconds",
      ...policy
    }
  })

/** A gate at which the first attempt waits for so long, and no other. */
const waitingGate = (millis: number): Gate => {
  const permit: Permit = { _tag: "Permit", settle: () => {}, cancel: () => {} }
  let isFirst = true
  return {
    name: "slow",
    admit: ({ now }: Call): Permit | Wait => {
      if (!isFirst) return permit
      isFirst = false
      return {
        _tag: "Wait",
        limitMillis: Infinity,
        onTurn: (turn) => turn(millis),
        claim: (call) => call.now >= now + millis ? permit : now + millis - call.now,
        expired: () => ({ _tag: "Refusal", reason: new Unavailable(503) }),
        cancel: () => {}
      }
    }
  }
}

describe("the delay of a hedge", () => {
  it.effect("begins when the attempt has passed the gates", () =>
    Effect.gen(function*() {
      const { leaf, seen } = vendor((index) => ({ after: index === 0 ? 99 : 1 }))
      const call = stack({ hedge: { after: 100 }, gates: { attempt: [waitingGate(1_000)] } }).call(leaf)
      assert.deepStrictEqual(yield* played(call), Exit.succeed("answer 0"))
      assert.deepStrictEqual(seen, [{ at: 1_000, end: "answered" }])
    }))

  for (const hedges of [1, 2]) {
    it.effect(`is the whole delay after that, also for ${hedges} hedges`, () =>
      Effect.gen(function*() {
        const { leaf, seen } = vendor(() => ({ after: 5_000 }))
        const call = stack({ hedge: { after: 100, hedges }, gates: { attempt: [waitingGate(1_030)] } }).call(leaf)
        yield* played(call)
        assert.deepStrictEqual(seen.map(({ at }) => at), [1_030, 1_130, 1_230].slice(0, 1 + hedges))
      }))
  }

  for (const phase of ["Queue", "Secret"] as const satisfies ReadonlyArray<Phase>) {
    it.effect(`does not run in the phase ${phase} of the attempt`, () =>
      Effect.gen(function*() {
        const { leaf, seen } = vendor((index) => ({ after: index === 0 ? 150 : 500 }))
        let isFirst = true
        const call = stack({ hedge: { after: 100 } }).call<string, never>((attempt) => {
          if (!isFirst) return leaf(attempt)
          isFirst = false
          attempt.phase(phase)
          let cancel = () => {}
          const fiber = Effect.runForkWith(attempt.context)(
            Effect.delay(Effect.sync(() => cancel = leaf(attempt)), 730)
          )
          return () => {
            fiber.interruptUnsafe()
            cancel()
          }
        })
        assert.deepStrictEqual(yield* played(call), Exit.succeed("answer 0"))
        assert.deepStrictEqual(seen, [{ at: 730, end: "answered" }, { at: 830, end: "cancelled" }])
      }))
  }

  it.effect("runs on for the attempt before, when the latest one has failed", () =>
    Effect.gen(function*() {
      const { leaf, seen } = vendor((index) => index === 1 ? { after: 10, reason: new Unavailable(503) } : "never")
      yield* played(stack({ hedge: { after: 100, hedges: 2 } }).call(leaf))
      assert.deepStrictEqual(seen.map(({ at }) => at), [0, 100, 200])
    }))
})

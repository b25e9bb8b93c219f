import * as Outcome from "@breakwater/core/Outcome"
import type { Reason } from "@breakwater/core/Reason"
import { assert, describe, it } from "@effect/vitest"
import { reasons } from "../drivers/Reasons.ts"

/** The meaning of each reason for the vendor's health, with the cause. */
const expected: Record<Reason["_tag"], Outcome.Outcome["_tag"]> = {
  // No response, or one that breaks the contract.
  Timeout: "Failure",
  ConnectFailed: "Failure",
  ConnectionLost: "Failure",
  Unavailable: "Failure",
  InvalidResponse: "Failure",
  ResponseTooLarge: "Failure",
  DeadlineExceeded: "Failure",
  // The vendor is up, and said no.
  Conflict: "Success",
  Unauthorized: "Success",
  RequestRejected: "Success",
  // The vendor was not called, or is up and over our quota.
  RateLimited: "Ignored",
  CircuitOpen: "Ignored",
  RateLimitExceeded: "Ignored",
  BulkheadFull: "Ignored",
  Throttled: "Ignored",
  InvalidRequest: "Ignored",
  CredentialUnavailable: "Ignored",
  CredentialRevoked: "Ignored"
}

describe("Outcome", () => {
  for (const reason of Object.values(reasons)) {
    it(`counts ${reason._tag} as ${expected[reason._tag]}`, () => {
      assert.strictEqual(Outcome.classify(reason), expected[reason._tag])
      const quota = { remaining: 3, resetMillis: 1_000 }
      const outcome = Outcome.failed(12.5, reason, quota)
      assert.strictEqual(outcome._tag, expected[reason._tag])
      assert.strictEqual(outcome.reason, reason)
      assert.strictEqual(outcome.durationMillis, 12.5)
      assert.strictEqual(outcome.quota, quota)
    })
  }

  it("counts an answer of the contract as a success without a reason", () => {
    const quota = { remaining: 0, resetMillis: 60_000 }
    assert.deepStrictEqual(Outcome.answered(7, quota), new Outcome.Outcome("Success", 7, undefined, quota))
    assert.strictEqual(Outcome.answered(7).quota, undefined)
  })

  it("ignores a call that the caller gave up", () => {
    assert.deepStrictEqual(Outcome.abandoned(7), new Outcome.Outcome("Ignored", 7, undefined, undefined))
  })
})

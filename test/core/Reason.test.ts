import * as Reason from "@breakwater/core/Reason"
import type { Fate } from "@breakwater/core/Safety"
import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { reasons } from "../drivers/Reasons.ts"

/** Fate, whether it is retryable, the retry-after in milliseconds, and the message. */
const described: Record<Reason.Reason["_tag"], readonly [Fate, boolean, number | undefined, string]> = {
  CircuitOpen: ["NotSent", true, 5_000, "the circuit breaker is open; come back in 5s"],
  RateLimitExceeded: ["NotSent", true, 250, "the rate limit lets no call through now; come back in 250ms"],
  BulkheadFull: ["NotSent", true, undefined, "too many calls are running and waiting"],
  Throttled: ["NotSent", true, undefined, "throttled: the vendor is rejecting a large share of recent calls"],
  DeadlineExceeded: ["Unknown", true, undefined, "the deadline of the operation has passed"],
  Timeout: ["Unknown", true, undefined, "timed out after 3s while waiting for a response"],
  ConnectFailed: ["NotSent", true, undefined, "the vendor refused the connection"],
  ConnectionLost: ["Unknown", true, undefined, "the connection was lost while waiting for the body"],
  Unavailable: ["Unknown", true, 90_000, "the vendor is unavailable (status 503); come back in 1m 30s"],
  RateLimited: ["Rejected", true, 30_000, "the vendor's rate limit is reached; come back in 30s"],
  Conflict: ["Unknown", true, undefined, "the vendor reports a conflict with a call that is still running"],
  Unauthorized: ["Rejected", false, undefined, "the vendor rejected our credential (status 401)"],
  RequestRejected: ["Rejected", false, undefined, "the vendor rejected the request (status 422)"],
  InvalidRequest: [
    "NotSent",
    false,
    undefined,
    "the request does not fit the contract: amount: expected a whole number"
  ],
  InvalidResponse: ["Unknown", false, undefined, "the response is invalid: id: missing"],
  ResponseTooLarge: ["Unknown", false, undefined, "the response is larger than 8388608 bytes"],
  CredentialUnavailable: ["NotSent", false, undefined, "the credential acme/key is not available"],
  CredentialRevoked: ["Unknown", true, undefined, "the credential acme/key was revoked during the call"]
}

describe("a reason", () => {
  it("is one of a closed set: the module exports no reason class that the tests do not know", () => {
    const exported = Object.entries(Reason).flatMap(([name, value]) =>
      typeof value === "function" && value.prototype !== undefined ? [name] : []
    )
    assert.deepStrictEqual(exported.toSorted(), Object.keys(reasons).toSorted())
  })

  for (const reason of Object.values(reasons)) {
    it(`${reason._tag} says what became of the call, whether it is retryable, and when to come back`, () => {
      const [fate, isRetryable, hint, message] = described[reason._tag]
      assert.strictEqual(reason.fate, fate)
      assert.strictEqual(reason.isRetryable, isRetryable)
      assert.strictEqual(reason.retryAfterMillis, hint)
      assert.deepStrictEqual(reason.retryAfter, hint === undefined ? undefined : Duration.millis(hint))
      assert.strictEqual(reason.message, message)
    })
  }

  it("distinguishes a timeout before anything was sent from one after", () => {
    const phases = ["Connect", "Headers", "Body"] as const
    assert.deepStrictEqual(phases.map((phase) => new Reason.Timeout(phase, 1_000).fate), [
      "NotSent",
      "Unknown",
      "Unknown"
    ])
    assert.deepStrictEqual(phases.map((phase) => new Reason.Timeout(phase, 1_000).message), [
      "timed out after 1s while waiting for a connection",
      "timed out after 1s while waiting for a response",
      "timed out after 1s while waiting for the body"
    ])
    assert.deepStrictEqual(new Reason.Timeout("Body", 1_000).limit, Duration.seconds(1))
  })

  it("counts every failed connection as retryable, except one with an untrusted certificate", () => {
    const failures = ["Dns", "Refused", "Tls", "Unreachable"] as const
    assert.deepStrictEqual(failures.map((failure) => new Reason.ConnectFailed(failure).isRetryable), [
      true,
      true,
      false,
      true
    ])
    assert.strictEqual(new Set(failures.map((failure) => new Reason.ConnectFailed(failure).message)).size, 4)
  })

  it("lets a vendor's contract override it: what is final, what is retryable, what certainly had no effect", () => {
    assert.isFalse(new Reason.Unavailable(501, { isRetryable: false }).isRetryable)
    assert.strictEqual(new Reason.Unavailable(503, { fate: "Rejected" }).fate, "Rejected")
    assert.isFalse(new Reason.RateLimited(429, { isRetryable: false }).isRetryable)
    assert.isFalse(new Reason.Conflict(409, { isRetryable: false }).isRetryable)
    assert.isTrue(new Reason.RequestRejected(423, { isRetryable: true }).isRetryable)
  })

  it("rounds the retry-after up, never down", () => {
    assert.match(new Reason.CircuitOpen(0.2).message, /come back in 1ms/)
    assert.match(new Reason.CircuitOpen(999.001).message, /come back in 1s/)
    assert.notMatch(new Reason.CircuitOpen(undefined).message, /come back/)
  })
})

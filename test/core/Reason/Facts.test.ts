import * as Failover from "@breakwater/core/degradation/Failover"
import type { Permit } from "@breakwater/core/Gate"
import * as Outcome from "@breakwater/core/Outcome"
import * as AdaptiveLimit from "@breakwater/core/policies/AdaptiveLimit"
import * as Retry from "@breakwater/core/policies/Retry"
import * as Throttle from "@breakwater/core/policies/Throttle"
import { DeadlineExceeded, Facts, type Reason, Unavailable } from "@breakwater/core/Reason"
import { VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { fakeCall } from "../../drivers/FakeCall.ts"
import { reasons } from "../../drivers/Reasons.ts"

type Row = readonly [
  health: Outcome.Outcome["_tag"],
  ownRefusal: boolean,
  movesOn: boolean,
  accepted: boolean | undefined,
  dropped: boolean
]

/** The results of the five switches that the table replaced, unchanged. */
const before: Record<Reason["_tag"], Row> = {
  CircuitOpen: ["Ignored", true, true, undefined, false],
  RateLimitExceeded: ["Ignored", true, true, undefined, false],
  BulkheadFull: ["Ignored", true, true, undefined, false],
  Throttled: ["Ignored", true, true, undefined, false],
  DeadlineExceeded: ["Failure", true, false, false, true],
  Timeout: ["Failure", false, true, false, true],
  ConnectFailed: ["Failure", false, true, false, false],
  ConnectionLost: ["Failure", false, true, false, false],
  // With a 503; the other statuses are below.
  Unavailable: ["Failure", false, true, false, true],
  RateLimited: ["Ignored", false, true, false, true],
  Conflict: ["Success", false, false, true, false],
  Unauthorized: ["Success", false, true, true, false],
  RequestRejected: ["Success", false, false, true, false],
  // The switch did not count it as our own refusal, but it is never retryable.
  InvalidRequest: ["Ignored", false, false, undefined, false],
  InvalidResponse: ["Failure", false, true, true, false],
  ResponseTooLarge: ["Failure", false, true, true, false],
  CredentialUnavailable: ["Ignored", false, true, undefined, false],
  // Newer than the switches.
  CredentialRevoked: ["Ignored", false, true, undefined, false]
}

const errorOf = (reason: Reason) =>
  new VendorError({ vendor: "acme", operation: "ring", safety: "Idempotent", reason, attempts: 1 })

/** Whether a throttle counts the call as accepted; `undefined` when it does not count it. */
const accepted = (outcome: Outcome.Outcome): boolean | undefined => {
  const gate = Throttle.make({ minimumCalls: 1, k: 1, floor: 0.01 })
  const call = fakeCall({ random: () => 0.999 })
  const send = (of: Outcome.Outcome) => (gate.admit(call) as Permit).settle(call, of)
  send(Outcome.failed(1, reasons.RateLimited))
  send(outcome)
  const probability = gate.probability("acme", 0)
  // One request and no accept: 1/2. Two requests: 2/3 without an accept, 1/3 with one.
  return probability === 1 / 2 ? undefined : probability < 1 / 2
}

/** Whether an adaptive limit counts the call as overload. */
const dropped = (outcome: Outcome.Outcome): boolean => {
  const gate = AdaptiveLimit.make({ algorithm: { _tag: "Aimd" }, initialLimit: 10 })
  const call = fakeCall({})
  const permits = Array.from({ length: 10 }, () => gate.admit(call) as Permit)
  // The last of them: at the first, the limit was hardly in use, which is no evidence.
  permits.at(-1)!.settle(call, outcome)
  return gate.limit("acme") < 10
}

describe("the facts about reasons", () => {
  it("have a row for each reason, and no other", () => {
    assert.sameMembers([...Facts.tags], Object.keys(before))
  })

  it.each(Object.values(reasons))("mean the same for $_tag as before there was a table", (reason) => {
    const [health, ownRefusal, movesOn, isAccepted, isDropped] = before[reason._tag]
    assert.strictEqual(Outcome.classify(reason), health)
    assert.strictEqual(Retry.isWorthwhile("Idempotent", reason, "NotSent"), reason.isRetryable && !ownRefusal)
    assert.strictEqual(Failover.mayMoveOn(errorOf(reason)), movesOn)
    assert.strictEqual(accepted(Outcome.failed(1, reason)), isAccepted)
    assert.strictEqual(dropped(Outcome.failed(1, reason)), isDropped)
  })

  it("count some statuses of an unavailable vendor as overload, and the others as something broken", () => {
    const statuses = [408, 500, 501, 502, 503, 504, 505, 507, 520, 529, 599]
    const drops = statuses.filter((status) => dropped(Outcome.failed(1, new Unavailable(status))))
    assert.deepStrictEqual(drops, [408, 502, 503, 504, 529])
    for (const status of statuses) assert.isFalse(accepted(Outcome.failed(1, new Unavailable(status))))
  })

  it("learn about load from a deadline only when the attempt was fair evidence, and from an answer always", () => {
    const unfair = Outcome.failed(1, new DeadlineExceeded("Unknown"))
    assert.deepStrictEqual([accepted(unfair), dropped(unfair)], [undefined, false])
    assert.deepStrictEqual([accepted(Outcome.answered(1)), dropped(Outcome.answered(1))], [true, false])
    assert.deepStrictEqual([accepted(Outcome.abandoned(1)), dropped(Outcome.abandoned(1))], [undefined, false])
  })

  it("count no reason of a gate as evidence about the vendor", () => {
    for (const reason of Object.values(reasons)) {
      const { from, health, load } = Facts.of(reason)
      if (from === "Gate" || from === "Credential") assert.deepStrictEqual([health, load], ["Ignored", "Unknown"])
    }
  })
})

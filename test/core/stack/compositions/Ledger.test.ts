import * as Failover from "@breakwater/core/degradation/Failover"
import type * as Policy from "@breakwater/core/stack/Policy"
import * as Stack from "@breakwater/core/stack/Stack"
import {
  ConnectFailed,
  ConnectionLost,
  isVendorError,
  RateLimited,
  RequestRejected,
  Unavailable,
  type VendorError
} from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { type Play, played, vendor } from "../../../drivers/PlayedVendor.ts"

const stack = (policy: Policy.Policy) =>
  Stack.make({
    vendor: "acme",
    operation: "charge",
    safety: "Keyed",
    policy: { breaker: false, bulkhead: false, retryBudget: false, retry: false, deadline: "50 seconds", ...policy }
  })

const busy = (retryAfterMillis: number) => new RateLimited(429, { retryAfterMillis })
const down = (retryAfterMillis: number) => new Unavailable(503, { retryAfterMillis })

const failureOf = (exit: Exit.Exit<unknown, unknown>): VendorError => {
  if (Exit.isFailure(exit)) {
    for (const reason of exit.cause.reasons) {
      if (reason._tag === "Fail" && isVendorError(reason.error)) return reason.error
    }
  }
  return assert.fail("it did not fail with an error of ours")
}

/** Every attempt begins after all times to come back that the vendor had given by then. */
const assertNoneEarly = (seen: ReadonlyArray<{ readonly at: number }>, plays: ReadonlyArray<Play>) => {
  const said = plays.slice(0, seen.length).flatMap((play, index) =>
    play === "never" || play.reason?.retryAfterMillis === undefined
      ? []
      : [{ at: seen[index]!.at + play.after, until: seen[index]!.at + play.after + play.reason.retryAfterMillis }]
  )
  for (const { at } of seen) {
    for (const { at: heard, until } of said) {
      if (at >= heard) assert.isAtLeast(at, until)
    }
  }
  assert.isNotEmpty(said)
}

describe("hedge × Retry-After × failover × fate", () => {
  it.effect.each<readonly [string, Policy.Policy, ReadonlyArray<Play>, begun: number]>([
    ["a hedge on failure, after a 429", { hedge: { after: "OnFailure", keyed: true }, retry: {} }, [
      { after: 50, reason: busy(2_000) },
      { after: 10 }
    ], 2],
    ["a hedge that was about to begin, after a 503", { hedge: { after: 100, hedges: 2, keyed: true } }, [
      "never",
      { after: 50, reason: down(2_000) },
      { after: 10 }
    ], 3],
    ["several hedges and retries", { hedge: { after: 20, hedges: 3, keyed: true }, retry: { retries: 2, base: 0 } }, [
      { after: 30, reason: busy(3_000) },
      { after: 10, reason: down(1_000) },
      { after: 10, reason: busy(5_000) },
      { after: 10 }
    ], 4],
    ["a retry, when an attempt before the last one gave the time", {
      hedge: { after: 10, keyed: true },
      retry: { base: 0 }
    }, [
      { after: 15, reason: new ConnectFailed("Refused") },
      { after: 15, reason: down(7_000) },
      { after: 10 }
    ], 3]
  ])("no attempt comes before the time that the vendor gave: %s", ([, policy, plays, begun]) =>
    Effect.gen(function*() {
      const { leaf, seen } = vendor((index) => plays[index] ?? "never")
      assert.isTrue(Exit.isSuccess(yield* played(stack(policy).call(leaf))))
      assert.strictEqual(seen.length, begun)
      assertNoneEarly(seen, plays)
    }))

  it.effect.each<readonly [string, first: Play, hedge: Play, mayHaveHappened: boolean]>([
    ["a refusal, then a hedge that is lost", { after: 150, reason: busy(9) }, {
      after: 80,
      reason: new ConnectionLost("Headers")
    }, true],
    ["a hedge that is refused for good while the first attempt runs", "never", {
      after: 50,
      reason: new RequestRejected(422)
    }, true],
    ["two refusals", { after: 150, reason: busy(9) }, { after: 80, reason: busy(9) }, false],
    ["no connection, twice", { after: 150, reason: new ConnectFailed("Refused") }, {
      after: 80,
      reason: new ConnectFailed("Refused")
    }, false]
  ])("the error is that of the whole call, and no second vendor acts where the first may have: %s", ([
    ,
    first,
    hedge,
    mayHaveHappened
  ]) =>
    Effect.gen(function*() {
      const { leaf } = vendor((index) => index === 0 ? first : hedge)
      const north = stack({ hedge: { after: 100, keyed: true } }).call(leaf)
      const error = failureOf(yield* played(north))
      assert.strictEqual(error.mayHaveHappened, mayHaveHappened)
      assert.strictEqual(error.attempts, 2)
      let asked = 0
      const south = Effect.sync(() => ++asked)
      yield* played(Failover.make().call<unknown, unknown, never>({ north, south }))
      assert.strictEqual(asked, mayHaveHappened ? 0 : 1)
    }))
})

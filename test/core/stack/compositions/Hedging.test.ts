import * as Deadline from "@breakwater/core/Deadline"
import type { Gate, Permit } from "@breakwater/core/Gate"
import * as Hedge from "@breakwater/core/policies/Hedge"
import * as RateLimit from "@breakwater/core/policies/RateLimit"
import * as RetryBudget from "@breakwater/core/policies/RetryBudget"
import type { Safety } from "@breakwater/core/Safety"
import * as Order from "@breakwater/core/stack/Order"
import * as Policy from "@breakwater/core/stack/Policy"
import * as Stack from "@breakwater/core/stack/Stack"
import { InvalidResponse, Unavailable, type VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Random, Schema } from "effect"
import { TestClock } from "effect/testing"
import { intBetween } from "../../../drivers/IntBetween.ts"
import { type Play, played, vendor } from "../../../drivers/PlayedVendor.ts"
import * as Effort from "../../../setup/Effort.ts"
import * as OwnTimers from "../../../watches/OwnTimers.ts"
import { until } from "../../../watches/Until.ts"

const stack = (policy: Policy.Policy, safety: Safety = "Idempotent") =>
  Stack.make({
    vendor: "acme",
    operation: "rate",
    safety,
    policy: { retry: false, breaker: false, bulkhead: false, retryBudget: false, ...policy }
  })

/** Counts the permits that were neither settled nor cancelled. */
class Ledger implements Gate, Permit {
  readonly name = "ledger"
  readonly _tag = "Permit"
  out = 0
  readonly heard: Array<string> = []
  admit() {
    this.out++
    return this
  }
  settle(_: unknown, outcome: { readonly _tag: string }) {
    this.out--
    this.heard.push(outcome._tag)
  }
  cancel() {
    this.out--
    this.heard.push("cancelled")
  }
}

describe("a hedged call", () => {
  it.effect("gets a second attempt when it is slow; the faster answer wins and the other is cancelled", () =>
    Effect.gen(function*() {
      const { leaf, seen } = vendor((index) => index === 0 ? "never" : { after: 10 })
      const ledger = new Ledger()
      const exit = yield* played(stack({ hedge: { after: 100 }, gates: { attempt: [ledger] } }).call(leaf))
      assert.deepStrictEqual(exit, Exit.succeed("answer 1"))
      assert.deepStrictEqual(seen, [{ at: 0, end: "cancelled" }, { at: 100, end: "answered" }])
      // The loser is no evidence about the vendor.
      assert.deepStrictEqual([ledger.out, ledger.heard.toSorted()], [0, ["Ignored", "Success"]])
    }))

  it.effect("gets no second attempt when it is fast", () =>
    Effect.gen(function*() {
      const { leaf, seen } = vendor(() => ({ after: 99 }))
      yield* played(stack({ hedge: { after: 100 } }).call(leaf))
      assert.deepStrictEqual(seen, [{ at: 0, end: "answered" }])
    }))

  it.effect.each<readonly [string, Hedge.HedgeOptions, (index: number) => Play, begins: ReadonlyArray<number>]>([
    ["all at once", { after: 0, hedges: 2 }, () => ({ after: 50 }), [0, 0, 0]],
    ["one after the other, until one answers", { after: 100, hedges: 3 }, () => "never", [0, 100, 200, 300]],
    ["as a function says", { after: (n) => n * 100, hedges: 3 }, () => "never", [0, 100, 300, 600]],
    [
      "only on failure",
      { after: "OnFailure", hedges: 3 },
      (index) => index < 2 ? { after: 10, reason: new Unavailable(503) } : { after: 30 },
      [0, 10, 20]
    ],
    [
      "at once on failure, but only after all running attempts have failed",
      { after: 100, hedges: 3 },
      (index) =>
        index === 0
          ? { after: 120, reason: new Unavailable(503) }
          : index === 1
          ? { after: 30, reason: new Unavailable(503) }
          : { after: 10 },
      [0, 100, 130]
    ],
    [
      "after the same delay when the previous one began on failure",
      { after: 100, hedges: 3 },
      (index) => index === 0 ? { after: 20, reason: new Unavailable(503) } : "never",
      [0, 20, 120, 220]
    ]
  ])("begins %s", ([, hedge, plays, begins]) =>
    Effect.gen(function*() {
      const { leaf, seen } = vendor(plays)
      yield* played(stack({ hedge, deadline: "3 seconds" }).call(leaf))
      assert.deepStrictEqual(seen.map(({ at }) => at), begins)
      assert.notInclude(seen.map(({ end }) => end), "running")
    }))

  it.effect("fails as its first attempt did when all have failed", () =>
    Effect.gen(function*() {
      const { leaf } = vendor((index) =>
        index === 0 ? { after: 150, reason: new Unavailable(500) } : { after: 100, reason: new Unavailable(502) }
      )
      const error: VendorError = yield* Effect.flip(yield* played(stack({ hedge: { after: 100 } }).call(leaf)))
      assert.deepStrictEqual(error.reason, new Unavailable(500))
      assert.strictEqual(error.attempts, 2)
      assert.strictEqual(error.fate, "Unknown")
    }))

  it.effect("ends with a final failure, even if other attempts are running", () =>
    Effect.gen(function*() {
      const { leaf, seen } = vendor((index) =>
        index === 0 ? "never" : { after: 10, reason: new InvalidResponse(200, "not JSON") }
      )
      const error: VendorError = yield* Effect.flip(
        yield* played(stack({ hedge: { after: 100, hedges: 5 } }).call(leaf))
      )
      assert.strictEqual(error.reason._tag, "InvalidResponse")
      assert.deepStrictEqual(seen.map(({ end }) => end), ["cancelled", "failed"])
    }))

  it.effect("is repeated as a whole by a retry", () =>
    Effect.gen(function*() {
      const { leaf, seen } = vendor((index) => index < 4 ? { after: 10, reason: new Unavailable(503) } : { after: 10 })
      const exit = yield* played(
        stack({ hedge: { after: "OnFailure" }, retry: { retries: 3, base: 0 } }).call(leaf)
      )
      assert.deepStrictEqual(exit, Exit.succeed("answer 4"))
      assert.strictEqual(seen.length, 5)
    }))

  it.effect.each<readonly [Safety, keyed: boolean, attempts: number]>([
    ["Idempotent", false, 2],
    ["Keyed", false, 1],
    ["Keyed", true, 2],
    ["Unsafe", true, 1]
  ])("that is %s, keyed: %s, makes %d attempts", ([safety, keyed, attempts]) =>
    Effect.gen(function*() {
      const { leaf, seen } = vendor(() => ({ after: 200 }))
      yield* played(stack({ hedge: { after: 100, keyed } }, safety).call(leaf))
      assert.strictEqual(seen.length, attempts)
    }))

  it.effect("is hedged only while the retry budget pays for it", () =>
    Effect.gen(function*() {
      const { leaf, seen } = vendor(() => ({ after: 200 }))
      const retryBudget = RetryBudget.make({ ratio: 0.1, reserve: 3, perSecond: 0 })
      const hedged = stack({ hedge: { after: 100 }, retryBudget })
      for (let call = 0; call < 100; call++) yield* played(hedged.call(leaf))
      assert.strictEqual(seen.length, 100 + 3 + 9)
    }))

  it.effect("is hedged on failure only while the budget pays for it", () =>
    Effect.gen(function*() {
      const { leaf, seen } = vendor(() => ({ after: 1, reason: new Unavailable(503) }))
      const retryBudget = RetryBudget.make({ ratio: 0, reserve: 3, perSecond: 0 })
      const hedged = stack({ hedge: { after: "OnFailure", hedges: 2 }, retryBudget })
      for (let call = 0; call < 10; call++) yield* played(hedged.call(leaf))
      assert.strictEqual(seen.length, 10 + 3)
    }))

  it.effect("is not affected by a second attempt that our own gates refuse", () =>
    Effect.gen(function*() {
      const { leaf, seen } = vendor(() => ({ after: 200 }))
      const rateLimit = RateLimit.make({ limit: 1, window: "5 minutes", queue: 0 })
      const hedged = stack({ hedge: { after: 100 }, rateLimit })
      assert.deepStrictEqual(yield* played(hedged.call(leaf)), Exit.succeed("answer 0"))
      const error: VendorError = yield* Effect.flip(yield* played(hedged.call(leaf)))
      assert.strictEqual(error.reason._tag, "RateLimitExceeded")
      assert.strictEqual(seen.length, 1)
    }))

  it.effect("gives back the queue place of the attempt that was not needed", () =>
    Effect.gen(function*() {
      const rateLimit = RateLimit.make({ limit: 1, window: "5 seconds", maxWait: "1 minute" })
      const { leaf, seen } = vendor(() => ({ after: 200 }))
      const hedged = stack({ hedge: { after: 100 }, rateLimit })
      const fiber = yield* Effect.forkChild(hedged.call(leaf))
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(rateLimit.waiting("acme"), 1)
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(yield* Fiber.join(fiber), "answer 0")
      assert.strictEqual(rateLimit.waiting("acme"), 0)
      assert.strictEqual(seen.length, 1)
    }))

  it.live("leaves no timer behind", () =>
    Effect.gen(function*() {
      const timers = yield* OwnTimers.watched
      const { leaf } = vendor(() => ({ after: 20 }))
      // The second attempt waits for a permit and the third for its time, when the first is answered.
      const hedge = { hedges: 2, after: (hedge: number) => hedge === 1 ? 1 : 10_000 }
      for (let call = 0; call < 5; call++) {
        const rateLimit = RateLimit.make({ limit: 1, window: "5 seconds", maxWait: "1 minute" })
        yield* stack({ hedge, rateLimit, deadline: "1 minute", attemptTimeout: "1 minute" }).call(leaf)
      }
      // The wheel that all timeouts share turns once more before it finds that it is empty.
      yield* until("no timer is left", () => timers.size === 0)
    }).pipe(Effect.scoped))

  it("learns from each operation separately, with the vendor's settings or its own", () => {
    const vendor: Policy.Policy = { hedge: { after: { minimumAnswers: 1 } } }
    const shared = Order.makeGates(vendor)
    const one = Order.overrideGates(shared, vendor, undefined)
    const another = Order.overrideGates(shared, vendor, undefined)
    const other = Order.overrideGates(shared, vendor, { deadline: "1 minute" })
    one.hedge!.record(10, 0)
    assert.isBelow(one.hedge!.delay(1, 0), Infinity)
    assert.strictEqual(another.hedge!.delay(1, 0), Infinity)
    assert.strictEqual(other.hedge!.delay(1, 0), Infinity)
    assert.isUndefined(Order.overrideGates(shared, vendor, { hedge: false }).hedge)
    assert.strictEqual(Order.overrideGates(shared, vendor, { hedge: { after: 7 } }).hedge!.delay(1, 0), 7)
  })

  it.effect("is not hedged once its deadline has passed, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const { leaf, seen } = vendor(() => "never")
      const ledger = new Ledger()
      const hedged = stack({ hedge: { after: 100, hedges: 9 }, gates: { attempt: [ledger], operation: [ledger] } })
      const error: VendorError = yield* Effect.flip(
        yield* played(hedged.call(leaf).pipe(Deadline.within("250 millis")))
      )
      assert.strictEqual(error.reason._tag, "DeadlineExceeded")
      assert.deepStrictEqual(seen.map(({ at }) => at), [0, 100, 200])
      assert.strictEqual(ledger.out, 0)
      assert.notInclude(seen.map(({ end }) => end), "running")
    }))

  it.effect.prop(
    "gives back every permit and cancels every attempt, for any outcomes and any time its caller leaves",
    {
      plays: Schema.Array(Schema.Struct({
        after: intBetween(1, 300),
        kind: Schema.Literals(["answered", "failed", "final", "never"])
      })).check(Schema.isBetweenLength(1, 8)),
      after: Schema.Literals([0, 50, 100]),
      hedges: intBetween(1, 4),
      leaves: intBetween(0, 400)
    },
    Effect.fnUntraced(function*({ after, hedges, leaves, plays }) {
      const { leaf, seen } = vendor((index) => {
        const { after, kind } = plays[index % plays.length]!
        switch (kind) {
          case "answered":
            return { after }
          case "failed":
            return { after, reason: new Unavailable(503) }
          case "final":
            return { after, reason: new InvalidResponse(200, "not JSON") }
          case "never":
            return "never"
        }
      })
      const ledger = new Ledger()
      const policy = {
        hedge: { after, hedges },
        gates: { attempt: [ledger], operation: [ledger] },
        retry: { retries: 1, base: 10 }
      }
      const fiber = yield* Effect.forkChild(Effect.exit(stack(policy).call(leaf)))
      yield* TestClock.adjust(leaves)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(ledger.out, 0)
      assert.notInclude(seen.map(({ end }) => end), "running")
      const before = seen.length
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(seen.length, before)
    }),
    { arbitrary: { runs: Effort.runs(300) } }
  )

  /** Consecutive calls to a vendor that takes 10 ms for 98 of 100 calls, and a second for the others. */
  const tail = (policy: Policy.Policy, calls: number, slow: number) =>
    Effect.gen(function*() {
      const plays = yield* Effect.all(Array.from({ length: calls * 3 }, () => Random.next))
      const { leaf, seen } = vendor((index) => ({ after: plays[index]! < slow ? 1_000 : 10 }))
      const hedged = stack({ deadline: "5 seconds", ...policy })
      const took: Array<number> = []
      for (let call = 0; call < calls; call++) {
        const fiber = yield* Effect.forkChild(hedged.call(leaf))
        let waited = 0
        for (const step of [10, 1, 9, 10, 970]) {
          if (fiber.pollUnsafe() !== undefined) break
          yield* TestClock.adjust(step)
          waited += step
        }
        yield* Fiber.join(fiber)
        took.push(waited)
      }
      took.sort((a, b) => a - b)
      const at = (share: number) => took[Math.ceil(share * calls) - 1]!
      return { p50: at(0.5), p95: at(0.95), p99: at(0.99), attempts: seen.length }
    }).pipe(Random.withSeed("tail"))

  it.effect(
    "cuts the tail of a vendor that is slow for 2 % below twice its p95 and median, with at most 5 % more attempts",
    () =>
      Effect.gen(function*() {
        const calls = 4_000
        const plain = yield* tail({}, calls, 0.02)
        assert.deepInclude(plain, { p50: 10, p95: 10, p99: 1_000, attempts: calls })
        const { attempts, p50, p95, p99 } = yield* tail({ hedge: {} }, calls, 0.02)
        assert.isBelow(p99, 2 * (p95 + p50))
        assert.isAtMost(attempts, calls * 1.05)
      })
  )

  it.effect("adds no more than its budget when everything is slow", () =>
    Effect.gen(function*() {
      const calls = 300
      const retryBudget = { ratio: 0.1, reserve: 10, perSecond: 0 }
      const { attempts } = yield* tail({ hedge: { after: 100 }, retryBudget }, calls, 1)
      assert.isAtMost(attempts, calls + 10 + calls * 0.1)
      assert.isAtLeast(attempts, calls + 10 + calls * 0.1 - 1)
    }))
})

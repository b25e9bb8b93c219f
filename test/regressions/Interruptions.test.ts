/**
 * A caller that leaves at the wrong moment: an interruption while a permit, a probe, a lead or a secret passes from one
 * step to the next. Found by forcing a yield at each step in turn: a claimed permit was a value that nobody held, and the
 * probe of a failover stayed taken for ever.
 */
import * as ResponseCache from "@breakwater/core/caching/ResponseCache"
import * as RefreshingCredentials from "@breakwater/core/credentials/RefreshingCredentials"
import type { Source } from "@breakwater/core/credentials/Source"
import * as Failover from "@breakwater/core/degradation/Failover"
import { CacheStore, type Store } from "@breakwater/core/fleet/CacheStore"
import type { Gate, Permit } from "@breakwater/core/Gate"
import * as AdaptiveLimit from "@breakwater/core/policies/AdaptiveLimit"
import * as Breaker from "@breakwater/core/policies/Breaker"
import * as Bulkhead from "@breakwater/core/policies/Bulkhead"
import * as RateLimit from "@breakwater/core/policies/RateLimit"
import * as Throttle from "@breakwater/core/policies/Throttle"
import type * as Policy from "@breakwater/core/stack/Policy"
import * as Stack from "@breakwater/core/stack/Stack"
import { Unavailable, VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import { vendor } from "../drivers/PlayedVendor.ts"
import { interruptedAt } from "../drivers/YieldOnce.ts"

/** A gate that lets calls wait, and counts what is held. */
class Turnstile implements Gate, Permit {
  readonly name = "turnstile"
  readonly _tag = "Permit"
  held = 0
  admit() {
    this.held++
    return {
      _tag: "Wait" as const,
      limitMillis: 1_000,
      onTurn: (turn: (delay: number) => void) => turn(5),
      claim: () => this,
      cancel: () => {
        this.held--
      },
      expired: () => assert.fail("the turn comes before the limit")
    }
  }
  settle() {
    this.held--
  }
  cancel() {
    this.held--
  }
}

interface Scenario {
  /** The effect that is interrupted. */
  readonly effect: Effect.Effect<unknown, unknown>
  /** What is still held afterwards; none of it may be. */
  readonly held: () => Readonly<Record<string, number>>
  /** Whether something is free for others afterwards that is held by nobody who could be counted. @default true */
  readonly isFree?: Effect.Effect<boolean, unknown>
}

/** Calls of a stack, one of them before the one that is interrupted, so that it has to wait. */
const calls = (policy: Policy.Policy, held: Scenario["held"], plays?: Parameters<typeof vendor>[0]) =>
  Effect.gen(function*() {
    const { leaf } = vendor(plays ?? (() => ({ after: 10 })))
    const stack = Stack.make({
      vendor: "acme",
      operation: "ring",
      safety: "Idempotent",
      policy: { breaker: false, bulkhead: false, retryBudget: false, ...policy }
    })
    yield* Effect.forkChild(Effect.exit(stack.call(leaf)))
    yield* Effect.yieldNow
    return { effect: stack.call(leaf), held }
  })

const failing = (reason = new Unavailable(503)) => (index: number) =>
  index === 0 ? { after: 10, reason } : { after: 10 }

const scenarios: Readonly<Record<string, () => Effect.Effect<Scenario>>> = {
  "a place in a bulkhead": () => {
    const bulkhead = Bulkhead.make({ limit: 1 })
    return calls({ bulkhead }, () => ({ ...bulkhead.inUse("acme") }))
  },
  "a permit of a rate limit": () => {
    const rateLimit = RateLimit.make({ limit: 1, window: "20 millis" })
    return calls({ rateLimit }, () => ({ waiting: rateLimit.waitingIn("acme") }))
  },
  "a place of an adaptive limit": () => {
    const adaptiveLimit = AdaptiveLimit.make({ initialLimit: 1, maxLimit: 1 })
    return calls({ adaptiveLimit }, () => {
      const { running, waiting } = adaptiveLimit.inUse("acme")
      return { running, waiting }
    })
  },
  "a place of an adaptive limit that is given back for a permit": () => {
    const adaptiveLimit = AdaptiveLimit.make({ initialLimit: 1, maxLimit: 1 })
    const rateLimit = RateLimit.make({ limit: 1, window: "20 millis" })
    return calls({ adaptiveLimit, rateLimit }, () => {
      const { running, waiting } = adaptiveLimit.inUse("acme")
      return { running, waiting: waiting + rateLimit.waitingIn("acme") }
    })
  },
  "the permits of gates of one's own, in both rings": () => {
    const [operation, attempt] = [new Turnstile(), new Turnstile()]
    return calls(
      { gates: { operation: [operation], attempt: [attempt] } },
      () => ({ operation: operation.held, attempt: attempt.held })
    )
  },
  "a place while a call is retried": () => {
    const [operation, attempt] = [new Turnstile(), new Turnstile()]
    return calls(
      { gates: { operation: [operation], attempt: [attempt] }, throttle: Throttle.make() },
      () => ({ operation: operation.held, attempt: attempt.held }),
      failing()
    )
  },
  "the places of a hedged call": () => {
    const [operation, attempt] = [new Turnstile(), new Turnstile()]
    return calls(
      { gates: { operation: [operation], attempt: [attempt] }, hedge: { after: 3, hedges: 2 } },
      () => ({ operation: operation.held, attempt: attempt.held })
    )
  },
  "the probe of a breaker": () =>
    Effect.gen(function*() {
      const breaker = Breaker.make({ trip: { _tag: "Consecutive", failures: 1 }, openFor: "1 second" })
      const { leaf } = vendor(failing())
      const turnstile = new Turnstile()
      const stack = Stack.make({
        vendor: "acme",
        operation: "ring",
        safety: "Idempotent",
        policy: { breaker, retry: false, gates: { attempt: [turnstile] } }
      })
      const opening = yield* Effect.forkChild(Effect.exit(stack.call(leaf)))
      yield* TestClock.adjust("2 seconds")
      assert.isDefined(opening)
      return {
        effect: stack.call(leaf),
        held: () => ({ probing: breaker.probing("acme/ring"), turnstile: turnstile.held })
      }
    }),
  "the probe of a failover": () =>
    Effect.gen(function*() {
      const failover = Failover.make({ failures: 1, stayAway: "1 second", answers: 1 })
      const error = new VendorError({
        vendor: "north",
        operation: "ring",
        safety: "Idempotent",
        reason: new Unavailable(503)
      })
      const south = Effect.succeed("south")
      yield* failover.call({ north: Effect.fail(error), south }).pipe(Effect.orDie)
      yield* TestClock.adjust("2 seconds")
      const north = Effect.as(Effect.sleep(5), "north")
      return {
        effect: failover.call({ north, south }),
        held: () => ({}),
        // A vendor whose probe is taken for ever is never called first again.
        isFree: Effect.map(failover.call({ north: Effect.succeed("north"), south }), (first) => first === "north")
      }
    }),
  "the lead of a load that others wait for": () =>
    Effect.gen(function*() {
      const cache = yield* ResponseCache.make<number, never>({ vendor: "acme", operation: "rate", fresh: "1 hour" })
      const lookup = cache.lookup("EUR", () => Effect.as(Effect.sleep(10), { value: 1 }))
      return {
        // Another caller joins the load.
        effect: Effect.andThen(Effect.forkDetach(Effect.delay(lookup, 5)), lookup),
        held: () => ({}),
        isFree: Effect.map(lookup, (value) => value === 1)
      }
    }).pipe(Effect.provideService(Scope.Scope, Scope.makeUnsafe())),
  "the lead of a load for all processes": () =>
    Effect.gen(function*() {
      let leads = 0
      const store: Store = {
        read: () => Effect.as(Effect.yieldNow, undefined),
        write: () => Effect.yieldNow,
        remove: () => Effect.void,
        lead: () =>
          Effect.map(Effect.yieldNow, () => {
            leads++
            return Effect.sync(() => void leads--)
          })
      }
      const cache = yield* ResponseCache.make<number, never>(
        { vendor: "acme", operation: "rate", fresh: "1 hour" },
        { name: "acme/rate/1", codec: { encode: String, decode: Number } }
      ).pipe(Effect.provideService(CacheStore, store))
      return {
        effect: cache.lookup("EUR", () => Effect.as(Effect.sleep(10), { value: 1 })),
        held: () => ({ leads })
      }
    }).pipe(Effect.provideService(Scope.Scope, Scope.makeUnsafe())),
  "a secret that others wait for": () =>
    Effect.gen(function*() {
      const value = Redacted.make("a secret of a test")
      const source: Source = { name: "slow", fetch: () => Effect.as(Effect.sleep(10), { value }) }
      const credentials = yield* RefreshingCredentials.make(source)
      const read = credentials.read({ vendor: "acme", key: "" })
      return {
        effect: Effect.andThen(Effect.forkDetach(Effect.delay(read, 5)), read),
        held: () => ({}),
        isFree: Effect.map(read, (found) => found === value)
      }
    }).pipe(Effect.provideService(Scope.Scope, Scope.makeUnsafe()))
}

describe("an interruption at any step", () => {
  it.effect.each(Object.entries(scenarios))("gives back %s", ([, make]) =>
    Effect.gen(function*() {
      let steps = 0
      for (let step = 1;; step++) {
        const { effect, held, isFree } = yield* make()
        const { exit, wasInterrupted } = yield* interruptedAt(step, effect)
        const left = Object.entries(held()).filter(([, count]) => count !== 0)
        assert.deepStrictEqual(left, [], `after an interruption at step ${step}`)
        if (isFree !== undefined) {
          const asking = yield* Effect.forkChild(isFree)
          yield* TestClock.adjust("1 minute")
          assert.isTrue(yield* Fiber.join(asking), `after an interruption at step ${step}`)
        }
        if (!wasInterrupted) {
          assert.isTrue(Exit.isSuccess(exit), "without an interruption")
          break
        }
        assert.isTrue(Exit.isFailure(exit) && Exit.hasInterrupts(exit), `step ${step}`)
        steps++
      }
      assert.isAbove(steps, 1)
    }))
})

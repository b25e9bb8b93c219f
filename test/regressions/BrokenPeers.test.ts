/**
 * One process of a fleet whose own network is broken: by its word alone it kept processes away that the vendor answered,
 * again and again, and one that calls rarely for good.
 */
import * as Breaker from "@breakwater/core/policies/Breaker"
import { Unavailable } from "@breakwater/core/Reason"
import * as Stack from "@breakwater/core/stack/Stack"
import { isVendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Random } from "effect"
import { TestClock } from "effect/testing"
import * as SharedStores from "../fakes/SharedStores.ts"
import * as Effort from "../setup/Effort.ts"

interface Play {
  /** Number of healthy processes. */
  readonly healthy: number
  /** Time between two calls of a healthy process, in milliseconds. */
  readonly every: number
  /** Share of the calls of a healthy process that fail. */
  readonly failing: number
  /** The second before which the vendor answers nobody. */
  readonly from?: number
}

/** The share of the healthy processes' calls that their breakers refuse, from the tenth minute on. */
const refusedShare = ({ every, failing, from = 0, healthy }: Play) =>
  Effect.gen(function*() {
    const stores = yield* SharedStores.make({ processes: healthy + 1 })
    const clock = yield* Effect.clockWith(Effect.succeed)
    const now = () => clock.currentTimeMillisUnsafe() / 1_000
    let [calls, refused] = [0, 0]
    const process = (attempt: Effect.Effect<void, string>, pause: number, isCounted: boolean) =>
      Effect.gen(function*() {
        const breaker = Breaker.make()
        yield* stores.join(breaker.share)
        const policy = { breaker, retry: false } as const
        const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent", policy })
        const ring = stack.guard(attempt, () => new Unavailable(503))
        const round = Effect.gen(function*() {
          const error = yield* Effect.match(ring, { onFailure: (error) => error, onSuccess: () => undefined })
          if (isCounted && now() >= 600) {
            calls++
            if (isVendorError(error) && error.reason._tag === "CircuitOpen") refused++
          }
          yield* Effect.sleep(pause)
        })
        yield* Effect.forkScoped(Effect.forever(round))
      })
    const well = Effect.flatMap(Random.next, (random) => {
      if (now() < from) return Effect.fail("down")
      return random < failing ? Effect.fail("busy") : Effect.void
    })
    yield* process(Effect.fail("unreachable"), 70, false)
    for (let i = 0; i < healthy; i++) yield* process(well, every * (1 + i / 10), true)
    yield* TestClock.adjust(Effort.isAtLeast("check") ? "30 minutes" : "12 minutes")
    return refused / calls
  }).pipe(Effect.scoped, Random.withSeed("peers"))

describe("a fleet in which one process cannot reach the vendor", () => {
  it.effect("keeps no process away whose calls are answered", () =>
    Effect.gen(function*() {
      assert.isAtMost(yield* refusedShare({ healthy: 1, every: 100, failing: 0.1 }), 0.01)
    }))

  it.effect.each(Effort.everyNth<readonly [string, Play]>(2, [
    ["one that calls every second", { healthy: 1, every: 1_000, failing: 0.1 }],
    ["one of five", { healthy: 5, every: 333, failing: 0.2 }],
    ["after an outage for all", { healthy: 1, every: 900, failing: 0, from: 60 }],
    ["one that calls rarely, after an outage for all", { healthy: 1, every: 20_000, failing: 0, from: 90 }]
  ]))("keeps hardly any call of a healthy process away: %s", ([, play]) =>
    Effect.gen(function*() {
      assert.isAtMost(yield* refusedShare(play), 0.05)
    }))
})

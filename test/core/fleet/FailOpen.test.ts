import { FailOpen } from "@breakwater/core/fleet/FailOpen"
import * as Timeline from "@breakwater/core/Timeline"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Random } from "effect"
import { TestClock } from "effect/testing"

const bypass = () => new FailOpen({ what: "the store", timeoutMillis: 100, pauseMillis: 1_000 })

/** The answer of a store, or `"none"` when it is bypassed. */
const ask = (failOpen: FailOpen, store: Effect.Effect<string, string>) =>
  Effect.withFiber((fiber) => failOpen.ask(Timeline.of(fiber), "read", () => store, "none"))

const noJitter = Effect.provideService(Random.Random, { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => 0 })

describe("a store that may fail", () => {
  it.effect("is asked, and is not bypassed while it answers", () =>
    Effect.gen(function*() {
      const failOpen = bypass()
      assert.strictEqual(yield* ask(failOpen, Effect.succeed("well")), "well")
      assert.strictEqual(failOpen.count, 0)
    }))

  it.effect("is bypassed when it fails, and during its pause; each time counts", () =>
    Effect.gen(function*() {
      const failOpen = bypass()
      assert.strictEqual(yield* ask(failOpen, Effect.fail("down")), "none")
      assert.strictEqual(failOpen.count, 1)
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(yield* ask(failOpen, Effect.succeed("well")), "none")
      assert.strictEqual(failOpen.count, 2)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* ask(failOpen, Effect.succeed("well")), "well")
      assert.strictEqual(failOpen.count, 2)
    }).pipe(noJitter))

  it.effect("is bypassed when it takes longer than its timeout", () =>
    Effect.gen(function*() {
      for (const [takes, answer] of [[99, "well"], [101, "none"]] as const) {
        const failOpen = bypass()
        const asked = yield* Effect.forkChild(ask(failOpen, Effect.delay(Effect.succeed("well"), takes)))
        yield* TestClock.adjust(200)
        assert.strictEqual(yield* Fiber.join(asked), answer)
        assert.strictEqual(failOpen.count, answer === "none" ? 1 : 0)
      }
    }))

  it.effect("is not said to be down because its caller left", () =>
    Effect.gen(function*() {
      const failOpen = bypass()
      const asked = yield* Effect.forkChild(ask(failOpen, Effect.never))
      yield* TestClock.adjust(50)
      yield* Fiber.interrupt(asked)
      assert.strictEqual(failOpen.count, 0)
      assert.isFalse(failOpen.isQuiet(0))
    }))
})

import * as Deadline from "@breakwater/core/Deadline"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"

const left = Effect.map(Deadline.remaining, Duration.toMillis)

describe("Deadline", () => {
  it.effect("is shortened by an inner one, and never lengthened", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* left.pipe(Deadline.within("2 seconds"), Deadline.within("5 seconds")), 2_000)
      assert.strictEqual(yield* left.pipe(Deadline.within("5 seconds"), Deadline.within("2 seconds")), 2_000)
    }))

  it.effect("is inherited by a detached fibre, unless that leaves it behind", () =>
    Effect.gen(function*() {
      const later = Effect.andThen(Effect.sleep("1 minute"), left)
      const fibers = yield* Effect.all([Effect.forkDetach(later), Effect.forkDetach(Deadline.none(later))]).pipe(
        Deadline.within("2 seconds")
      )
      yield* TestClock.adjust("1 minute")
      const [bound, free] = fibers
      assert.strictEqual(yield* Fiber.join(bound), 0)
      assert.strictEqual(yield* Fiber.join(free), Infinity)
    }))
})

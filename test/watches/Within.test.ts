import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { within } from "./Within.ts"

/** Stops this process for a while, as a busy machine does. */
const stall = (millis: number) => {
  const until = performance.now() + millis
  while (performance.now() < until);
}

describe("within", () => {
  it.live("lets a call be that ends before its limit", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* within("1 second")(Effect.as(Effect.sleep("20 millis"), "ended")), "ended")
    }))

  it.live("fails a call that does not end", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(within("50 millis")(Effect.never))
      assert.isTrue(Exit.hasDies(exit))
      assert.include(String(exit), "it took longer than 50ms")
    }))

  it.live("is not broken by a process that stands still for longer than the limit", () =>
    Effect.gen(function*() {
      const call = Effect.andThen(Effect.sleep("20 millis"), Effect.sleep("20 millis"))
      setTimeout(() => stall(300), 10)
      yield* within("150 millis")(call)
    }))
})

import { Stack } from "@breakwater/core"
import type { Gate, Permit, Wait } from "@breakwater/core/Gate"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { setImmediate } from "node:timers/promises"

/** A gate at which every call waits, until its turn is called by hand. */
class Door implements Gate {
  readonly name = "door"
  claims = 0
  turn: ((delayMillis: number) => void) | undefined
  admit(): Wait {
    const permit: Permit = { _tag: "Permit", settle: () => {}, cancel: () => {} }
    return {
      _tag: "Wait",
      limitMillis: 60_000,
      onTurn: (turn) => {
        this.turn = turn
      },
      claim: () => {
        this.claims++
        return permit
      },
      cancel: () => {},
      expired: () => assert.fail("it does not wait that long")
    }
  }
}

/** Until everything that was put off for a turn of the event loop has run. */
const turns = Effect.promise(async () => {
  for (let i = 0; i < 3; i++) await setImmediate()
})

/** A call that waits at a door. */
const begun = Effect.gen(function*() {
  const door = new Door()
  const stack = Stack.make({
    vendor: "acme",
    operation: "ring",
    safety: "Idempotent",
    policy: { gates: { operation: [door] }, bulkhead: false }
  })
  const fiber = yield* Effect.forkChild(stack.guard(Effect.succeed("ding"), () => undefined), {
    startImmediately: true
  })
  yield* turns
  return { door, fiber }
})

describe("the turn of a call that waits", () => {
  it.live("is claimed once, and the call goes on", () =>
    Effect.gen(function*() {
      const { door, fiber } = yield* begun
      assert.strictEqual(door.claims, 0)
      door.turn!(0)
      assert.deepStrictEqual(yield* Fiber.await(fiber), Exit.succeed("ding"))
      assert.strictEqual(door.claims, 1)
    }))

  it.live("is not claimed for a call that left in the same moment", () =>
    Effect.gen(function*() {
      const { door, fiber } = yield* begun
      door.turn!(0)
      fiber.interruptUnsafe()
      yield* turns
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      assert.strictEqual(door.claims, 0)
    }))

  it.live("is not claimed before its delay, and at the last delay that was told", () =>
    Effect.gen(function*() {
      const { door, fiber } = yield* begun
      door.turn!(60_000)
      yield* turns
      assert.strictEqual(door.claims, 0)
      door.turn!(1)
      assert.deepStrictEqual(yield* Fiber.await(fiber), Exit.succeed("ding"))
      assert.strictEqual(door.claims, 1)
    }))
})

import { Stack } from "@breakwater/core"
import type { Gate } from "@breakwater/core/Gate"
import * as Timeline from "@breakwater/core/Timeline"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { setImmediate } from "node:timers/promises"

/** Nothing of this process runs for so long. */
const block = (millis: number) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis)

const turn = Effect.promise(() => setImmediate())

describe("the time that an attempt took", () => {
  it.live("is with all the time for which our event loop was not blocked", () =>
    Effect.gen(function*() {
      const timeline = yield* Effect.withFiber((fiber) => Effect.succeed(Timeline.of(fiber)))
      const took = new Array<number>()
      const gate: Gate = {
        name: "clock",
        admit: () => ({
          _tag: "Permit",
          settle: (_, { durationMillis }) => void took.push(durationMillis),
          cancel: () => assert.fail("it was sent")
        })
      }
      const end = new Array<() => void>()
      const stack = Stack.make({
        vendor: "acme",
        operation: "ring",
        safety: "Idempotent",
        policy: { gates: { attempt: [gate] } }
      })
      const fiber = yield* Effect.forkChild(
        stack.call<string, never>((attempt) => {
          end.push(() => attempt.answer(Exit.succeed("ding")))
          return () => {}
        }),
        { startImmediately: true }
      )
      const [from, blockedBefore] = [timeline.now(), timeline.blockedMillis(timeline.now())]
      // Too short to count as blocked, one by one.
      for (let i = 0; i < 6; i++) {
        block(20)
        yield* turn
      }
      block(300)
      while (timeline.blockedMillis(timeline.now()) - blockedBefore < 200) yield* turn
      end[0]!()
      yield* Fiber.join(fiber)
      const blocked = timeline.blockedMillis(timeline.now()) - blockedBefore
      const elapsed = timeline.now() - from
      // Where this process was often interrupted, all of it may count as blocked.
      assert.isAtLeast(took[0]!, Math.min(50, elapsed - blocked - 20))
    }))
})

import { Stack } from "@breakwater/core"
import { soon } from "@breakwater/core/Timeline/YieldQueue"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"

/** Runs until it is told to stop, and returns how many turns the event loop made meanwhile. */
const countTurns = () => {
  let turns = 0
  let isRunning = true
  const turn = () => {
    turns++
    if (isRunning) setImmediate(turn)
  }
  setImmediate(turn)
  return {
    sofar: () => turns,
    stop: () => {
      isRunning = false
    }
  }
}

describe("soon", () => {
  it("runs a few tasks per turn of the event loop, in order, whether they arrive together or one by one", async () => {
    for (const ask of ["together", "one by one"]) {
      // Earlier work is over.
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
      const turns = countTurns()
      const doneIn = await new Promise<ReadonlyArray<number>>((resolve) => {
        const doneIn: Array<number> = []
        const order: Array<number> = []
        const next = (index: number) => {
          order.push(index)
          doneIn.push(turns.sofar())
          if (doneIn.length === 200) {
            assert.deepStrictEqual(order, order.toSorted((a, b) => a - b))
            resolve(doneIn)
          } else if (ask === "one by one") soon(() => next(index + 1))
        }
        if (ask === "one by one") soon(() => next(0))
        else for (let index = 0; index < 200; index++) soon(() => next(index))
      })
      turns.stop()
      const perTurn = Map.groupBy(doneIn, (turn) => turn)
      for (const done of perTurn.values()) assert.isAtMost(done.length, 32)
      assert.isAtLeast(perTurn.size, 7)
    }
  })

  it("runs a single task before the next turn of the event loop", async () => {
    const turns = countTurns()
    await new Promise<void>((resolve) => soon(resolve))
    assert.strictEqual(turns.sofar(), 0)
    turns.stop()
  })

  it.live("lets the event loop turn while a long queue is served, even with a fast vendor", () =>
    Effect.gen(function*() {
      const stack = Stack.make({
        vendor: "acme",
        operation: "ring",
        safety: "Idempotent",
        policy: { bulkhead: { limit: 1, queue: 1_000 } }
      })
      let release: (() => void) | undefined
      const call = stack.call<number, never>((attempt) => {
        const answer = () => attempt.answer(Exit.succeed(1))
        if (release === undefined) release = answer
        else answer()
        return () => undefined
      })
      const turns = countTurns()
      setImmediate(() => release?.())
      yield* Effect.all(Array.from({ length: 1_000 }, () => call), { concurrency: "unbounded" })
      turns.stop()
      assert.isAtLeast(turns.sofar(), 30)
    }))
})

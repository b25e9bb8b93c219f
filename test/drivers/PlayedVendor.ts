/** A vendor that plays one script per attempt on virtual time, and the time in which a call to it ends. */
import type { Leaf } from "@breakwater/core/stack/Leaf"
import type { Reason } from "@breakwater/core/VendorError"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"

/** The script of an attempt: it answers or fails after some milliseconds, or never. */
export type Play = { readonly after: number; readonly reason?: Reason } | "never"

/** A vendor that follows one script per attempt, and records when each began and how it ended. */
export const vendor = (plays: (index: number) => Play) => {
  const seen: Array<{ at: number; end: string }> = []
  const leaf: Leaf<string, never> = (attempt) => {
    const index = seen.length
    const fiber = Effect.runForkWith(attempt.context)(Effect.gen(function*() {
      const mine = { at: yield* Effect.clockWith((clock) => clock.currentTimeMillis), end: "running" }
      seen.push(mine)
      const play = plays(index)
      attempt.phase("Headers")
      if (play === "never") return yield* Effect.never
      yield* Effect.sleep(play.after)
      mine.end = play.reason === undefined ? "answered" : "failed"
      if (play.reason === undefined) attempt.answer(Exit.succeed(`answer ${index}`))
      else attempt.fail(play.reason)
    }))
    return () => {
      const mine = seen[index]
      if (mine?.end === "running") mine.end = "cancelled"
      fiber.interruptUnsafe()
    }
  }
  return { seen, leaf }
}

/** Runs an effect to its end, on virtual time. */
export const played = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(Effect.exit(effect))
    yield* TestClock.adjust("1 minute")
    return yield* Fiber.join(fiber)
  })

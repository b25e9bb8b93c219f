/**
 * A limit that a busy machine cannot break: time in which the event loop of this process came round. Where the machine stops
 * the process for a while, the while counts as one tick; so a call whose own timers bite has ended before the limit is over.
 */
import { assert } from "@effect/vitest"
import { Duration, Effect } from "effect"

const tickMillis = 5

/** Turns of the event loop that a call may take to settle after the timer that ended it. */
const turnsToSettle = 20

/** Fails when the call takes longer than the limit. The limit has to leave room: it is no measure of how long a call takes. */
export const within = (limit: Duration.Input) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.raceFirst(self, over(limit))

const over = (limit: Duration.Input): Effect.Effect<never> =>
  Effect.callback<never>((resume) => {
    let left = Math.ceil(Duration.toMillis(limit) / tickMillis)
    let turns = turnsToSettle
    let isOver = false
    const settle = () => {
      if (isOver) return
      if (turns-- > 0) return void setImmediate(settle)
      resume(Effect.sync(() => assert.fail(`it took longer than ${Duration.format(Duration.fromInputUnsafe(limit))}`)))
    }
    const tick = () => {
      if (left-- > 0) timer = setTimeout(tick, tickMillis)
      else settle()
    }
    let timer = setTimeout(tick, tickMillis)
    return Effect.sync(() => {
      isOver = true
      clearTimeout(timer)
    })
  })

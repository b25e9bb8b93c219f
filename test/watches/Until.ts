/** Waiting by polling, with a limit. */
import { Duration, Effect } from "effect"
import { patience } from "./Patience.ts"

/** Waits, on the real clock, until a condition holds; dies when it does not in time. */
export const until = (
  what: string,
  condition: () => boolean
): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const due = performance.now() + Duration.toMillis(patience)
    const look = () => {
      if (condition()) return resume(Effect.void)
      if (performance.now() > due) return resume(Effect.die(new Error(`waited in vain until ${what}`)))
      timer = setTimeout(look, 1)
    }
    let timer: NodeJS.Timeout | undefined
    look()
    return Effect.sync(() => clearTimeout(timer))
  })

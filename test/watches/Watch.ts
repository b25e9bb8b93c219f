/** Waiting for a notification, with a limit, without polling or sleeping. */
import { Effect } from "effect"
import { patience } from "./Patience.ts"

export interface Watch {
  /** Notifies the waiters of a change, so that they check again. */
  readonly changed: () => void
  /** Waits, on the real clock, until a condition holds; dies when it does not in time. */
  readonly until: (what: string, isSo: () => boolean) => Effect.Effect<void>
}

export const make = (): Watch => {
  const looks = new Set<() => void>()
  return {
    changed() {
      for (const look of looks) look()
    },
    until: (what, isSo) =>
      Effect.callback<void>((resume) => {
        const look = () => {
          if (!isSo()) return
          looks.delete(look)
          resume(Effect.void)
        }
        looks.add(look)
        look()
        return Effect.sync(() => looks.delete(look))
      }).pipe(
        Effect.timeoutOrElse({
          duration: patience,
          orElse: () => Effect.die(new Error(`waited in vain until ${what}`))
        })
      )
  }
}

/** Waiting for a notification, with a limit, without polling or sleeping. */
import { Duration, Effect } from "effect"

export interface Watch {
  /** Notifies the waiters of a change, so that they check again. */
  readonly changed: () => void
  /** Waits, on the real clock, until a condition holds; dies when it does not in time. */
  readonly until: (what: string, isSo: () => boolean, limit?: Duration.Input) => Effect.Effect<void>
}

export const make = (): Watch => {
  const looks = new Set<() => void>()
  return {
    changed() {
      for (const look of looks) look()
    },
    until: (what, isSo, limit = Duration.seconds(30)) =>
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
        Effect.timeoutOrElse({ duration: limit, orElse: () => Effect.die(new Error(`waited in vain until ${what}`)) })
      )
  }
}

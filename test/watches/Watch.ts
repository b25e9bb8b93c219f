/** Waiting for what others bring about and tell of, with a limit: nobody polls, and nobody sleeps. */
import { Duration, Effect } from "effect"

export interface Watch {
  /** Something has changed: those who wait look again. */
  readonly changed: () => void
  /** Waits, on the real clock, until something is so; dies when it is not in time. */
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

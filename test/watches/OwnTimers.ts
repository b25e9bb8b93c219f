/** The timers that a test sets, apart from those of the runner and of other tests. */
import { Effect, type Scope } from "effect"

/** The timers that are set from here to the end of the scope, and have neither fired nor been cleared. */
export const watched: Effect.Effect<ReadonlySet<unknown>, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      const { clearTimeout, setTimeout } = globalThis
      const timers = new Set<unknown>()
      const set = (f: (...args: ReadonlyArray<unknown>) => void, millis?: number, ...args: ReadonlyArray<unknown>) => {
        const timer: unknown = setTimeout(() => {
          timers.delete(timer)
          f(...args)
        }, millis)
        timers.add(timer)
        return timer
      }
      const clear = (timer: Parameters<typeof clearTimeout>[0]) => {
        timers.delete(timer)
        clearTimeout(timer)
      }
      Object.assign(globalThis, { setTimeout: set, clearTimeout: clear })
      return { timers, restore: () => Object.assign(globalThis, { clearTimeout, setTimeout }) }
    }),
    ({ restore }) => Effect.sync(restore)
  ),
  ({ timers }) => timers
)

/** Memory that a process holds. */
import { Effect } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const gc: () => void = runInNewContext("gc")

/** Another thread frees buffers. Its work is done at the latest when the next collection begins. */
const collectGarbage = () => {
  gc()
  gc()
}

const memory = (): number => {
  // Buffers are part of external memory.
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
}

/** Runs an effect, and measures the extra memory at its peak and at its end. */
export const peakOf = <A, E, R>(effect: Effect.Effect<A, E, R>, withGarbage: boolean) =>
  Effect.suspend(() => {
    collectGarbage()
    const before = memory()
    let peak = before
    const timer = setInterval(() => {
      collectGarbage()
      peak = Math.max(peak, memory())
    }, 500)
    return Effect.map(Effect.ensuring(effect, Effect.sync(() => clearInterval(timer))), (value) => {
      if (!withGarbage) collectGarbage()
      return [value, Math.max(peak, memory()) - before] as const
    })
  })

/** Memory in use without garbage. */
export const heldBytes = Effect.sync(() => {
  collectGarbage()
  return memory()
})

/** How long this thread has waited for a processor that others had: on a busy machine their time is not taken for ours. */
import { openSync, readSync } from "node:fs"

const buffer = Buffer.alloc(64)

const open = (): number | undefined => {
  try {
    return openSync("/proc/thread-self/schedstat", "r")
  } catch {
    // There is none but on Linux.
    return undefined
  }
}

const file = open()

/** Milliseconds since the thread began; 0 where the system does not say. */
export const waited = (): number => {
  if (file === undefined) return 0
  const text = buffer.toString("latin1", 0, readSync(file, buffer, 0, buffer.length, 0))
  return Number(text.split(" ")[1]) / 1e6
}

/** Time that this thread waited for a processor, so that other processes' work on a busy machine is not counted as ours. */
import { openSync, readSync } from "node:fs"

const buffer = Buffer.alloc(64)

const open = (): number | undefined => {
  try {
    return openSync("/proc/thread-self/schedstat", "r")
  } catch {
    // The file exists only on Linux.
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

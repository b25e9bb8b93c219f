/** A cache with a million entries: what filling it costs, hits among them, making room, and its heap. */
import { heapInUse } from "../heap.ts"
import type { Contestant } from "./contestants.ts"

export interface Million {
  /** Nanoseconds of the main thread's CPU per question. */
  readonly fill: number
  readonly hit: number
  readonly evict: number
  /** Bytes of heap and buffers per entry; keys and answers are not counted. */
  readonly bytes: number
}

export const million = async (
  contestant: Contestant,
  keys: ReadonlyArray<string>,
  strangers: ReadonlyArray<string>,
  hits: number
): Promise<Million> => {
  const before = await heapInUse()
  const cache = await contestant.open(keys.length, { isSlow: false, loads: 0 })
  const timed = async (times: number, keyAt: (index: number) => string) => {
    const start = process.threadCpuUsage()
    await cache.each(times, keyAt)
    const { system, user } = process.threadCpuUsage(start)
    return (user + system) * 1_000 / times
  }
  const fill = await timed(keys.length, (index) => keys[index]!)
  const bytes = (await heapInUse() - before) / keys.length
  // A step without a common divisor with the number of keys, so that neighbours are not read in a row.
  const hit = await timed(hits, (index) => keys[index * 7_919 % keys.length]!)
  const evict = await timed(strangers.length, (index) => strangers[index]!)
  await cache.close()
  return { fill, hit, evict, bytes }
}

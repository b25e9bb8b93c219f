/** Heap of a million keys, and the longest delay that they cause for a single call. */
import type { Open } from "../cache/contestants.ts"
import { heapInUse } from "../heap.ts"
import { type Span, watchCollector } from "./collector.ts"
import type { Subject } from "./subjects.ts"
import { waited } from "./waiting.ts"

export interface Keys {
  /** Bytes per stored key, when all are stored, and when others have replaced some. */
  readonly filled: number
  readonly replaced: number
  /** Milliseconds of the slowest call while keys come, and while each takes the place of another. */
  readonly longestGrowing: number
  readonly longestEvicting: number
}

/** Keys after which all code is compiled. Our own judgement. */
const warmUp = 20_000

/** The largest number of repetitions. */
const mostRuns = 3

/**
 * Repeats a run while it has pauses longer than `limit`, in milliseconds. The time of a call is that of its fastest run:
 * a pause of the structure comes at the same call each time, a pause of the machine or the collector at another.
 */
export const measureKeys = async (
  subject: Subject,
  keys: ReadonlyArray<string>,
  strangers: ReadonlyArray<string>,
  limit: number
): Promise<Keys> => {
  const growing = new Float64Array(keys.length).fill(Infinity)
  const evicting = new Float64Array(strangers.length).fill(Infinity)
  const run = () => measureRun(subject, keys, strangers, growing, evicting)
  await measureRun(subject, keys.slice(0, warmUp), strangers.slice(0, warmUp))
  const { filled, replaced } = await run()
  const isLong = () => Math.max(longest(growing), longest(evicting)) > limit
  for (let runs = 1; runs < mostRuns && isLong(); runs++) await run()
  return { filled, replaced, longestGrowing: longest(growing), longestEvicting: longest(evicting) }
}

/** A separate function, so that its state is released before the next one. */
const measureRun = async (
  subject: Subject,
  keys: ReadonlyArray<string>,
  strangers: ReadonlyArray<string>,
  growing = new Float64Array(keys.length),
  evicting = new Float64Array(strangers.length)
) => {
  const before = await heapInUse()
  const each = await subject.open(keys.length)
  await timed(each, keys, growing)
  const filled = (await heapInUse() - before) / keys.length
  await timed(each, strangers, evicting)
  const replaced = (await heapInUse() - before) / keys.length
  // Without a use after it the state would be gone before it is counted.
  await each(1, () => keys[0]!)
  return { filled, replaced }
}

/** The shortest pause that is checked again, in milliseconds. */
const suspicious = 0.2

/** Keys per batch: an endless loop would be recompiled while it runs, which is a pause too. */
const batch = 997

/** Records the time of each key until the next one, if it is shorter than the recorded time. */
const timed = async (each: Open["each"], keys: ReadonlyArray<string>, fastest: Float64Array) => {
  const collector = watchCollector()
  const slow: Array<Span & { readonly index: number; readonly waited: number }> = []
  let lastWaited = waited()
  for (let from = 0; from < keys.length; from += batch) {
    let last = performance.now()
    await each(Math.min(batch, keys.length - from), (place) => {
      const now = performance.now()
      const index = from + place - 1
      if (place > 0 && now - last > suspicious) {
        const nowWaited = waited()
        slow.push({ index, from: last, to: now, waited: nowWaited - lastWaited })
        lastWaited = nowWaited
      } else if (place > 0 && now - last < fastest[index]!) fastest[index] = now - last
      last = now
      return keys[from + place]!
    })
  }
  await collector.settled()
  collector.stop()
  for (const span of slow) {
    fastest[span.index] = Math.min(fastest[span.index]!, Math.max(0, collector.own(span) - span.waited))
  }
}

const longest = (millis: Float64Array): number =>
  millis.reduce((most, next) => next === Infinity ? most : Math.max(most, next), 0)

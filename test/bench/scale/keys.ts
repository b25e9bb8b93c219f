/** Heap of a million keys, and the longest delay that they cause for a single call. */
import type { Open } from "../cache/contestants.ts"
import { heapInUse } from "../heap.ts"
import { type Span, watchCollector } from "./collector.ts"
import type { Subject } from "./subjects.ts"
import { waited } from "./waiting.ts"

export interface Keys {
  /** Bytes for each key that is remembered, when all have come, and when others have taken the place of some. */
  readonly filled: number
  readonly replaced: number
  /** Milliseconds of the slowest call while keys come, and while each takes the place of another. */
  readonly longestGrowing: number
  readonly longestEvicting: number
}

/** Keys after which all code is compiled. Our own judgement. */
const warmUp = 20_000

/** How often the same is done at most. */
const mostRuns = 3

/**
 * Does the same several times, as long as there are pauses longer than `limit`, in milliseconds. A call is as slow as in its fastest run: what the structure makes it do comes again each
 * time at the same call; what the machine and the collector do comes at another.
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

/** In a function of its own, so that nothing of it is held by the next. */
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

/** What may be a pause, in milliseconds; shorter ones are not looked at again. */
const suspicious = 0.2

/** Keys that are asked for in one go: a loop without end would be compiled anew while it runs, which is a pause as well. */
const batch = 997

/** Notes how long each key took until the next was asked for, where that was less than known. */
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

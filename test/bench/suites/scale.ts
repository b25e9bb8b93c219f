import { compare, rowOf } from "../compare.ts"
import { amount } from "../report.ts"
import { contender } from "../scale/growth.ts"
import { bytesInFlight, bytesOfFibres, settings } from "../scale/inFlight.ts"
import { type Keys, measureKeys } from "../scale/keys.ts"
import { crowd, crowds, type Pauses } from "../scale/queue.ts"
import { subjects } from "../scale/subjects.ts"
import type { Row, Suite } from "../Suite.ts"

/** Bytes. */
const mostPerCall = 1_800
const mostPerKey = 90
/** Milliseconds. */
const longestPause = 2
/** The largest number of crowds, until no pause is longer than that. Pauses of a busy machine are random. */
const mostRuns = 5
/** The largest extra cost of a call among many. Our own judgement: data beyond a processor's caches is fetched more slowly. */
const mostGrowth = 2

export const suite: Suite = {
  title: "Scale",
  about:
    "Growth with the load. The peer's column is our own limit, or the same cost with one vendor, operation and key. Heap is " +
    "counted after two full collections. A pause is the longest stop of the event loop, without the garbage collector's " +
    `part, which is listed below. A crowd of callers comes up to ${mostRuns} times, until no pause is longer than its limit, ` +
    "and the shortest is reported, because other processes on the machine make some pauses longer.",
  async run({ quick }) {
    const rows: Array<Row> = []
    const notes: Array<string> = []
    const limited = (name: string, unit: string, measured: number, limit: number) =>
      rows.push({ name, unit, ours: measured, peer: limit, ratio: measured / limit, bar: 1 })

    for (const calls of quick ? [1_000] : [10_000, 100_000]) {
      limited(`heap per call in flight at ${count(calls)}`, "bytes", await bytesInFlight(calls), mostPerCall)
    }
    notes.push(
      `A call in flight: ${settings}. An idle fibre takes ${amount(await bytesOfFibres(10_000))} bytes.`
    )

    const size = quick ? 20_000 : 1_000_000
    const keys = Array.from({ length: size }, (_, index) => `user-${index}`)
    const strangers = Array.from({ length: size / 5 }, (_, index) => `other-${index}`)
    const measured = new Map<string, Keys>()
    for (const subject of subjects) {
      measured.set(subject.name, await measureKeys(subject, keys, strangers, quick ? Infinity : longestPause))
    }
    for (const [name, { filled, replaced }] of measured) {
      limited(`heap per key at ${count(size)}, ${name}`, "bytes", Math.max(filled, replaced), mostPerKey)
    }
    for (const [name, { longestEvicting, longestGrowing }] of measured) {
      limited(`longest pause while ${count(size)} keys come, ${name}`, "ms", longestGrowing, longestPause)
      limited(`longest pause while keys are evicted, ${name}`, "ms", longestEvicting, longestPause)
    }
    notes.push(
      `A key has had one call. Beside the key itself; bytes when ${
        count(size)
      } have come, and when a fifth as many have`
        + ` taken the place of others: ${
          Array.from(measured, ([name, { filled, replaced }]) => `${name} ${amount(filled)} and ${amount(replaced)}`)
            .join(", ")
        }.`
    )

    const callers = quick ? 2_000 : 100_000
    for (const subject of crowds) {
      const runs: Array<Pauses> = []
      const least = (part: keyof Pauses) => Math.min(...runs.map((run) => run[part]))
      do {
        runs.push(await crowd(subject, callers))
      } while (
        runs.length < (quick ? 1 : mostRuns) && Math.max(least("coming"), least("leaving")) > longestPause
      )
      limited(
        `longest pause while ${count(callers)} callers come, ${subject.name}`,
        "ms",
        least("coming"),
        longestPause
      )
      limited(
        `longest pause while ${count(callers)} callers are let go, ${subject.name}`,
        "ms",
        least("leaving"),
        longestPause
      )
      notes.push(`${subject.name}: the collector's own longest pause was ${amount(least("collecting"))} ms.`)
    }

    const one = { vendors: 1, operations: 1, keys: 1 }
    for (
      const [name, many] of [
        ["1000 vendors", { ...one, vendors: 1_000 }],
        ["1000 operations of a vendor", { ...one, operations: 1_000 }],
        ["10 thousand keys of an operation", { ...one, keys: 10_000 }]
      ] as const
    ) {
      const [alone, among] = await compare(
        [contender("one", one), contender(name, many)],
        quick ? { rounds: 3, batchMillis: 20 } : { rounds: 9, batchMillis: 100 }
      )
      rows.push(rowOf(`a guarded call among ${name}, against one of everything`, among!, alone!, { bar: mostGrowth }))
    }
    return { rows, notes }
  }
}

const count = (number: number) =>
  number >= 1_000_000 ? `${number / 1_000_000} million` : number >= 1_000 ? `${number / 1_000} thousand` : `${number}`

import { Entry } from "@breakwater/core/caching/ResponseCache/Entry"
import { Shelf } from "@breakwater/core/caching/ResponseCache/Shelf"
import { LRUCache } from "lru-cache"
import { type Contestant, type Loading, ours, peers } from "../cache/contestants.ts"
import { type Million, million } from "../cache/million.ts"
import { compare, type Contender, rowOf } from "../compare.ts"
import { amount } from "../report.ts"
import type { Row, Suite } from "../Suite.ts"

const contestants: ReadonlyArray<Contestant> = [ours, ...peers]
/** Entries of the small cache: our default. */
const room = 10_000
const callers = 100

export const suite: Suite = {
  title: "Cache",
  about:
    "Cost of a cached answer beside the answer itself. Each cache is called in its own idiom (effects inside one program, "
    + "promises awaited in a loop), one call after the other: hits, misses in a full cache that evicts for each, and "
    + "stampedes of 100 callers for one key whose load takes a turn of the event loop, counted per caller. Then each holds "
    + "a million entries alone in the process.",
  async run({ quick }) {
    const options = quick ? { rounds: 3, batchMillis: 20 } : { rounds: 5, batchMillis: 40 }
    const stampedes = new Map<string, { readonly loading: Loading; asked: number }>()
    const rows: Array<Row> = []
    for (
      const [name, contend] of [
        ["hit", contendForHits],
        ["miss", contendForMisses],
        [`stampede of ${callers}, per caller`, (contestant: Contestant) => contendAtOnce(contestant, stampedes)]
      ] as const
    ) {
      const entered = await Promise.all(contestants.map(contend))
      const [mine, ...theirs] = await compare(entered.map(({ contender }) => contender), options)
      rows.push(...theirs.map((samples) => rowOf(`${name}, against ${samples.name}`, mine!, samples)))
      await Promise.all(entered.map(({ close }) => close()))
    }
    rows.push(...await storesAlone(options))
    const size = quick ? 20_000 : 1_000_000
    rows.push(...await manyEntries(size))
    return { rows, notes: [settings(), loadsTold(stampedes), manyTold(size)] }
  }
}

interface Entered {
  readonly contender: Contender
  readonly close: () => Promise<void>
}

const contendForHits = async (contestant: Contestant): Promise<Entered> => {
  const cache = await contestant.open(room, { isSlow: false, loads: 0 })
  const keys = Array.from({ length: 1_000 }, (_, index) => `user-${index}`)
  const keyAt = (index: number) => keys[index % keys.length]!
  await cache.each(keys.length, keyAt)
  return { contender: { name: contestant.name, run: (times) => cache.each(times, keyAt) }, close: cache.close }
}

const contendForMisses = async (contestant: Contestant): Promise<Entered> => {
  const cache = await contestant.open(room, { isSlow: false, loads: 0 })
  let next = 0
  const keyAt = () => `user-${next++}`
  await cache.each(room, keyAt)
  return { contender: { name: contestant.name, run: (times) => cache.each(times, keyAt) }, close: cache.close }
}

const contendAtOnce = async (
  contestant: Contestant,
  stampedes: Map<string, { readonly loading: Loading; asked: number }>
): Promise<Entered> => {
  const stampede = { loading: { isSlow: true, loads: 0 }, asked: 0 }
  stampedes.set(contestant.name, stampede)
  const cache = await contestant.open(room, stampede.loading)
  return {
    contender: {
      name: contestant.name,
      async run(times) {
        for (let herd = 0; herd < times / callers; herd++) await cache.atOnce(callers, `user-${stampede.asked++}`)
      }
    },
    close: cache.close
  }
}

/** Stores of the entries, without the loading: ours, and the store that three of the peers use. */
const storesAlone = async (options: { readonly rounds: number; readonly batchMillis: number }) => {
  const keys = Array.from({ length: 4 * room }, (_, index) => `user-${index}`)
  const value = {}
  const shelf = new Shelf<object, never>(room, Infinity, () => undefined)
  const lru = new LRUCache<string, object>({ max: room })
  for (const key of keys) {
    shelf.put(new Entry(key, value, 1, 0, 1))
    lru.set(key, value)
  }
  const over = (from: number, use: (key: string) => unknown) => (times: number) => {
    for (let index = 0; index < times; index++) use(keys[from + index % (keys.length - from)]!)
  }
  const [shelfGet, lruGet, shelfPut, lruPut] = await compare([
    { name: "Shelf", run: over(keys.length - room, (key) => shelf.get(key)) },
    { name: "lru-cache", run: over(keys.length - room, (key) => lru.get(key)) },
    { name: "Shelf", run: over(0, (key) => shelf.put(new Entry(key, value, 1, 0, 1))) },
    { name: "lru-cache", run: over(0, (key) => lru.set(key, value)) }
  ], options)
  return [
    rowOf("the store alone, get, against lru-cache", shelfGet!, lruGet!),
    rowOf("the store alone, put into a full one, against lru-cache", shelfPut!, lruPut!)
  ]
}

const manyEntries = async (size: number): Promise<ReadonlyArray<Row>> => {
  const keys = Array.from({ length: size }, (_, index) => `user-${index}`)
  const strangers = Array.from({ length: size / 20 }, (_, index) => `other-${index}`)
  const measured = new Map<string, Million>()
  for (const contestant of contestants) {
    measured.set(contestant.name, await million(contestant, keys, strangers, size / 20))
  }
  const mine = measured.get(ours.name)!
  const row = (name: string, unit: string, part: keyof Million) =>
    peers.map((peer): Row => {
      const theirs = measured.get(peer.name)!
      return {
        name: `${name}, against ${peer.name}`,
        unit,
        ours: mine[part],
        peer: theirs[part],
        ratio: mine[part] / theirs[part]
      }
    })
  const count = size === 1_000_000 ? "1 million" : String(size)
  return [
    ...row(`filling ${count} entries`, "ns CPU", "fill"),
    ...row(`hit among ${count} entries`, "ns CPU", "hit"),
    ...row(`miss that makes room among ${count} entries`, "ns CPU", "evict"),
    ...row(`heap per entry at ${count}`, "bytes", "bytes")
  ]
}

const settings = () =>
  [
    "Settings: all bounded by entries, ten minutes to live, one load for concurrent callers of a key.",
    "",
    ...contestants.map(({ name, settings }) => `- ${name}: ${settings}`)
  ].join("\n")

const loadsTold = (stampedes: ReadonlyMap<string, { readonly loading: Loading; readonly asked: number }>) =>
  `Loads made per stampede of ${callers}: ${
    Array.from(stampedes, ([name, { asked, loading }]) => `${name} ${amount(loading.loads / asked)}`).join(", ")
  }.`

const manyTold = (size: number) =>
  `The rows of ${
    size === 1_000_000 ? "1 million" : size
  } entries are one measurement each, not rounds: a million entries at a time are all that fits. Heap is counted after two`
  + " full collections, without the keys and the answer, which is one for all."

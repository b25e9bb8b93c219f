import { assert, describe, it } from "@effect/vitest"
import * as Effort from "../../setup/Effort.ts"
import { type Outage, outages, type Party, play, processes } from "./Outages.ts"

/** The calls and processes that a tier plays, and its seeds. The largest runs take minutes. */
const [rates, counts, mostCalls, seeds] = Effort.isAtLeast("long")
  ? [[0.1, 1, 10, 100], [1, 3, 5, 50], 5_000, [1, 2, 3]]
  : Effort.isAtLeast("check")
  ? [[0.1, 1, 10, 100], [1, 3, 5, 50], 100, [1, 2]]
  : [[1, 10], [1, 3], 10, [1]]
const trips = {
  "half of 30 s": {},
  "5 in a row": { trip: { _tag: "Consecutive" } }
} as const

/** The mean of the runs with all seeds. */
const mean = async (party: Party, outage: Outage, perSecond: number) => {
  let [answered, load, away] = [0, 0, 0]
  for (const seed of seeds) {
    const run = await play(party, outage, perSecond, seed)
    answered += run.answered / seeds.length
    load += run.load / seeds.length
    away = Math.max(away, run.away)
  }
  return { answered, load, away }
}

describe.each(outages)("after an outage of $name", (outage) => {
  for (const [trip, options] of Object.entries(trips)) {
    for (const rate of rates) {
      for (const count of counts.filter((count) => count * rate <= mostCalls)) {
        it(`nine calls in ten are answered after ten seconds: ${count} processes, ${rate} a second each, open after ${trip}`, async () => {
          const shared = await mean(processes(count, count > 1, options), outage, rate)
          // Of very few calls one is a large share.
          assert.isAtLeast(shared.answered, rate * count >= 1 ? 0.9 : 0.6)
          if (rate >= 1) assert.isAtMost(shared.load, 1.11)
          // Five seconds open, three of a probe that runs at the recovery, one that the others wait for its result, and the
          // time until somebody calls.
          assert.isAtMost(shared.away, 9 + 8 / (rate * count))
          if (count === 1) return
          const apart = await mean(processes(count, false, options), outage, rate)
          assert.isAtLeast(shared.answered, apart.answered - 0.1)
          if (rate * count >= 1) assert.isAtMost(shared.load, apart.load + 0.02)
        })
      }
    }
  }
})

import { SlidingWindow } from "@breakwater/core/policies/RateLimit/SlidingWindow"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { intBetween } from "../../../drivers/IntBetween.ts"
import * as Effort from "../../../setup/Effort.ts"

describe("SlidingWindow", () => {
  it("returns the time until the permits taken first are a window old", () => {
    const log = new SlidingWindow(10, 60_000)
    log.take(0, 4)
    log.take(20_000, 6)
    assert.strictEqual(log.delay(30_000, 1), 30_000)
    assert.strictEqual(log.delay(30_000, 5), 50_000)
    assert.strictEqual(log.delay(60_000, 4), 0)
  })

  it("keeps no entry for calls given back at once or without cost, so that a flood of them cannot fill it", () => {
    const log = new SlidingWindow(10, 60_000)
    const sizes = () => Object.values(log).filter((part) => part instanceof Float64Array).map((part) => part.length)
    const before = sizes()
    assert.isNotEmpty(before)
    log.take(0, 1)
    for (let now = 0; now < 1_000; now++) {
      log.take(now, 1)
      log.take(now, 2)
      log.giveBack(now, 2)
      log.giveBack(now, 1)
    }
    for (let now = 0; now < 1_000; now++) log.take(now, 0)
    assert.deepStrictEqual(sizes(), before)
    assert.strictEqual(log.delay(1_000, 9), 0)
    assert.strictEqual(log.delay(1_000, 10), 59_000)
  })

  it.prop(
    "returns the same delay for every cost as a plain list of all taken permits, of any length",
    { script: Schema.Array(Schema.Struct({ gap: intBetween(0, 30), weight: intBetween(1, 3) })) },
    ({ script }) => {
      const log = new SlidingWindow(40, 100)
      const taken: Array<{ readonly at: number; readonly weight: number }> = []
      const used = (at: number) => taken.filter((entry) => entry.at > at - 100).reduce((n, { weight }) => n + weight, 0)
      let now = 0
      for (const { gap, weight } of script) {
        now += gap
        if (log.delay(now, weight) === 0) {
          log.take(now, weight)
          taken.push({ at: now, weight })
        }
        for (let cost = 1; cost <= 40; cost++) {
          let due = now
          while (used(due) + cost > 40) due++
          assert.strictEqual(log.delay(now, cost), due - now)
        }
      }
    },
    { arbitrary: { runs: Effort.runs(30), size: 60 } }
  )
})

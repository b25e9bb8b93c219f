import { assert, describe, it } from "@effect/vitest"
import { throughCrashes, withoutKey } from "./Duplicates.ts"

const orders = 300

describe("Duplicates", () => {
  it("charges each order once under its own key, through all faults and kills", async () => {
    for (const hedge of [false, { after: "1 second", keyed: true }] as const) {
      const { charged, cut, duplicates, mishaps } = await throughCrashes(orders, hedge, (order) => order)
      assert.deepStrictEqual({ charged, duplicates }, { charged: orders, duplicates: 0 })
      assert.isAbove(mishaps, orders)
      assert.isAbove(cut, orders / 4)
    }
  })

  it("charges some of them again under a key that dies with the process: the crashes are real", async () => {
    const { charged, duplicates } = await throughCrashes(orders, false, (order, life) => `${order}-${life}`)
    assert.strictEqual(charged, orders)
    assert.isAbove(duplicates, orders / 10)
  })

  it("charges no order twice without a key, and tells each caller what can be known", async () => {
    const { duplicates, succeeded, unknown, wrong } = await withoutKey(orders)
    assert.deepStrictEqual({ duplicates, wrong }, { duplicates: 0, wrong: 0 })
    assert.isAbove(succeeded, orders / 4)
    assert.isAbove(unknown, orders / 4)
  })
})

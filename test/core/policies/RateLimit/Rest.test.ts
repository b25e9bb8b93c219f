import type { Meter } from "@breakwater/core/policies/RateLimit/Meter"
import { SlidingWindow } from "@breakwater/core/policies/RateLimit/SlidingWindow"
import { TokenBucket } from "@breakwater/core/policies/RateLimit/TokenBucket"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { intBetween } from "../../../drivers/IntBetween.ts"
import * as Effort from "../../../setup/Effort.ts"

const Step = Schema.Struct({
  gap: intBetween(0, 40),
  kind: Schema.Literals(["take", "take", "take and give back"]),
  cost: intBetween(1, 4)
})

const suite = (name: string, make: () => Meter) =>
  describe(name, () => {
    it("still has no permits after it is packed and unpacked", () => {
      const meter = make()
      meter.take(0, 20)
      const rested = make()
      rested.unpack(meter.pack(0))
      assert.isAbove(rested.delay(0, 1), 0)
      assert.strictEqual(rested.delay(0, 1), meter.delay(0, 1))
      assert.strictEqual(rested.delay(320, 20), 0)
    })

    it.prop(
      "measures the same when it is packed and unpacked while no permit is in use",
      { script: Schema.Array(Step) },
      ({ script }) => {
        const stayed = make()
        let rested = make()
        let now = 0
        for (const { cost, gap, kind } of script) {
          now += gap
          for (let cost = 1; cost <= 20; cost++) assert.strictEqual(rested.delay(now, cost), stayed.delay(now, cost))
          for (const meter of [stayed, rested]) {
            if (meter.delay(now, cost) === 0) {
              meter.take(now, cost)
              if (kind === "take and give back") meter.giveBack(now, cost)
            }
          }
          const packed = rested.pack(now)
          assert.isFalse(packed.some(Number.isNaN))
          rested = make()
          rested.unpack(packed)
        }
      },
      { arbitrary: { runs: Effort.runs(150), size: 80 } }
    )
  })

suite("SlidingWindow", () => new SlidingWindow(20, 300))
suite("TokenBucket", () => new TokenBucket(20, 320, 20))

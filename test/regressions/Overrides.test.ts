/** Settings that are `undefined` in an upper layer: they say nothing, and the lower layer stays. */
import * as Order from "@breakwater/core/stack/Order"
import * as Policy from "@breakwater/core/stack/Policy"
import { assert, describe, it } from "@effect/vitest"

const lower: Policy.Policy = {
  deadline: "30 seconds",
  attemptTimeout: "20 seconds",
  connectTimeout: "2 seconds",
  headersTimeout: "15 seconds",
  bodyTimeout: "15 seconds",
  bodyIdleTimeout: "5 seconds",
  maxResponseSize: 4,
  retry: { retries: 1 },
  retryBudget: {},
  hedge: {},
  breaker: {},
  rateLimit: { limit: 5 },
  bulkhead: { limit: 3 },
  adaptiveLimit: {},
  throttle: {},
  cache: { fresh: "1 minute" },
  gates: { operation: [] }
}
const settings = Object.keys(lower) as Array<keyof Policy.Policy>

describe("a setting that is undefined", () => {
  it.each(settings)("leaves the lower one: %s", (setting) => {
    assert.deepStrictEqual(Policy.over(lower, { [setting]: undefined }), lower)
    assert.deepStrictEqual(Policy.limits(Policy.over(lower, { [setting]: undefined })), Policy.limits(lower))
  })

  it.each(settings)("leaves the vendor's gates: %s", (setting) => {
    const shared = Order.makeGates(lower)
    const { hedge: _, ...own } = Order.overrideGates(shared, lower, { [setting]: undefined })
    const { hedge: __, ...all } = shared
    assert.deepStrictEqual(own, all)
  })

  it("is not the same as false, which overrides", () => {
    assert.isFalse(Policy.over(lower, { breaker: false }).breaker)
    assert.isUndefined(Order.overrideGates(Order.makeGates(lower), lower, { breaker: false }).breaker)
  })
})

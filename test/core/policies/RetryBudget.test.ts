import * as RetryBudget from "@breakwater/core/policies/RetryBudget"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"

const Event = Schema.Struct({
  kind: Schema.Literals(["call", "retry"]),
  /** Milliseconds since the previous event. */
  after: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5_000 }))
})

describe("RetryBudget", () => {
  it("pays for its reserve, and then for one retry in ten calls", () => {
    const budget = RetryBudget.make({ ratio: 0.1, reserve: 2, perSecond: 0 })
    assert.deepStrictEqual([1, 2, 3].map(() => budget.withdraw(0)), [true, true, false])
    for (let call = 0; call < 10; call++) budget.deposit(0)
    assert.deepStrictEqual([budget.withdraw(0), budget.withdraw(0)], [true, false])
  })

  it("sends a dead vendor at most 1.11 requests per call, over a thousand calls at once", () => {
    const budget = RetryBudget.make({ perSecond: 0 })
    let asked = 0
    for (let call = 0; call < 1_000; call++) {
      budget.deposit(0)
      asked++
      for (let retry = 0; retry < 3 && budget.withdraw(0); retry++) asked++
    }
    assert.isAtMost(asked, 1_110)
    assert.isAtLeast(asked, 1_100)
  })

  it("rejects options outside their range, and names them", () => {
    assert.throws(() => RetryBudget.make({ ratio: 1.5 }), /ratio must be between 0 and 1, got 1.5/)
    assert.throws(() => RetryBudget.make({ reserve: -1 }), /reserve/)
    assert.throws(() => RetryBudget.make({ perSecond: Number.NaN }), /perSecond/)
  })

  it.prop(
    "never pays for more than its reserve, its share of the calls and its rate over time",
    {
      ratio: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })),
      reserve: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 20 })),
      perSecond: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 2 })),
      events: Schema.Array(Event)
    },
    ({ events, perSecond, ratio, reserve }) => {
      const budget = RetryBudget.make({ ratio, reserve, perSecond })
      let now = 1_000
      let calls = 0
      let paid = 0
      const start = now
      for (const { after, kind } of events) {
        now += after
        if (kind === "call") {
          calls++
          budget.deposit(now)
        } else if (budget.withdraw(now)) {
          paid++
        }
        assert.isAtMost(paid, reserve + ratio * calls + perSecond * (now - start) / 1_000 + 1e-6)
      }
    }
  )
})

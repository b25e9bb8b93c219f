/**
 * Every default is the documented one, and every option is heard: a gate that was given the documented value behaves like one that
 * was given none, and a gate with the next value behaves differently. The breaker's defaults are in its own test.
 */
import type { Permit, Wait } from "@breakwater/core/Gate"
import * as Outcome from "@breakwater/core/Outcome"
import * as AdaptiveLimit from "@breakwater/core/policies/AdaptiveLimit"
import * as Hedge from "@breakwater/core/policies/Hedge"
import * as RetryBudget from "@breakwater/core/policies/RetryBudget"
import * as Throttle from "@breakwater/core/policies/Throttle"
import { RateLimited, Unavailable } from "@breakwater/core/Reason"
import { assert, describe, it } from "@effect/vitest"
import { type FakeCall, fakeCall } from "../../drivers/FakeCall.ts"
import { seeded } from "../../fakes/OverloadedVendor.ts"

/** What a gate did in a script of calls, as a text. */
type Played<Options> = (options: Options) => string

/** An option, its documented default, the next value, and the smallest allowed one. */
type Row<Options> = readonly [documented: Options, other: Options, least?: Options]

const hold = <Options extends object>(play: Played<Options>, none: Options, rows: ReadonlyArray<Row<Options>>) => {
  const byDefault = play(none)
  for (const [documented, other, least] of rows) {
    assert.strictEqual(play(documented), byDefault, JSON.stringify(documented))
    assert.notStrictEqual(play(other), byDefault, JSON.stringify(other))
    if (least !== undefined) assert.isString(play(least))
  }
}

/** Calls that come faster than a vendor can take them, then slower; it drops some when it is busy. */
const overload: Played<AdaptiveLimit.AdaptiveLimitOptions> = (options) => {
  const gate = AdaptiveLimit.make(options)
  const random = seeded(11)
  let now = 0
  const said: Array<string | number> = []
  let running: Array<
    { readonly call: FakeCall; readonly permit: Permit; readonly took: number; readonly dropped: boolean }
  > = []
  const start = (call: FakeCall, permit: Permit) => {
    const load = running.length
    running.push({
      call: { ...call, now },
      permit,
      took: 40 + load * load * (0.1 + random() / 10),
      dropped: random() < load / 400
    })
  }
  for (; now < 120_000; now += 50) {
    for (const one of running.filter(({ call, took }) => call.now + took <= now)) {
      running = running.filter((other) => other !== one)
      const { call, dropped, permit, took } = one
      call.now = now
      permit.settle(call, dropped ? Outcome.failed(took, new RateLimited(429)) : Outcome.answered(took))
    }
    const calls = now % 40_000 < 25_000 ? 12 : now % 100 === 0 ? 1 : 0
    for (let i = 0; i < calls; i++) {
      const call = fakeCall({ now, random, priority: random() < 0.1 ? "Critical" : "Normal" })
      const admission = gate.admit(call)
      if (admission._tag === "Permit") start(call, admission)
      if (admission._tag === "Wait") {
        const wait: Wait = admission
        wait.onTurn(() => {
          const claimed = wait.claim(call)
          if (typeof claimed === "object" && claimed._tag === "Permit") start(call, claimed)
        })
      }
      said.push(admission._tag[0]!)
    }
    said.push(gate.limit("acme"))
  }
  return said.join(" ")
}

/** Windows of a few calls, and then of as many as the limit allows; after a while the answers are slower. */
const windows: Played<AdaptiveLimit.AdaptiveLimitOptions> = (options) => {
  const said: Array<number> = []
  const play = (gate: AdaptiveLimit.AdaptiveLimit, count: number, at: number, took: number) => {
    const calls = Array.from({ length: count }, () => fakeCall({ now: at, random: () => 0.999 }))
    const permits = calls.map((call) => gate.admit(call) as Permit)
    permits.forEach((permit, i) => {
      calls[i]!.now = at + took
      permit.settle(calls[i]!, Outcome.answered(took))
    })
    said.push(gate.limit("acme"))
  }
  const few = AdaptiveLimit.make({ initialLimit: 16, ...options })
  for (let window = 0; window < 3; window++) {
    play(few, 9, window * 3_000, 10)
    play(few, 1, window * 3_000 + 1_500, 10)
  }
  const fewer = AdaptiveLimit.make({ initialLimit: 8, ...options })
  for (let window = 0; window < 3; window++) {
    play(fewer, 8, window * 3_000, 10)
    play(fewer, 1, window * 3_000 + 1_500, 10)
  }
  const many = AdaptiveLimit.make({ initialLimit: 100, maxLimit: 150, ...options })
  for (let window = 0; window < 60; window++) {
    const took = window < 10 ? 100 : 174
    play(many, many.limit("acme"), window * 3_000, took)
    play(many, 1, window * 3_000 + 1_500, took)
  }
  return said.join(" ")
}

describe("the defaults of an adaptive limit", () => {
  it("are 20 calls at first, 1 at least, 200 at most, and a tenth of them for critical calls", () => {
    hold(overload, {}, [
      [{ initialLimit: 20 }, { initialLimit: 21 }, { initialLimit: 1 }],
      [{ criticalShare: 0.1 }, { criticalShare: 0.2 }, { criticalShare: 0 }]
    ])
    const gate = AdaptiveLimit.make({ algorithm: { _tag: "Aimd" } })
    const together = (outcome: Outcome.Outcome) => {
      const permits = Array.from({ length: gate.limit("acme") }, () => gate.admit(fakeCall()) as Permit)
      for (const permit of permits) permit.settle(fakeCall(), outcome)
    }
    for (let i = 0; i < 20; i++) together(Outcome.answered(1))
    assert.strictEqual(gate.limit("acme"), 200)
    for (let i = 0; i < 40; i++) together(Outcome.failed(1, new RateLimited(429)))
    assert.strictEqual(gate.limit("acme"), 1)
  })

  it("are those of the gradient", () => {
    hold(overload, {}, [
      [{ algorithm: { _tag: "Gradient" } }, { algorithm: { _tag: "Vegas" } }],
      [{ algorithm: { _tag: "Gradient", smoothing: 0.2 } }, { algorithm: { _tag: "Gradient", smoothing: 0.21 } }, {
        algorithm: { _tag: "Gradient", smoothing: 0.01 }
      }],
      [{ algorithm: { _tag: "Gradient", queueSize: 4 } }, { algorithm: { _tag: "Gradient", queueSize: 5 } }, {
        algorithm: { _tag: "Gradient", queueSize: 0 }
      }],
      [{ algorithm: { _tag: "Gradient", tolerance: 1.5 } }, { algorithm: { _tag: "Gradient", tolerance: 1.6 } }, {
        algorithm: { _tag: "Gradient", tolerance: 1 }
      }],
      [{ algorithm: { _tag: "Gradient", window: "1 second" } }, {
        algorithm: { _tag: "Gradient", window: "2 seconds" }
      }, {
        algorithm: { _tag: "Gradient", window: 1 }
      }]
    ])
  })

  it("are windows of ten calls or more, and an average of 600 of them", () => {
    hold(windows, {}, [
      [{ algorithm: { _tag: "Gradient", longWindow: 600 } }, { algorithm: { _tag: "Gradient", longWindow: 601 } }, {
        algorithm: { _tag: "Gradient", longWindow: 1 }
      }],
      [{ algorithm: { _tag: "Gradient", minimumCalls: 10 } }, { algorithm: { _tag: "Gradient", minimumCalls: 11 } }, {
        algorithm: { _tag: "Gradient", minimumCalls: 1 }
      }],
      [{ algorithm: { _tag: "Gradient", minimumCalls: 10 } }, { algorithm: { _tag: "Gradient", minimumCalls: 9 } }]
    ])
  })

  it("are those of the other algorithms", () => {
    hold(overload, { algorithm: { _tag: "Aimd" } }, [
      [{ algorithm: { _tag: "Aimd", backoff: 0.9 } }, { algorithm: { _tag: "Aimd", backoff: 0.8 } }, {
        algorithm: { _tag: "Aimd", backoff: 0.5 }
      }],
      [{ algorithm: { _tag: "Aimd", timeout: "5 seconds" } }, { algorithm: { _tag: "Aimd", timeout: "100 millis" } }, {
        algorithm: { _tag: "Aimd", timeout: 1 }
      }]
    ])
    // Up to a limit of 99.
    hold(overload, { algorithm: { _tag: "Vegas" }, maxLimit: 99 }, [
      [{ algorithm: { _tag: "Vegas", alpha: 3 }, maxLimit: 99 }, {
        algorithm: { _tag: "Vegas", alpha: 4 },
        maxLimit: 99
      }],
      [
        { algorithm: { _tag: "Vegas", beta: 6 }, maxLimit: 99 },
        { algorithm: { _tag: "Vegas", beta: 7 }, maxLimit: 99 },
        {
          algorithm: { _tag: "Vegas", beta: 1 }
        }
      ]
    ])
  })
})

/** A vendor that rejects most calls for three minutes, and then few. */
const rejecting: Played<Throttle.ThrottleOptions> = (options) => {
  const gate = Throttle.make(options)
  const random = seeded(9)
  const said: Array<number> = []
  for (let now = 0; now < 300_000; now += 500) {
    const call = fakeCall({ now, random: () => 0.999_999 })
    const admission = gate.admit(call)
    const isAccepted = random() < (now < 180_000 ? 0.1 : 0.95)
    if (admission._tag === "Permit") {
      admission.settle(call, isAccepted ? Outcome.answered(1) : Outcome.failed(1, new Unavailable(503)))
    }
    said.push(gate.probability("acme", now))
  }
  return said.join(" ")
}

describe("the defaults of a throttle", () => {
  it("are twice the accepted calls over two minutes in 24 steps, ten calls, and a tenth that always passes", () => {
    hold(rejecting, {}, [
      [{ k: 2 }, { k: 2.1 }, { k: 1 }],
      [{ window: "2 minutes" }, { window: "3 minutes" }, { window: 1 }],
      [{ buckets: 24 }, { buckets: 25 }, { buckets: 1 }],
      [{ minimumCalls: 10 }, { minimumCalls: 11 }, { minimumCalls: 1 }],
      [{ floor: 0.1 }, { floor: 0.2 }, { floor: 0.001 }]
    ])
  })
})

/** Answers that get slower, over some minutes. */
const answering: Played<Hedge.HedgeOptions> = (options) => {
  const hedge = Hedge.make(options)
  const random = seeded(2)
  const said: Array<number | boolean> = [hedge.hedges, hedge.keyed]
  for (let now = 0; now < 180_000; now += 250) {
    hedge.record(1 + random() * (10 + now / 1_000), now)
    said.push(hedge.delay(1, now))
  }
  return said.join(" ")
}

describe("the defaults of a hedge", () => {
  it("are one more attempt after the 0.95 quantile of a minute, once there are fifty answers", () => {
    hold(answering, {}, [
      [{ hedges: 1 }, { hedges: 2 }, { hedges: 10 }],
      [{ keyed: false }, { keyed: true }],
      [{ after: { quantile: 0.95 } }, { after: { quantile: 0.9 } }, { after: { quantile: 0.001 } }],
      [{ after: { minimumAnswers: 50 } }, { after: { minimumAnswers: 51 } }, { after: { minimumAnswers: 1 } }],
      [{ after: { window: "1 minute" } }, { after: { window: "2 minutes" } }, { after: { window: 1 } }]
    ])
  })
})

/** Two retries for each of some calls in each second. */
const paying: Played<RetryBudget.RetryBudgetOptions> = (options) => {
  const budget = RetryBudget.make(options)
  const said: Array<number | boolean> = []
  for (let now = 0; now < 60_000; now += 1_000) {
    budget.deposit(now)
    said.push(now < 20_000 && budget.withdraw(now), budget.withdraw(now), budget.balance(now))
  }
  return said.join(" ")
}

describe("the defaults of a retry budget", () => {
  it("are a tenth of a retry per call and per second, and ten in reserve", () => {
    hold(paying, {}, [
      [{ ratio: 0.1 }, { ratio: 0.2 }, { ratio: 0 }],
      [{ perSecond: 0.1 }, { perSecond: 0.2 }, { perSecond: 0 }],
      [{ reserve: 10 }, { reserve: 11 }, { reserve: 0 }]
    ])
  })

  it("save up no more than the reserve, and one retry without a reserve", () => {
    const budget = RetryBudget.make()
    for (let call = 0; call < 1_000; call++) budget.deposit(call)
    assert.strictEqual(budget.balance(1_000), 10)
    const bare = RetryBudget.make({ reserve: 0 })
    assert.strictEqual(bare.balance(0), 0)
    for (let call = 0; call < 1_000; call++) bare.deposit(call)
    assert.strictEqual(bare.balance(1_000), 1)
  })
})

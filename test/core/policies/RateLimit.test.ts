import * as SharedState from "@breakwater/core/fleet/SharedState"
import type { Admission, Call, Permit, Refusal, Wait } from "@breakwater/core/Gate"
import * as Outcome from "@breakwater/core/Outcome"
import * as RateLimit from "@breakwater/core/policies/RateLimit"
import { Conflict, RateLimited, RateLimitExceeded, Unavailable } from "@breakwater/core/Reason"
import { Waiter } from "@breakwater/core/structures/WaitQueue"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import { type FakeCall, fakeCall as anyCall } from "../../drivers/FakeCall.ts"
import { intBetween } from "../../drivers/IntBetween.ts"
import * as Effort from "../../setup/Effort.ts"
import { countLinks } from "../../watches/CountLinks.ts"
import { AnsweredScript, DrivenRateLimit, Script, Settings } from "./RateLimit/DrivenRateLimit.ts"

/** A call without chance: it may leave a pause at once. */
const fakeCall = (overrides: Partial<Call> = {}): FakeCall => anyCall({ random: () => 0, ...overrides })

const long = { arbitrary: { runs: Effort.runs(800), size: 120 } }
const algorithms = ["TokenBucket", "SlidingWindow"] as const

const admit = (gate: RateLimit.RateLimit, call: FakeCall, times: number): ReadonlyArray<Admission> =>
  Array.from({ length: times }, () => gate.admit(call))
/** The results of a number of calls at one moment: `P` is admitted, `W` waits, `R` is refused. */
const tags = (gate: RateLimit.RateLimit, call: FakeCall, times: number): string =>
  admit(gate, call, times).map((admission) => admission._tag[0]).join("")
const permit = (gate: RateLimit.RateLimit, call: FakeCall): Permit => {
  const admission = gate.admit(call)
  assert.strictEqual(admission._tag, "Permit")
  return admission as Permit
}
/** Makes a call with this outcome. */
const hear = (gate: RateLimit.RateLimit, call: FakeCall, outcome: Outcome.Outcome): void =>
  permit(gate, call).settle(call, outcome)
const refused = (retryAfterMillis: number | undefined): Refusal => ({
  _tag: "Refusal",
  reason: new RateLimitExceeded(retryAfterMillis)
})

describe("RateLimit", () => {
  it("admits its limit in a window, and the next call when the first permit is a window old", () => {
    const gate = RateLimit.make({ limit: 2, window: "1 second", queue: 0 })
    assert.strictEqual(tags(gate, fakeCall(), 3), "PPR")
    assert.deepStrictEqual(gate.admit(fakeCall({ now: 400 })), refused(600))
    assert.strictEqual(tags(gate, fakeCall({ now: 1_000 }), 3), "PPR")
  })

  it("takes the smaller rest of two responses whose resets lie no more than a second apart, else the later one", () => {
    for (const [apart, left] of [[999, 2], [1_000, 2], [1_001, 5]] as const) {
      const gate = RateLimit.make({ limit: 100, window: "1 minute", queue: 0 })
      const [first, second] = [permit(gate, fakeCall()), permit(gate, fakeCall())]
      first.settle(fakeCall(), Outcome.answered(1, { remaining: 2, resetMillis: 10_000 }))
      second.settle(fakeCall(), Outcome.answered(1, { remaining: 5, resetMillis: 10_000 + apart }))
      assert.strictEqual(tags(gate, fakeCall(), 6), "P".repeat(left) + "R".repeat(6 - left), `${apart} ms apart`)
    }
  })

  it("lets a call wait for its permit, if its queue has room", () => {
    const gate = RateLimit.make({ limit: 1, window: "1 second" })
    const call = fakeCall()
    permit(gate, call)
    const wait = gate.admit(call) as Wait
    assert.strictEqual(wait.claim(call), 1_000)
    call.now = 1_000
    assert.propertyVal(wait.claim(call), "_tag", "Permit")
  })

  it.prop(
    "admits, queues, serves and refuses like a plain list of all grants",
    { settings: Settings, script: Script },
    ({ script, settings }) => {
      const rateLimit = new DrivenRateLimit(settings, "exact")
      for (const step of script) {
        rateLimit.step(step)
        rateLimit.check()
        rateLimit.checkPunctual()
      }
    },
    long
  )

  for (
    const [algorithm, law] of [
      ["SlidingWindow", "grants no more than its limit in any span of its window, wherever the span begins"],
      ["TokenBucket", "grants no more than its burst and the refill in any span of time"]
    ] as const
  ) {
    it.prop(
      `as a ${algorithm} ${law}, for any cancellations`,
      { settings: Settings, script: Script },
      ({ script, settings }) => {
        const rateLimit = new DrivenRateLimit({ ...settings, algorithm }, "lawful")
        for (const step of script) rateLimit.step(step)
      },
      long
    )
  }

  it.prop(
    "serves waiting calls in the order of arrival, each at the promised time",
    { settings: Settings, script: Script },
    ({ script, settings }) => {
      const rateLimit = new DrivenRateLimit({ ...settings, queue: 6, maxWait: 120_000 }, "exact")
      for (const step of script) rateLimit.step(step)
      rateLimit.advance(1e7)
      assert.deepStrictEqual(rateLimit.in("waiting"), [])
      for (const key of ["", "a", "b"]) {
        const granted = rateLimit.granted.filter((caller) => caller.call.key === key)
        assert.deepStrictEqual(
          granted.map((caller) => caller.number),
          granted.map((caller) => caller.number).toSorted((a, b) => a - b)
        )
      }
    },
    long
  )

  it.prop(
    "gives back everything that its waiters held when they leave",
    { settings: Settings, script: Script, weight: Schema.Literals([0.5, 1, 2]) },
    ({ script, settings, weight }) => {
      const rateLimit = new DrivenRateLimit({ ...settings, queue: 6, maxWait: 120_000 }, "exact")
      for (const step of script) rateLimit.step(step)
      for (const caller of rateLimit.in("waiting")) rateLimit.cancelWait(caller)
      rateLimit.check()
      for (const key of ["", "a", "b"]) {
        rateLimit.arrive(key, weight)
        rateLimit.check()
        rateLimit.checkPunctual()
      }
    },
    long
  )

  it.prop(
    "grants nothing before the vendor's retry-after, and no more than its remaining allowance",
    { settings: Settings, script: AnsweredScript },
    ({ script, settings }) => {
      const rateLimit = new DrivenRateLimit(settings, "exact")
      for (const step of script) {
        rateLimit.step(step)
        rateLimit.check()
      }
    },
    long
  )

  describe("admission", () => {
    it("admits the whole first burst at once where Effect's limiter returns a wait of 1e-5 ms", () => {
      for (const now of [0, 0.1, 1_234.567_89, 987_654_321.123]) {
        for (const [limit, window] of [[7, "1 second"], [90, "1 minute"], [100_000, "1 second"]] as const) {
          for (const algorithm of algorithms) {
            const gate = RateLimit.make({ algorithm, limit, window })
            const admissions = admit(gate, fakeCall({ now }), limit)
            assert.isTrue(admissions.every((admission) => admission._tag === "Permit"), `${limit} per ${window}`)
          }
        }
      }
    })

    it("never returns a wait of less than a microsecond", () => {
      for (const limit of [7, 90, 999, 100_000]) {
        const gate = RateLimit.make({ algorithm: "TokenBucket", limit, burst: 1, queue: 0 })
        const call = fakeCall({ now: 123_456.789 })
        for (let i = 0; i < 1_000; i++) {
          permit(gate, call)
          const { reason } = gate.admit(call) as Refusal
          assert.isAtLeast(reason.retryAfterMillis ?? 0, 1e-3)
          call.now += reason.retryAfterMillis ?? 0
        }
      }
    })

    it("tells a call that claims too early how long to wait, and grants at that time", () => {
      for (const algorithm of algorithms) {
        const gate = RateLimit.make({ algorithm, limit: 7, burst: 7 })
        const call = fakeCall({ now: 5_000, cost: 7 })
        permit(gate, call)
        const wait = gate.admit(call) as Wait
        let told = Number.NaN
        wait.onTurn((delay) => {
          told = delay
        })
        assert.approximately(told, 1_000, 1e-9)
        call.now = 5_000 + told - 0.002
        assert.approximately(wait.claim(call) as number, 0.002, 1e-9)
        call.now = 5_000 + told
        assert.propertyVal(wait.claim(call), "_tag", "Permit")
      }
    })

    it("lets no new call overtake the queue, even if its permit is due", () => {
      const gate = RateLimit.make({ limit: 2 })
      const [small, large] = [fakeCall(), fakeCall({ cost: 2 })]
      permit(gate, small)
      const first = gate.admit(large) as Wait
      const second = gate.admit(small) as Wait
      assert.deepStrictEqual([first._tag, second._tag], ["Wait", "Wait"])
      assert.strictEqual(second.claim(small), Infinity)
      first.cancel(large)
      assert.propertyVal(second.claim(small), "_tag", "Permit")
    })

    it("refuses at once, with the delay to expect, when the queue is full", () => {
      const gate = RateLimit.make({ limit: 2, queue: 3 })
      assert.strictEqual(tags(gate, fakeCall(), 5), "PPWWW")
      assert.deepStrictEqual(gate.admit(fakeCall({ now: 400 })), refused(1_600))
      assert.strictEqual(gate.waiting("acme"), 3)
    })

    it("refuses at once, with the delay to expect, a call that would wait longer than maxWait", () => {
      const gate = RateLimit.make({ limit: 1, maxWait: "2 seconds" })
      assert.strictEqual(tags(gate, fakeCall(), 3), "PWW")
      assert.deepStrictEqual(gate.admit(fakeCall({ now: 500 })), refused(2_500))
      assert.strictEqual(gate.admit(fakeCall({ now: 1_000 }))._tag, "Wait")
    })

    it("refuses at once a call whose deadline comes before its permit", () => {
      const gate = RateLimit.make({ limit: 1 })
      permit(gate, fakeCall())
      assert.deepStrictEqual(gate.admit(fakeCall({ now: 100, deadline: 999 })), refused(900))
      assert.strictEqual(gate.admit(fakeCall({ now: 100, deadline: 1_000 }))._tag, "Wait")
    })

    it("refuses a call that costs more than the capacity, without a retry-after", () => {
      assert.deepStrictEqual(RateLimit.make({ limit: 3 }).admit(fakeCall({ cost: 4 })), refused(undefined))
      const gate = RateLimit.make({ algorithm: "TokenBucket", limit: 3, burst: 2 })
      assert.deepStrictEqual(gate.admit(fakeCall({ cost: 3 })), refused(undefined))
      assert.strictEqual(gate.admit(fakeCall({ cost: 2 }))._tag, "Permit")
    })

    it("fails a wait that lasts too long with the delay that a new call would have", () => {
      const gate = RateLimit.make({ limit: 1, maxWait: "5 seconds" })
      const call = fakeCall()
      const [, first] = admit(gate, call, 4) as [Permit, Wait, Wait, Wait]
      assert.strictEqual(first.limitMillis, 5_000)
      call.now = 700
      assert.deepStrictEqual(first.expired(call), refused(2_300))
    })

    it("serves a hundred thousand waiters touching a dozen links for each", () => {
      const n = 100_000
      const gate = RateLimit.make({ algorithm: "TokenBucket", limit: 1_000, burst: 1, queue: n, maxWait: "1 hour" })
      const call = fakeCall()
      const count = { links: 0, atMost: 12 * n }
      permit(gate, call)
      const waits = admit(gate, call, n).map((admission) => {
        if (!(admission instanceof Waiter) || admission._tag !== "Wait") throw new Error("this call does not wait")
        countLinks(admission, count)
        return admission
      })
      for (let i = n - 1; i > 0; i -= 2) waits[i]!.cancel(call)
      for (let i = 0; i < n; i += 2) {
        call.now++
        assert.propertyVal(waits[i]!.claim(call), "_tag", "Permit")
      }
      assert.strictEqual(gate.waiting("acme"), 0)
    })

    it.prop(
      "admits exactly the first calls of a burst at once, at any time and rate",
      {
        algorithm: Schema.Literals(algorithms),
        limit: Schema.Union([intBetween(1, 500), Schema.Literals([7, 90])]),
        window: Schema.Union([intBetween(1_000, 100_000), Schema.Literals([1_000, 60_000])]),
        now: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1e9 }))
      },
      ({ algorithm, limit, now, window }) => {
        const gate = RateLimit.make({ algorithm, limit, window, queue: 0 })
        assert.strictEqual(tags(gate, fakeCall({ now }), limit + 1), "P".repeat(limit) + "R")
      }
    )
  })

  describe("an unused permit", () => {
    it("is given back in full, for any other costs taken at the same time", () => {
      for (const algorithm of algorithms) {
        for (const order of [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] as const) {
          const gate = RateLimit.make({ algorithm, limit: 6, queue: 0 })
          const calls = [fakeCall({ cost: 2 }), fakeCall({ cost: 3 }), fakeCall({ cost: 1 })]
          const permits = calls.map((call) => permit(gate, call))
          assert.strictEqual(gate.admit(fakeCall())._tag, "Refusal")
          for (const i of order) permits[i]!.cancel(calls[i]!)
          assert.strictEqual(tags(gate, fakeCall(), 7), "PPPPPPR")
        }
      }
    })

    it("leaves no remainder when costs are fractions that do not add up", () => {
      const gate = RateLimit.make({ limit: 1 })
      for (const cost of [0.2, 0.4, 0.3]) permit(gate, fakeCall({ cost }))
      permit(gate, fakeCall({ now: 1_000 }))
    })

    it("makes the first call in the queue due sooner, and tells it so once", () => {
      const gate = RateLimit.make({ limit: 2 })
      const call = fakeCall()
      const [first] = admit(gate, call, 2) as [Permit, Permit]
      call.now = 300
      const [wait, another] = admit(gate, call, 2) as [Wait, Wait]
      const told: Array<number> = []
      wait.onTurn((delay) => told.push(delay))
      another.cancel(call)
      assert.deepStrictEqual(told, [700])
      call.now = 400
      first.cancel(call)
      assert.deepStrictEqual(told, [700, 0])
      assert.propertyVal(wait.claim(call), "_tag", "Permit")
    })
  })

  describe("learning", () => {
    const limited = (retryAfterMillis?: number) => Outcome.failed(1, new RateLimited(429, { retryAfterMillis }))
    const quota = (remaining: number, resetMillis: number) => Outcome.answered(1, { remaining, resetMillis })

    it("pauses a key until the time in a 429, and no other key", () => {
      const gate = RateLimit.make({ limit: 10 })
      const random = () => 0
      const [call, other] = [fakeCall({ key: "a", now: 1_000, random }), fakeCall({ key: "b", now: 1_000, random })]
      hear(gate, call, limited(30_000))
      assert.deepStrictEqual(gate.admit(call), refused(30_000))
      assert.strictEqual(gate.admit(other)._tag, "Permit")
      call.now = 30_999
      assert.deepStrictEqual((gate.admit(call) as Wait).claim(call), 1)
      call.now = 31_000
      assert.strictEqual(gate.waiting("acme/a"), 1)
    })

    it("pauses a key for a second after a 429 without a time, or until its reset time", () => {
      const call = fakeCall()
      const gate = RateLimit.make({ limit: 10, queue: 0 })
      hear(gate, call, limited())
      assert.deepStrictEqual(gate.admit(call), refused(1_000))
      const another = RateLimit.make({ limit: 10, queue: 0 })
      hear(another, call, Outcome.failed(1, new RateLimited(429), { remaining: 0, resetMillis: 4_000 }))
      assert.deepStrictEqual(another.admit(call), refused(4_000))
    })

    it("never shortens a pause because of a later response", () => {
      const gate = RateLimit.make({ limit: 10, queue: 0 })
      const call = fakeCall()
      const permits = admit(gate, call, 3) as [Permit, Permit, Permit]
      permits[0].settle(call, limited(9_000))
      permits[1].settle(call, limited(2_000))
      permits[2].settle(call, quota(0, 1_000))
      assert.deepStrictEqual(gate.admit(call), refused(9_000))
    })

    it("pauses no longer than a day at a time", () => {
      const gate = RateLimit.make({ limit: 10, queue: 0 })
      const call = fakeCall()
      hear(gate, call, limited(1e12))
      assert.deepStrictEqual(gate.admit(call), refused(24 * 60 * 60 * 1_000))
    })

    it("keeps calls waiting whose time comes during a pause", () => {
      const gate = RateLimit.make({ limit: 1 })
      const call = fakeCall({ random: () => 0 })
      const [first, wait] = admit(gate, call, 2) as [Permit, Wait]
      call.now = 10
      first.settle(call, limited(5_000))
      call.now = 1_000
      assert.strictEqual(wait.claim(call), 4_010)
      call.now = 5_010
      assert.propertyVal(wait.claim(call), "_tag", "Permit")
    })

    it("pauses until the reset when nothing remains", () => {
      const gate = RateLimit.make({ limit: 10, queue: 0 })
      const call = fakeCall()
      hear(gate, call, quota(0, 7_000))
      assert.deepStrictEqual(gate.admit(call), refused(7_000))
      call.now = 7_000
      assert.strictEqual(gate.admit(call)._tag, "Permit")
    })

    it("lowers the permits due to the remaining quota until its reset, and never raises them", () => {
      for (const algorithm of algorithms) {
        const gate = RateLimit.make({ algorithm, limit: 10, queue: 0 })
        const call = fakeCall()
        hear(gate, call, quota(3, 60_000))
        const permits = admit(gate, call, 4)
        assert.deepStrictEqual(permits.map((permit) => permit._tag), ["Permit", "Permit", "Permit", "Refusal"])
        ;(permits[0] as Permit).settle(call, quota(1_000, 60_000))
        assert.deepStrictEqual(gate.admit(call), refused(60_000))
        call.now = 59_999
        assert.deepStrictEqual(gate.admit(call), refused(1))
        call.now = 60_000
        assert.strictEqual(tags(gate, call, 11), "PPPPPPPPPPR")
      }
    })

    it("gives a rest back that a call has not used", () => {
      const gate = RateLimit.make({ limit: 100, queue: 0 })
      const call = fakeCall()
      hear(gate, call, quota(3, 60_000))
      for (let i = 0; i < 10; i++) permit(gate, call).cancel(call)
      assert.strictEqual(tags(gate, call, 4), "PPPR")
    })

    it("takes the smallest rest of one window, and the latest of another", () => {
      const gate = RateLimit.make({ limit: 100, queue: 0 })
      const call = fakeCall()
      const [first, second, third] = admit(gate, call, 3) as [Permit, Permit, Permit]
      first.settle(call, quota(5, 10_000))
      // The same window, its reset rounded to the next second.
      call.now = 300
      second.settle(call, quota(8, 10_000))
      assert.strictEqual(tags(gate, call, 6), "PPPPPR")
      call.now = 9_500
      third.settle(call, quota(2, 12_000))
      assert.strictEqual(tags(gate, call, 3), "PPR")
    })

    it("tells a waiting call that a new window makes its permit due sooner", () => {
      const gate = RateLimit.make({ limit: 100, maxWait: "1 minute" })
      const call = fakeCall()
      const running = admit(gate, call, 3) as ReadonlyArray<Permit>
      running[0]!.settle(call, quota(1, 30_000))
      const [, wait] = admit(gate, call, 2) as [Permit, Wait]
      const told: Array<number> = []
      wait.onTurn((delay) => told.push(delay))
      call.now = 5_000
      running[1]!.settle(call, quota(50, 60_000))
      assert.deepStrictEqual(told, [30_000, 0])
      assert.propertyVal(wait.claim(call), "_tag", "Permit")
    })

    it("is not lifted by a response to a call that was sent before the pause", () => {
      const gate = RateLimit.make({ limit: 100, queue: 0 })
      const call = fakeCall()
      const [first, second] = admit(gate, call, 2) as [Permit, Permit]
      first.settle(call, limited(9_000))
      second.settle(call, quota(50, 60_000))
      assert.deepStrictEqual(gate.admit(call), refused(9_000))
    })

    it("pauses for a 503 with a time, and learns nothing from other failures", () => {
      const gate = RateLimit.make({ limit: 10, queue: 0 })
      const call = fakeCall()
      hear(gate, call, Outcome.failed(1, new Unavailable(503)))
      hear(gate, call, Outcome.failed(1, new Conflict(409, { retryAfterMillis: 60_000 })))
      hear(gate, call, Outcome.abandoned(1))
      assert.strictEqual(tags(gate, call, 8), "PPPPPPPR")
      hear(gate, fakeCall({ key: "b" }), Outcome.failed(1, new Unavailable(503, { retryAfterMillis: 60_000 })))
      assert.deepStrictEqual(gate.admit(fakeCall({ key: "b" })), refused(60_000))
    })

    it("lets waiting calls go one by one after a pause, and none early", () => {
      for (const options of [{ limit: 100, maxWait: "1 minute" }, {}] as const) {
        const gate = RateLimit.make(options)
        const call = anyCall({ random: () => 0.75 })
        hear(gate, call, limited(2_000))
        const waits = admit(gate, call, 10) as ReadonlyArray<Wait>
        const left: Array<number> = []
        for (const wait of waits) {
          let due = Number.NaN
          wait.onTurn((delay) => {
            due = call.now + delay
          })
          call.now = due
          assert.propertyVal(wait.claim(call), "_tag", "Permit")
          left.push(due)
        }
        assert.isAtLeast(left[0]!, 2_000)
        assert.isAtMost(left.at(-1)!, 2_500)
        for (const [i, at] of left.entries()) if (i > 0) assert.isAtLeast(at - left[i - 1]!, 1)
      }
    })
  })

  describe("without a limit", () => {
    const limited = Outcome.failed(1, new RateLimited(429, { retryAfterMillis: 5_000 }))

    it("admits everything, of any cost, and remembers no key", () => {
      const gate = RateLimit.make()
      for (let i = 0; i < 1_000; i++) hear(gate, fakeCall({ key: `${i}`, cost: i }), Outcome.answered(1))
      hear(gate, fakeCall(), Outcome.answered(1, { remaining: 0, resetMillis: 60_000 }))
      hear(gate, fakeCall(), Outcome.failed(1, new RateLimited(429)))
      hear(gate, fakeCall(), Outcome.failed(1, new Unavailable(503)))
      assert.strictEqual(gate.size, 0)
      assert.strictEqual(gate.capacity, Infinity)
      permit(gate, fakeCall()).cancel(fakeCall())
    })

    it("holds a key for as long as the vendor asks, up to the deadline, and no other key", () => {
      const gate = RateLimit.make()
      hear(gate, fakeCall({ key: "a" }), limited)
      assert.deepStrictEqual(gate.admit(fakeCall({ key: "a", deadline: 4_999 })), refused(5_000))
      const wait = gate.admit(fakeCall({ key: "a", deadline: 5_000 })) as Wait
      assert.strictEqual(wait._tag, "Wait")
      assert.strictEqual(gate.waiting("acme/a"), 1)
      assert.strictEqual(gate.admit(fakeCall({ key: "b" }))._tag, "Permit")
      wait.cancel(fakeCall({ key: "a" }))
      assert.strictEqual(gate.admit(fakeCall({ key: "a", now: 5_000 }))._tag, "Permit")
    })

    it.effect("takes nothing from a fleet's store", () =>
      Effect.gen(function*() {
        const gate = RateLimit.make()
        yield* gate.share("acme")
        hear(gate, fakeCall(), limited)
        assert.strictEqual(gate.admit(fakeCall({ now: 5_000 }))._tag, "Permit")
      }).pipe(Effect.provide(
        SharedState.layer().pipe(Layer.provide([RateLimiter.layerStoreMemory, CircuitBreaker.layerStoreMemory()]))
      )))

    it("is bounded: 256 calls wait for a key, and at most maxKeys keys are remembered", () => {
      const gate = RateLimit.make({ maxKeys: 10 })
      hear(gate, fakeCall(), limited)
      assert.strictEqual(tags(gate, fakeCall(), 257), "W".repeat(256) + "R")
      for (let i = 0; i < 100; i++) hear(gate, fakeCall({ key: `${i}` }), limited)
      assert.isAtMost(gate.size, 11)
    })

    it("rejects options that need a limit, and names them", () => {
      for (const options of [{ window: "1 second" }, { algorithm: "TokenBucket" }, { burst: 2 }] as const) {
        assert.throws(() => RateLimit.make(options), `RateLimit: ${Object.keys(options)[0]} needs a limit`)
      }
    })
  })

  describe("memory", () => {
    const idle = { limit: 5, queue: 0, idle: "2 seconds" } as const

    it("evicts an idle key", () => {
      const gate = RateLimit.make(idle)
      for (let i = 0; i < 50; i += 2) {
        const [call, unsent] = [fakeCall({ key: `${i}` }), fakeCall({ key: `${i + 1}` })]
        hear(gate, call, Outcome.answered(1))
        permit(gate, unsent).cancel(unsent)
      }
      assert.strictEqual(gate.size, 50)
      for (let i = 0; i < 50; i++) gate.admit(fakeCall({ key: `new ${i}`, now: 2_000 }))
      assert.strictEqual(gate.size, 50)
    })

    it("remembers at most maxKeys keys, besides those in use", () => {
      const gate = RateLimit.make({ ...idle, maxKeys: 10 })
      for (let i = 0; i < 100; i++) {
        hear(gate, fakeCall({ key: `${i}`, now: 1_000 * i }), Outcome.answered(1))
        assert.isAtMost(gate.size, 10)
      }
    })

    it("refuses a new key while all the keys that it remembers have used permits", () => {
      const gate = RateLimit.make({ ...idle, maxKeys: 3 })
      for (const key of ["a", "b", "c"]) hear(gate, fakeCall({ key, now: 100 }), Outcome.answered(1))
      assert.deepStrictEqual(gate.admit(fakeCall({ key: "d", now: 1_099 })), refused(1_000))
      permit(gate, fakeCall({ key: "d", now: 1_100 }))
      assert.strictEqual(gate.size, 3)
    })

    it("evicts no key whose calls wait or run, so that it learns their outcomes", () => {
      const gate = RateLimit.make({ ...idle, limit: 1, queue: 1, maxKeys: 3 })
      const [running, waiting] = [fakeCall({ key: "runs" }), fakeCall({ key: "waits" })]
      const held = permit(gate, running)
      hear(gate, waiting, Outcome.answered(1))
      const wait = gate.admit(waiting) as Wait
      for (let i = 0; i < 100; i++) hear(gate, fakeCall({ key: `${i}`, now: 9_000 + 1_000 * i }), Outcome.answered(1))
      waiting.now = running.now = 110_000
      assert.strictEqual(gate.waiting("acme/waits"), 1)
      assert.propertyVal(wait.claim(waiting), "_tag", "Permit")
      held.settle(running, Outcome.failed(1, new RateLimited(429, { retryAfterMillis: 30_000 })))
      assert.deepStrictEqual(gate.admit(running), refused(30_000))
    })

    it("does not forget a vendor's pause, for any time without calls", () => {
      const gate = RateLimit.make(idle)
      const call = fakeCall({ key: "stopped" })
      hear(gate, call, Outcome.failed(1, new RateLimited(429, { retryAfterMillis: 60_000 })))
      call.now = 1_000
      assert.deepStrictEqual(gate.admit(call), refused(59_000))
      call.now = 59_000
      for (let i = 0; i < 100; i++) gate.admit(fakeCall({ key: `${i}`, now: 59_000 }))
      assert.deepStrictEqual(gate.admit(call), refused(1_000))
    })

    it("does not forget a permit granted long after the call arrived", () => {
      const gate = RateLimit.make({ limit: 1, idle: "1 second", maxWait: "10 seconds" })
      const call = fakeCall()
      hear(gate, call, Outcome.answered(1))
      const waits = admit(gate, call, 3) as ReadonlyArray<Wait>
      for (const wait of waits) {
        call.now += 1_000
        const granted = wait.claim(call) as Permit
        granted.settle(call, Outcome.abandoned(0))
      }
      for (let i = 0; i < 100; i++) gate.admit(fakeCall({ key: `${i}`, now: 3_001 }))
      assert.deepStrictEqual(gate.admit(fakeCall({ now: 3_001, deadline: 3_500 })), refused(999))
    })

    it("does not forget the permits taken from a bucket that refills slowly", () => {
      const gate = RateLimit.make({ ...idle, algorithm: "TokenBucket", limit: 1, burst: 60 })
      const call = fakeCall({ key: "spent" })
      for (const admission of admit(gate, call, 60)) (admission as Permit).settle(call, Outcome.answered(1))
      call.now = 10_000
      for (let i = 0; i < 100; i++) gate.admit(fakeCall({ key: `${i}`, now: 10_000 }))
      assert.strictEqual(tags(gate, call, 11), "PPPPPPPPPPR")
    })
  })

  describe("options", () => {
    it("counts the calls of a vendor and key together by default", () => {
      const [call, refund] = [fakeCall({ key: "a" }), fakeCall({ key: "a", operation: "refund" })]
      const gate = RateLimit.make({ limit: 1, queue: 0 })
      assert.strictEqual(tags(gate, call, 1) + tags(gate, refund, 1), "PR")
      assert.strictEqual(tags(gate, fakeCall(), 1) + tags(gate, fakeCall({ key: "a", vendor: "other" }), 1), "PP")
      const byOperation = RateLimit.make({ limit: 1, queue: 0, by: (call) => call.operation })
      assert.strictEqual(tags(byOperation, call, 1) + tags(byOperation, refund, 1), "PP")
    })

    it("is a sliding window up to 1000 permits, and a token bucket beyond", () => {
      const halfway = (limit: number) => {
        const gate = RateLimit.make({ limit, queue: 0 })
        admit(gate, fakeCall(), limit)
        return gate.admit(fakeCall({ now: 500 }))._tag
      }
      assert.deepStrictEqual([halfway(1_000), halfway(1_001)], ["Refusal", "Permit"])
    })

    it("is bounded by default: 256 wait for up to two seconds, the next is refused", () => {
      const gate = RateLimit.make({ limit: 300 })
      assert.strictEqual(tags(gate, fakeCall(), 557), "P".repeat(300) + "W".repeat(256) + "R")
      const slow = RateLimit.make({ limit: 1 })
      assert.strictEqual(tags(slow, fakeCall(), 4), "PWWR")
    })

    it("rejects options outside their range, and names them", () => {
      for (const limit of [0, -1, Number.NaN, Infinity]) {
        assert.throws(() => RateLimit.make({ limit }), `limit must be more than 0 and finite, got ${limit}`)
      }
      assert.throws(
        () => RateLimit.make({ limit: 0.5 }),
        "limit of a SlidingWindow (count over a longer window) must be at least 1 and finite, got 0.5"
      )
      for (const window of [0, Infinity]) {
        assert.throws(
          () => RateLimit.make({ limit: 1, window }),
          `window must be longer than 0 and finite, got ${window}`
        )
      }
      for (const burst of [0.5, Number.NaN, Infinity]) {
        const make = () => RateLimit.make({ algorithm: "TokenBucket", limit: 1, burst })
        assert.throws(make, `burst must be at least 1 and finite, got ${burst}`)
      }
      for (const queue of [-1, 0.5, Number.NaN, Infinity]) {
        assert.throws(
          () => RateLimit.make({ limit: 1, queue }),
          `queue must be a whole number of at least 0, got ${queue}`
        )
      }
      for (const maxKeys of [0, Number.NaN, Infinity]) {
        assert.throws(
          () => RateLimit.make({ limit: 1, maxKeys }),
          `maxKeys must be a whole number of at least 1, got ${maxKeys}`
        )
      }
      for (const maxWait of [-1, Infinity]) {
        assert.throws(
          () => RateLimit.make({ limit: 1, maxWait }),
          `maxWait must be at least 0 and finite, got ${maxWait} ms`
        )
      }
    })
  })
})

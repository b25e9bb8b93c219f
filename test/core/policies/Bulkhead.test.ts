import type { Permit, Wait } from "@breakwater/core/Gate"
import * as Outcome from "@breakwater/core/Outcome"
import * as Bulkhead from "@breakwater/core/policies/Bulkhead"
import { BulkheadFull, Timeout } from "@breakwater/core/Reason"
import { Waiter } from "@breakwater/core/structures/WaitQueue"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { type FakeCall, fakeCall } from "../../drivers/FakeCall.ts"
import { intBetween } from "../../drivers/IntBetween.ts"
import * as Effort from "../../setup/Effort.ts"
import { countLinks } from "../../watches/CountLinks.ts"

const Settings = {
  limit: intBetween(1, 4),
  queue: intBetween(0, 5),
  /** Few and short, so that keys are evicted while the script runs. */
  maxKeys: intBetween(1, 3),
  idle: intBetween(1, 50)
}

/** The index of a matching caller, wrapped around. */
const Which = intBetween(0, 11)
const Step = Schema.Union([
  Schema.TaggedStruct("admit", { key: Schema.Literals(["a", "b", "c"]), times: intBetween(1, 8) }),
  Schema.TaggedStruct("listen", { which: Which }),
  Schema.TaggedStruct("claim", { which: Which }),
  Schema.TaggedStruct("settle", { which: Which, fails: Schema.Boolean }),
  Schema.TaggedStruct("cancel permit", { which: Which }),
  Schema.TaggedStruct("cancel wait", { which: Which }),
  Schema.TaggedStruct("pass time", { millis: intBetween(1, 40) })
])
const Script = Schema.Array(Step)
const long = { arbitrary: { runs: Effort.runs(250), size: 150 } }

const outcomes = [Outcome.answered(1), Outcome.failed(1, new Timeout("Headers", 1))] as const

interface Caller {
  readonly call: FakeCall
  readonly key: string
  admitted: Permit | Wait
  /** Waiting in the queue, holding a place that is not claimed, or running. */
  stage: "waiting" | "granted" | "running" | "over"
  isListening: boolean
  told: number
}

/** A bulkhead, and beside it the same lists kept naively: the running and the waiting calls of each key. */
class Play {
  readonly gate: Bulkhead.Bulkhead
  readonly callers: Array<Caller> = []
  private readonly limit: number
  private readonly maxQueue: number
  private now = 0

  constructor(settings: { readonly [Name in keyof typeof Settings]: number }) {
    this.gate = Bulkhead.make({ ...settings, by: (call) => call.key })
    this.limit = settings.limit
    this.maxQueue = settings.queue
  }

  in(stage: Caller["stage"], key?: string): ReadonlyArray<Caller> {
    return this.callers.filter((caller) => caller.stage === stage && (key === undefined || caller.key === key))
  }
  /** The calls with a place: those running, and those granted one. */
  inside(key: string): number {
    return this.in("running", key).length + this.in("granted", key).length
  }

  admit(key: string): void {
    const call = fakeCall({ key, now: this.now })
    const mayRun = this.inside(key) < this.limit
    const mayWait = this.in("waiting", key).length < this.maxQueue
    const admission = this.gate.admit(call)
    assert.strictEqual(admission._tag, mayRun ? "Permit" : mayWait ? "Wait" : "Refusal")
    if (admission._tag === "Refusal") {
      assert.deepStrictEqual(admission.reason, new BulkheadFull())
      assert.strictEqual(admission.reason.fate, "NotSent")
    } else {
      const stage = admission._tag === "Permit" ? "running" : "waiting"
      this.callers.push({ call, key, admitted: admission, stage, isListening: false, told: 0 })
    }
  }
  listen(caller: Caller): void {
    if (caller.admitted._tag !== "Wait" || caller.isListening) return
    caller.isListening = true
    caller.admitted.onTurn((delay) => {
      assert.strictEqual(delay, 0)
      caller.told++
    })
  }
  claim(caller: Caller): void {
    assert.strictEqual(caller.admitted._tag, "Wait")
    if (caller.admitted._tag !== "Wait") return
    const claimed = caller.admitted.claim(caller.call)
    if (caller.stage === "waiting") {
      assert.strictEqual(claimed, Infinity)
    } else {
      assert.isObject(claimed)
      caller.admitted = claimed as Permit
      caller.stage = "running"
    }
  }
  settle(caller: Caller, outcome: Outcome.Outcome): void {
    if (caller.admitted._tag === "Permit") caller.admitted.settle(caller.call, outcome)
    this.leave(caller)
  }
  cancel(caller: Caller): void {
    caller.admitted.cancel(caller.call)
    this.leave(caller)
  }
  /** The first waiting call takes the place of one that leaves. */
  private leave(caller: Caller): void {
    const hadPlace = caller.stage !== "waiting"
    caller.stage = "over"
    const next = this.in("waiting", caller.key)[0]
    if (hadPlace && next !== undefined) next.stage = "granted"
  }

  step(step: typeof Step.Type): void {
    const pick = (candidates: ReadonlyArray<Caller>, which: number, act: (caller: Caller) => void) => {
      if (candidates.length > 0) act(candidates[which % candidates.length]!)
    }
    const inQueue = [...this.in("waiting"), ...this.in("granted")]
    switch (step._tag) {
      case "admit":
        for (let i = 0; i < step.times; i++) this.admit(step.key)
        break
      case "listen":
        pick(inQueue, step.which, (caller) => this.listen(caller))
        break
      case "claim":
        pick(inQueue, step.which, (caller) => this.claim(caller))
        break
      case "settle":
        pick(this.in("running"), step.which, (caller) => this.settle(caller, outcomes[step.fails ? 1 : 0]))
        break
      case "cancel permit":
        pick(this.in("running"), step.which, (caller) => this.cancel(caller))
        break
      case "cancel wait":
        pick(inQueue, step.which, (caller) => this.cancel(caller))
        break
      case "pass time":
        this.now += step.millis
    }
  }

  /** The gate's own counts, and the calls it has served, match the lists. */
  check(): void {
    for (const key of ["a", "b", "c"]) {
      assert.strictEqual(this.gate.running(key), this.inside(key))
      assert.strictEqual(this.gate.waiting(key), this.in("waiting", key).length)
      assert.isAtMost(this.gate.running(key), this.limit)
      assert.isAtMost(this.gate.waiting(key), this.maxQueue)
    }
    for (const caller of [...this.in("waiting"), ...this.in("granted")]) {
      assert.strictEqual(caller.told, caller.stage === "granted" && caller.isListening ? 1 : 0)
    }
  }
}

describe("Bulkhead", () => {
  it("admits calls up to its limit, queues the next, and refuses what the queue does not hold", () => {
    const bulkhead = Bulkhead.make({ limit: 1, queue: 1 })
    const call = fakeCall()
    const permit = bulkhead.admit(call) as Permit
    const wait = bulkhead.admit(call) as Wait
    assert.deepStrictEqual([permit._tag, wait._tag, bulkhead.admit(call)._tag], ["Permit", "Wait", "Refusal"])
    permit.settle(call, outcomes[0])
    assert.propertyVal(wait.claim(call), "_tag", "Permit")
    assert.deepStrictEqual([bulkhead.running("acme"), bulkhead.waiting("acme")], [1, 0])
  })

  it("serves a hundred thousand waiters in the order of arrival, touching a dozen links for each", () => {
    const n = 100_000
    const bulkhead = Bulkhead.make({ limit: 64, queue: n })
    const call = fakeCall()
    const count = { links: 0, atMost: 12 * n }
    const permits: Array<Permit> = []
    const waits: Array<Wait> = []
    for (let i = 0; i < 64 + n; i++) {
      const admission = bulkhead.admit(call)
      if (admission._tag === "Permit") permits.push(admission)
      if (!(admission instanceof Waiter) || admission._tag !== "Wait") continue
      countLinks(admission, count)
      waits.push(admission)
    }
    assert.deepStrictEqual([permits.length, waits.length], [64, n])
    assert.deepStrictEqual(bulkhead.admit(call), { _tag: "Refusal", reason: new BulkheadFull() })

    const called: Array<number> = []
    waits.forEach((wait, i) => wait.onTurn(() => called.push(i)))
    // Every second one gives up, the last first; the others are served one by one.
    for (let i = n - 1; i > 0; i -= 2) waits[i]!.cancel(call)
    for (let i = 0; i < n; i += 2) {
      permits[i / 2 % 64]!.settle(call, outcomes[0])
      assert.deepStrictEqual([called.length, called.at(-1)], [i / 2 + 1, i])
      permits[i / 2 % 64] = waits[i]!.claim(call) as Permit
    }
    assert.deepStrictEqual([bulkhead.running("acme"), bulkhead.waiting("acme")], [64, 0])
  })

  it("keeps counting a key while it evicts others", () => {
    for (const maxKeys of [1, 2, 3]) {
      const bulkhead = Bulkhead.make({ limit: 1, queue: 0, maxKeys, by: (call) => call.key })
      const [call, other] = [fakeCall({ key: "a" }), fakeCall({ key: "b" })]
      for (call.now = other.now = 0; call.now < 200; call.now = ++other.now) {
        const permits = [bulkhead.admit(call), bulkhead.admit(other)] as [Permit, Permit]
        assert.deepStrictEqual(permits.map((permit) => permit._tag), ["Permit", "Permit"])
        assert.strictEqual(bulkhead.admit(call)._tag, "Refusal")
        permits.forEach((permit) => permit.settle(call, outcomes[0]))
      }
    }
  })

  it("passes on to the next call a place that was granted and not claimed", () => {
    const bulkhead = Bulkhead.make({ limit: 1 })
    const call = fakeCall()
    const [permit, first, second] = [bulkhead.admit(call), bulkhead.admit(call), bulkhead.admit(call)] as [
      Permit,
      Wait,
      Wait
    ]
    permit.settle(call, outcomes[0])
    assert.strictEqual(second.claim(call), Infinity)
    first.cancel(call)
    assert.propertyVal(second.claim(call), "_tag", "Permit")
    assert.strictEqual(bulkhead.running("acme"), 1)
  })

  it("counts all calls of a vendor together, and each vendor separately", () => {
    const bulkhead = Bulkhead.make({ limit: 1, queue: 0 })
    assert.strictEqual(bulkhead.admit(fakeCall({ key: "one tenant" }))._tag, "Permit")
    assert.strictEqual(bulkhead.admit(fakeCall({ key: "another", operation: "refund" }))._tag, "Refusal")
    assert.strictEqual(bulkhead.admit(fakeCall({ vendor: "other" }))._tag, "Permit")
    assert.deepStrictEqual([bulkhead.running("acme"), bulkhead.running("other"), bulkhead.running("nobody")], [1, 1, 0])
  })

  it("is bounded by default: 64 run, 64 wait for up to a second, the next is refused", () => {
    const bulkhead = Bulkhead.make()
    const admissions = Array.from({ length: 129 }, () => bulkhead.admit(fakeCall()))
    assert.deepStrictEqual(
      admissions.map((admission) => admission._tag),
      Array.from({ length: 129 }, (_, i) => i < 64 ? "Permit" : i < 128 ? "Wait" : "Refusal")
    )
    assert.propertyVal(admissions[64], "limitMillis", 1_000)
  })

  it("fails a wait that takes longer than maxWait like a refused call", () => {
    const bulkhead = Bulkhead.make({ limit: 1, maxWait: "30 millis" })
    const call = fakeCall()
    bulkhead.admit(call)
    const wait = bulkhead.admit(call) as Wait
    assert.strictEqual(wait.limitMillis, 30)
    assert.deepStrictEqual(wait.expired(call), { _tag: "Refusal", reason: new BulkheadFull() })
  })

  it("rejects options outside their range, and names them", () => {
    for (const limit of [0, -1, 1.5, Number.NaN, Infinity]) {
      assert.throws(() => Bulkhead.make({ limit }), `limit must be a whole number of at least 1, got ${limit}`)
    }
    for (const queue of [-1, 0.5, Number.NaN, Infinity]) {
      assert.throws(() => Bulkhead.make({ queue }), `queue must be a whole number of at least 0, got ${queue}`)
    }
    for (const maxKeys of [0, Number.NaN, Infinity]) {
      assert.throws(() => Bulkhead.make({ maxKeys }), `maxKeys must be a whole number of at least 1, got ${maxKeys}`)
    }
    for (const maxWait of [-1, Infinity]) {
      assert.throws(() => Bulkhead.make({ maxWait }), `maxWait must be at least 0 and finite, got ${maxWait} ms`)
    }
    for (const idle of [0, Infinity]) {
      assert.throws(() => Bulkhead.make({ idle }), `idle must be longer than 0 and finite, got ${idle} ms`)
    }
  })

  it.prop(
    "admits, queues and serves exactly like plain lists of running and waiting calls, key by key",
    { ...Settings, script: Script },
    ({ script, ...settings }) => {
      const play = new Play(settings)
      for (const step of script) {
        play.step(step)
        play.check()
      }
    },
    long
  )

  it.prop(
    "loses no place, for any ending of the calls",
    {
      ...Settings,
      script: Script,
      endings: Schema.Array(Which).check(Schema.isBetweenLength(1, 12))
    },
    ({ endings, script, ...settings }) => {
      const play = new Play(settings)
      for (const step of script) play.step(step)
      for (let i = 0; play.callers.some((caller) => caller.stage !== "over"); i++) {
        const left = play.callers.filter((caller) => caller.stage !== "over")
        play.cancel(left[endings[i % endings.length]! % left.length]!)
      }
      for (const key of ["a", "b", "c"]) {
        assert.deepStrictEqual([play.gate.running(key), play.gate.waiting(key)], [0, 0])
        const call = fakeCall({ key, now: 10_000 })
        const admissions = Array.from({ length: settings.limit + 1 }, () => play.gate.admit(call)._tag)
        assert.deepStrictEqual(admissions.slice(0, -1), Array.from({ length: settings.limit }, () => "Permit"))
        assert.notStrictEqual(admissions.at(-1), "Permit")
      }
    },
    long
  )
})

import type { Permit, Wait } from "@breakwater/core/Gate"
import * as Outcome from "@breakwater/core/Outcome"
import * as AdaptiveLimit from "@breakwater/core/policies/AdaptiveLimit"
import type { Priority } from "@breakwater/core/Priority"
import { BulkheadFull, DeadlineExceeded, RateLimited, Timeout, Unavailable } from "@breakwater/core/Reason"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { type FakeCall, fakeCall } from "../../drivers/FakeCall.ts"
import { intBetween } from "../../drivers/IntBetween.ts"
import { reasons } from "../../drivers/Reasons.ts"
import * as Effort from "../../setup/Effort.ts"

const answer = Outcome.answered(10)
const drop = Outcome.failed(10, new Timeout("Headers", 10))
const broken = Outcome.failed(1, new Unavailable(500))
const gone = Outcome.abandoned(1)

const Which = intBetween(0, 20)
const Step = Schema.Union([
  Schema.TaggedStruct("admit", {
    key: Schema.Literals(["a", "b", "c"]),
    priority: Schema.Literals(["Critical", "Normal", "Normal", "Sheddable"]),
    times: intBetween(1, 6)
  }),
  Schema.TaggedStruct("settle", { which: Which, as: Schema.Literals(["answer", "drop", "broken", "gone"]) }),
  Schema.TaggedStruct("cancel permit", { which: Which }),
  Schema.TaggedStruct("cancel wait", { which: Which }),
  Schema.TaggedStruct("claim", { which: Which })
])
const outcomes = { answer, drop, broken, gone }

interface Caller {
  readonly call: FakeCall
  readonly priority: Priority
  admitted: Permit | Wait
  stage: "waiting" | "granted" | "lost" | "running" | "over"
  inflight: number
  told: number
}

type Line = { readonly key: string; callers: Array<Caller> }

/** A limit that learns by AIMD, and beside it the same lists kept naively. */
class Play {
  readonly gate: AdaptiveLimit.AdaptiveLimit
  readonly callers: Array<Caller> = []
  private readonly settings: { readonly initial: number; readonly queue: number; readonly share: number }
  private limit: number
  private lines: Record<"Critical" | "Normal", Array<Line>> = { Critical: [], Normal: [] }
  private hasCritical = false

  constructor(settings: Play["settings"]) {
    this.settings = settings
    this.limit = settings.initial
    this.gate = AdaptiveLimit.make({
      algorithm: { _tag: "Aimd" },
      initialLimit: settings.initial,
      maxLimit: 12,
      queue: settings.queue,
      criticalShare: settings.share / 10
    })
  }
  in(...stages: ReadonlyArray<Caller["stage"]>) {
    return this.callers.filter(({ stage }) => stages.includes(stage))
  }
  get running() {
    return this.in("running", "granted").length
  }
  private room(priority: Priority) {
    const kept = priority !== "Critical" && this.hasCritical ? Math.floor(this.limit * this.settings.share / 10) : 0
    return this.limit - kept - this.running
  }
  private waitingIn(line: "Critical" | "Normal") {
    return this.lines[line].reduce((sum, { callers }) => sum + callers.length, 0)
  }

  admit(key: string, priority: Priority): void {
    const call = fakeCall({ key, priority })
    if (priority === "Critical") this.hasCritical = true
    const line = priority === "Critical" ? "Critical" : "Normal"
    const admission = this.gate.admit(call)
    const mayRun = this.waitingIn(line) === 0 && this.room(priority) > 0
    const isFull = this.in("waiting").length >= this.settings.queue
    const from = this.waitingIn("Normal") > 0 ? "Normal" : "Critical"
    const longest = Math.max(0, ...this.lines[from].map(({ callers }) => callers.length))
    const mine = this.lines[line].find((line) => line.key === key)?.callers.length ?? 0
    const pushes = longest > 0 && (from === line ? longest > mine + 1 : line === "Critical")
    const expected = mayRun ? "Permit" : priority === "Sheddable" || (isFull && !pushes) ? "Refusal" : "Wait"
    assert.strictEqual(admission._tag, expected)
    if (admission._tag === "Refusal") return assert.deepStrictEqual(admission.reason, new BulkheadFull())
    const caller: Caller = {
      call,
      priority,
      admitted: admission,
      stage: expected === "Permit" ? "running" : "waiting",
      inflight: this.running + 1,
      told: 0
    }
    if (expected === "Wait" && isFull) {
      const { callers } = this.lines[from].find(({ callers }) => callers.length === longest)!
      // It does not matter which of several longest lines is chosen; the gate shows it by the call it refuses.
      const lost = this.lines[from].filter(({ callers }) => callers.length === longest)
        .map(({ callers }) => callers.at(-1)!).find(({ told }) => told > 0) ?? callers.at(-1)!
      for (const line of this.lines[from]) line.callers = line.callers.filter((caller) => caller !== lost)
      this.lines[from] = this.lines[from].filter(({ callers }) => callers.length > 0)
      lost.stage = "lost"
    }
    this.callers.push(caller)
    if (admission._tag === "Permit") return
    admission.onTurn((delay) => {
      assert.strictEqual(delay, 0)
      caller.told++
    })
    const own = this.lines[line].find((line) => line.key === key)
    if (own === undefined) this.lines[line].push({ key, callers: [caller] })
    else own.callers.push(caller)
  }
  claim(caller: Caller): void {
    if (caller.admitted._tag !== "Wait") return
    const claimed = caller.admitted.claim(caller.call)
    if (caller.stage === "waiting") return assert.strictEqual(claimed, Infinity)
    assert.propertyVal(claimed, "_tag", caller.stage === "lost" ? "Refusal" : "Permit")
    if (caller.stage === "lost") caller.stage = "over"
    else {
      caller.admitted = claimed as Permit
      caller.stage = "running"
    }
  }
  settle(caller: Caller, as: keyof typeof outcomes): void {
    if (caller.admitted._tag === "Permit") caller.admitted.settle(caller.call, outcomes[as])
    if (caller.inflight * 2 >= this.limit) {
      if (as === "drop") this.limit = Math.max(1, Math.floor(this.limit * 0.9))
      if (as === "answer") this.limit = Math.min(12, this.limit + 1)
    }
    this.leave(caller)
  }
  cancel(caller: Caller): void {
    caller.admitted.cancel(caller.call)
    this.leave(caller)
  }
  private leave(caller: Caller): void {
    caller.stage = "over"
    for (const line of ["Critical", "Normal"] as const) {
      for (const one of this.lines[line]) one.callers = one.callers.filter((other) => other !== caller)
      this.lines[line] = this.lines[line].filter(({ callers }) => callers.length > 0)
      while (this.lines[line].length > 0 && this.room(line) > 0) {
        const first = this.lines[line].shift()!
        const next = first.callers.shift()!
        next.inflight = this.running + 1
        next.stage = "granted"
        if (first.callers.length > 0) this.lines[line].push(first)
      }
    }
  }
  step(step: typeof Step.Type): void {
    const pick = (candidates: ReadonlyArray<Caller>, which: number, act: (caller: Caller) => void) => {
      if (candidates.length > 0) act(candidates[which % candidates.length]!)
    }
    switch (step._tag) {
      case "admit":
        for (let i = 0; i < step.times; i++) this.admit(step.key, step.priority)
        break
      case "settle":
        pick(this.in("running"), step.which, (caller) => this.settle(caller, step.as))
        break
      case "cancel permit":
        pick(this.in("running"), step.which, (caller) => this.cancel(caller))
        break
      case "cancel wait":
        pick(this.in("waiting", "granted", "lost"), step.which, (caller) => this.cancel(caller))
        break
      case "claim":
        pick(this.in("waiting", "granted", "lost"), step.which, (caller) => this.claim(caller))
    }
  }
  check(): void {
    assert.strictEqual(this.gate.limit("acme"), this.limit)
    assert.strictEqual(this.gate.running("acme"), this.running)
    assert.strictEqual(this.gate.waiting("acme"), this.in("waiting").length)
    assert.isAtMost(this.gate.waiting("acme"), this.settings.queue)
    for (const caller of this.in("waiting", "granted", "lost")) {
      assert.strictEqual(caller.told, caller.stage === "waiting" ? 0 : 1)
    }
  }
}

const settings = { initial: intBetween(1, 12), queue: intBetween(0, 6), share: intBetween(0, 9) }

describe("AdaptiveLimit", () => {
  it("admits calls up to its limit, and lets the next one run when a call ends", () => {
    const gate = AdaptiveLimit.make({ initialLimit: 2 })
    const [first, second, third] = [fakeCall(), fakeCall(), fakeCall()]
    const permit = gate.admit(first) as Permit
    assert.strictEqual(gate.admit(second)._tag, "Permit")
    const wait = gate.admit(third) as Wait
    assert.deepStrictEqual([gate.running("acme"), gate.waiting("acme")], [2, 1])
    permit.settle(first, answer)
    assert.propertyVal(wait.claim(third), "_tag", "Permit")
    assert.deepStrictEqual([gate.running("acme"), gate.waiting("acme")], [2, 0])
  })

  const algorithms = ["Gradient", "Vegas", "Aimd"] as const
  /** Calls made at once, all of which end in the same way. */
  const together = (gate: AdaptiveLimit.AdaptiveLimit, count: number, outcome: Outcome.Outcome | "cancel", now = 0) => {
    const calls = Array.from({ length: count }, () => fakeCall({ now }))
    const permits = calls.map((call) => gate.admit(call) as Permit)
    permits.forEach((permit, i) => {
      calls[i]!.now = now + 10
      if (outcome === "cancel") permit.cancel(calls[i]!)
      else permit.settle(calls[i]!, outcome)
    })
  }

  it("reserves a share of the limit for critical calls, once there has been one", () => {
    const gate = AdaptiveLimit.make({ initialLimit: 10, criticalShare: 0.25, queue: 0 })
    const tags = (priority: Priority, n: number) =>
      Array.from({ length: n }, () => gate.admit(fakeCall({ priority }))._tag === "Permit").filter(Boolean).length
    assert.strictEqual(tags("Critical", 1), 1)
    // Two of ten are reserved, for critical calls alone.
    assert.strictEqual(tags("Normal", 20), 7)
    assert.strictEqual(tags("Sheddable", 20), 0)
    assert.strictEqual(tags("Critical", 20), 2)
    const plain = AdaptiveLimit.make({ initialLimit: 10, criticalShare: 0.25, queue: 0 })
    assert.strictEqual(
      Array.from({ length: 20 }, () => plain.admit(fakeCall())).filter(({ _tag }) => _tag === "Permit").length,
      10
    )
  })

  it("is fair between keys: a heavy sender queues behind its own calls, and loses its last place to one with fewer", () => {
    const gate = AdaptiveLimit.make({ initialLimit: 1, queue: 4, algorithm: { _tag: "Aimd" }, maxLimit: 1 })
    const first = gate.admit(fakeCall()) as Permit
    const served: Array<string> = []
    const come = (name: string, key: string) => {
      const call = fakeCall({ key })
      const wait = gate.admit(call)
      if (wait._tag === "Wait") {
        wait.onTurn(() => {
          const claimed = wait.claim(call)
          served.push(typeof claimed === "object" && claimed._tag === "Permit" ? name : `${name} lost`)
          if (typeof claimed === "object" && claimed._tag === "Permit") claimed.settle(call, answer)
        })
      }
      return wait._tag
    }
    assert.deepStrictEqual(["f1", "f2", "f3", "f4", "f5"].map((name) => come(name, "flood")), [
      "Wait",
      "Wait",
      "Wait",
      "Wait",
      "Refusal"
    ])
    assert.deepStrictEqual([come("q1", "quiet"), come("q2", "quiet"), come("q3", "quiet")], ["Wait", "Wait", "Refusal"])
    assert.deepStrictEqual(served, ["f4 lost", "f3 lost"])
    first.settle(fakeCall(), answer)
    assert.deepStrictEqual(served.slice(2), ["f1", "q1", "f2", "q2"])
  })

  it("evicts unused keys, and learns for each key separately", () => {
    const gate = AdaptiveLimit.make({ algorithm: { _tag: "Aimd" }, by: (call) => call.key, maxKeys: 10 })
    for (let i = 0; i < 1_000; i++) {
      const call = fakeCall({ key: `tenant ${i}`, now: i })
      ;(gate.admit(call) as Permit).settle(call, answer)
    }
    assert.isAtMost(gate.size, 10)
    const calls = Array.from({ length: 20 }, () => fakeCall({ key: "busy", now: 2_000 }))
    calls.map((call) => gate.admit(call) as Permit).forEach((permit, i) => permit.settle(calls[i]!, answer))
    assert.isAbove(gate.limit("busy"), 20)
    assert.strictEqual(gate.limit("tenant 999"), 20)
  })

  it("is bounded by default: 20 run, 64 wait for up to a second, the next is refused", () => {
    const gate = AdaptiveLimit.make()
    const admissions = Array.from({ length: 85 }, () => gate.admit(fakeCall()))
    assert.deepStrictEqual(
      admissions.map(({ _tag }) => _tag),
      Array.from({ length: 85 }, (_, i) => i < 20 ? "Permit" : i < 84 ? "Wait" : "Refusal")
    )
    assert.propertyVal(admissions[20], "limitMillis", 1_000)
    assert.deepStrictEqual((admissions[20] as Wait).expired(fakeCall()), {
      _tag: "Refusal",
      reason: new BulkheadFull()
    })
  })

  it("rejects options outside their range, and names them", () => {
    const cases: ReadonlyArray<[AdaptiveLimit.AdaptiveLimitOptions, RegExp]> = [
      [{ minLimit: 0 }, /minLimit must be a whole number of at least 1, got 0/],
      [{ minLimit: 10, maxLimit: 9 }, /maxLimit must be a whole number of at least 10, got 9/],
      [{ initialLimit: 201 }, /initialLimit must be between 1 and 200, got 201/],
      [{ queue: -1 }, /queue must be/],
      [{ maxWait: Infinity }, /maxWait must be/],
      [{ criticalShare: 1 }, /criticalShare must be less than 1/],
      [{ criticalShare: -0.1 }, /criticalShare must be between 0 and 1/],
      [{ algorithm: { _tag: "Gradient", smoothing: 0 } }, /smoothing must be/],
      [{ algorithm: { _tag: "Gradient", queueSize: -1 } }, /queueSize must be/],
      [{ algorithm: { _tag: "Gradient", longWindow: 0 } }, /longWindow must be/],
      [{ algorithm: { _tag: "Gradient", tolerance: 0.9 } }, /tolerance must be/],
      [{ algorithm: { _tag: "Gradient", window: 0 } }, /window must be/],
      [{ algorithm: { _tag: "Gradient", minimumCalls: 0 } }, /minimumCalls must be/],
      [{ algorithm: { _tag: "Vegas", alpha: 0 } }, /alpha must be/],
      [{ algorithm: { _tag: "Vegas", alpha: 4, beta: 3 } }, /beta must be a whole number of at least 4/],
      [{ algorithm: { _tag: "Aimd", backoff: 1.5 } }, /backoff must be between 0.5 and 1/],
      [{ algorithm: { _tag: "Aimd", backoff: 0.4 } }, /backoff must be between 0.5/],
      [{ algorithm: { _tag: "Aimd", backoff: 1 } }, /backoff must be less than 1/],
      [{ algorithm: { _tag: "Aimd", timeout: 0 } }, /timeout must be/]
    ]
    for (const [options, message] of cases) assert.throws(() => AdaptiveLimit.make(options), message)
  })

  it.prop(
    "admits, queues, serves, displaces and learns like plain lists of running and waiting calls",
    { ...settings, script: Schema.Array(Step) },
    ({ script, ...settings }) => {
      const play = new Play(settings)
      // A key's state is made by its first call.
      play.admit("a", "Normal")
      for (const step of script) {
        play.step(step)
        play.check()
      }
    },
    { arbitrary: { runs: Effort.runs(300), size: 120 } }
  )

  it.prop(
    "loses no place, for any ending of the calls",
    { ...settings, script: Schema.Array(Step), endings: Schema.Array(Which).check(Schema.isBetweenLength(1, 12)) },
    ({ endings, script, ...settings }) => {
      const play = new Play(settings)
      for (const step of script) play.step(step)
      for (let i = 0; play.in("waiting", "granted", "lost", "running").length > 0; i++) {
        const left = play.in("waiting", "granted", "lost", "running")
        play.cancel(left[endings[i % endings.length]! % left.length]!)
      }
      assert.deepStrictEqual([play.gate.running("acme"), play.gate.waiting("acme")], [0, 0])
    },
    { arbitrary: { runs: Effort.runs(200), size: 120 } }
  )

  for (const _tag of algorithms) {
    it(`${_tag} learns nothing from our refusals, interruptions and broken responses`, () => {
      const gate = AdaptiveLimit.make({ algorithm: { _tag } })
      for (let i = 0; i < 20; i++) {
        for (const outcome of ["cancel", gone, broken] as const) together(gate, 20, outcome, i * 3_000)
        for (
          const reason of [reasons.CircuitOpen, reasons.BulkheadFull, reasons.Unauthorized, reasons.RequestRejected]
        ) {
          together(gate, 20, Outcome.failed(1, reason), i * 3_000 + 1_500)
        }
      }
      assert.strictEqual(gate.limit("acme"), 20)
    })

    it(`${_tag} shrinks on signs of overload, and grows on answers`, () => {
      const overloads = [
        new Timeout("Headers", 10),
        new RateLimited(429),
        new DeadlineExceeded("Unknown", { wasFair: true }),
        ...[408, 502, 503, 504, 529].map((status) => new Unavailable(status))
      ]
      for (const reason of overloads) {
        const gate = AdaptiveLimit.make({ algorithm: { _tag } })
        for (let i = 0; i < 4; i++) together(gate, gate.limit("acme"), Outcome.failed(10, reason), i * 2_000)
        assert.isBelow(gate.limit("acme"), 20, reason.message)
      }
      const gate = AdaptiveLimit.make({ algorithm: { _tag } })
      for (let i = 0; i < 8; i++) together(gate, gate.limit("acme"), answer, i * 2_000)
      assert.isAbove(gate.limit("acme"), 20)
    })

    it(`${_tag} stays between its bounds, except while it measures at rest`, () => {
      const gate = AdaptiveLimit.make({ algorithm: { _tag }, minLimit: 15, maxLimit: 25 })
      for (let i = 0; i < 200; i++) together(gate, gate.limit("acme"), drop, i * 2_000)
      assert.include([15, 8], gate.limit("acme"))
      for (let i = 200; i < 300; i++) together(gate, gate.limit("acme"), answer, i * 2_000)
      assert.include([25, 13], gate.limit("acme"))
    })

    it.prop(
      `${_tag} neither grows nor shrinks while less than half of the limit is in use, for any outcomes of the calls`,
      {
        ends: Schema.Array(Schema.Struct({
          running: intBetween(1, 9),
          millis: intBetween(1, 10_000),
          dropped: Schema.Boolean
        }))
      },
      ({ ends }) => {
        const gate = AdaptiveLimit.make({ algorithm: { _tag } })
        ends.forEach(({ dropped, millis, running }, i) => {
          const outcome = dropped ? Outcome.failed(millis, new Timeout("Headers", millis)) : Outcome.answered(millis)
          together(gate, running, outcome, i * 20_000)
          // From time to time half of it is measured for a moment.
          assert.include([20, 10], gate.limit("acme"))
        })
        for (let i = 0; i < 3; i++) together(gate, 9, answer, 1e9 + i * 10_000)
        assert.strictEqual(gate.limit("acme"), 20)
      }
    )
  }
})

import type { Permit, Refusal } from "@breakwater/core/Gate"
import * as Breaker from "@breakwater/core/policies/Breaker"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { intBetween, Settings } from "../../../drivers/BreakerSettings.ts"
import { consecutive, drive, type Ending, ending, slowCall } from "../../../drivers/DrivenBreaker.ts"
import { fakeCall } from "../../../drivers/FakeCall.ts"
import * as Effort from "../../../setup/Effort.ts"

const How = Schema.Union([
  Schema.Literals(["answer", "failure"]),
  Schema.Literals([...Object.keys(ending) as Array<keyof typeof ending>, "cancel"])
])

const Step = Schema.Struct({
  /** Quarters of a millisecond since the previous step. */
  after: Schema.Union([intBetween(0, 40), intBetween(0, 4_000), Schema.Literals([0, 4_000, 40_000, 400_000])]),
  key: Schema.Literals(["", "", "tenant"]),
  act: Schema.Union([
    /** This many calls begin. */
    Schema.TaggedStruct("begin", { count: intBetween(1, 6) }),
    /** One of the running calls ends; the index wraps around. */
    Schema.TaggedStruct("end", { which: intBetween(0, 11), how: How }),
    /** This many calls are made, one after another. */
    Schema.TaggedStruct("whole", { count: intBetween(1, 8), how: How })
  ])
})
const Script = Schema.Array(Step).check(Schema.isMinLength(20))
const long = { arbitrary: { runs: Effort.runs(300), size: 80 } }

/**
 * A naive model of the breaker: lists of events, counted from scratch. An era is one closed period, or one try at one
 * stage of half-open. The outcome of a call counts only in the era that admitted it.
 */
class NaiveBreaker {
  readonly settings: Settings
  era: Era = { _tag: "Closed", results: [] }
  openUntil: number | undefined
  openings = 0
  transitions: Array<string> = []

  constructor(settings: Settings) {
    this.settings = settings
  }

  /** The era that admits the call, or the milliseconds to wait. */
  ask(now: number): Era | number {
    if (this.openUntil !== undefined) {
      if (now < this.openUntil) return this.openUntil - now
      this.openUntil = undefined
      this.era = { _tag: "Stage", stage: 0, probes: [] }
      this.transitions.push("Open -> HalfOpen")
    }
    if (this.era._tag === "Stage") {
      const places = this.settings.probes[this.era.stage]!
      if (this.era.probes.filter((probe) => !probe.isGivenBack).length === places) {
        const latest = Math.max(...this.era.probes.map((probe) => probe.since))
        if (now - latest < this.settings.probeTimeout) return 1_000
        this.era = { _tag: "Stage", stage: this.era.stage, probes: [] }
      }
    }
    return this.era
  }

  hear(era: Era, probe: Probe, now: number, how: Ending) {
    if (era !== this.era || this.openUntil !== undefined) return
    if (how === "cancel" || ending[how]._tag === "Ignored") {
      probe.isGivenBack = true
      return
    }
    const failed = ending[how]._tag === "Failure"
    const slow = how === "slow" || how === "slowFailure"
    if (era._tag === "Closed") {
      era.results.push({ at: now, failed, slow })
      if ((failed || slow) && this.isTripped(era.results, now)) this.open("Closed", now, how)
      return
    }
    const places = this.settings.probes[era.stage]!
    const { trip } = this.settings
    probe.isGood = !failed && (!slow || trip._tag !== "Consecutive")
    probe.isSlow = slow
    const bad = era.probes.filter((probe) => probe.isGood === false).length
    const good = era.probes.filter((probe) => probe.isGood === true).length
    const slowOnes = era.probes.filter((probe) => probe.isSlow).length
    if (bad / places >= (trip._tag === "Consecutive" ? 0.5 : trip.failureRate)) return this.open("HalfOpen", now, how)
    if (trip._tag !== "Consecutive" && slowOnes / places >= trip.slowCallRate) return this.open("HalfOpen", now, how)
    if (good + bad < places) return
    this.openings = 0
    if (era.stage + 1 < this.settings.probes.length) {
      this.era = { _tag: "Stage", stage: era.stage + 1, probes: [] }
    } else {
      this.era = { _tag: "Closed", results: [] }
      this.transitions.push("HalfOpen -> Closed")
    }
  }

  private isTripped(results: ReadonlyArray<Result>, now: number): boolean {
    const { trip } = this.settings
    if (trip._tag === "Consecutive") {
      return results.length >= trip.failures &&
        results.slice(-trip.failures).every(({ failed, slow }) => failed || slow)
    }
    const bucketOf = (at: number) => trip._tag === "TimeWindow" ? Math.floor(at / (trip.window / trip.buckets)) : 0
    const counted = trip._tag === "CountWindow"
      ? results.slice(-trip.size)
      : results.filter(({ at }) => bucketOf(now) - bucketOf(at) < trip.buckets)
    return counted.length >= trip.minimumCalls && (
      counted.filter(({ failed }) => failed).length / counted.length >= trip.failureRate ||
      counted.filter(({ slow }) => slow).length / counted.length >= trip.slowCallRate
    )
  }

  private open(from: string, now: number, how: Ending) {
    let millis = this.settings.openFor
    for (let i = 0; i < this.openings; i++) millis *= this.settings.growth
    millis = Math.min(millis, this.settings.maxOpenFor)
    if (how === "comeBackLater") millis = Math.max(millis, 90_000)
    this.openings++
    this.openUntil = now + millis
    this.transitions.push(`${from} -> Open`)
  }

  state(now: number): Breaker.State {
    if (this.openUntil !== undefined) return now < this.openUntil ? "Open" : "HalfOpen"
    return this.era._tag === "Closed" ? "Closed" : "HalfOpen"
  }

  get probing(): number {
    return this.openUntil !== undefined || this.era._tag === "Closed"
      ? 0
      : this.era.probes.filter((probe) => !probe.isGivenBack && probe.isGood === undefined).length
  }
}
interface Result {
  readonly at: number
  readonly failed: boolean
  readonly slow: boolean
}
interface Probe {
  readonly since: number
  isGivenBack: boolean
  isGood: boolean | undefined
  isSlow: boolean
}
type Era =
  | { readonly _tag: "Closed"; readonly results: Array<Result> }
  | { readonly _tag: "Stage"; readonly stage: number; readonly probes: Array<Probe> }

/** Plays a script, and returns the calls running at its end. */
const play = (
  breaker: Breaker.Breaker,
  script: typeof Script.Type,
  each: {
    readonly asked?: (key: string, now: number, admission: Permit | Refusal) => object
    readonly ended?: (key: string, now: number, how: Ending, running: object) => void
    readonly after?: (now: number) => void
  }
) => {
  const call = fakeCall({ now: 1_000, random: () => 0 })
  const running: Record<string, Array<{ readonly permit: Permit; readonly seen: object }>> = { "": [], tenant: [] }
  const begin = (key: string) => {
    const admission = breaker.admit(call) as Permit | Refusal
    const seen = each.asked?.(key, call.now, admission) ?? {}
    if (admission._tag === "Permit") running[key]!.push({ permit: admission, seen })
    return admission._tag
  }
  const end = (key: string, index: number, how: Ending) => {
    const [ended] = running[key]!.splice(index, 1)
    if (how === "cancel") ended!.permit.cancel(call)
    else ended!.permit.settle(call, ending[how])
    each.ended?.(key, call.now, how, ended!.seen)
  }
  for (const { act, after, key } of script) {
    call.now += after / 4
    call.key = key
    const calls = running[key]!
    if (act._tag === "begin") { for (let i = 0; i < act.count; i++) begin(key) }
    else if (act._tag === "end" && calls.length > 0) end(key, act.which % calls.length, act.how)
    else if (act._tag === "whole") {
      for (let i = 0; i < act.count; i++) if (begin(key) === "Permit") end(key, calls.length - 1, act.how)
    }
    each.after?.(call.now)
  }
  return { now: call.now, running }
}

const circuitOf: Record<string, string> = { "": "acme/charge", tenant: "acme/charge/tenant" }

describe("Breaker", () => {
  it("opens after failures, admits a probe when its time is over, and closes when that is answered", () => {
    const { call, make, refusal, state } = drive({ trip: consecutive(2), openFor: "1 second", probes: [1] })
    make("answer", "failure", "failure")
    assert.strictEqual(state(), "Open")
    assert.strictEqual(refusal()._tag, "CircuitOpen")
    call.now += 1_000
    assert.strictEqual(state(), "HalfOpen")
    make("answer")
    assert.strictEqual(state(), "Closed")
  })
})

describe("Breaker agrees with a naive model", () => {
  it.prop(
    "on every admission, refusal, state and transition, for any script of calls and endings with two keys",
    { settings: Settings, script: Script },
    ({ script, settings }) => {
      const breaker = Breaker.make({ slowCall, ...settings })
      const models: Record<string, NaiveBreaker> = {
        "": new NaiveBreaker(settings),
        tenant: new NaiveBreaker(settings)
      }
      const announced: Record<string, Array<string>> = { "acme/charge": [], "acme/charge/tenant": [] }
      breaker.onTransition(({ from, key, to }) => announced[key]!.push(`${from} -> ${to}`))
      play(breaker, script, {
        asked(key, now, admission) {
          const expected = models[key]!.ask(now)
          if (typeof expected === "number") {
            assert.deepStrictEqual(
              admission._tag === "Refusal" ? [admission.reason._tag, admission.reason.retryAfterMillis] : "admitted",
              ["CircuitOpen", expected]
            )
            return {}
          }
          assert.strictEqual(admission._tag, "Permit")
          const probe: Probe = { since: now, isGivenBack: false, isGood: undefined, isSlow: false }
          if (expected._tag === "Stage") expected.probes.push(probe)
          return { era: expected, probe }
        },
        ended(key, now, how, seen) {
          const { era, probe } = seen as { readonly era: Era; readonly probe: Probe }
          models[key]!.hear(era, probe, now, how)
        },
        after(now) {
          for (const [key, model] of Object.entries(models)) {
            assert.strictEqual(breaker.state(circuitOf[key]!, now), model.state(now))
            assert.strictEqual(breaker.probing(circuitOf[key]!), model.probing)
            assert.deepStrictEqual(announced[circuitOf[key]!], model.transitions)
          }
        }
      })
    },
    long
  )
})

describe("Breaker, in any course of events,", () => {
  it.prop(
    "never has more calls running in half-open than its widest stage allows",
    { settings: Settings, script: Script },
    ({ script, settings }) => {
      const breaker = Breaker.make({ slowCall, ...settings, probeTimeout: "1 day" })
      const probes: Record<string, number> = { "": 0, tenant: 0 }
      // Calls that were running before the breaker opened are not probes.
      const opening: Record<string, number> = { "": 0, tenant: 0 }
      breaker.onTransition(({ from, key }) => {
        const short = key === "acme/charge" ? "" : "tenant"
        if (from !== "HalfOpen") return
        probes[short] = 0
        opening[short]!++
      })
      play(breaker, script, {
        asked(key, now, admission) {
          if (admission._tag === "Refusal" || breaker.state(circuitOf[key]!, now) !== "HalfOpen") {
            return { opening: -1 }
          }
          probes[key]!++
          return { opening: opening[key] }
        },
        ended(key, _now, _how, seen) {
          if ((seen as { readonly opening: number }).opening === opening[key]) probes[key]!--
        },
        after() {
          for (const key of ["", "tenant"]) {
            assert.isAtMost(probes[key]!, Math.max(...settings.probes))
            assert.strictEqual(breaker.probing(circuitOf[key]!), probes[key])
          }
        }
      })
    },
    long
  )

  it.prop(
    "is never stuck: calls that never end cost it at most a probe's timeout, and a healthy vendor closes it",
    { settings: Settings, script: Script },
    ({ script, settings }) => {
      const breaker = Breaker.make({ slowCall, ...settings })
      const { now } = play(breaker, script, {})
      const call = fakeCall({ now: now + 90_000 + settings.maxOpenFor })
      // Half-open gives up one stage of lost probes. Everything after that is answered.
      const enough = 2 + settings.probes.reduce((all, stage) => all + stage, 0) * 2
      for (let i = 0; i < enough; i++) {
        const admission = breaker.admit(call) as Permit | Refusal
        if (admission._tag === "Permit") admission.settle(call, ending.answer)
        else call.now += Math.max(settings.probeTimeout, admission.reason.retryAfterMillis ?? 0)
      }
      assert.strictEqual(breaker.state("acme/charge", call.now), "Closed")
    },
    long
  )
})

/**
 * A rate limit driven by hand and by arbitrary scripts, and beside it a naive ledger: the grants with their times, the
 * waiting calls, and the vendor's last word. Chance is left out: the first call leaves a pause as early as it may.
 */
import type { Permit, Wait } from "@breakwater/core/Gate"
import * as Jitter from "@breakwater/core/Jitter"
import * as Outcome from "@breakwater/core/Outcome"
import * as RateLimit from "@breakwater/core/policies/RateLimit"
import { RateLimited, RateLimitExceeded } from "@breakwater/core/Reason"
import { assert } from "@effect/vitest"
import { Schema } from "effect"
import { type FakeCall, fakeCall } from "../../../drivers/FakeCall.ts"
import { intBetween } from "../../../drivers/IntBetween.ts"

export const Settings = Schema.Struct({
  algorithm: Schema.Literals(["TokenBucket", "SlidingWindow"]),
  limit: intBetween(1, 8),
  window: Schema.Literals([250, 1_000, 60_000]),
  burst: intBetween(1, 12),
  queue: intBetween(0, 6),
  maxWait: Schema.Literals([0, 100, 1_000, 120_000]),
  /** The scripts count time in parts of a millisecond: exact in binary, or never exact. */
  unit: Schema.Literals([1 / 4, 1 / 7])
})
type Settings = typeof Settings.Type

const Key = Schema.Literals(["", "a", "b"])
const Gap = Schema.Union([intBetween(0, 40), intBetween(0, 4_000), Schema.Literals([0, 1_750, 7_000, 500_000])])
/** The index of a matching caller, wrapped around. */
const Which = intBetween(0, 11)

const steps = [
  Schema.TaggedStruct("arrive", {
    key: Key,
    weight: Schema.Literals([1, 1, 1, 0.5, 2, 3, 5]),
    times: intBetween(1, 5),
    patience: Schema.Union([Schema.Undefined, Gap])
  }),
  /** Time passes, and every waiter claims its permit at the time it was told. */
  Schema.TaggedStruct("advance", { gap: Gap }),
  /** Time passes, and no waiter claims. */
  Schema.TaggedStruct("oversleep", { gap: Gap }),
  Schema.TaggedStruct("claim", { which: Which }),
  Schema.TaggedStruct("cancel wait", { which: Which }),
  Schema.TaggedStruct("end", { which: Which })
] as const
const cancelPermit = Schema.TaggedStruct("cancel permit", { which: Which })
const settle = Schema.TaggedStruct("settle", {
  which: Which,
  says: Schema.Union([
    Schema.TaggedStruct("limited", { retryAfter: Schema.Union([Schema.Undefined, Gap]) }),
    Schema.TaggedStruct("quota", { remaining: intBetween(0, 6), reset: Gap })
  ])
})

/** The steps that callers make on their own. */
export const Script = Schema.Array(Schema.Union([...steps, cancelPermit]))
/** The steps of callers, and the responses of the vendor. */
export const AnsweredScript = Schema.Array(Schema.Union([...steps, settle]))
type Step = typeof Script.Type[number] | typeof AnsweredScript.Type[number]

export interface Caller {
  /** Callers are numbered in the order of arrival. */
  readonly number: number
  readonly call: FakeCall
  admitted: Permit | Wait
  stage: "waiting" | "running" | "over"
  /** The time when it was told to claim; `undefined` before it is at the head of the queue. */
  due: number | undefined
  grantedAt: number
}

/** Permits taken. */
interface Entry {
  readonly at: number
  readonly weight: number
  readonly caller: Caller
}

/** The vendor asks for no calls until a time, or has left a rest of its quota until then. */
interface Word {
  readonly until: number
  readonly rest: number | "none"
}

/** A nanosecond, in milliseconds: a bound on the rounding error of a sum of times. */
const nanosecond = 1e-6
/** The resolution of the rate limit, in milliseconds. */
const microsecond = 1e-3

const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((a, b) => a + b, 0)

export class DrivenRateLimit {
  readonly gate: RateLimit.RateLimit
  /** All callers that were not refused, in the order of arrival. */
  readonly callers: Array<Caller> = []
  /** All callers that got their permits, in the order of granting. */
  readonly granted: Array<Caller> = []
  now = 1e6
  private readonly settings: Settings
  /** Whether the ledger is exact; a permit given back late is a matter of judgement for a token bucket. */
  private readonly isExact: boolean
  private readonly capacity: number
  private readonly interval: number
  private readonly entries = new Map<string, Array<Entry>>()
  private readonly words = new Map<string, Word>()
  /** When the calls that waited for the end of a pause have all been let go. */
  private readonly spreadUntil = new Map<string, number>()

  constructor(settings: Settings, mode: "exact" | "lawful") {
    this.settings = settings
    this.isExact = mode === "exact"
    this.capacity = settings.algorithm === "TokenBucket" ? settings.burst : settings.limit
    this.interval = settings.window / settings.limit
    // Idle keys are evicted as soon as possible, and no caller should notice.
    this.gate = RateLimit.make({ ...settings, idle: 1 })
  }

  in(stage: Caller["stage"], key?: string): ReadonlyArray<Caller> {
    return this.callers.filter((caller) => caller.stage === stage && (key === undefined || caller.call.key === key))
  }
  private ledger(key: string): Array<Entry> {
    const entries = this.entries.get(key) ?? []
    this.entries.set(key, entries)
    return entries
  }

  // -------------------------------------------------------------------------------------------------------- the ledger

  /** Milliseconds until this many permits are due. */
  private delay(key: string, weight: number): number {
    return Math.max(
      this.held(key, weight),
      this.settings.algorithm === "TokenBucket" ? this.bucket(key, weight) : this.log(key, weight)
    )
  }
  private held(key: string, weight: number): number {
    const word = this.words.get(key)
    return word !== undefined && this.now < word.until && (word.rest === "none" || word.rest < weight)
      ? word.until - this.now
      : 0
  }
  /** Milliseconds until this many permits would be due after all waiting calls are served. */
  private estimate(key: string, weight: number): number {
    const total = sum(this.in("waiting", key).map((caller) => caller.call.cost)) + weight
    const beyond = Math.max(0, total - this.capacity)
    return this.delay(key, total - beyond) + beyond * this.interval
  }
  private bucket(key: string, weight: number): number {
    let fullAt = -Infinity
    for (const entry of this.ledger(key)) fullAt = Math.max(fullAt, entry.at) + entry.weight * this.interval
    const delay = Math.max(fullAt, this.now) + (weight - this.capacity) * this.interval - this.now
    return delay <= microsecond ? 0 : delay
  }
  private log(key: string, weight: number): number {
    const candidates = this.ledger(key).map((entry) => entry.at + this.settings.window)
    const soonest = [this.now, ...candidates.filter((at) => at > this.now + nanosecond)].toSorted((a, b) => a - b)
    return soonest.find((at) => this.used(key, at) + weight <= this.capacity)! - this.now
  }
  /** The costs in the window that ends at a time. */
  private used(key: string, until: number): number {
    return sum(
      this.ledger(key)
        .filter((entry) => entry.at > until - this.settings.window + nanosecond)
        .map((entry) => entry.weight)
    )
  }

  /** Whether a permit is due at this time, within the rounding error of a sum of times. */
  private isWithinRounding(key: string): boolean {
    return this.settings.algorithm === "SlidingWindow" && this.ledger(key).some((entry) => {
      const missing = Math.abs(entry.at + this.settings.window - this.now)
      return missing > 0 && missing <= nanosecond
    })
  }

  /** Checks a grant against the law of the algorithm, counting all earlier grants that were not given back. */
  private assertLawful(key: string): void {
    if (this.settings.algorithm === "SlidingWindow") return assert.isAtMost(this.used(key, this.now), this.capacity)
    let granted = 0
    for (const entry of this.ledger(key).toReversed()) {
      granted += entry.weight
      const span = this.now - entry.at + microsecond
      assert.isAtMost(granted, this.capacity + span / this.interval + 1e-6)
    }
  }

  // -------------------------------------------------------------------------------------------------- steps of callers

  arrive(key: string, weight = 1, patience = Infinity): Caller | RateLimitExceeded {
    const call = fakeCall({ key, cost: weight, now: this.now, deadline: this.now + patience, random: () => 0 })
    const queue = this.in("waiting", key)
    const estimate = weight > this.capacity ? undefined : this.estimate(key, weight)
    const delay = estimate === undefined ? undefined : this.delay(key, weight)
    const admission = this.gate.admit(call)

    // No call overtakes the queue, even if its permit is due.
    if (queue.length > 0) assert.notStrictEqual(admission._tag, "Permit")
    if (queue.length >= this.settings.queue) assert.notStrictEqual(admission._tag, "Wait")
    if (estimate === undefined) assert.strictEqual(admission._tag, "Refusal")
    else if (this.isExact) {
      const limit = Math.min(this.settings.maxWait, patience)
      const isBusy = queue.length > 0 || delay !== 0
      const isFull = queue.length >= this.settings.queue || estimate > limit
      const isClear = !isBusy || queue.length >= this.settings.queue || Math.abs(estimate - limit) > nanosecond
      // If rounding decides, either result is right.
      if (isClear && !this.isWithinRounding(key)) {
        assert.strictEqual(admission._tag, !isBusy ? "Permit" : isFull ? "Refusal" : "Wait")
      }
    }

    if (admission._tag === "Refusal") {
      assert.instanceOf(admission.reason, RateLimitExceeded)
      assert.strictEqual(admission.reason.fate, "NotSent")
      const { retryAfterMillis } = admission.reason
      if (estimate === undefined) assert.isUndefined(retryAfterMillis)
      else if (this.isExact) assert.approximately(retryAfterMillis ?? Number.NaN, estimate, microsecond)
      return admission.reason
    }
    const caller: Caller = {
      number: this.callers.length,
      call,
      admitted: admission,
      stage: "waiting",
      due: undefined,
      grantedAt: Number.NaN
    }
    this.callers.push(caller)
    if (admission._tag === "Permit") {
      this.grant(caller, admission)
    } else {
      const spread = Math.max(0, (this.spreadUntil.get(key) ?? 0) - (this.words.get(key)?.until ?? 0))
      assert.isAtLeast(admission.limitMillis, this.settings.maxWait)
      assert.isAtMost(admission.limitMillis, this.settings.maxWait + spread + microsecond)
      admission.onTurn((delay) => {
        caller.due = this.now + delay
      })
    }
    return caller
  }

  private grant(caller: Caller, permit: Permit): void {
    const { cost, key } = caller.call
    assert.isAtMost(this.held(key, cost), nanosecond)
    const word = this.words.get(key)
    if (word !== undefined && word.rest !== "none") this.words.set(key, { ...word, rest: word.rest - cost })
    caller.admitted = permit
    caller.stage = "running"
    caller.grantedAt = this.now
    this.granted.push(caller)
    this.ledger(key).push({ at: this.now, weight: cost, caller })
    this.assertLawful(key)
  }

  claim(caller: Caller): void {
    const { call } = caller
    if (caller.admitted._tag !== "Wait") throw new Error("this call does not wait")
    call.now = this.now
    const isFirst = this.in("waiting", call.key)[0] === caller
    const missing = this.delay(call.key, call.cost)
    const claimed = caller.admitted.claim(call)
    if (!isFirst) return assert.strictEqual(claimed, Infinity)
    if (typeof claimed !== "number") {
      if (this.isExact) assert.strictEqual(missing, 0)
      return this.grant(caller, claimed as Permit)
    }
    assert.isAbove(claimed, 0)
    if (this.isExact) {
      const spread = (this.spreadUntil.get(call.key) ?? -Infinity) - this.now
      assert.isAtLeast(claimed, missing - microsecond)
      assert.isAtMost(claimed, Math.max(missing, spread) + microsecond)
    }
    caller.due = this.now + claimed
  }

  cancelWait(caller: Caller): void {
    caller.call.now = this.now
    caller.stage = "over"
    caller.admitted.cancel(caller.call)
  }

  cancelPermit(caller: Caller): void {
    const entries = this.ledger(caller.call.key)
    entries.splice(entries.findIndex((entry) => entry.caller === caller), 1)
    this.cancelWait(caller)
  }
  /** Whether the ledger knows for certain what a cancelled permit gives back: nothing was taken since. */
  private isCancellable({ call, grantedAt }: Caller): boolean {
    return !this.isExact || this.settings.algorithm === "SlidingWindow" ||
      !this.callers.some((later) => later.call.key === call.key && later.grantedAt > grantedAt)
  }

  settle(caller: Caller, outcome: Outcome.Outcome): void {
    const { key } = caller.call
    caller.call.now = this.now
    caller.stage = "over"
    if (caller.admitted._tag === "Permit") caller.admitted.settle(caller.call, outcome)
    const word = this.words.get(key)
    const pause = (millis: number) => {
      const until = this.now + millis
      if (word?.rest === "none" && until <= word.until) return
      this.words.set(key, { until, rest: "none" })
      this.spreadUntil.set(key, Math.max(this.spreadUntil.get(key) ?? 0, this.now + Jitter.later(millis, 1)))
    }
    if (outcome.reason?._tag === "RateLimited") return pause(outcome.reason.retryAfterMillis ?? 1_000)
    if (outcome.quota === undefined) return
    const { remaining, resetMillis } = outcome.quota
    if (remaining === 0) return pause(resetMillis)
    if (word?.rest === "none" && this.now < word.until) return
    const until = this.now + resetMillis
    const known = word !== undefined && this.now < word.until && Math.abs(until - word.until) <= 1_000
      ? word
      : undefined
    this.words.set(
      key,
      known === undefined || known.rest === "none"
        ? { until, rest: remaining }
        : { ...known, rest: Math.min(known.rest, remaining) }
    )
  }

  advance(millis: number): void {
    const end = this.now + millis
    for (;;) {
      const next = this.in("waiting")
        .filter((caller) => caller.due !== undefined && caller.due <= end)
        .toSorted((a, b) => a.due! - b.due!)[0]
      if (next === undefined) break
      assert.strictEqual(this.in("waiting", next.call.key)[0], next)
      this.now = Math.max(this.now, next.due!)
      this.claim(next)
    }
    this.now = end
  }

  step(step: Step): void {
    const { unit } = this.settings
    const pick = (candidates: ReadonlyArray<Caller>, which: number, act: (caller: Caller) => void) => {
      if (candidates.length > 0) act(candidates[which % candidates.length]!)
    }
    switch (step._tag) {
      case "arrive":
        for (let i = 0; i < step.times; i++) {
          this.arrive(step.key, step.weight, step.patience === undefined ? Infinity : step.patience * unit)
        }
        break
      case "advance":
        this.advance(step.gap * unit)
        break
      case "oversleep":
        this.now += step.gap * unit
        break
      case "claim":
        pick(this.in("waiting"), step.which, (caller) => this.claim(caller))
        break
      case "cancel wait":
        pick(this.in("waiting"), step.which, (caller) => this.cancelWait(caller))
        break
      case "cancel permit": {
        const cancellable = this.in("running").filter((caller) => this.isCancellable(caller))
        pick(cancellable.toReversed(), step.which, (caller) => this.cancelPermit(caller))
        break
      }
      case "end":
        pick(this.in("running"), step.which, (caller) => this.settle(caller, Outcome.answered(1)))
        break
      case "settle":
        pick(this.in("running"), step.which, (caller) => {
          const { says } = step
          if (says._tag === "quota") {
            const quota = { remaining: says.remaining, resetMillis: says.reset * unit }
            this.settle(caller, Outcome.answered(1, quota))
          } else {
            const retryAfterMillis = says.retryAfter === undefined ? undefined : says.retryAfter * unit
            this.settle(caller, Outcome.failed(1, new RateLimited(429, { retryAfterMillis })))
          }
        })
    }
  }

  /** The queues have the right length, and only the first call in each was told when to claim. */
  check(): void {
    for (const [key, name] of [["", "acme"], ["a", "acme/a"], ["b", "acme/b"]] as const) {
      const [first, ...others] = this.in("waiting", key)
      assert.strictEqual(this.gate.waiting(name), first === undefined ? 0 : 1 + others.length)
      for (const other of others) assert.isUndefined(other.due)
      if (first === undefined) continue
      const told = Math.max(0, (first.due ?? Number.NaN) - this.now)
      const spread = (this.spreadUntil.get(key) ?? -Infinity) - this.now
      const most = Math.max(this.delay(key, first.call.cost), spread) + microsecond
      assert.isAtMost(told, this.isExact ? most : Infinity)
    }
  }
  /** Until the vendor's next news, the time told to the first call is exact, not only early enough. */
  checkPunctual(): void {
    for (const key of ["", "a", "b"]) {
      const first = this.in("waiting", key)[0]
      if (first === undefined) continue
      assert.approximately(Math.max(0, first.due! - this.now), this.delay(key, first.call.cost), microsecond)
    }
  }
}

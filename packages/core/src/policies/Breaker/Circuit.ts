/** The state of one key of a breaker, and its transitions. */
import type { Admission, Call, Permit, Refusal } from "../../Gate.ts"
import { freePermit, refuse } from "../../Gate.ts"
import * as Jitter from "../../Jitter.ts"
import type { Outcome } from "../../Outcome.ts"
import { CircuitOpen } from "../../Reason.ts"
import type { Cell } from "../../structures/Keyed.ts"
import type { Window } from "../../structures/Window.ts"
import type { Consent, Peers } from "./Peers.ts"

export type State = "Closed" | "Open" | "HalfOpen"

export interface Transition {
  readonly key: string
  readonly from: State
  readonly to: State
}

/** A breaker's state as plain data that survives a restart; safe to write as JSON. */
export interface Snapshot {
  readonly key: string
  readonly state: State
  /** Unix time in milliseconds until which it stays open. */
  readonly openUntil: number
  /** Number of openings in a row without an answered stage of probes between them. */
  readonly openings: number
  /** The content of its window; see the window's `dump`. */
  readonly window: ReadonlyArray<number>
}

/** The settings that all circuits of a breaker share. */
export interface CircuitSettings {
  readonly slowCallMillis: number
  readonly openForMillis: number
  readonly growth: number
  readonly maxOpenForMillis: number
  readonly probes: ReadonlyArray<number>
  readonly probeFailureRate: number
  /** The rate of slow probes at which a stage fails; `undefined` when a slow probe is as a failed one. */
  readonly probeSlowRate: number | undefined
  readonly probeTimeoutMillis: number
  /** The same breaker in other processes; `undefined` without a fleet. */
  readonly peers: Peers | undefined
  changed(circuit: Circuit, from: State): void
}

/**
 * The retry-after of a call that arrives while all probes of a stage are running: their result is near. Our own
 * judgement.
 */
const probingPauseMillis = 1_000
/** The longest a vendor's `Retry-After` can keep the breaker open: one hour. Our own judgement. */
const longestHintMillis = 60 * 60 * 1_000

/**
 * An answer of the last seconds outweighs fewer than this many failures since, against the word of another process. Our
 * own judgement.
 */
const [recentMillis, enoughFailures] = [10_000, 5]
/** A process that others keep away makes a probe of its own after so many times `maxOpenFor`. Our own judgement. */
const keptOut = 3

/** The state of one key. */
export class Circuit implements Cell {
  declare readonly window: Window
  declare readonly key: string
  declare private readonly settings: CircuitSettings
  state: State = "Closed"
  openUntil = -Infinity
  /** Openings since a stage of probes was last answered. */
  openings = 0
  /** The vendor of the latest call; `""` when there was none in this process. */
  vendor = ""
  /** Calls admitted and not yet ended, under any permit. */
  running = 0
  /** Failures since the vendor last answered, the time of that answer, and of the last result of either kind. */
  private failures = 0
  private answeredAt = -Infinity
  private evidenceAt: number
  declare touchedAt: number
  declare placedAt: number
  /** The permit given out now. A call under an earlier permit is no evidence about the present state. */
  private permit: CircuitPermit = new CircuitPermit(this)
  private stage = 0
  private admitted = 0
  private good = 0
  private bad = 0
  private slow = 0
  private lastProbeAt = -Infinity

  constructor(settings: CircuitSettings, key: string, window: Window, now: number) {
    this.settings = settings
    this.key = key
    this.window = window
    this.touchedAt = this.placedAt = this.evidenceAt = now
  }

  /**
   * Whether this process's own calls contradict others that find the vendor down. The last call was answered, or one was
   * a short time ago and few have failed since: such failures also occur while the vendor is well.
   */
  isAnswered(now: number): boolean {
    const isRecent = now - this.answeredAt <= recentMillis && this.failures < enoughFailures
    return this.answeredAt > -Infinity && (this.failures === 0 || isRecent)
  }

  /** The state as the next call would find it. */
  stateAt(now: number): State {
    return this.state === "Open" && now >= this.openUntil ? "HalfOpen" : this.state
  }

  /** Probes of the present stage that have not ended. */
  get probing(): number {
    return this.state === "HalfOpen" ? this.admitted - this.ended : 0
  }

  admit({ now, vendor }: Call): Admission {
    this.vendor = vendor
    if (this.state === "Closed") return this.pass()
    const refusal = this.forecast(now)
    if (refusal !== undefined) return refusal
    if (this.state === "Open") {
      const { peers } = this.settings
      if (peers !== undefined) return peers.inquire(this)
      this.probeFrom(0)
    }
    // A probe that never ended has lost its place.
    if (this.isProbing) this.beginStage(this.stage)
    this.admitted++
    this.lastProbeAt = now
    return this.pass()
  }

  /** The refusal that a call would get now, if any. */
  forecast(now: number): Refusal | undefined {
    if (this.state === "Open" && now < this.openUntil) return refuse(new CircuitOpen(this.openUntil - now))
    return this.state === "HalfOpen" && this.isProbing && now < this.lastProbeAt + this.settings.probeTimeoutMillis
      ? refuse(new CircuitOpen(probingPauseMillis))
      : undefined
  }

  /** Whether all places of the present stage are taken. */
  private get isProbing(): boolean {
    return this.admitted >= this.settings.probes[this.stage]!
  }

  observe(call: Call): Admission {
    const admission = this.admit(call)
    return admission._tag === "Permit" ? admission : freePermit
  }

  /** Applies the fleet's decision about who probes. */
  consented(now: number, consent: Consent): void {
    if (this.state !== "Open") return
    const isKeptOut = now - this.evidenceAt >= keptOut * this.settings.maxOpenForMillis
    // The others may find the vendor down because of a network of their own.
    if (typeof consent === "number" && isKeptOut) this.probeFrom(0)
    else if (typeof consent === "number") this.openUntil = now + Math.min(consent, longestHintMillis)
    else if (consent === "Recovered") {
      // Another process has made the first stage.
      this.openings = 0
      this.probeFrom(1)
    } else this.probeFrom(0)
  }
  /** Opens the circuit because other processes found the vendor down. */
  follow(now: number, millis: number): void {
    if (this.state !== "Closed") return
    this.openUntil = now + Math.min(millis, longestHintMillis)
    this.become("Open")
  }

  restore(snapshot: Snapshot, now: number, openForMillis: number): void {
    this.window.load(now, snapshot.window.map((n) => Number.isFinite(n) ? Math.max(0, Math.trunc(n)) : 0))
    this.openings = Number.isFinite(snapshot.openings) ? Math.max(0, Math.trunc(snapshot.openings)) : 0
    if (snapshot.state === "Closed") return this.become("Closed")
    // A half-open circuit begins again with its first probe.
    this.openUntil = now + Math.min(Math.max(0, openForMillis || 0), longestHintMillis)
    this.become("Open")
  }

  /** The state in numbers, to be stored for a while; `undefined` unless it is a plain closed circuit. */
  pack(): ReadonlyArray<number> | undefined {
    const isPlain = this.state === "Closed" && this.openings === 0 && this.settings.peers === undefined
    return isPlain ? this.window.pack() : undefined
  }

  settle(permit: CircuitPermit, call: Call, outcome: Outcome): void {
    this.running--
    if (permit !== this.permit) return
    if (outcome._tag === "Ignored") return this.giveBack(call.now)
    const failed = outcome._tag === "Failure"
    this.failures = failed ? this.failures + 1 : 0
    if (!failed) this.answeredAt = call.now
    this.evidenceAt = call.now
    const slow = outcome.durationMillis >= this.settings.slowCallMillis
    if (this.state === "HalfOpen") return this.judgeProbe(call, failed, slow, outcome)
    this.window.record(call.now, failed, slow)
    // A good answer never opens: the failures that are then the larger part, because older answers have expired, are those
    // of an outage that is over.
    if ((failed || slow) && this.window.isTripped(call.now)) this.open(call, outcome)
  }

  cancel(permit: CircuitPermit, call: Call): void {
    this.running--
    if (permit === this.permit) this.giveBack(call.now)
  }

  /** Gives back the place of a call that says nothing about the vendor. */
  private giveBack(now: number): void {
    if (this.state !== "HalfOpen") return
    this.admitted--
    if (this.settings.peers?.withdrew(this) !== true) return
    // The next call of any process probes for the fleet.
    this.openUntil = now
    this.become("Open")
  }

  private pass(): Permit {
    this.running++
    return this.permit
  }

  /** Probes of the present stage that have ended. */
  private get ended(): number {
    return this.good + this.bad
  }

  /** A stage fails at the rates of a closed breaker. */
  private judgeProbe(call: Call, failed: boolean, slow: boolean, outcome: Outcome): void {
    const { probeFailureRate, probes, probeSlowRate } = this.settings
    const planned = probes[this.stage]!
    if (failed || (slow && probeSlowRate === undefined)) this.bad++
    else this.good++
    if (slow) this.slow++
    const isSlow = probeSlowRate !== undefined && this.slow / planned >= probeSlowRate
    if (isSlow || this.bad / planned >= probeFailureRate) return this.open(call, outcome)
    if (this.ended < planned) return
    this.openings = 0
    const isFirst = this.stage === 0
    try {
      this.stageFrom(this.stage + 1)
    } finally {
      // The first stage is this process's part for the fleet, and a circuit that closes is news.
      if (isFirst || this.state === "Closed") this.settings.peers?.judged(this, "Success", 0)
    }
  }

  // A listener of a transition may throw: what follows the transition happens all the same.
  private probeFrom(stage: number): void {
    try {
      this.become("HalfOpen")
    } finally {
      this.stageFrom(stage)
    }
  }
  private stageFrom(stage: number): void {
    if (stage < this.settings.probes.length) return this.beginStage(stage)
    this.window.clear()
    this.become("Closed")
  }

  private beginStage(stage: number): void {
    this.stage = stage
    this.admitted =
      this.good =
      this.bad =
      this.slow =
        0
    this.permit = new CircuitPermit(this)
  }

  private open(call: Call, outcome: Outcome): void {
    const { growth, maxOpenForMillis, openForMillis } = this.settings
    // `NaN` when the power overflows to infinity and openForMillis is 0.
    const grown = Math.min(openForMillis * growth ** this.openings, maxOpenForMillis) || 0
    const hint = Math.min(outcome.reason?.retryAfterMillis ?? 0, longestHintMillis)
    // Other processes have been told the same time.
    const millis = hint > grown ? Jitter.later(hint, call.random()) : grown
    this.openings++
    this.openUntil = call.now + millis
    try {
      this.become("Open")
    } finally {
      this.settings.peers?.judged(this, "Failure", millis)
    }
  }

  private become(to: State): void {
    const from = this.state
    this.state = to
    this.permit = new CircuitPermit(this)
    if (from !== to) this.settings.changed(this, from)
  }
}

/** One object for all calls admitted in the same state, so that a healthy call allocates nothing here. */
class CircuitPermit implements Permit {
  readonly _tag = "Permit"
  private readonly circuit: Circuit
  constructor(circuit: Circuit) {
    this.circuit = circuit
  }
  settle(call: Call, outcome: Outcome) {
    this.circuit.settle(this, call, outcome)
  }
  cancel(call: Call) {
    this.circuit.cancel(this, call)
  }
}

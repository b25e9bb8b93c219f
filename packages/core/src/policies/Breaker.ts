/**
 * Leaves a vendor alone while it is failing, and comes back gently. One state per vendor, operation and key, so that a
 * bad tenant or a broken endpoint never opens the others. It sees attempts, not operations, and hears a cache hit never.
 *
 * Closed, it counts; open, it refuses; half-open, it lets a bounded number of probes through in growing stages, and
 * closes after the last stage. A probe that is interrupted gives its place back, and one that never ends loses it after
 * `probeTimeout`.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Admission, Call, Gate, Permit } from "../Gate.ts"
import { freePermit, refuse } from "../Gate.ts"
import type { Outcome } from "../Outcome.ts"
import * as Timeline from "../Timeline.ts"
import { CircuitOpen } from "../VendorError.ts"
import { Consecutive } from "./Breaker/Consecutive.ts"
import { CountWindow } from "./Breaker/CountWindow.ts"
import { TimeWindow } from "./Breaker/TimeWindow.ts"
import type { Thresholds, Window } from "./Breaker/Window.ts"
import { type Cell, Keyed } from "./Keyed.ts"

/** When a window with rates opens the breaker. */
export interface RateOptions {
  /** Calls the window must have seen before a rate counts. At least 1. @default 20 */
  readonly minimumCalls?: number | undefined
  /** Opens at this share of failures or above; more than 0, up to 1. @default 0.5 */
  readonly failureRate?: number | undefined
  /** Opens at this share of slow calls or above; more than 0, up to 1. @default 0.5 */
  readonly slowCallRate?: number | undefined
}

/** What opens the breaker. */
export type Trip =
  /** So many failures or slow calls in a row. @default failures 5 */
  | { readonly _tag: "Consecutive"; readonly failures?: number | undefined }
  /** A rate over the last `size` calls. @default size 100 */
  | { readonly _tag: "CountWindow"; readonly size?: number | undefined } & RateOptions
  /** A rate over the last span of time, counted in `buckets`. @default window "30 seconds", buckets 10 */
  | {
    readonly _tag: "TimeWindow"
    readonly window?: Duration.Input | undefined
    readonly buckets?: number | undefined
  } & RateOptions

export interface BreakerOptions {
  /** What opens the breaker. @default TimeWindow, 30 seconds, 20 calls, half of them failed or slow */
  readonly trip?: Trip | undefined
  /** A call that takes at least this long is slow, whatever its answer. @default "2 seconds" */
  readonly slowCall?: Duration.Input | undefined
  /** How long the breaker stays open the first time. @default "5 seconds" */
  readonly openFor?: Duration.Input | undefined
  /** By how much that grows each time the probes fail; at least 1. @default 2 */
  readonly growth?: number | undefined
  /** The longest the breaker stays open, unless the vendor itself asked for longer. @default "60 seconds" */
  readonly maxOpenFor?: Duration.Input | undefined
  /**
   * How many probes each stage of half-open lets through; each must be done, with less than `failureRate` of them failed
   * or slow, before the next stage begins. @default [1, 4, 16]
   */
  readonly probes?: ReadonlyArray<number> | undefined
  /** After this long a probe that has not ended is given up for lost. @default "60 seconds" */
  readonly probeTimeout?: Duration.Input | undefined
  /** What is broken off together. @default the vendor's operation and the call's key */
  readonly by?: ((call: Call) => string) | undefined
  /** Keys that are remembered. @default 10_000 */
  readonly maxKeys?: number | undefined
  /** How long an unused key is remembered. @default "1 hour" */
  readonly idle?: Duration.Input | undefined
}

export type State = "Closed" | "Open" | "HalfOpen"

/**
 * - `Automatic`: as described.
 * - `ForcedOpen`: refuses everything, counts nothing.
 * - `Disabled`: admits everything, counts nothing.
 * - `ObserveOnly`: counts and changes state, but admits everything; shows what the breaker would do.
 */
export type Mode = "Automatic" | "ForcedOpen" | "Disabled" | "ObserveOnly"

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
  /** How often in a row it has opened without having closed. */
  readonly openings: number
  /** The content of its window; see the window's `dump`. */
  readonly window: ReadonlyArray<number>
}

export interface Breaker extends Gate {
  /** The state a key is in, as the next call would find it. */
  state(key: string, now: number): State
  /** Sets the mode of one key, or of every key that has none of its own. */
  setMode(mode: Mode, key?: string): void
  /** Is told of every change of state. Returns how to stop listening. */
  onTransition(listener: (transition: Transition) => void): () => void
  /** How many probes are running under a key. */
  probing(key: string): number
  /** Keys remembered now. */
  readonly size: number
  /** Every remembered state, to be restored elsewhere. */
  readonly snapshot: Effect.Effect<ReadonlyArray<Snapshot>>
  /** Takes over states; a content that does not fit this breaker's window counts as empty. */
  restore(snapshots: ReadonlyArray<Snapshot>): Effect.Effect<void>
}

/** Makes a breaker. Throws when an option is out of its range. */
export const make = (options: BreakerOptions = {}): Breaker => new BreakerGate(options)

/** What a call hears that comes while all probes of a stage are out: their verdict is not far. */
const probingPauseMillis = 1_000
/** The longest a vendor's own `Retry-After` can keep the breaker open: one hour. */
const longestHintMillis = 60 * 60 * 1_000

class BreakerGate implements Breaker {
  readonly name = "breaker"
  readonly slowCallMillis: number
  readonly openForMillis: number
  readonly growth: number
  readonly maxOpenForMillis: number
  readonly probes: ReadonlyArray<number>
  readonly probeFailureRate: number
  readonly probeTimeoutMillis: number
  private readonly by: ((call: Call) => string) | undefined
  private readonly circuits: Keyed<Circuit>
  private readonly modes = new Map<string, Mode>()
  private readonly listeners = new Set<(transition: Transition) => void>()
  private mode: Mode = "Automatic"

  constructor(options: BreakerOptions) {
    const trip = options.trip ?? { _tag: "TimeWindow" }
    this.slowCallMillis = Duration.toMillis(options.slowCall ?? Duration.seconds(2))
    this.openForMillis = Duration.toMillis(options.openFor ?? Duration.seconds(5))
    this.growth = options.growth ?? 2
    this.maxOpenForMillis = Duration.toMillis(options.maxOpenFor ?? Duration.seconds(60))
    this.probes = options.probes ?? [1, 4, 16]
    this.probeTimeoutMillis = Duration.toMillis(options.probeTimeout ?? Duration.seconds(60))
    this.probeFailureRate = trip._tag === "Consecutive" ? 0 : trip.failureRate ?? 0.5
    this.by = options.by
    if (!(this.growth >= 1)) throw new Error(`Breaker: growth must be at least 1, got ${this.growth}`)
    if (this.probes.length === 0 || !this.probes.every((n) => Number.isInteger(n) && n > 0)) {
      throw new Error(`Breaker: probes must be whole numbers above 0, one per stage, got [${this.probes.join(", ")}]`)
    }
    const makeWindow = windowMaker(trip)
    this.circuits = new Keyed(
      { maxKeys: options.maxKeys ?? 10_000, idleMillis: Duration.toMillis(options.idle ?? Duration.hours(1)) },
      (key, now) => new Circuit(this, key, makeWindow(), now),
      (circuit) => circuit.running > 0
    )
  }

  get size() {
    return this.circuits.size
  }
  admit(call: Call): Admission {
    const key = this.by === undefined ? keyOf(call) : this.by(call)
    const mode = this.modes.size === 0 ? this.mode : this.modes.get(key) ?? this.mode
    switch (mode) {
      case "Automatic":
        return this.circuits.get(key, call.now).admit(call.now)
      case "ObserveOnly":
        return this.circuits.get(key, call.now).observe(call.now)
      case "ForcedOpen":
        return refuse(new CircuitOpen(undefined))
      case "Disabled":
        return freePermit
    }
  }
  state(key: string, now: number): State {
    const circuit = this.circuits.peek(key)
    if (circuit === undefined) return "Closed"
    return circuit.state === "Open" && now >= circuit.openUntil ? "HalfOpen" : circuit.state
  }
  probing(key: string) {
    return this.circuits.peek(key)?.probing ?? 0
  }
  setMode(mode: Mode, key?: string) {
    if (key === undefined) this.mode = mode
    else if (mode === this.mode) this.modes.delete(key)
    else this.modes.set(key, mode)
  }
  onTransition(listener: (transition: Transition) => void) {
    this.listeners.add(listener)
    return () => {
      this.listeners.delete(listener)
    }
  }
  announce(transition: Transition) {
    for (const listener of this.listeners) listener(transition)
  }

  readonly snapshot: Effect.Effect<ReadonlyArray<Snapshot>> = Effect.withFiber((fiber) => {
    const now = Timeline.of(fiber).now()
    const wallClock = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
    return Effect.succeed(Array.from(this.circuits.entries(), ([key, circuit]): Snapshot => ({
      key,
      state: circuit.state,
      openUntil: wallClock + Math.max(0, circuit.openUntil - now),
      openings: circuit.openings,
      window: circuit.window.dump(now)
    })))
  })
  restore(snapshots: ReadonlyArray<Snapshot>): Effect.Effect<void> {
    return Effect.withFiber((fiber) => {
      const now = Timeline.of(fiber).now()
      const wallClock = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
      for (const snapshot of snapshots) {
        this.circuits.get(snapshot.key, now).restore(snapshot, now, snapshot.openUntil - wallClock)
      }
      return Effect.void
    })
  }
}

const keyOf = (call: Call): string => call.key === "" ? call.scope : `${call.scope}/${call.key}`

const windowMaker = (trip: Trip): () => Window => {
  switch (trip._tag) {
    case "Consecutive": {
      const failures = atLeastOne("failures", trip.failures ?? 5)
      return () => new Consecutive(failures)
    }
    case "CountWindow": {
      const size = atLeastOne("size", trip.size ?? 100)
      const thresholds = thresholdsOf(trip)
      if (thresholds.minimumCalls > size) {
        throw new Error(`Breaker: a window of ${size} calls can never hold minimumCalls ${thresholds.minimumCalls}`)
      }
      return () => new CountWindow(size, thresholds)
    }
    case "TimeWindow": {
      const windowMillis = Duration.toMillis(trip.window ?? Duration.seconds(30))
      const buckets = atLeastOne("buckets", trip.buckets ?? 10)
      const thresholds = thresholdsOf(trip)
      if (!(windowMillis > 0)) throw new Error("Breaker: window must be longer than 0")
      return () => new TimeWindow(windowMillis, buckets, thresholds)
    }
  }
}

const thresholdsOf = (options: RateOptions): Thresholds => ({
  minimumCalls: atLeastOne("minimumCalls", options.minimumCalls ?? 20),
  failureRate: rate("failureRate", options.failureRate ?? 0.5),
  slowCallRate: rate("slowCallRate", options.slowCallRate ?? 0.5)
})

const atLeastOne = (name: string, n: number): number => {
  if (!Number.isInteger(n) || n < 1) throw new Error(`Breaker: ${name} must be a whole number of at least 1, got ${n}`)
  return n
}

const rate = (name: string, n: number): number => {
  if (!(n > 0 && n <= 1)) throw new Error(`Breaker: ${name} must be more than 0 and at most 1, got ${n}`)
  return n
}

/** The state of one key. */
class Circuit implements Cell {
  readonly window: Window
  private readonly breaker: BreakerGate
  private readonly key: string
  state: State = "Closed"
  openUntil = -Infinity
  openings = 0
  /** Calls let through and not ended, of whatever generation. */
  running = 0
  touchedAt: number
  placedAt: number
  /** What is handed out now. A call that began under an earlier permit is no evidence for the present state. */
  private permit: CircuitPermit = new CircuitPermit(this)
  private stage = 0
  private admitted = 0
  private good = 0
  private bad = 0
  private lastProbeAt = -Infinity

  constructor(breaker: BreakerGate, key: string, window: Window, now: number) {
    this.breaker = breaker
    this.key = key
    this.window = window
    this.touchedAt = this.placedAt = now
  }

  /** Probes of the present stage that have not ended. */
  get probing(): number {
    return this.state === "HalfOpen" ? this.admitted - this.good - this.bad : 0
  }

  admit(now: number): Admission {
    if (this.state === "Closed") return this.pass()
    if (this.state === "Open") {
      if (now < this.openUntil) return refuse(new CircuitOpen(this.openUntil - now))
      this.beginStage(0)
      this.become("HalfOpen")
    }
    if (this.admitted >= this.breaker.probes[this.stage]!) {
      const lostAt = this.lastProbeAt + this.breaker.probeTimeoutMillis
      if (now < lostAt) return refuse(new CircuitOpen(probingPauseMillis))
      this.beginStage(this.stage)
    }
    this.admitted++
    this.lastProbeAt = now
    return this.pass()
  }

  observe(now: number): Admission {
    const admission = this.admit(now)
    return admission._tag === "Permit" ? admission : freePermit
  }

  restore(snapshot: Snapshot, now: number, openForMillis: number): void {
    this.window.load(now, snapshot.window.map((n) => Number.isFinite(n) ? Math.max(0, Math.trunc(n)) : 0))
    this.openings = Math.max(0, Math.trunc(snapshot.openings) || 0)
    if (snapshot.state === "Closed") return
    // Half-open begins again with its first probe.
    this.openUntil = now + Math.min(Math.max(0, openForMillis || 0), longestHintMillis)
    this.become("Open")
  }

  settle(permit: CircuitPermit, call: Call, outcome: Outcome): void {
    this.running--
    if (permit !== this.permit) return
    if (outcome._tag === "Ignored") {
      if (this.state === "HalfOpen") this.admitted--
      return
    }
    const failed = outcome._tag === "Failure"
    const slow = outcome.durationMillis >= this.breaker.slowCallMillis
    if (this.state === "HalfOpen") return this.judgeProbe(call.now, failed || slow, outcome)
    this.window.record(call.now, failed, slow)
    if (this.window.isTripped(call.now)) this.open(call.now, outcome)
  }

  cancel(permit: CircuitPermit): void {
    this.running--
    if (permit === this.permit && this.state === "HalfOpen") this.admitted--
  }

  private pass(): Permit {
    this.running++
    return this.permit
  }

  private judgeProbe(now: number, failed: boolean, outcome: Outcome): void {
    const planned = this.breaker.probes[this.stage]!
    if (failed) this.bad++
    else this.good++
    if (this.bad > 0 && this.bad >= this.breaker.probeFailureRate * planned) return this.open(now, outcome)
    if (this.good + this.bad < planned) return
    if (this.stage + 1 < this.breaker.probes.length) return this.beginStage(this.stage + 1)
    this.window.clear()
    this.openings = 0
    this.become("Closed")
  }

  private beginStage(stage: number): void {
    this.stage = stage
    this.admitted = this.good = this.bad = 0
    this.permit = new CircuitPermit(this)
  }

  private open(now: number, outcome: Outcome): void {
    const { growth, maxOpenForMillis, openForMillis } = this.breaker
    const grown = Math.min(openForMillis * growth ** this.openings, maxOpenForMillis)
    const hint = Math.min(outcome.reason?.retryAfterMillis ?? 0, longestHintMillis)
    this.openings++
    this.openUntil = now + Math.max(grown, hint)
    this.become("Open")
  }

  private become(to: State): void {
    const from = this.state
    this.state = to
    this.permit = new CircuitPermit(this)
    if (from !== to) this.breaker.announce({ key: this.key, from, to })
  }
}

/** One object for all calls that are let through in the same state: a healthy call allocates nothing here. */
class CircuitPermit implements Permit {
  readonly _tag = "Permit"
  private readonly circuit: Circuit
  constructor(circuit: Circuit) {
    this.circuit = circuit
  }
  settle(call: Call, outcome: Outcome) {
    this.circuit.settle(this, call, outcome)
  }
  cancel() {
    this.circuit.cancel(this)
  }
}

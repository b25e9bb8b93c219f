/**
 * Stops calls to a vendor while it is failing, and resumes them gradually. Each vendor, operation and key has its own
 * state, so that a bad tenant or a broken endpoint never opens the others. It sees attempts, not operations, and never
 * a cache hit.
 *
 * A closed breaker counts. An open one refuses. A half-open one admits a bounded number of probes in growing stages,
 * and closes after the last stage. A probe that is interrupted before it had half of its attempt's timeout gives its
 * place back, and a probe that never ends loses it after `probeTimeout`. Defaults without a source are our own judgement.
 *
 * After the vendor's recovery a circuit refuses calls for at most `maxOpenFor`, and for the rest of a probe that was
 * running at that moment: with all defaults 5 and 3 seconds, and in a fleet one more.
 *
 * @example
 * ```ts
 * import { Breaker, Stack, Unavailable } from "@breakwater/core"
 * import { Effect } from "effect"
 *
 * const breaker = Breaker.make({ trip: { _tag: "Consecutive", failures: 2 }, openFor: "30 seconds" })
 * const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Unsafe", policy: { breaker } })
 * const call = Effect.flip(stack.guard(Effect.fail("busy"), () => new Unavailable(503)))
 *
 * console.log(await Effect.runPromise(call)) // => busy
 * console.log(await Effect.runPromise(call)) // => busy
 * console.log(breaker.state("acme/ring", 0)) // => Open
 * ```
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { SharedState } from "../fleet/Fleet.ts"
import type { Admission, Call, Gate, Refusal } from "../Gate.ts"
import { freePermit, refuse } from "../Gate.ts"
import * as Range from "../Range.ts"
import { CircuitOpen } from "../Reason.ts"
import { isUnder, Keyed, type KeyOptions, settingsOf } from "../structures/Keyed.ts"
import { TimeWindow } from "../structures/TimeWindow.ts"
import type { Thresholds, Window } from "../structures/Window.ts"
import * as Timeline from "../Timeline.ts"
import { Circuit, type CircuitSettings, type Snapshot, type State, type Transition } from "./Breaker/Circuit.ts"
import { Consecutive } from "./Breaker/Consecutive.ts"
import { CountWindow } from "./Breaker/CountWindow.ts"
import { Peers } from "./Breaker/Peers.ts"

/** The rates at which a window opens the breaker. */
export interface RateOptions {
  /** Calls the window must hold before a rate counts; a whole number of at least 1. @default 20 (as Hystrix) */
  readonly minimumCalls?: number | undefined
  /** Opens at this share of failures or above; more than 0, up to 1. @default 0.5 (as Hystrix and resilience4j) */
  readonly failureRate?: number | undefined
  /** Opens at this share of slow calls or above; more than 0, up to 1. @default 0.5 */
  readonly slowCallRate?: number | undefined
}

/** The condition that opens the breaker, at a failure or a slow call. A good answer never opens it. */
export type Trip =
  /**
   * This many failures or slow calls in a row; a whole number of at least 1.
   * @default failures 5 (as Envoy and Finagle)
   */
  | { readonly _tag: "Consecutive"; readonly failures?: number | undefined }
  /** A rate over the last `size` calls; a whole number, at least `minimumCalls`. @default size 100 (as resilience4j) */
  | { readonly _tag: "CountWindow"; readonly size?: number | undefined } & RateOptions
  /**
   * A rate over the last span of time, longer than 0, counted in `buckets`, a whole number of at least 1. Calls expire
   * one bucket at a time.
   * @default window "30 seconds" (as Polly), buckets 10 (as Hystrix)
   */
  | {
    readonly _tag: "TimeWindow"
    readonly window?: Duration.Input | undefined
    readonly buckets?: number | undefined
  } & RateOptions

export interface BreakerOptions extends KeyOptions {
  /** The condition that opens the breaker. @default TimeWindow, 30 seconds, 20 calls, half of them failed or slow */
  readonly trip?: Trip | undefined
  /**
   * A call that takes at least this long is slow, even if it succeeds; longer than 0, `Infinity` for never.
   * @default "2 seconds", in a policy two thirds of the attempt's timeout
   */
  readonly slowCall?: Duration.Input | undefined
  /** How long the breaker stays open; at least 0. @default "5 seconds" (as Polly and Hystrix) */
  readonly openFor?: Duration.Input | undefined
  /**
   * Growth factor of that time with each opening, until a stage of probes passes; at least 1. A longer time spares a vendor
   * that is down few probes, and costs as much time after its recovery.
   * @default 1 (as Polly and Hystrix)
   */
  readonly growth?: number | undefined
  /**
   * The longest the breaker stays open, unless the vendor itself asked for longer (up to an hour); at least `openFor`.
   * @default "10 seconds", or `openFor` when that is longer
   */
  readonly maxOpenFor?: Duration.Input | undefined
  /**
   * Number of probes in each stage of half-open, whole numbers of at least 1. The next stage begins when all probes
   * have ended, less than `failureRate` of them failed, and less than `slowCallRate` were slow. With a `Consecutive` trip,
   * less than half failed or were slow.
   * @default [1, 4, 16]
   */
  readonly probes?: ReadonlyArray<number> | undefined
  /** How long a probe may run before it counts as lost; longer than 0. @default "60 seconds" */
  readonly probeTimeout?: Duration.Input | undefined
  /** Partition key: calls with the same key share one circuit. @default the vendor's operation and the call's key */
  readonly by?: ((call: Call) => string) | undefined
}

/**
 * - `Automatic`: as described.
 * - `ForcedOpen`: refuses everything, counts nothing.
 * - `Disabled`: admits everything, counts nothing.
 * - `ObserveOnly`: counts and changes state, but admits everything; shows what the breaker would do.
 */
export type Mode = "Automatic" | "ForcedOpen" | "Disabled" | "ObserveOnly"

export type { Snapshot, State, Transition } from "./Breaker/Circuit.ts"

export interface Breaker extends Gate {
  /** The state of a key, as the next call would find it. */
  state(key: string, now: number): State
  /** Sets the mode of one key, or the common mode of all keys without one of their own. */
  setMode(mode: Mode, key?: string): void
  /** Removes a key's own mode, so that the common mode applies again. */
  clearMode(key: string): void
  /**
   * Subscribes to every change of state, or to those of a vendor or of one of its operations. With `by`, a change belongs
   * to the vendor of the circuit's latest call. Returns a function that unsubscribes.
   */
  onTransition(listener: (transition: Transition) => void, scope?: string): () => void
  /**
   * The states of the open and half-open circuits of a vendor or of one of its operations, one for each key; with `by`,
   * of all circuits. They are few, and no closed circuit is visited.
   */
  notClosed(scope: string, now: number): Iterable<Exclude<State, "Closed">>
  /** Whether `by` makes the keys, which then name no operation. */
  readonly hasOwnKeys: boolean
  /** Number of probes running under a key. */
  probing(key: string): number
  /** Keys remembered now. */
  readonly size: number
  /** Those of a vendor; with `by`, all keys. */
  sizeOf(vendor: string): number
  /** Every remembered state, to be restored in another process. */
  readonly snapshot: Effect.Effect<ReadonlyArray<Snapshot>>
  /** Restores states; a content that does not fit this breaker's window counts as empty. */
  restore(snapshots: ReadonlyArray<Snapshot>): Effect.Effect<void>
  /**
   * Shares openings and probes with the other processes of the fleet in {@link SharedState}; does nothing without a
   * fleet. A breaker that opens tells the others. They follow at their next poll, unless the vendor answers them: their
   * last call, or one of the last 10 seconds with fewer than 5 failures since. One process makes the first stage of probes
   * for the fleet; then all begin with the second. A process that the others keep away for three times `maxOpenFor` makes a
   * probe of its own, because it may be their network that is broken. While the store is bypassed, each process opens and
   * probes for itself.
   */
  readonly share: Effect.Effect<void, never, Scope.Scope>
}

/** Makes a breaker. Throws when an option is out of its range. */
export const make = (options: BreakerOptions = {}): Breaker => new BreakerGate(options)

class BreakerGate implements Breaker, CircuitSettings {
  readonly name = "breaker"
  readonly slowCallMillis: number
  readonly openForMillis: number
  readonly growth: number
  readonly maxOpenForMillis: number
  readonly probes: ReadonlyArray<number>
  readonly probeFailureRate: number
  readonly probeSlowRate: number | undefined
  readonly probeTimeoutMillis: number
  private readonly by: ((call: Call) => string) | undefined
  private readonly circuits: Keyed<Circuit>
  private readonly modes = new Map<string, Mode>()
  private readonly listeners = new Set<(transition: Transition, circuit: Circuit) => void>()
  /** The remembered circuits that are not closed. */
  private readonly troubled = new Set<Circuit>()
  /** Number of circuits by the first part of their key, which is the vendor; not counted with `by`. */
  private readonly sizes = new Map<string, number>()
  private mode: Mode = "Automatic"
  peers: Peers | undefined = undefined

  constructor(options: BreakerOptions) {
    const trip = options.trip ?? { _tag: "TimeWindow" }
    this.slowCallMillis = slowCallOf(options.slowCall)
    this.openForMillis = Range.durationOrZero("Breaker: openFor", options.openFor ?? Duration.seconds(5))
    this.growth = Range.atLeast("Breaker: growth", options.growth ?? 1, 1)
    this.maxOpenForMillis = options.maxOpenFor === undefined
      ? Math.max(10_000, this.openForMillis)
      : Range.atLeast("Breaker: maxOpenFor (ms)", Duration.toMillis(options.maxOpenFor), this.openForMillis)
    this.probes = options.probes ?? [1, 4, 16]
    this.probeTimeoutMillis = Range.duration("Breaker: probeTimeout", options.probeTimeout ?? Duration.seconds(60))
    this.probeFailureRate = trip._tag === "Consecutive" ? 0.5 : trip.failureRate ?? 0.5
    this.probeSlowRate = trip._tag === "Consecutive" ? undefined : trip.slowCallRate ?? 0.5
    this.by = options.by
    if (this.probes.length === 0 || !this.probes.every((n) => Number.isInteger(n) && n > 0)) {
      throw new Error(`Breaker: probes must be whole numbers above 0, one per stage, got [${this.probes.join(", ")}]`)
    }
    const makeWindow = windowMaker(trip)
    const makeCircuit = (key: string, now: number) => new Circuit(this, key, makeWindow(), now)
    this.circuits = new Keyed(
      settingsOf("Breaker", options),
      (key, now) => {
        this.count(key, 1)
        return makeCircuit(key, now)
      },
      (circuit) => circuit.running > 0,
      {
        width: 2,
        pack: (circuit) => circuit.pack(),
        unpack: (key, numbers) => {
          const circuit = makeCircuit(key, 0)
          circuit.window.unpack(numbers)
          return circuit
        }
      },
      (key, circuit) => {
        this.count(key, -1)
        if (circuit !== undefined) this.troubled.delete(circuit)
      }
    )
  }

  get size() {
    return this.circuits.size
  }
  sizeOf(vendor: string) {
    return this.by === undefined ? this.sizes.get(firstPart(vendor)) ?? 0 : this.size
  }
  private count(key: string, by: number) {
    if (this.by !== undefined) return
    const vendor = firstPart(key)
    this.sizes.set(vendor, (this.sizes.get(vendor) ?? 0) + by)
  }
  forecast(call: Call): Refusal | undefined {
    const key = this.by === undefined ? keyOf(call) : this.by(call)
    switch (this.modeOf(key)) {
      case "Automatic":
        return this.circuits.peek(key)?.forecast(call.now)
      case "ForcedOpen":
        return refuse(new CircuitOpen(undefined))
      case "ObserveOnly":
      case "Disabled":
        return undefined
    }
  }
  admit(call: Call): Admission {
    const key = this.by === undefined ? keyOf(call) : this.by(call)
    switch (this.modeOf(key)) {
      case "Automatic":
        return this.circuits.get(key, call.now).admit(call)
      case "ObserveOnly":
        return this.circuits.get(key, call.now).observe(call)
      case "ForcedOpen":
        return refuse(new CircuitOpen(undefined))
      case "Disabled":
        return freePermit
    }
  }
  private modeOf(key: string): Mode {
    return this.modes.size === 0 ? this.mode : this.modes.get(key) ?? this.mode
  }
  state(key: string, now: number): State {
    return this.circuits.peek(key)?.stateAt(now) ?? "Closed"
  }
  *notClosed(scope: string, now: number): Generator<Exclude<State, "Closed">> {
    for (const circuit of this.troubled) {
      if (this.by !== undefined || isUnder(circuit.key, scope)) {
        yield circuit.stateAt(now) === "Open"
          ? "Open"
          : "HalfOpen"
      }
    }
  }
  get hasOwnKeys() {
    return this.by !== undefined
  }
  probing(key: string) {
    return this.circuits.peek(key)?.probing ?? 0
  }
  setMode(mode: Mode, key?: string) {
    if (key === undefined) this.mode = mode
    else this.modes.set(key, mode)
  }
  clearMode(key: string) {
    this.modes.delete(key)
  }
  onTransition(listener: (transition: Transition) => void, scope?: string) {
    const heard = (transition: Transition, circuit: Circuit) => {
      const isHeard = scope === undefined ||
        (this.by === undefined
          ? isUnder(circuit.key, scope)
          : circuit.vendor === "" || isUnder(scope, circuit.vendor))
      if (isHeard) listener(transition)
    }
    this.listeners.add(heard)
    return () => {
      this.listeners.delete(heard)
    }
  }
  changed(circuit: Circuit, from: State) {
    const { key, state: to } = circuit
    if (to === "Closed") this.troubled.delete(circuit)
    // An evicted circuit may still hear from the fleet, and would never be removed again.
    else if (this.circuits.peek(key) === circuit) this.troubled.add(circuit)
    // One that throws hides the transition from no other.
    let broken: { readonly defect: unknown } | undefined
    for (const listener of this.listeners) {
      try {
        listener({ key, from, to }, circuit)
      } catch (defect) {
        broken ??= { defect }
      }
    }
    if (broken !== undefined) throw broken.defect
  }

  readonly share: Effect.Effect<void, never, Scope.Scope> = Effect.withFiber((fiber) => {
    const fleet = fiber.getRef(SharedState)
    if (fleet === undefined || this.peers !== undefined) return Effect.void
    const peers = new Peers(
      fleet,
      Timeline.of(fiber),
      fiber.getRef(Random.Random),
      Effect.runForkWith(fiber.context),
      this.probeTimeoutMillis
    )
    this.peers = peers
    return Effect.asVoid(Effect.forkScoped(peers.follow(() => this.circuits.cells())))
  })

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

const firstPart = (key: string): string => {
  const end = key.indexOf("/")
  return end === -1 ? key : key.slice(0, end)
}

const keyOf = (call: Call): string => call.key === "" ? call.scope : `${call.scope}/${call.key}`

const windowMaker = (trip: Trip): () => Window => {
  switch (trip._tag) {
    case "Consecutive": {
      const failures = Range.whole("Breaker: failures", trip.failures ?? 5, 1)
      return () => new Consecutive(failures)
    }
    case "CountWindow": {
      const size = Range.whole("Breaker: size", trip.size ?? 100, 1)
      const thresholds = thresholdsOf(trip)
      if (thresholds.minimumCalls > size) {
        throw new Error(`Breaker: a window of ${size} calls can never hold minimumCalls ${thresholds.minimumCalls}`)
      }
      return () => new CountWindow(size, thresholds)
    }
    case "TimeWindow": {
      const windowMillis = Range.duration("Breaker: window", trip.window ?? Duration.seconds(30))
      const buckets = Range.whole("Breaker: buckets", trip.buckets ?? 10, 1)
      const thresholds = thresholdsOf(trip)
      return () => new TimeWindow(windowMillis, buckets, thresholds)
    }
  }
}

const thresholdsOf = (options: RateOptions): Thresholds => ({
  minimumCalls: Range.whole("Breaker: minimumCalls", options.minimumCalls ?? 20, 1),
  failureRate: Range.share("Breaker: failureRate", options.failureRate ?? 0.5),
  slowCallRate: Range.share("Breaker: slowCallRate", options.slowCallRate ?? 0.5)
})

const slowCallOf = (input: Duration.Input = Duration.seconds(2)): number =>
  Duration.toMillis(input) === Infinity ? Infinity : Range.duration("Breaker: slowCall", input)

/**
 * The same breaker in the other processes of the fleet. A process that opens tells the others. One process makes the
 * first stage of probes for all, and when it passes, the others resume with the second. A process whose calls the vendor
 * answers ignores reports that it is down, and no process opens because another one probes. A process that others have
 * kept away for long makes a probe of its own: their network may be broken, and not the vendor.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Admission as StoreAdmission, CircuitBreakerError } from "effect/persistence/CircuitBreaker"
import type * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { ask, type Fleet } from "../../fleet/Fleet.ts"
import type { Admission, Call, Permit, Refusal, Wait } from "../../Gate.ts"
import { refuse } from "../../Gate.ts"
import { CircuitOpen } from "../../Reason.ts"
import type * as Timeline from "../../Timeline.ts"
import type { Circuit } from "./Circuit.ts"

/** The fleet's response to a process that wants to probe. */
export type Consent =
  /** The process probes for all, and reports the result. */
  | "Probe"
  /** Others have found the vendor healthy. */
  | "Recovered"
  /** Others are probing, or have found the vendor down: milliseconds to wait. */
  | number
  /** The fleet cannot be asked now. */
  | undefined

/**
 * The wait of a process while another one probes, in milliseconds: its result is near. A random part of the second half is
 * left out, so that the processes do not all resume in the same moment. Our own judgement.
 */
const probingMillis = 1_000
/** How often a verdict is reported to a store that is bypassed, once a poll. Our own judgement. */
const reports = 10
/** Number of states looked up in one round, and of keys searched for them. Our own judgement. */
const [mostAsked, mostLooked] = [64, 256]

interface Verdict {
  readonly outcome: "Success" | "Failure" | "Ignored"
  readonly openForMillis: number
}

const ignored: Verdict = { outcome: "Ignored", openForMillis: 0 }

export class Peers {
  private readonly fleet: Fleet
  private readonly timeline: Timeline.Timeline
  private readonly random: typeof Random.Random.Service
  private readonly fork: (effect: Effect.Effect<void>) => unknown
  /** The time after which an unjudged probe is left to another process. */
  private readonly probeTimeoutMillis: number
  private readonly inquiries = new Set<Circuit>()
  private readonly duties = new Map<Circuit, Deferred.Deferred<Verdict>>()

  constructor(
    fleet: Fleet,
    timeline: Timeline.Timeline,
    random: typeof Random.Random.Service,
    fork: (effect: Effect.Effect<void>) => unknown,
    probeTimeoutMillis: number
  ) {
    this.fleet = fleet
    this.timeline = timeline
    this.random = random
    this.fork = fork
    this.probeTimeoutMillis = probeTimeoutMillis
  }

  /** Asks the fleet about a circuit that has been open long enough. The call that finds it so waits for the consent. */
  inquire(circuit: Circuit): Admission {
    if (this.inquiries.has(circuit)) return refuse(new CircuitOpen(this.fleet.timeoutMillis))
    this.inquiries.add(circuit)
    const inquiry = new PeerWaiter(circuit, 2 * this.fleet.timeoutMillis)
    const consent = Effect.flatMap(
      ask(this.fleet, "admit", () => this.admission(circuit.key), undefined),
      (admission): Effect.Effect<void> => {
        this.inquiries.delete(circuit)
        try {
          return this.heed(circuit, inquiry, admission)
        } finally {
          // A listener of a transition may throw.
          inquiry.answered()
        }
      }
    )
    this.fork(Effect.scoped(consent))
    return inquiry
  }

  /** Applies the fleet's response to a circuit. Succeeds when this process has done its part. */
  private heed(
    circuit: Circuit,
    inquiry: PeerWaiter,
    admission: StoreAdmission | number | undefined
  ): Effect.Effect<void> {
    const now = this.timeline.now()
    if (typeof admission !== "object") circuit.consented(now, admission)
    else if (!admission.probe) circuit.consented(now, "Recovered")
    // There is no call left to probe with.
    else if (inquiry.isLeft || circuit.state !== "Open") return this.record(circuit.key, admission, ignored)
    else {
      const reported = Effect.flatMap(this.duty(circuit), (verdict) => this.record(circuit.key, admission, verdict))
      try {
        circuit.consented(now, "Probe")
      } catch (defect) {
        // A listener of a transition has thrown.
        return Effect.andThen(reported, Effect.die(defect))
      }
      return reported
    }
    return Effect.void
  }

  /** Reports what a circuit has found by its own calls: the vendor is down, or answers probes. */
  judged(circuit: Circuit, outcome: "Success" | "Failure", openForMillis: number): void {
    const duty = this.duties.get(circuit)
    const verdict: Verdict = { outcome, openForMillis }
    if (duty === undefined) this.tell(circuit.key, verdict)
    else Deferred.doneUnsafe(duty, Effect.succeed(verdict))
  }

  /** Hands the fleet's probe over when a call of it has ended without a result. Returns whether this process had it. */
  withdrew(circuit: Circuit): boolean {
    const duty = this.duties.get(circuit)
    if (duty !== undefined) Deferred.doneUnsafe(duty, Effect.succeed(ignored))
    return duty !== undefined
  }

  /**
   * Polls the states of the others for ever: in each round, of a few circuits that are closed, were called since the
   * last round, and are not answered.
   */
  follow(circuits: () => Iterable<Circuit>): Effect.Effect<never> {
    let rest = circuits()[Symbol.iterator]()
    const round = Effect.suspend(() => {
      const now = this.timeline.now()
      const closed: Array<Circuit> = []
      for (let looked = 0; looked < mostLooked && closed.length < mostAsked; looked++) {
        const { done, value } = rest.next()
        if (done === true) {
          rest = circuits()[Symbol.iterator]()
          break
        }
        const isCalled = now - value.touchedAt <= 2 * this.fleet.pollMillis
        if (value.state === "Closed" && isCalled && !value.isAnswered(now)) closed.push(value)
      }
      return Effect.forEach(closed, (circuit) => this.look(circuit), { concurrency: "unbounded", discard: true })
    })
    return Effect.forever(Effect.andThen(Effect.sleep(this.fleet.pollMillis), round))
  }

  private look(circuit: Circuit): Effect.Effect<void> {
    return Effect.map(ask(this.fleet, "state", () => this.fleet.breakers.state(circuit.key), undefined), (state) => {
      // Another process's probe says nothing yet.
      const millis = state?._tag === "Open" ? Duration.toMillis(state.retryAfter) : 0
      const now = this.timeline.now()
      if (millis > 0 && !circuit.isAnswered(now)) circuit.follow(now, millis)
    })
  }

  /** Tells the others what this process has found without being asked, unless they know already. */
  private tell(key: string, verdict: Verdict): void {
    const told = Effect.flatMap(
      ask(this.fleet, "admit", () => this.admission(key), undefined),
      (admission) =>
        typeof admission === "object" && (admission.probe || verdict.outcome === "Failure")
          ? this.record(key, admission, verdict)
          : Effect.void
    )
    this.fork(Effect.scoped(told))
  }

  /** The store's permit, or the milliseconds to wait for one. */
  private admission(key: string): Effect.Effect<StoreAdmission | number, CircuitBreakerError, Scope.Scope> {
    return this.fleet.breakers.admit(key).pipe(
      Effect.catchTag("CircuitBreakerError", (error): Effect.Effect<number, CircuitBreakerError> => {
        switch (error.reason._tag) {
          case "CircuitOpen":
            return Effect.succeed(Math.max(1, Duration.toMillis(error.reason.retryAfter)))
          case "CircuitHalfOpen":
            return Effect.sync(() => probingMillis * (1 - this.random.nextDoubleUnsafe() / 2))
          case "CircuitBreakerStoreError":
            return Effect.fail(error)
        }
      })
    )
  }

  /** Waits for the result of this process's probe. */
  private duty(circuit: Circuit): Effect.Effect<Verdict> {
    const duty = Deferred.makeUnsafe<Verdict>()
    this.duties.set(circuit, duty)
    return Effect.ensuring(
      Effect.timeoutOrElse(Deferred.await(duty), {
        duration: this.probeTimeoutMillis,
        orElse: () => Effect.succeed(ignored)
      }),
      Effect.sync(() => this.duties.delete(circuit))
    )
  }

  /** Until the store has heard it, no other process probes. */
  private record(key: string, { generation }: StoreAdmission, verdict: Verdict): Effect.Effect<void> {
    const record = () =>
      this.fleet.breakers.record({
        key,
        generation,
        outcome: verdict.outcome,
        // A process reports only results it is sure of, so one failure is enough.
        tripPolicy: { _tag: "Consecutive", failures: 1 },
        openFor: Duration.millis(verdict.openForMillis)
      })
    const report = (left: number): Effect.Effect<void> =>
      Effect.flatMap(
        ask(this.fleet, "record", () => Effect.as(record(), true), false),
        (isHeard) =>
          isHeard || left === 0
            ? Effect.void
            : Effect.andThen(Effect.sleep(this.fleet.pollMillis), report(left - 1))
      )
    return report(reports)
  }
}

/** A call that waits for the fleet's consent to probe. */
class PeerWaiter implements Wait {
  readonly _tag = "Wait"
  readonly limitMillis: number
  isLeft = false
  private readonly circuit: Circuit
  private isAnswered = false
  private turn: ((delayMillis: number) => void) | undefined = undefined

  constructor(circuit: Circuit, limitMillis: number) {
    this.circuit = circuit
    this.limitMillis = limitMillis
  }
  answered() {
    this.isAnswered = true
    this.turn?.(0)
  }
  onTurn(turn: (delayMillis: number) => void) {
    this.turn = turn
    if (this.isAnswered) turn(0)
  }
  claim(call: Call): Permit | Refusal | number {
    if (!this.isAnswered) return Infinity
    const admission = this.circuit.admit(call)
    if (admission._tag !== "Wait") return admission
    admission.cancel(call)
    return this.expired()
  }
  cancel() {
    this.isLeft = true
  }
  expired(): Refusal {
    return refuse(new CircuitOpen(this.limitMillis))
  }
}

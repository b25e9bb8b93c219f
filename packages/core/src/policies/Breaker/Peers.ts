/**
 * The same breaker in the other processes of the fleet. A process that opens tells the others. One process probes for
 * all, and when it finds the vendor healthy, the others resume by stages. A process whose own calls the vendor answers
 * ignores reports that it is down.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Admission as StoreAdmission, CircuitBreakerError, State } from "effect/persistence/CircuitBreaker"
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

/** The wait of a process while another one probes, in milliseconds: its result is near. Our own judgement. */
const probingMillis = 1_000
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
  private readonly fork: (effect: Effect.Effect<void>) => unknown
  /** The time after which an unjudged probe is left to another process. */
  private readonly probeTimeoutMillis: number
  private readonly inquiries = new Set<Circuit>()
  private readonly duties = new Map<Circuit, Deferred.Deferred<Verdict>>()

  constructor(
    fleet: Fleet,
    timeline: Timeline.Timeline,
    fork: (effect: Effect.Effect<void>) => unknown,
    probeTimeoutMillis: number
  ) {
    this.fleet = fleet
    this.timeline = timeline
    this.fork = fork
    this.probeTimeoutMillis = probeTimeoutMillis
  }

  /** Asks the fleet about a circuit that has been open long enough. The call that finds it so waits for the consent. */
  inquire(circuit: Circuit): Admission {
    if (this.inquiries.has(circuit)) return refuse(new CircuitOpen(this.fleet.timeoutMillis))
    this.inquiries.add(circuit)
    const inquiry = new PeerWaiter(circuit, 2 * this.fleet.timeoutMillis)
    const consent = Effect.flatMap(
      ask(this.fleet, this.admission(circuit.key), undefined),
      (admission): Effect.Effect<void> => {
        this.inquiries.delete(circuit)
        const next = this.heed(circuit, inquiry, admission)
        inquiry.answered()
        return next
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
      const verdict = this.duty(circuit)
      circuit.consented(now, "Probe")
      return Effect.flatMap(verdict, (verdict) => this.record(circuit.key, admission, verdict))
    }
    return Effect.void
  }

  /** Reports a change of state that a circuit made from its own calls. */
  judged(circuit: Circuit, outcome: "Success" | "Failure", openForMillis: number): void {
    const duty = this.duties.get(circuit)
    if (duty !== undefined) Deferred.doneUnsafe(duty, Effect.succeed({ outcome, openForMillis }))
    else if (outcome === "Failure") this.tell(circuit.key, openForMillis)
  }

  /**
   * Polls the states of the others for ever: in each round, of a few circuits that are closed and were called without
   * an answer.
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
        if (value.state !== "Closed" || now - value.touchedAt > 2 * this.fleet.pollMillis) continue
        if (value.hasAnswered) value.hasAnswered = false
        else closed.push(value)
      }
      return Effect.forEach(closed, (circuit) => this.look(circuit), { concurrency: "unbounded", discard: true })
    })
    return Effect.forever(Effect.andThen(Effect.sleep(this.fleet.pollMillis), round))
  }

  private look(circuit: Circuit): Effect.Effect<void> {
    return Effect.map(ask(this.fleet, this.fleet.breakers.state(circuit.key), undefined), (state) => {
      const millis = state === undefined ? 0 : openFor(state)
      if (millis > 0 && !circuit.hasAnswered) circuit.follow(this.timeline.now(), millis)
    })
  }

  /** Tells the others that this process has opened, unless they know already. */
  private tell(key: string, openForMillis: number): void {
    const open = Effect.flatMap(
      this.admission(key),
      (admission): Effect.Effect<unknown, unknown> =>
        typeof admission === "object"
          ? this.record(key, admission, { outcome: "Failure", openForMillis })
          : Effect.void
    )
    this.fork(Effect.scoped(Effect.asVoid(ask(this.fleet, open, undefined))))
  }

  /** The store's permit, or the milliseconds to wait for one. */
  private admission(key: string): Effect.Effect<StoreAdmission | number, CircuitBreakerError, Scope.Scope> {
    return this.fleet.breakers.admit(key).pipe(
      Effect.catchTag("CircuitBreakerError", (error): Effect.Effect<number, CircuitBreakerError> => {
        switch (error.reason._tag) {
          case "CircuitOpen":
            return Effect.succeed(Math.max(1, Duration.toMillis(error.reason.retryAfter)))
          case "CircuitHalfOpen":
            return Effect.succeed(probingMillis)
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

  private record(key: string, { generation }: StoreAdmission, verdict: Verdict): Effect.Effect<void> {
    const record = this.fleet.breakers.record({
      key,
      generation,
      outcome: verdict.outcome,
      // A process reports only results it is sure of, so one failure is enough.
      tripPolicy: { _tag: "Consecutive", failures: 1 },
      openFor: Duration.millis(verdict.openForMillis)
    })
    return Effect.asVoid(ask(this.fleet, record, undefined))
  }
}

const openFor = (state: State): number => {
  if (state._tag === "Open") return Duration.toMillis(state.retryAfter)
  return state._tag === "HalfOpen" && state.probing ? probingMillis : 0
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
    const admission = this.circuit.admit(call.now)
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

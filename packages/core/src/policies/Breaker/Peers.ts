/**
 * The same breaker in the other processes of the fleet. Who opens tells the others; one probes for all of them, and when
 * it has found the vendor well, they come back by stages. A process that sees the vendor answer does not believe the
 * others that it is down.
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

/** What the fleet says to a process that would like to probe. */
export type Consent =
  /** It is to probe for all, and to say what came of it. */
  | "Probe"
  /** Others have found the vendor well. */
  | "Recovered"
  /** Others probe, or have found the vendor down: milliseconds for which it is to be left alone. */
  | number
  /** There is no fleet now. */
  | undefined

/** What a process hears while another one probes, in milliseconds (ours: its verdict is not far). */
const probingMillis = 1_000
/** How many states are looked up in one round, and how many keys are looked through for them (ours). */
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
  /** After this long a probe that has not been judged is for another process to make. */
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

  /** A circuit has been open for long enough. The call that finds it so waits for the fleet's consent. */
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

  /** What the fleet says holds for a circuit; succeeds when what this process is to do for it is done. */
  private heed(
    circuit: Circuit,
    inquiry: PeerWaiter,
    admission: StoreAdmission | number | undefined
  ): Effect.Effect<void> {
    const now = this.timeline.now()
    if (typeof admission !== "object") circuit.consented(now, admission)
    else if (!admission.probe) circuit.consented(now, "Recovered")
    // Nobody is there any more to probe with.
    else if (inquiry.isLeft || circuit.state !== "Open") return this.record(circuit.key, admission, ignored)
    else {
      const verdict = this.duty(circuit)
      circuit.consented(now, "Probe")
      return Effect.flatMap(verdict, (verdict) => this.record(circuit.key, admission, verdict))
    }
    return Effect.void
  }

  /** A circuit has changed its state by what it has seen itself. */
  judged(circuit: Circuit, outcome: "Success" | "Failure", openForMillis: number): void {
    const duty = this.duties.get(circuit)
    if (duty !== undefined) Deferred.doneUnsafe(duty, Effect.succeed({ outcome, openForMillis }))
    else if (outcome === "Failure") this.tell(circuit.key, openForMillis)
  }

  /** Follows the others, again and again: each time a few of those that are closed, and called without an answer. */
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

  /** The store's permit, or the milliseconds for which it gives none. */
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

  /** This process probes: what comes of it, as soon as it is known. */
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
      // What a process tells is what it has made up its mind about.
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

/**
 * A second stack, slow and plain: one Effect combinator around the other, a semaphore for the bulkhead, `timeout` for
 * every limit, `retry` with a schedule. The fused stack must have the same outcomes, attempts and times.
 */
import { Deadline } from "@breakwater/core/Deadline"
import type { Call, Gate, Permit } from "@breakwater/core/Gate"
import * as Jitter from "@breakwater/core/Jitter"
import * as Outcome from "@breakwater/core/Outcome"
import * as Retry from "@breakwater/core/policies/Retry"
import type { RetryBudget } from "@breakwater/core/policies/RetryBudget"
import { type Fate, type Safety, worstFate } from "@breakwater/core/Safety"
import * as Timeline from "@breakwater/core/Timeline"
import {
  BulkheadFull,
  DeadlineExceeded,
  type Phase,
  type Reason,
  Timeout,
  VendorError
} from "@breakwater/core/VendorError"
import { Deferred, Duration, Effect, Exit, Option, Queue, Schedule, Semaphore } from "effect"
import type { Meeting } from "../../drivers/VendorScript.ts"

export interface ReferenceOptions {
  readonly safety: Safety
  readonly deadlineMillis: number
  readonly attemptMillis: number
  readonly phaseMillis: Readonly<Record<"Connect" | "Headers" | "Body", number>>
  readonly schedule: Retry.RetrySchedule | undefined
  readonly budget: RetryBudget | undefined
  readonly bulkhead: { readonly limit: number; readonly queue: number; readonly maxWaitMillis: number } | undefined
  readonly attemptGates: ReadonlyArray<Gate>
}

type Vendor = (onPhase: (phase: "Headers" | "Body") => void) => Effect.Effect<Meeting>

/** A declared error comes out as an exit, so that only the lack of an answer is a failure to retry. */
type Answered = Effect.Effect<Exit.Exit<string, string>, VendorError>

export const make = (options: ReferenceOptions) => {
  const places = options.bulkhead === undefined ? undefined : new Places(options.bulkhead)
  return (vendor: Vendor): Effect.Effect<string, string | VendorError> =>
    Effect.gen(function*() {
      const now = yield* Timeline.now
      const call = new ReferenceCall(options, now, Math.min(yield* Deadline, now + options.deadlineMillis))
      options.budget?.deposit(call.now)
      const once = Effect.andThen(call.tick, Effect.suspend(() => call.attemptOnce(vendor)))
      const repeated = options.schedule === undefined ? once : Effect.retry(once, call.schedule(options.schedule))
      return yield* (yield* places === undefined ? repeated : places.hold(call, options.attemptGates, repeated))
    })
}

class ReferenceCall implements Call {
  readonly vendor = "acme"
  readonly operation = "charge"
  readonly scope = "acme/charge"
  readonly key = ""
  readonly cost = 1
  readonly priority = "Normal"
  readonly safety: Safety
  readonly deadline: number
  now: number
  attempt = 0
  readonly options: ReferenceOptions
  /** When the latest attempt was sent. */
  beganAt = Infinity
  private started = 0
  private fate: Fate = "NotSent"

  constructor(options: ReferenceOptions, now: number, deadline: number) {
    this.options = options
    this.safety = options.safety
    this.now = now
    this.deadline = deadline
  }

  random(): number {
    return 0.5
  }

  readonly tick: Effect.Effect<void> = Effect.map(Timeline.now, (now) => {
    this.now = now
  })

  fail(reason: Reason): VendorError {
    return new VendorError({
      vendor: this.vendor,
      operation: this.operation,
      safety: this.safety,
      reason,
      fate: worstFate(this.fate, reason.fate),
      attempts: this.started
    })
  }

  attemptOnce(vendor: Vendor): Answered {
    if (this.now >= this.deadline) return Effect.fail(this.fail(new DeadlineExceeded("NotSent")))
    this.attempt++
    const startedBefore = this.started
    return this.options.attemptGates.reduceRight(
      (inner, gate) => throughGate(gate, this, () => this.started > startedBefore, this.options.attemptGates, inner),
      this.exchange(vendor)
    )
  }

  schedule(schedule: Retry.RetrySchedule) {
    return schedule.pipe(
      Schedule.setInputType<VendorError>(),
      Schedule.modifyDelay(({ duration, input }) =>
        Effect.succeed(
          Duration.millis(
            Math.max(Duration.toMillis(duration), Jitter.later(input.reason.retryAfterMillis ?? 0, this.random()))
          )
        )
      ),
      Schedule.while(({ duration, input }) =>
        Effect.map(this.tick, () =>
          Retry.isWorthwhile(this.safety, input.reason, this.fate) &&
          this.now + Duration.toMillis(duration) < this.deadline &&
          (this.options.budget === undefined || this.options.budget.withdraw(this.now)))
      )
    )
  }

  private exchange(vendor: Vendor): Answered {
    return Effect.suspend(() => {
      const { attemptMillis } = this.options
      const wasFair = this.deadline - this.now >= attemptMillis * 2 / 3
      let phase: Phase = "Connect"
      this.started++
      this.beganAt = this.now
      const headers = Deferred.makeUnsafe<void>()
      const body = Deferred.makeUnsafe<void>()
      const meeting = Effect.raceFirst(
        vendor((next) => {
          phase = next
          Deferred.doneUnsafe(next === "Headers" ? headers : body, Exit.void)
        }),
        this.phaseLimits(Deferred.await(headers), Deferred.await(body))
      )
      return meeting.pipe(
        this.limit(attemptMillis, () => new Timeout(phase, attemptMillis)),
        this.limit(
          this.deadline - this.now,
          () => new DeadlineExceeded(phase === "Connect" ? "NotSent" : "Unknown", { wasFair })
        ),
        Effect.flatMap((meeting): Answered =>
          "answer" in meeting ? Effect.succeed(meeting.answer) : Effect.fail(this.fail(meeting.reason))
        ),
        Effect.mapError((error) => {
          this.fate = worstFate(this.fate, error.reason.fate)
          return this.fail(error.reason)
        })
      )
    })
  }

  /** Fails when a phase takes too long; never ends otherwise. */
  private phaseLimits(headers: Effect.Effect<void>, body: Effect.Effect<void>): Effect.Effect<never, VendorError> {
    const { Body, Connect, Headers } = this.options.phaseMillis
    return headers.pipe(
      this.limit(Connect, () => new Timeout("Connect", Connect)),
      Effect.andThen(body.pipe(this.limit(Headers, () => new Timeout("Headers", Headers)))),
      Effect.andThen(Effect.never.pipe(this.limit(Body, () => new Timeout("Body", Body))))
    )
  }

  private limit(millis: number, reason: () => Reason) {
    return <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | VendorError> =>
      Effect.timeoutOrElse(effect, {
        duration: Duration.millis(millis),
        orElse: () => Effect.suspend(() => Effect.fail(this.fail(reason())))
      })
  }
}

/** Passes a gate, and tells it the outcome. */
const throughGate = (
  gate: Gate,
  call: ReferenceCall,
  wasStarted: () => boolean,
  gates: ReadonlyArray<Gate>,
  inner: Answered
): Answered =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(admitted(gate, call, gates)), (permit) => {
      const from = call.now
      return Effect.onExit(restore(inner), (exit) =>
        Effect.map(call.tick, () => {
          if (!wasStarted()) return permit.cancel(call)
          permit.settle(call, outcomeOf(exit, call, from))
        }))
    })
  )

const outcomeOf = (
  exit: Exit.Exit<unknown, VendorError>,
  call: ReferenceCall,
  from: number
): Outcome.Outcome => {
  const duration = call.now - from
  if (Exit.isSuccess(exit)) return Outcome.answered(duration)
  const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
  if (failure === undefined) {
    // A caller that leaves after a fair share of time.
    return call.now - call.beganAt >= call.options.attemptMillis * 2 / 3
      ? Outcome.failed(duration, new DeadlineExceeded("Unknown", { wasFair: true }))
      : Outcome.abandoned(duration)
  }
  return Outcome.failed(duration, failure.error.reason)
}

/** Waits for a permit, up to the gate's own limit and the deadline. */
const admitted = (
  gate: Gate,
  call: ReferenceCall,
  gates: ReadonlyArray<Gate>
): Effect.Effect<Permit, VendorError> =>
  Effect.suspend(() => {
    const admission = gate.admit(call)
    if (admission._tag === "Permit") return Effect.succeed(admission)
    if (admission._tag === "Refusal") return Effect.fail(call.fail(admission.reason))
    const wait = admission
    // Another gate may be known to refuse: then the call does not wait here first.
    const ahead = gates.filter((other) => other !== gate).map((other) => other.forecast?.(call)).find(Boolean)
    if (ahead !== undefined) {
      wait.cancel(call)
      return Effect.fail(call.fail(ahead.reason))
    }
    const turns = Queue.unbounded<number>()
    return Effect.flatMap(turns, (turns) => {
      wait.onTurn((delay) => {
        Queue.offerUnsafe(turns, delay)
      })
      const claim: Effect.Effect<Permit, VendorError> = Effect.flatMap(call.tick, () => {
        const claimed = wait.claim(call)
        if (typeof claimed === "number") return sleepThenClaim(claimed)
        return claimed._tag === "Refusal" ? Effect.fail(call.fail(claimed.reason)) : Effect.succeed(claimed)
      })
      // A turn that comes sooner replaces the one being slept for.
      const sleepThenClaim = (delay: number): Effect.Effect<Permit, VendorError> =>
        Effect.raceFirst(
          Effect.as(delay === Infinity ? Effect.never : Effect.sleep(Duration.millis(delay)), undefined),
          Queue.take(turns)
        ).pipe(
          Effect.flatMap((sooner) => sooner === undefined ? claim : sleepThenClaim(sooner)),
          Effect.orDie
        )
      return sleepThenClaim(Infinity).pipe(
        Effect.timeoutOption(Duration.millis(Math.min(wait.limitMillis, call.deadline - call.now))),
        Effect.tap(() => call.tick),
        Effect.flatMap(Option.match({
          onSome: (permit) => Effect.succeed(permit),
          onNone: () => {
            const reason = call.now >= call.deadline ? new DeadlineExceeded("NotSent") : wait.expired(call).reason
            wait.cancel(call)
            return Effect.fail(call.fail(reason))
          }
        })),
        Effect.onInterrupt(() => Effect.map(call.tick, () => wait.cancel(call)))
      )
    })
  })

/** The bulkhead as a semaphore with a counted queue. */
class Places {
  private readonly limit: number
  private readonly queue: number
  private readonly maxWaitMillis: number
  private readonly semaphore: Semaphore.Semaphore
  private holding = 0
  private waiting = 0

  constructor(options: NonNullable<ReferenceOptions["bulkhead"]>) {
    this.limit = options.limit
    this.queue = options.queue
    this.maxWaitMillis = options.maxWaitMillis
    this.semaphore = Semaphore.makeUnsafe(options.limit)
  }

  hold<A>(
    call: ReferenceCall,
    gates: ReadonlyArray<Gate>,
    use: Effect.Effect<A, VendorError>
  ): Effect.Effect<A, VendorError> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        if (this.holding >= this.limit && this.waiting >= this.queue) {
          return Effect.fail(call.fail(new BulkheadFull()))
        }
        // A gate of the attempt may be known to refuse: then the call does not wait here first.
        const ahead = this.holding < this.limit
          ? undefined
          : gates.map((gate) => gate.forecast?.(call)).find(Boolean)
        if (ahead !== undefined) return Effect.fail(call.fail(ahead.reason))
        this.waiting++
        const millis = Math.min(this.maxWaitMillis, call.deadline - call.now)
        return restore(Effect.timeoutOption(this.semaphore.take(1), Duration.millis(millis))).pipe(
          Effect.ensuring(Effect.sync(() => {
            this.waiting--
          })),
          Effect.tap(() => call.tick),
          Effect.flatMap((taken) => {
            if (Option.isNone(taken)) {
              return Effect.fail(
                call.fail(call.now >= call.deadline ? new DeadlineExceeded("NotSent") : new BulkheadFull())
              )
            }
            this.holding++
            return Effect.ensuring(
              restore(use),
              Effect.suspend(() => {
                this.holding--
                return this.semaphore.release(1)
              })
            )
          })
        )
      })
    )
  }
}

/**
 * The work that a stack guards: it is started, and ends once. The stack keeps the time. The leaf reports its phase, so
 * that the right timeout applies and the fate of a failure is known.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import { Deadline } from "../Deadline.ts"
import { reasonFrom } from "../Foreign.ts"
import type { Quota } from "../Outcome.ts"
import type { Phase, Reason } from "../Reason.ts"
import type { Fate } from "../Safety.ts"

/** One attempt, as its leaf sees it. Exactly one of `answer` and `fail` takes effect; later calls are ignored. */
export interface Attempt<A, E> {
  /** The number of this attempt: 1 for the first. */
  readonly attempt: number
  /** The time by which the operation must end, on the fibre's timeline. */
  readonly deadline: number
  /** The time of the attempt's last event, on the fibre's timeline. */
  readonly now: number
  /** The services of the fibre that made the call. */
  readonly context: Context.Context<never>
  /** The span of the attempt, when the fibre is traced. */
  readonly span: Tracer.Span | undefined
  /** The phase that it has entered last. */
  readonly currentPhase: Phase
  /** The status of the response, once there is one; for telemetry. */
  status: number | undefined
  /**
   * Reports that the attempt has entered a phase. It begins in `Connect`, where nothing has been sent, and returns
   * there when a request was refused without any effect. Pass `now` if the time has just been read.
   */
  phase(phase: Phase, now?: number): void
  /**
   * Asks for the permits of one more request: after a new secret, or after a redirect. Then runs `go`; or the attempt
   * ends, because a gate refuses. `fate` is what became of the requests before.
   */
  again(fate: Fate, go: () => void): void
  /** Reports that a request was cut off on its way. Its fate counts for the whole call. */
  cutOff(fate: Fate): void
  /** Reports that a piece of the body has arrived, which restarts the idle timeout. */
  progress(): void
  /** Reports an answer of the contract: a value, or an error it declares. */
  answer(exit: Exit.Exit<A, E>, quota?: Quota): void
  /** Reports a failure. Without a retry the call fails with the reason, or ends with `exit` if one is given. */
  fail(reason: Reason, quota?: Quota, exit?: Exit.Exit<A, E>): void
}

/** Starts an attempt, and returns a function that cancels it. */
export type Leaf<A, E> = (attempt: Attempt<A, E>) => () => void

/**
 * Makes a leaf of any effect, run in its own fibre. `classify` returns a reason for the errors that are no answer. Such
 * an error is retried as its reason allows, and comes out unchanged.
 */
export const fromEffect = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  classify: (error: E) => Reason | undefined
): Leaf<A, E> =>
(attempt) => {
  attempt.phase("Headers", attempt.now)
  // Calls inside the effect inherit the operation's deadline.
  const fiber = Effect.runForkWith(Context.add(attempt.context as Context.Context<R>, Deadline, attempt.deadline))(
    effect
  )
  fiber.addObserver((exit) => {
    const error = Exit.findErrorOption(exit)
    let reason: Reason | undefined
    try {
      reason = Option.isNone(error) ? undefined : reasonFrom("classify", classify(error.value))
    } catch (defect) {
      // Thrown in an observer it would be lost, and the call would wait for its timeout.
      return attempt.answer(Exit.die(defect))
    }
    if (reason === undefined) attempt.answer(exit)
    else attempt.fail(reason, undefined, exit)
  })
  return () => fiber.interruptUnsafe()
}

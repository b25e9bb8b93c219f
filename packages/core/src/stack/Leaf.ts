/**
 * What a stack guards: something that is started, and ends once. The stack owns its time; the leaf says how far it has
 * come, so that the right limit applies and a failure's fate is known.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import { Deadline } from "../Deadline.ts"
import type { Quota } from "../Outcome.ts"
import type { Phase, Reason } from "../Reason.ts"

/** One attempt, as its leaf sees it. Exactly one of `answer` and `fail` is heard; what comes later is ignored. */
export interface Attempt<A, E> {
  /** Which attempt this is: 1 for the first. */
  readonly attempt: number
  /** When the operation must be over, on the fibre's timeline. */
  readonly deadline: number
  /** The time of the last thing that happened to it, on the fibre's timeline. */
  readonly now: number
  /** The services of the fibre that made the call. */
  readonly context: Context.Context<never>
  /** The span of the attempt, when the fibre is traced. */
  readonly span: Tracer.Span | undefined
  /** The status of the answer, once there is one; for telemetry. */
  status: number | undefined
  /**
   * The attempt has come to its next phase. Until it says so it is in `Connect`, where nothing has been sent; it is there
   * again when what was sent was refused without any effect. `now` is the time, where it has just been read.
   */
  phase(phase: Phase, now?: number): void
  /** A piece of the body has come: it is not idle. */
  progress(): void
  /** There is an answer of the contract: a value, or an error it declares. */
  answer(exit: Exit.Exit<A, E>, quota?: Quota): void
  /** There is no answer, for this reason. Without a retry the call ends with it, or with `exit` where one is given. */
  fail(reason: Reason, quota?: Quota, exit?: Exit.Exit<A, E>): void
}

/** Starts an attempt, and returns how to cancel it. */
export type Leaf<A, E> = (attempt: Attempt<A, E>) => () => void

/**
 * Any effect as a leaf, run in a fibre of its own. `classify` says for which of its errors there is no answer; such an
 * error is retried as its reason allows, and comes out unchanged.
 */
export const fromEffect = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  classify: (error: E) => Reason | undefined
): Leaf<A, E> =>
(attempt) => {
  attempt.phase("Headers", attempt.now)
  // What is called within inherits the operation's deadline.
  const fiber = Effect.runForkWith(Context.add(attempt.context as Context.Context<R>, Deadline, attempt.deadline))(
    effect
  )
  fiber.addObserver((exit) => {
    const error = Exit.findErrorOption(exit)
    const reason = Option.isNone(error) ? undefined : classify(error.value)
    if (reason === undefined) attempt.answer(exit)
    else attempt.fail(reason, undefined, exit)
  })
  return () => fiber.interruptUnsafe()
}

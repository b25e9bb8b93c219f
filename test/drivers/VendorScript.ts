/**
 * A vendor that follows a script on virtual time: one entry for each attempt, in the order in which attempts begin.
 *
 * Every duration of a scenario is a number of long units plus a short remainder of its own, so that no two independent
 * events fall on the same instant: the order of ties is unspecified.
 */
import type { Attempt, Leaf } from "@breakwater/core/stack/Leaf"
import {
  Conflict,
  ConnectFailed,
  ConnectionLost,
  InvalidResponse,
  RateLimited,
  type Reason,
  Unauthorized,
  Unavailable
} from "@breakwater/core/VendorError"
import { Effect, Exit, Schema } from "effect"

/** One unit of scripted time, in milliseconds: far above the sum of all remainders. */
export const unit = 2 ** 22

/** A duration of so many units with the remainder of its source. */
export const span = (units: number, source: number): number => units * unit + remainder(source)

/** Below 2^15, spread by Knuth's multiplicative hash. */
const remainder = (source: number): number => 1 + (Math.imul(source + 1, 2_654_435_761) >>> 17)

const Units = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 6 }))

/** The script of one attempt. */
export const Behaviour = Schema.Struct({
  /** Until there is a connection, in units. */
  connect: Units,
  /** From there to the headers. */
  headers: Units,
  /** From there to the end. */
  body: Units,
  end: Schema.Literals([
    "answered",
    "answered",
    "declared",
    "refused",
    "lost",
    "unavailable",
    "unavailable",
    "limited",
    "conflict",
    "unauthorized",
    "garbage",
    "silent"
  ])
})
export type Behaviour = typeof Behaviour.Type

const reasons: Record<string, (index: number) => Reason> = {
  refused: () => new ConnectFailed("Refused"),
  lost: () => new ConnectionLost("Headers"),
  unavailable: () => new Unavailable(503),
  limited: (index) => new RateLimited(429, { retryAfterMillis: span(2, 900 + index) }),
  conflict: () => new Conflict(409),
  unauthorized: () => new Unauthorized(401),
  garbage: () => new InvalidResponse(200, "not JSON")
}

/** An attempt as the vendor saw it. */
export interface Seen {
  readonly from: number
  to: number | undefined
  /** `cancelled` when the caller left. */
  how: string
}

/** The result of an attempt's script: an answer, or the reason for its failure. */
export type Meeting = { readonly answer: Exit.Exit<string, string> } | { readonly reason: Reason }

/** Plays a script, and records the attempts. */
export class ScriptedVendor {
  readonly seen: Array<Seen> = []
  private readonly script: ReadonlyArray<Behaviour>
  private readonly now: () => number

  constructor(script: ReadonlyArray<Behaviour>, now: () => number) {
    this.script = script
    this.now = now
  }

  /** One attempt as an effect; `onPhase` hears how far it has come. */
  attempt(onPhase: (phase: "Headers" | "Body") => void): Effect.Effect<Meeting> {
    return Effect.suspend(() => {
      const index = this.seen.length
      const behaviour = this.script[index % this.script.length]!
      const seen: Seen = { from: this.now(), to: undefined, how: "running" }
      this.seen.push(seen)
      return Effect.gen(function*() {
        yield* Effect.sleep(span(behaviour.connect, 3 * index))
        if (behaviour.end === "refused") return { reason: reasons[behaviour.end]!(index) }
        onPhase("Headers")
        yield* Effect.sleep(span(behaviour.headers, 3 * index + 1))
        if (behaviour.end === "lost") return { reason: reasons[behaviour.end]!(index) }
        onPhase("Body")
        yield* Effect.sleep(span(behaviour.body, 3 * index + 2))
        if (behaviour.end === "silent") return yield* Effect.never
        if (behaviour.end === "answered") return { answer: Exit.succeed(`answer ${index}`) }
        if (behaviour.end === "declared") return { answer: Exit.fail(`declared ${index}`) }
        return { reason: reasons[behaviour.end]!(index) }
      }).pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => {
            seen.to = this.now()
            seen.how = Exit.isSuccess(exit) ? behaviour.end : "cancelled"
          })
        )
      )
    })
  }

  /** The same as a leaf. */
  readonly leaf: Leaf<string, string> = (attempt: Attempt<string, string>) => {
    const fiber = Effect.runForkWith(attempt.context)(this.attempt((phase) => attempt.phase(phase)))
    fiber.addObserver((exit) => {
      if (Exit.isFailure(exit)) return
      if ("answer" in exit.value) attempt.answer(exit.value.answer)
      else attempt.fail(exit.value.reason)
    })
    return () => fiber.interruptUnsafe()
  }
}

/**
 * Runs several operations at once, within one deadline, and returns the results that arrived: for a page that stays
 * useful when one of its vendors is out. A missing result is a gap with a reason. A required operation that fails,
 * fails the whole.
 *
 * It is for parts that are meaningful alone. Use `Effect.all` where one is worthless without the other.
 *
 * @example
 * ```ts
 * import { Parts, Unavailable, VendorError } from "@breakwater/core"
 * import { Effect } from "effect"
 *
 * const country = Effect.succeed("Switzerland")
 * const rate = Effect.fail(
 *   new VendorError({ vendor: "frankfurter", operation: "rate", safety: "Idempotent", reason: new Unavailable(503) })
 * )
 * const page = await Effect.runPromise(Parts.all({ country, rate }, { within: "2 seconds", require: ["country"] }))
 * console.log(page.country.value) // => Switzerland
 * console.log(page.rate._tag === "Gap" && page.rate.message) // => the vendor is unavailable (status 503)
 * ```
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Deadline, within } from "../Deadline.ts"
import { vendorErrorOf } from "../DeclaredFailure.ts"
import * as Range from "../Range.ts"
import { DeadlineExceeded, type Reason } from "../Reason.ts"
import * as Timeline from "../Timeline.ts"
import { VendorError } from "../VendorError.ts"

/** The operation succeeded. */
export interface Present<A> {
  readonly _tag: "Present"
  readonly value: A
}

/** The answer is an error that the contract declares: the vendor is healthy, and said no. */
export interface Declined<E> {
  readonly _tag: "Declined"
  readonly error: E
}

/** The operation failed, with an error that the contract declares or without. Plain data that can be shown as it is. */
export interface Gap {
  readonly _tag: "Gap"
  /** The tag of the reason. */
  readonly reason: Reason["_tag"]
  /** The reason for a human; it holds no text from the vendor. */
  readonly message: string
  /** The vendor whose answer is missing, or the name of the part when an unguarded effect was cut off. */
  readonly vendor: string
  /** The time to wait before the next call, if known. */
  readonly retryAfter: Duration.Duration | undefined
}

/** The result of an operation. `Declined` is absent when `VendorError` is the only declared error. */
export type Part<A, E = never> =
  | Present<A>
  | Gap
  | (Exclude<E, VendorError> extends never ? never : Declined<Exclude<E, VendorError>>)

type Operations = Readonly<Record<string, Effect.Effect<unknown, unknown, unknown>>>

/** The result of each operation. Required operations are always present. */
export type Parts<Ops extends Operations, Required extends keyof Ops = never> = {
  readonly [Name in keyof Ops]: Name extends Required ? Present<Effect.Success<Ops[Name]>>
    : Part<Effect.Success<Ops[Name]>, Effect.Error<Ops[Name]>>
}

export interface PartialOptions<Name> {
  /**
   * How long to wait; longer than 0, and shortened by a sooner deadline that is already set. Operations still running
   * then are interrupted, and awaited until they have cleaned up.
   * @default no longer than the deadline that is already set
   */
  readonly within?: Duration.Input | undefined
  /** The required operations: when one of these fails, all fail with it, at once. @default none */
  readonly require?: ReadonlyArray<Name> | undefined
}

/**
 * Runs all operations at once. Fails only when a required operation fails or is cut off. The error of an operation that
 * was cut off is a `VendorError` with the operation's name as its vendor. A defect is a defect of the whole. An
 * interruption interrupts every operation.
 */
export const all = <const Ops extends Operations, Required extends keyof Ops & string = never>(
  operations: Ops,
  options: PartialOptions<Required> = {}
): Effect.Effect<
  Parts<Ops, Required>,
  Effect.Error<Ops[Required]> | ([Required] extends [never] ? never : VendorError),
  Effect.Services<Ops[keyof Ops]>
> => {
  const millis = options.within === undefined ? Infinity : Range.duration("Partial: within", options.within)
  const required = new Set<string>(options.require)
  const parts = Effect.withFiber((fiber) => {
    const leftMillis = Math.max(0, Math.ceil(fiber.getRef(Deadline) - Timeline.of(fiber).now()))
    const running = Object.entries(operations).map(([name, operation]) => {
      const limited = leftMillis === Infinity
        ? operation
        : Effect.timeoutOrElse(operation, {
          duration: Duration.millis(leftMillis),
          orElse: () => Effect.fail(late(name))
        })
      return [name, required.has(name) ? Effect.map(limited, present) : partOf(limited)] as const
    })
    return Effect.all(Object.fromEntries(running), { concurrency: "unbounded" })
  })
  return (millis === Infinity ? parts : within(Duration.millis(millis))(parts)) as ReturnType<typeof all<Ops, Required>>
}

const partOf = <A, E, R>(operation: Effect.Effect<A, E, R>): Effect.Effect<Part<A, unknown>, E, R> =>
  Effect.matchCauseEffect(operation, {
    onSuccess: (value) => Effect.succeed<Part<A, unknown>>(present(value)),
    onFailure: (cause) => {
      const failure = Cause.findErrorOption(cause)
      if (Option.isNone(failure) || cause.reasons.some((reason) => reason._tag !== "Fail")) {
        return Effect.failCause(cause)
      }
      const error = vendorErrorOf(cause)
      return Effect.succeed<Part<A, unknown>>(
        error === undefined ? { _tag: "Declined", error: failure.value } : gap(error)
      )
    }
  })

const present = <A>(value: A): Present<A> => ({ _tag: "Present", value })

const gap = ({ reason, retryAfter, vendor }: VendorError): Gap => ({
  _tag: "Gap",
  reason: reason._tag,
  message: reason.message,
  vendor,
  retryAfter
})

/** The error of an operation that was cut off from outside: its fate is unknown. */
const late = (name: string): VendorError =>
  new VendorError({
    vendor: name,
    operation: "part",
    safety: "Unsafe",
    reason: new DeadlineExceeded("Unknown")
  })

/**
 * Calls several vendors for one task, in order of preference: when the first fails, the next is called. It moves on
 * because of a reason, never because of an answer, and for a write only when nothing can have happened. After moving on
 * it stays for a while, so that not every call begins with a vendor that is down. Each vendor keeps its own stack;
 * retries and hedges happen within one vendor.
 *
 * @example
 * ```ts
 * import { Failover, Provenance, Unavailable, VendorError } from "@breakwater/core"
 * import { Effect } from "effect"
 *
 * const reason = new Unavailable(503)
 * const first = Effect.fail(new VendorError({ vendor: "north", operation: "rate", safety: "Idempotent", reason }))
 * const second = Effect.succeed(1.0842)
 *
 * const failover = Failover.make()
 * const rate = failover.call({ north: first, south: second }).pipe(Provenance.withProvenance)
 * const { provenance, value } = await Effect.runPromise(rate)
 * console.log(value, JSON.stringify(provenance)) // => 1.0842 {"_tag":"Fallback","from":"south","because":"Unavailable"}
 * ```
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { vendorErrorOf } from "../DeclaredFailure.ts"
import * as Outcome from "../Outcome.ts"
import * as Provenance from "../Provenance.ts"
import * as Range from "../Range.ts"
import { Facts, type Reason } from "../Reason.ts"
import * as Timeline from "../Timeline.ts"
import { isVendorError, type VendorError } from "../VendorError.ts"

/** Options of a failover. Defaults without a source are our own judgement. */
export interface FailoverOptions {
  /**
   * Failures in a row before a vendor is avoided; until then, each call still begins with it. A whole number of at
   * least 1.
   * @default 3
   */
  readonly failures?: number | undefined
  /** How long an avoided vendor is not called first; at least 0. @default "30 seconds" */
  readonly stayAway?: Duration.Input | undefined
  /**
   * Answers in a row before a vendor is no longer avoided; until then only one call at a time begins with it. A whole
   * number of at least 1.
   * @default 2
   */
  readonly answers?: number | undefined
  /**
   * The order of preference for one call, from the given names: by price, for example, or by remaining quota.
   * @default as given
   */
  readonly order?: ((vendors: ReadonlyArray<string>) => ReadonlyArray<string>) | undefined
}

export interface Failover {
  /**
   * Calls the vendors in the given order, beginning with the one that is preferred now. Fails with the error of the
   * last vendor called.
   */
  call<A, E, R>(vendors: Readonly<Record<string, Effect.Effect<A, E, R>>>): Effect.Effect<A, E, R>
  /** The vendors that are avoided now, each with the reason. */
  readonly avoided: ReadonlyMap<string, Reason["_tag"]>
}

/** Makes a failover. Throws when an option is out of its range. */
export const make = (options: FailoverOptions = {}): Failover =>
  new Order({
    failures: Range.whole("Failover: failures", options.failures ?? 3, 1),
    stayAwayMillis: Range.durationOrZero("Failover: stayAway", options.stayAway ?? Duration.seconds(30)),
    answers: Range.whole("Failover: answers", options.answers ?? 2, 1),
    order: options.order ?? ((vendors) => vendors)
  })

/** Whether another vendor may be called after this error. */
export const mayMoveOn = (error: unknown): error is VendorError =>
  isVendorError(error) && Facts.of(error.reason).movesOn && (error.safety === "Idempotent" || error.fate !== "Unknown")

/** Whether a failure shows that another vendor should come first: none of our own side's does. */
const isAgainstVendor = (reason: Reason): boolean => {
  const { from, movesOn } = Facts.of(reason)
  return Outcome.seenFromOutside(reason) === "Failure" || (from === "Vendor" && movesOn)
}

interface Settings {
  readonly failures: number
  readonly stayAwayMillis: number
  readonly answers: number
  readonly order: (vendors: ReadonlyArray<string>) => ReadonlyArray<string>
}

/** The recent record of one vendor. */
class Standing {
  failures = 0
  answers = 0
  /** The reason the vendor is avoided; `undefined` while it is not. */
  because: Reason["_tag"] | undefined = undefined
  awayUntil = 0
  /** Whether a call is testing the vendor now. */
  isProbed = false
}

class Order implements Failover {
  private readonly settings: Settings
  private readonly standings = new Map<string, Standing>()

  constructor(settings: Settings) {
    this.settings = settings
  }

  get avoided(): ReadonlyMap<string, Reason["_tag"]> {
    const avoided = new Map<string, Reason["_tag"]>()
    for (const [vendor, { because }] of this.standings) if (because !== undefined) avoided.set(vendor, because)
    return avoided
  }

  call<A, E, R>(vendors: Readonly<Record<string, Effect.Effect<A, E, R>>>): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber) => {
      const timeline = Timeline.of(fiber)
      const names = this.settings.order(Object.keys(vendors)).filter((name) => name in vendors)
      if (names.length === 0) throw new Error("Failover: there is no vendor to call")
      return Effect.acquireUseRelease(
        Effect.sync(() => this.queue(names, timeline.now())),
        ({ queue }) => this.askInTurn(vendors, names, queue, timeline),
        ({ probe }) =>
          Effect.sync(() => {
            if (probe !== undefined) probe.isProbed = false
          })
      )
    })
  }

  /** Calls the vendors in the order of a queue; `names` is the order of preference. */
  private askInTurn<A, E, R>(
    vendors: Readonly<Record<string, Effect.Effect<A, E, R>>>,
    names: ReadonlyArray<string>,
    queue: ReadonlyArray<string>,
    timeline: Timeline.Timeline
  ): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber) => {
      const acceptance = fiber.getRef(Provenance.Acceptance)
      let because: string = this.standing(names[0]!).because ?? "Unavailable"
      const ask = (at: number): Effect.Effect<A, E, R> => {
        const name = queue[at]!
        return Effect.matchCauseEffect(vendors[name]!, {
          onSuccess: (value) => {
            this.answered(name)
            if (name !== names[0]) acceptance?.tell({ _tag: "Fallback", from: name, because })
            return Effect.succeed(value)
          },
          onFailure: (cause) => {
            const error = vendorErrorOf(cause)
            if (error !== undefined) {
              if (name === names[0]) because = error.reason._tag
              if (isAgainstVendor(error.reason)) this.failed(name, error.reason._tag, timeline.now())
              else if (Outcome.classify(error.reason) === "Success") this.answered(name)
            } else if (Cause.hasFails(cause)) this.answered(name)
            return mayMoveOn(error) && at + 1 < queue.length ? ask(at + 1) : Effect.failCause(cause)
          }
        })
      }
      return ask(0)
    })
  }

  /** The vendors to call, in order. Avoided vendors come last, except one that is due for a test. */
  private queue(names: ReadonlyArray<string>, now: number) {
    const away = names.filter((name) => this.standings.get(name)?.because !== undefined)
    const tried = away.find((name) => {
      const { awayUntil, isProbed } = this.standing(name)
      return now >= awayUntil && !isProbed
    })
    const near = names.filter((name) => !away.includes(name))
    const isBetter = tried !== undefined && (near.length === 0 || names.indexOf(tried) < names.indexOf(near[0]!))
    if (!isBetter) return { queue: [...near, ...away], probe: undefined }
    const probe = this.standing(tried)
    probe.isProbed = true
    return { queue: [tried, ...near, ...away.filter((name) => name !== tried)], probe }
  }

  private answered(name: string): void {
    const standing = this.standing(name)
    standing.failures = 0
    if (standing.because !== undefined && ++standing.answers >= this.settings.answers) standing.because = undefined
  }
  private failed(name: string, because: Reason["_tag"], now: number): void {
    const standing = this.standing(name)
    standing.answers = 0
    if (++standing.failures < this.settings.failures && standing.because === undefined) return
    standing.because = because
    standing.awayUntil = now + this.settings.stayAwayMillis
  }
  private standing(name: string): Standing {
    let standing = this.standings.get(name)
    if (standing === undefined) this.standings.set(name, standing = new Standing())
    return standing
  }
}

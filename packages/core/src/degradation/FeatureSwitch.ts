/**
 * Switches a feature off while its vendor is out, and gradually on again when the vendor has recovered, for a growing
 * share of the callers. It is for features that a page can do without, where hiding one is better than showing its
 * failure. A call that must be made anyway needs no switch: its breaker refuses fast enough.
 *
 * It never flaps. It goes off only after the vendor has been out for a time. It stays off for a time that grows with
 * each setback, and must pass every step to be fully on again.
 *
 * @example
 * ```ts
 * import { Breaker, FeatureSwitch } from "@breakwater/core"
 * import { Effect } from "effect"
 *
 * const breaker = Breaker.make()
 * const program = Effect.gen(function*() {
 *   const shipping = yield* FeatureSwitch.make({ name: "shipping", rule: { _tag: "Breaker", breaker, keys: ["acme/quote"] } })
 *   const shown = shipping.whenOn(Effect.succeed("arrives on Tuesday"), { otherwise: Effect.succeed("no estimate now") })
 *
 *   console.log(yield* shown) // => arrives on Tuesday
 *   shipping.setMode("Off")
 *   console.log(yield* shown) // => no estimate now
 *   const { because, state } = yield* shipping.status
 *   console.log(state, because) // => Off ByHand
 * })
 * await Effect.runPromise(program)
 * ```
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { vendorErrorOf } from "../DeclaredFailure.ts"
import * as Outcome from "../Outcome.ts"
import * as Range from "../Range.ts"
import { TimeWindow } from "../structures/TimeWindow.ts"
import * as Telemetry from "../Telemetry.ts"
import * as Timeline from "../Timeline.ts"
import { type State, Switchboard, type SwitchSettings } from "./FeatureSwitch/Switchboard.ts"

export type { State } from "./FeatureSwitch/Switchboard.ts"

/** The part of a breaker that a switch reads. */
export interface WatchedBreaker {
  /** The state of a key, at a time of the timeline in milliseconds. */
  state(key: string, now: number): "Closed" | "HalfOpen" | "Open"
}

/** The rule by which the vendor counts as out. */
export type Rule =
  /** While its breaker is open for any of these keys: the vendor's operation, with the call's key if it has one. */
  | { readonly _tag: "Breaker"; readonly breaker: WatchedBreaker; readonly keys: ReadonlyArray<string> }
  /** While a large share of the calls made through the switch fail. */
  | {
    readonly _tag: "Failures"
    /** At this share of failures or above; more than 0, up to 1. @default 0.5 (as the breaker) */
    readonly share?: number | undefined
    /**
     * Calls needed for a verdict; a whole number of at least 1. While the feature returns, 3 are enough.
     * @default 20 (as the breaker)
     */
    readonly minimumCalls?: number | undefined
    /** Time span of the remembered calls; longer than 0. @default "30 seconds" (as the breaker) */
    readonly window?: Duration.Input | undefined
  }

/** Options of a feature switch. Defaults without a source are our own judgement. */
export interface FeatureSwitchOptions {
  /** The name of the feature in metrics, logs and health reports. */
  readonly name: string
  /** The rule by which the vendor counts as out. @default Failures */
  readonly rule?: Rule | undefined
  /** How long the vendor must be out before the feature goes off; at least 0. @default "10 seconds" */
  readonly offAfter?: Duration.Input | undefined
  /** How long the feature stays off the first time; longer than 0. @default "30 seconds" */
  readonly offFor?: Duration.Input | undefined
  /**
   * Growth factor of that time each time the vendor is out again before the feature is fully on; at least 1.
   * @default 2
   */
  readonly growth?: number | undefined
  /**
   * The longest time the feature stays off; at least `offFor`.
   * @default "10 minutes", or `offFor` when that is longer
   */
  readonly maxOffFor?: Duration.Input | undefined
  /**
   * The share of callers for whom it is on in each step; each more than 0, up to 1, and not below the step before.
   * @default [0.05, 0.25, 0.5]
   */
  readonly shares?: ReadonlyArray<number> | undefined
  /** How long a step takes; longer than 0. @default "30 seconds" */
  readonly step?: Duration.Input | undefined
}

/** `Automatic` follows the rule; `On` and `Off` are set by hand and override the rule. */
export type Mode = "Automatic" | "On" | "Off"

/** The state of a feature, with its cause: plain data, for a health report. */
export interface Status {
  readonly feature: string
  readonly state: State
  /** The share of callers for whom it is on. */
  readonly share: number
  readonly mode: Mode
  /**
   * The cause of a feature that is not fully on: set by hand, or the vendor is or was out. `undefined` when the rule
   * has it on.
   */
  readonly because: "ByHand" | "VendorOut" | "VendorWasOut" | undefined
  /** How long the rule has kept it in this state. */
  readonly duration: Duration.Duration
  /** The shortest time it stays off, when the rule has it off; else `undefined`. */
  readonly returnsIn: Duration.Duration | undefined
}

export interface FeatureSwitch {
  readonly name: string
  /**
   * Whether the feature is on for a caller. The same caller gets the same result as long as the share does not shrink.
   * Without a caller, chance decides each time.
   */
  isOn(caller?: string): Effect.Effect<boolean>
  /**
   * Runs an effect if the feature is on for the caller, and learns from how it ends. Otherwise runs the other effect.
   */
  whenOn<A, E, R, B, E2, R2>(effect: Effect.Effect<A, E, R>, options: {
    readonly otherwise: Effect.Effect<B, E2, R2>
    readonly caller?: string | undefined
  }): Effect.Effect<A | B, E | E2, R | R2>
  readonly status: Effect.Effect<Status>
  setMode(mode: Mode): void
}

/** Makes a switch, and shows it in the metrics. Throws when an option is out of its range. */
export const make = (options: FeatureSwitchOptions): Effect.Effect<FeatureSwitch> => {
  const settings = settingsOf(options)
  const rule = options.rule ?? { _tag: "Failures" }
  const makeEvidence = evidenceMaker(rule)
  return Effect.withFiber((fiber) => {
    const timeline = Timeline.of(fiber)
    const feature = new Feature(options.name, settings, makeEvidence(), timeline.elapsed())
    Telemetry.begin(fiber.context, Telemetry.featureTransitions, { feature: options.name })
    Telemetry.show(
      fiber.context,
      Telemetry.featureShare,
      { feature: options.name },
      () => feature.look(timeline).share
    )
    return Effect.succeed(feature)
  })
}

const settingsOf = (options: FeatureSwitchOptions): SwitchSettings => {
  const offForMillis = Range.duration("FeatureSwitch: offFor", options.offFor ?? Duration.seconds(30))
  const shares = options.shares ?? [0.05, 0.25, 0.5]
  shares.forEach((share, i) => {
    Range.share("FeatureSwitch: shares", share)
    if (i > 0) Range.atLeast("FeatureSwitch: shares", share, shares[i - 1]!)
  })
  if (shares.length === 0) throw new Error("FeatureSwitch: shares must have at least one step, got none")
  return {
    offAfterMillis: Range.durationOrZero("FeatureSwitch: offAfter", options.offAfter ?? Duration.seconds(10)),
    offForMillis,
    growth: Range.atLeast("FeatureSwitch: growth", options.growth ?? 2, 1),
    maxOffForMillis: options.maxOffFor === undefined
      ? Math.max(600_000, offForMillis)
      : Range.atLeast("FeatureSwitch: maxOffFor (ms)", Duration.toMillis(options.maxOffFor), offForMillis),
    shares,
    stepMillis: Range.duration("FeatureSwitch: step", options.step ?? Duration.seconds(30))
  }
}

/** Evidence about the vendor. */
interface Evidence {
  record(timeline: Timeline.Timeline, failed: boolean): void
  isOut(timeline: Timeline.Timeline, state: State): boolean
  /** Clears the evidence: calls before the present step say nothing about it. */
  clear(): void
}

/** Calls that are enough to judge a step. Our own judgement. */
const fewCalls = 3

const evidenceMaker = (rule: Rule): () => Evidence => {
  if (rule._tag === "Breaker") {
    const { breaker, keys } = rule
    if (keys.length === 0) throw new Error("FeatureSwitch: keys must name at least one state of the breaker, got none")
    return () => ({
      record() {},
      isOut: (timeline) => keys.some((key) => breaker.state(key, timeline.now()) === "Open"),
      clear() {}
    })
  }
  const share = Range.share("FeatureSwitch: share", rule.share ?? 0.5)
  const minimumCalls = Range.whole("FeatureSwitch: minimumCalls", rule.minimumCalls ?? 20, 1)
  const windowMillis = Range.duration("FeatureSwitch: window", rule.window ?? Duration.seconds(30))
  return () => {
    const window = new TimeWindow(windowMillis, 10, { minimumCalls, failureRate: share, slowCallRate: 1 })
    return {
      record: (timeline, failed) => window.record(timeline.elapsed(), failed, false),
      isOut(timeline, state) {
        const now = timeline.elapsed()
        const calls = window.calls(now)
        const enough = state === "On" ? minimumCalls : Math.min(minimumCalls, fewCalls)
        return calls >= enough && window.failures(now) / calls >= share
      },
      clear: () => window.clear()
    }
  }
}

class Feature implements FeatureSwitch {
  readonly name: string
  private readonly board: Switchboard
  private readonly evidence: Evidence
  private mode: Mode = "Automatic"

  constructor(name: string, settings: SwitchSettings, evidence: Evidence, now: number) {
    this.name = name
    this.evidence = evidence
    this.board = new Switchboard(settings, now)
  }

  setMode(mode: Mode) {
    this.mode = mode
  }
  /** The state now, without a transition. */
  look(timeline: Timeline.Timeline): { readonly state: State; readonly share: number } {
    this.evidence.isOut(timeline, this.board.state)
    if (this.mode !== "Automatic") return { state: this.mode, share: this.mode === "On" ? 1 : 0 }
    return { state: this.board.state, share: this.board.share }
  }
  readonly status: Effect.Effect<Status> = Effect.withFiber((fiber) => {
    const timeline = Timeline.of(fiber)
    return Effect.map(this.update(timeline), () => {
      const { share, state } = this.look(timeline)
      const now = timeline.elapsed()
      return {
        feature: this.name,
        state,
        share,
        mode: this.mode,
        because: this.mode !== "Automatic"
          ? "ByHand"
          : state === "On"
          ? undefined
          : state === "Off"
          ? "VendorOut"
          : "VendorWasOut",
        duration: Duration.millis(now - this.board.since),
        returnsIn: this.mode === "Automatic" && state === "Off"
          ? Duration.millis(Math.max(0, this.board.returnsAt - now))
          : undefined
      }
    })
  })
  isOn(caller?: string): Effect.Effect<boolean> {
    return Effect.withFiber((fiber) => {
      const timeline = Timeline.of(fiber)
      return Effect.map(this.update(timeline), () => {
        const { share } = this.look(timeline)
        if (share === 0 || share === 1) return share === 1
        return (caller === undefined ? fiber.getRef(Random.Random).nextDoubleUnsafe() : placeOf(this.name, caller)) <
          share
      })
    })
  }
  whenOn<A, E, R, B, E2, R2>(effect: Effect.Effect<A, E, R>, { caller, otherwise }: {
    readonly otherwise: Effect.Effect<B, E2, R2>
    readonly caller?: string | undefined
  }): Effect.Effect<A | B, E | E2, R | R2> {
    return Effect.flatMap(this.isOn(caller), (isOn): Effect.Effect<A | B, E | E2, R | R2> => {
      if (!isOn) return otherwise
      return Effect.onExit(effect, (exit) =>
        Effect.withFiber((fiber) => {
          const timeline = Timeline.of(fiber)
          const failed = exit._tag === "Failure" ? hasFailed(exit.cause) : false
          if (failed === undefined) return Effect.void
          this.evidence.record(timeline, failed)
          return this.update(timeline)
        }))
    })
  }

  /** Makes the transition that is due, and reports it. */
  private update(timeline: Timeline.Timeline): Effect.Effect<void> {
    const { board, evidence } = this
    const [from, share] = [board.state, board.share]
    board.update(timeline.elapsed(), evidence.isOut(timeline, board.state))
    if (board.share !== share) evidence.clear()
    if (board.state === from) return Effect.void
    return Effect.withFiber((fiber) => {
      Telemetry.counter(fiber.context, Telemetry.featureTransitions, { feature: this.name, to: board.state }).count++
      return Effect.logWarning(`feature ${this.name}: ${from} → ${board.state}`)
    })
  }
}

/** Whether a failed call shows that the vendor is out; `undefined` when it shows nothing. */
const hasFailed = (cause: Cause.Cause<unknown>): boolean | undefined => {
  const error = vendorErrorOf(cause)
  // Any other error that the contract declares is an answer.
  if (error === undefined) return Cause.hasFails(cause) ? false : undefined
  const outcome = Outcome.seenFromOutside(error.reason)
  return outcome === "Ignored" ? undefined : outcome === "Failure"
}

/**
 * A constant place for each caller, at least 0 and below 1: FNV-1a, 32 bits, over the names of the feature and the
 * caller.
 */
const placeOf = (feature: string, caller: string): number => {
  let hash = 0x811c9dc5
  for (const unit of `${feature}\n${caller}`) {
    hash = Math.imul(hash ^ unit.codePointAt(0)!, 0x01000193)
  }
  // Spreads the last characters over the high bits (the end of MurmurHash3).
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
}

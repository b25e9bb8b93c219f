/**
 * The features that depend on vendors, each behind a switch. A feature goes off while most of its callers get nothing, and
 * comes back for a growing share of them. A feature that can still answer from a cache or another vendor stays on.
 */
import { FeatureSwitch, isVendorError, type Provenance } from "@breakwater/core"
import { RestCountries } from "@breakwater/vendors/countries/rest-countries"
import { Frankfurter } from "@breakwater/vendors/exchange-rates/frankfurter"
import { Stripe } from "@breakwater/vendors/payments/stripe"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type { FeatureReport } from "./Api.ts"
import { span } from "./DurationConfig.ts"

const names = ["rates", "countries", "payments"] as const
type Name = typeof names[number]

/** The feature is off for this caller; no vendor was called. */
export class FeatureOff extends Data.TaggedError("FeatureOff")<{
  readonly feature: Name
  /** The time until it can be on again, if known. */
  readonly returnsIn: Duration.Duration | undefined
}> {}

export interface Feature {
  /** Runs a call while the feature is on, and records its outcome. */
  readonly call: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | FeatureOff, R>
  /** Sets the state by hand, until the mode is `Automatic` again. */
  readonly setMode: (mode: FeatureSwitch.Mode) => Effect.Effect<void>
  readonly report: Effect.Effect<typeof FeatureReport.Type>
}

export class Features extends Context.Service<Features, Readonly<Record<Name, Feature>>>()(
  "breakwater/demo-server/Features"
) {}

const settings = Config.all({
  offAfter: span("FEATURE_OFF_AFTER", Duration.seconds(15)),
  offFor: span("FEATURE_OFF_FOR", Duration.seconds(30)),
  step: span("FEATURE_STEP", Duration.seconds(30))
})

// Shorter than the time before a feature goes off, so that an outage that has ended no longer counts.
const rule: FeatureSwitch.Rule = { _tag: "Failures", window: Duration.seconds(10) }

export const layer: Layer.Layer<Features, Config.ConfigError> = Layer.effect(
  Features,
  Effect.gen(function*() {
    const options = yield* settings
    const made = yield* Effect.forEach(names, (name) =>
      Effect.map(
        FeatureSwitch.make({ name, rule, ...options }),
        (feature) => [name, make(name, feature)] as const
      ))
    return Object.fromEntries(made) as Record<Name, Feature>
  })
)

const make = (name: Name, feature: FeatureSwitch.FeatureSwitch): Feature => {
  /** When the mode was last set by hand, in Unix time. */
  let setAt = 0
  let lastFailure: string | undefined
  const off = Effect.flatMap(
    feature.status,
    ({ returnsIn }) => Effect.fail(new FeatureOff({ feature: name, returnsIn }))
  )
  return {
    call: (self) =>
      feature.whenOn(
        self.pipe(
          Effect.tap((value) =>
            Effect.sync(() => {
              const { isNews, failure } = newsOf(first[name], value)
              if (isNews) lastFailure = failure
            })
          ),
          Effect.tapError((error) =>
            Effect.sync(() => {
              lastFailure = isVendorError(error) ? `${error.vendor}: ${error.reason._tag}` : undefined
            })
          )
        ),
        { otherwise: off }
      ),
    setMode: (mode) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        setAt = now
        feature.setMode(mode)
      }),
    report: Effect.gen(function*() {
      const { because, duration, mode, share, state } = yield* feature.status
      const now = yield* Clock.currentTimeMillis
      return {
        feature: name,
        state: states[state],
        share,
        by: mode === "Automatic" ? "rule" : "hand",
        since: new Date(Math.max(setAt, now - Duration.toMillis(duration))).toISOString(),
        because: because ?? null,
        lastFailure: lastFailure ?? null
      }
    })
  }
}

/** The vendor that each feature asks first. */
const first: Readonly<Record<Name, string>> = {
  rates: Frankfurter.declaration.name,
  countries: RestCountries.declaration.name,
  payments: Stripe.declaration.name
}

/** What an answer says about the vendors. One from a cache that is still fresh says nothing. */
const newsOf = (
  vendor: string,
  answer: unknown
): { readonly isNews: boolean; readonly failure?: string } => {
  const provenance = Predicate.hasProperty(answer, "provenance")
    ? answer.provenance as Provenance.Provenance
    : undefined
  switch (provenance?._tag) {
    case undefined:
    case "Fresh":
      return { isNews: true }
    case "Cached":
      return { isNews: false }
    case "Stale":
    case "Fallback": {
      const { because } = provenance
      return because === "Slow" || because === "Revalidating"
        ? { isNews: false }
        : { isNews: true, failure: `${vendor}: ${because}` }
    }
  }
}

const states = { On: "on", Off: "off", Returning: "recovering" } as const

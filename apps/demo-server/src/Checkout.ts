/**
 * `GET /checkout-context?country=…`: everything a checkout page shows around the order, in one answer and within one
 * deadline. A part that cannot be had is a gap that says why; the other parts are still there.
 */
import { Deadline, Parts, type Provenance as Core } from "@breakwater/core"
import type { Currency } from "@breakwater/vendors"
import { Countries, type Country, type Iso2, type UnknownCountry } from "@breakwater/vendors/countries"
import * as BundledCountries from "@breakwater/vendors/countries/bundled"
import { ExchangeRates, type UnknownPair } from "@breakwater/vendors/exchange-rates"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { HttpApiBuilder } from "effect/http-api"
import { DemoApi, type Gap } from "./Api.ts"
import { countriesShown, ratesShown } from "./Capabilities.ts"
import { toView } from "./Countries.ts"
import { type FeatureOff, Features } from "./Features.ts"
import * as Problem from "./Problem.ts"
import * as Provenance from "./Provenance.ts"
import * as Shipping from "./Shipping.ts"

/** The longest time that the page waits for its parts. */
const longest = Duration.seconds(5)
/** The longest wait for the country, which the other parts need. After it the page uses the bundled country. */
const longestForCountry = Duration.seconds(1)

export const layer = HttpApiBuilder.group(
  DemoApi,
  "checkout",
  Effect.fn(function*(handlers) {
    const countries = yield* Countries
    const rates = yield* ExchangeRates
    const features = yield* Features
    const shown = { countries: { maxAge: yield* countriesShown }, rates: { maxAge: yield* ratesShown } }
    const currencies = new Set((yield* BundledCountries.countries).flatMap(({ currencies }) => currencies))

    /** The country from its vendors, or after a short wait from the bundled data. */
    const countryOf = (iso2: Iso2, within: Duration.Duration) =>
      features.countries.call(countries.byCode(iso2, shown.countries)).pipe(
        Deadline.within(within),
        Effect.catchTag("VendorError", ({ reason }) => broughtAlong(iso2, reason._tag))
      )

    const rateOf = Effect.fnUntraced(function*(base: Currency, { currencies: [quote] }: Country) {
      if (quote === undefined) {
        return yield* new Missing({ reason: "NoCurrency", message: "This country has no currency" })
      }
      // The rate of a currency to itself needs no vendor.
      if (base === quote) {
        const asOf = new Date(yield* Clock.currentTimeMillis).toISOString().slice(0, 10)
        return { base, quote, rate: 1, asOf, provenance: Provenance.known }
      }
      const rate = yield* features.rates.call(rates.latest(base, quote, shown.rates))
      return { ...rate, provenance: Provenance.ofRate(rate.provenance) }
    })

    const shippingTo = ({ provenance, value }: Core.Sourced<Country>) => {
      const estimate = Shipping.estimate(value)
      return estimate === undefined
        ? Effect.fail(new Missing({ reason: "NotShipped", message: "We do not ship to this country" }))
        : Effect.succeed({ ...estimate, provenance: Provenance.ofCountry(provenance) })
    }

    return handlers.handle("checkoutContext", ({ query: { base = "EUR", country: iso2 } }) =>
      Effect.gen(function*() {
        if (!currencies.has(base)) {
          return yield* Effect.fail(Problem.invalidRequest("base", "must be the currency of a country"))
        }
        // A tenth of the time is left to write the answer.
        const within = Duration.min(longest, Duration.times(yield* Deadline.remaining, 0.9))
        const asked = yield* Effect.forkChild(
          countryOf(iso2, Duration.min(longestForCountry, Duration.times(within, 1 / 3)))
        )
        const country = Fiber.join(asked)
        // When the feature countries is off, only that part is missing: the others use the bundled country.
        const there = Effect.catchTag(country, "FeatureOff", () => broughtAlong(iso2, "FeatureOff"))
        const parts = yield* Parts.all({
          country,
          rate: Effect.flatMap(there, ({ value }) => rateOf(base, value)),
          shipping: Effect.flatMap(there, shippingTo)
        }, { within })
        for (const part of [parts.country, parts.shipping]) {
          if (part._tag === "Declined" && part.error._tag === "UnknownCountry") {
            return yield* Effect.fail(Problem.notFound(`No country ${iso2}`))
          }
        }
        return {
          country: viewOf("country", parts.country, ({ provenance, value }) => ({
            ...toView(value),
            provenance: Provenance.ofCountry(provenance)
          })),
          rate: viewOf("rate", parts.rate, (rate) => rate),
          shipping: viewOf("shipping", parts.shipping, (shipping) => shipping)
        }
      }))
  })
)

/** The part does not exist, and waiting does not help. */
class Missing extends Data.TaggedError("Missing")<{ readonly reason: string; readonly message: string }> {}

const broughtAlong = (iso2: Iso2, because: string): Effect.Effect<Core.Sourced<Country>, UnknownCountry> =>
  Effect.flatMap(BundledCountries.make, (bundled) => bundled.byCode(iso2)).pipe(
    Effect.map(({ value }) => ({
      value,
      provenance: { _tag: "Fallback", from: BundledCountries.name, because } as const
    })),
    Effect.catchTag(["VendorError", "VendorMisconfigured"], Effect.die)
  )

const viewOf = <A, B extends object>(
  name: string,
  part: Parts.Part<A, FeatureOff | Missing | UnknownCountry | UnknownPair>,
  toView: (value: A) => B
): { readonly status: "present" } & B | typeof Gap.Type => {
  if (part._tag === "Present") return { status: "present", ...toView(part.value) }
  if (part._tag === "Gap") {
    const { reason, retryAfter, vendor } = part
    return gap(vendor, reason, Problem.messageOf(reason), Problem.secondsToWait(retryAfter))
  }
  const { error } = part
  switch (error._tag) {
    case "FeatureOff":
      return gap(error.feature, "FeatureOff", Problem.offMessage, Problem.secondsToWait(error.returnsIn))
    case "UnknownPair":
      return gap(name, "NotPublished", `No rate for ${error.base}/${error.quote}`, null)
    case "UnknownCountry":
      return gap(name, "UnknownCountry", `No country ${error.iso2}`, null)
    case "Missing":
      return gap(name, error.reason, error.message, null)
  }
}

const gap = (failed: string, reason: string, message: string, retryAfter: number | null): typeof Gap.Type => ({
  status: "gap",
  failed,
  reason,
  message,
  retryAfter
})

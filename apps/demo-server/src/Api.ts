/** The HTTP API of the demo server. */
import { Currency } from "@breakwater/vendors"
import { Iso2, Region } from "@breakwater/vendors/countries"
import * as Context from "effect/Context"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import * as Schema from "effect/Schema"
import * as Problem from "./Problem.ts"
import { Provenance } from "./Provenance.ts"

const text = (maximum: number) => Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(maximum))

const rate = {
  base: Currency,
  quote: Currency,
  rate: Schema.Finite,
  /** The day the rate was published for. */
  asOf: Schema.String,
  provenance: Provenance
}

/** A country; unknown fields are null. */
const country = {
  name: Schema.String,
  iso2: Iso2,
  iso3: Schema.NullOr(Schema.String),
  isoNumeric: Schema.NullOr(Schema.String),
  capital: Schema.NullOr(Schema.String),
  currencies: Schema.Array(Currency),
  callingCode: Schema.NullOr(Schema.String),
  region: Schema.NullOr(Region),
  subregion: Schema.NullOr(Schema.String)
}

export const Country = Schema.Struct(country)

/** A missing part of a page. */
export const Gap = Schema.Struct({
  status: Schema.Literal("gap"),
  /** The name of what failed: a vendor, a feature that is off, or the part itself. */
  failed: Schema.String,
  /** One of our own reasons. */
  reason: Schema.String,
  message: Schema.String,
  /** Seconds to wait before another try; null when waiting does not help. */
  retryAfter: Schema.NullOr(Schema.Int)
})

const part = <const Fields extends Schema.Struct.Fields>(fields: Fields) =>
  Schema.Union([Schema.Struct({ status: Schema.Literal("present"), ...fields }), Gap])

const CheckoutContext = Schema.Struct({
  country: part({ ...country, provenance: Provenance }),
  /** From the base currency to that of the country. */
  rate: part(rate),
  /** An estimate from our own table. */
  shipping: part({
    zone: Schema.Literals(["domestic", "region", "near", "far"]),
    /** Working days: the fewest and the most. */
    days: Schema.Tuple([Schema.Int, Schema.Int]),
    /** In minor units. */
    cost: Schema.Struct({ amount: Schema.Int, currency: Currency }),
    /** The provenance of the country that the estimate is based on. */
    provenance: Provenance
  })
})

const NewPayment = Schema.Struct({
  /** Minor units: 1999 EUR is 19.99 €, 500 JPY is ¥500. */
  amount: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 99_999_999 })),
  currency: Currency,
  paymentMethod: text(255),
  reference: text(200),
  /** `Manual` holds the money until it is captured. */
  capture: Schema.optionalKey(Schema.Literals(["Automatic", "Manual"]))
})

export const Payment = Schema.Struct({
  id: Schema.String,
  status: Schema.Literals(["succeeded", "authorized", "requires_action", "processing", "canceled", "failed"]),
  amount: Schema.Int,
  currency: Currency,
  reference: Schema.NullOr(Schema.String)
})

/** Without an amount, all that is left. */
const Part = Schema.Struct({
  amount: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 99_999_999 })))
})

const Refund = Schema.Struct({
  id: Schema.String,
  paymentId: Schema.String,
  status: Schema.Literals(["succeeded", "pending", "failed"]),
  amount: Schema.Int,
  currency: Currency
})

const visible = Schema.optionalKey(
  Schema.String.check(Schema.isPattern(/^[\x21-\x7e]{1,255}$/, { expected: "1 to 255 visible ASCII characters" }))
)

/** A repeated request with the same key has one effect. Callers have their own keys: `x-client` tells them apart. */
const idempotent = { "x-client": visible, "idempotency-key": visible }
const id = { id: Schema.String }

export const Dependency = Schema.Struct({
  vendor: Schema.String,
  operation: Schema.String,
  circuit: Schema.Literals(["closed", "half-open", "open"])
})

export const FeatureReport = Schema.Struct({
  feature: Schema.String,
  state: Schema.Literals(["on", "recovering", "off"]),
  /** The share of callers for whom it is on. */
  share: Schema.Finite,
  /** Whether its rule or a person set the state. */
  by: Schema.Literals(["rule", "hand"]),
  since: Schema.String,
  /** Null while it is on by its rule. */
  because: Schema.NullOr(Schema.Literals(["VendorOut", "VendorWasOut", "ByHand"])),
  /** The vendor and the reason of the last failure; null after an answer that is not degraded. */
  lastFailure: Schema.NullOr(Schema.String)
})

/** Refuses unknown fields of bodies and queries: a misspelt one must not mean something else. */
export const strict = Context.make(HttpApi.PayloadParseOptions, { onExcessProperty: "error", errors: "all" }).pipe(
  Context.add(HttpApi.QueryParseOptions, { onExcessProperty: "error", errors: "all" })
)

export const DemoApi = HttpApi.make("breakwater-demo")
  .add(
    HttpApiGroup.make("rates", { topLevel: true }).add(
      HttpApiEndpoint.get("rate", "/rates/:base/:quote", {
        params: { base: Currency, quote: Currency },
        success: Schema.Struct(rate),
        error: [Problem.InvalidRequest, Problem.NotFound, ...Problem.ofVendor]
      }).annotate(OpenApi.Summary, "The latest rate of a pair")
    ),
    HttpApiGroup.make("countries", { topLevel: true }).add(
      HttpApiEndpoint.get("countries", "/countries", {
        success: Schema.Struct({ countries: Schema.Array(Country), provenance: Provenance }),
        error: [...Problem.ofVendor]
      }).annotate(OpenApi.Summary, "All countries"),
      HttpApiEndpoint.get("country", "/countries/:iso2", {
        params: { iso2: Iso2 },
        success: Schema.Struct({ ...country, provenance: Provenance }),
        error: [Problem.InvalidRequest, Problem.NotFound, ...Problem.ofVendor]
      }).annotate(OpenApi.Summary, "The country with an ISO code")
    ),
    HttpApiGroup.make("checkout", { topLevel: true }).add(
      HttpApiEndpoint.get("checkoutContext", "/checkout-context", {
        query: { country: Iso2, base: Schema.optionalKey(Currency) },
        success: CheckoutContext,
        error: [Problem.InvalidRequest, Problem.NotFound]
      }).annotate(
        OpenApi.Summary,
        "Country, exchange rate and shipping of a checkout page, with gaps where a vendor is down"
      )
    ),
    HttpApiGroup.make("payments").add(
      HttpApiEndpoint.post("create", "/payments", {
        headers: idempotent,
        payload: NewPayment,
        success: Payment.pipe(HttpApiSchema.status(201)),
        error: [Problem.InvalidRequest, Problem.Declined, Problem.KeyReused, ...Problem.ofVendor]
      }).annotate(OpenApi.Summary, "Take or hold money"),
      HttpApiEndpoint.get("get", "/payments/:id", {
        params: id,
        success: Payment,
        error: [Problem.NotFound, ...Problem.ofVendor]
      }).annotate(OpenApi.Summary, "Show a payment"),
      HttpApiEndpoint.post("capture", "/payments/:id/capture", {
        params: id,
        headers: idempotent,
        payload: [Part, HttpApiSchema.NoContent],
        success: Payment,
        error: [
          Problem.InvalidRequest,
          Problem.Declined,
          Problem.NotFound,
          Problem.StateConflict,
          Problem.KeyReused,
          ...Problem.ofVendor
        ]
      }).annotate(OpenApi.Summary, "Take held money"),
      HttpApiEndpoint.post("cancel", "/payments/:id/cancel", {
        params: id,
        headers: idempotent,
        success: Payment,
        error: [Problem.NotFound, Problem.StateConflict, Problem.KeyReused, ...Problem.ofVendor]
      }).annotate(OpenApi.Summary, "Release held money"),
      HttpApiEndpoint.post("refund", "/payments/:id/refunds", {
        params: id,
        headers: idempotent,
        payload: [Part, HttpApiSchema.NoContent],
        success: Refund.pipe(HttpApiSchema.status(201)),
        error: [
          Problem.InvalidRequest,
          Problem.NotFound,
          Problem.StateConflict,
          Problem.KeyReused,
          ...Problem.ofVendor
        ]
      }).annotate(OpenApi.Summary, "Refund money")
    ),
    HttpApiGroup.make("health").add(
      HttpApiEndpoint.get("live", "/live", { success: Schema.Struct({ status: Schema.Literal("live") }) }).annotate(
        OpenApi.Summary,
        "Tells whether the process runs"
      ),
      HttpApiEndpoint.get("ready", "/ready", {
        success: Schema.Struct({
          status: Schema.Literal("ready"),
          features: Schema.Array(FeatureReport),
          dependencies: Schema.Array(Dependency)
        })
      }).annotate(OpenApi.Summary, "Tells whether the server can answer, with the state of its features and vendors")
    ).prefix("/health")
  )
  .annotateMerge(strict)
  .annotateMerge(OpenApi.annotations({
    title: "Breakwater demo",
    version: "0.1.0",
    description: "Exchange rates, countries and payments from third parties, guarded by Breakwater."
  }))

/**
 * The part of Stripe's API v1 that we use: payment intents and refunds, as of version 2026-10-28.endive. Fields that we do
 * not read are left out, the client secret above all.
 */
import { bracketForm, Operation, Policy } from "@breakwater/core"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as Schema from "effect/Schema"
import { openValues } from "../../OpenValues.ts"
import { largestAmount } from "./Amounts.ts"

/** Minor units as Stripe counts them. */
const Amount = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: largestAmount }))
const Metadata = Schema.Record(Schema.String, Schema.String)

export const PaymentIntent = Schema.Struct({
  id: Schema.String,
  object: Schema.Literal("payment_intent"),
  amount: Schema.Int,
  amount_capturable: Schema.optionalKey(Schema.Int),
  amount_received: Schema.optionalKey(Schema.Int),
  /** Three lower-case letters. */
  currency: Schema.String,
  status: openValues([
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "processing",
    "requires_capture",
    "canceled",
    "succeeded"
  ]),
  capture_method: Schema.optionalKey(Schema.String),
  confirmation_method: Schema.optionalKey(Schema.String),
  payment_method: Schema.optionalKey(Schema.NullOr(Schema.String)),
  payment_method_types: Schema.optionalKey(Schema.Array(Schema.String)),
  latest_charge: Schema.optionalKey(Schema.NullOr(Schema.String)),
  created: Schema.Int,
  livemode: Schema.optionalKey(Schema.Boolean),
  metadata: Schema.optionalKey(Metadata)
})
export type PaymentIntent = typeof PaymentIntent.Type

export const Charge = Schema.Struct({
  id: Schema.String,
  object: Schema.Literal("charge"),
  amount: Schema.Int,
  amount_captured: Schema.Int,
  amount_refunded: Schema.Int,
  /** Only the country is read; the other fields are personal data. */
  billing_details: Schema.optionalKey(Schema.Struct({
    address: Schema.optionalKey(Schema.NullOr(Schema.Struct({ country: Schema.NullOr(Schema.String) })))
  })),
  captured: Schema.Boolean,
  currency: Schema.String,
  disputed: Schema.optionalKey(Schema.Boolean),
  paid: Schema.Boolean,
  payment_intent: Schema.optionalKey(Schema.NullOr(Schema.String)),
  refunded: Schema.Boolean,
  status: openValues(["succeeded", "pending", "failed"]),
  created: Schema.Int,
  livemode: Schema.optionalKey(Schema.Boolean),
  metadata: Schema.optionalKey(Metadata)
})
export type Charge = typeof Charge.Type

export const Refund = Schema.Struct({
  id: Schema.String,
  object: Schema.Literal("refund"),
  amount: Schema.Int,
  currency: Schema.String,
  status: Schema.NullOr(openValues(["pending", "requires_action", "succeeded", "failed", "canceled"])),
  payment_intent: Schema.optionalKey(Schema.NullOr(Schema.String)),
  charge: Schema.optionalKey(Schema.NullOr(Schema.String)),
  reason: Schema.optionalKey(Schema.NullOr(Schema.String)),
  created: Schema.Int,
  metadata: Schema.optionalKey(Schema.NullOr(Metadata))
})
export type Refund = typeof Refund.Type

/** A page of a list, newest first. */
const list = <Item extends Schema.Top>(item: Item) =>
  Schema.Struct({
    object: Schema.Literal("list"),
    data: Schema.Array(item),
    has_more: Schema.Boolean,
    url: Schema.String
  })

const page = {
  /** 1 to 100. @default 10 */
  limit: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 }))),
  /** The id after which the page begins. */
  starting_after: Schema.optionalKey(Schema.String)
}

const problem = <const Types extends ReadonlyArray<string>, Code extends Schema.Struct.Fields[string]>(
  types: Types,
  code: Code
) =>
  Schema.Struct({
    error: Schema.Struct({
      type: Schema.Literals(types),
      code,
      message: Schema.optionalKey(Schema.String),
      param: Schema.optionalKey(Schema.String),
      /** The issuer's reason: https://docs.stripe.com/declines/codes */
      decline_code: Schema.optionalKey(Schema.String),
      charge: Schema.optionalKey(Schema.String),
      doc_url: Schema.optionalKey(Schema.String),
      /** The intent, which exists even though it was declined. */
      payment_intent: Schema.optionalKey(PaymentIntent)
    })
  })

/** 402: the card was declined. */
export const CardProblem = problem(["card_error"], Schema.optionalKey(Schema.String))
export type CardProblem = typeof CardProblem.Type
/** 400: the request is invalid, or its key was used for another request. */
export const RequestProblem = problem(["invalid_request_error", "idempotency_error"], Schema.optionalKey(Schema.String))
export type RequestProblem = typeof RequestProblem.Type
/** 404: the object in the path does not exist. */
export const MissingProblem = problem(["invalid_request_error"], Schema.Literal("resource_missing"))

const declined = CardProblem.pipe(HttpApiSchema.status(402))
const invalid = RequestProblem.pipe(HttpApiSchema.status(400))
const notFound = MissingProblem.pipe(HttpApiSchema.status(404))

const id = { id: Schema.String.check(Schema.isPattern(/^\w{1,255}$/, { expected: "an id" })) }

export const StripeApi = HttpApi.make("stripe").add(
  HttpApiGroup.make("paymentIntents").add(
    HttpApiEndpoint.post("create", "/", {
      payload: bracketForm(Schema.Struct({
        amount: Amount,
        currency: Schema.String,
        confirm: Schema.optionalKey(Schema.Boolean),
        payment_method: Schema.optionalKey(Schema.String),
        allowed_payment_method_types: Schema.optionalKey(Schema.Array(Schema.String)),
        capture_method: Schema.optionalKey(Schema.Literals(["automatic", "automatic_async", "manual"])),
        automatic_payment_methods: Schema.optionalKey(Schema.Struct({
          enabled: Schema.Boolean,
          allow_redirects: Schema.optionalKey(Schema.Literals(["always", "never"]))
        })),
        description: Schema.optionalKey(Schema.String),
        metadata: Schema.optionalKey(Metadata)
      })),
      success: PaymentIntent,
      error: [invalid, declined]
    }).annotate(Operation.Safety, "Keyed"),
    HttpApiEndpoint.get("list", "/", {
      query: page,
      success: list(PaymentIntent)
    }).annotate(Operation.Policy, Policy.read),
    HttpApiEndpoint.get("retrieve", "/:id", {
      params: id,
      success: PaymentIntent,
      error: notFound
    }).annotate(Operation.Policy, Policy.read),
    HttpApiEndpoint.post("capture", "/:id/capture", {
      params: id,
      payload: bracketForm(Schema.Struct({ amount_to_capture: Schema.optionalKey(Amount) })),
      success: PaymentIntent,
      error: [notFound, declined, invalid]
    }).annotate(Operation.Safety, "Keyed"),
    HttpApiEndpoint.post("cancel", "/:id/cancel", {
      params: id,
      payload: bracketForm(Schema.Struct({ cancellation_reason: Schema.optionalKey(Schema.String) })),
      success: PaymentIntent,
      error: [notFound, invalid]
    }).annotate(Operation.Safety, "Keyed")
  ).prefix("/payment_intents"),
  // The charges actually made: look here when an outcome is unknown.
  HttpApiGroup.make("charges").add(
    HttpApiEndpoint.get("list", "/", {
      query: { ...page, payment_intent: Schema.optionalKey(Schema.String) },
      success: list(Charge)
    }).annotate(Operation.Policy, Policy.read)
  ).prefix("/charges"),
  HttpApiGroup.make("refunds").add(
    HttpApiEndpoint.post("create", "/", {
      payload: bracketForm(Schema.Struct({
        payment_intent: Schema.optionalKey(Schema.String),
        charge: Schema.optionalKey(Schema.String),
        amount: Schema.optionalKey(Amount),
        reason: Schema.optionalKey(Schema.Literals(["duplicate", "fraudulent", "requested_by_customer"])),
        metadata: Schema.optionalKey(Metadata)
      })),
      success: Refund,
      error: [invalid, notFound]
    }).annotate(Operation.Safety, "Keyed")
  ).prefix("/refunds")
).prefix("/v1")

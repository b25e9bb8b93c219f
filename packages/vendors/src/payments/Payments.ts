/**
 * Taking money and giving it back. A decline is an answer, not a failure; an unknown outcome is a failure that says so,
 * and is settled by making the same call again under the same idempotency key.
 *
 * @example
 * ```ts
 * import { UndiciTransport } from "@breakwater/core/transport"
 * import * as Payments from "@breakwater/vendors/payments"
 * import * as Stripe from "@breakwater/vendors/payments/stripe"
 * import * as StripeSimulator from "@breakwater/vendors/payments/stripe/simulator"
 * import { ConfigProvider, Effect, Layer } from "effect"
 *
 * const pay = Effect.gen(function*() {
 *   const payments = yield* Payments.Payments
 *   const order = { money: { amount: 1999, currency: "EUR" }, reference: "order-1" }
 *   const payment = yield* payments.create({ ...order, paymentMethod: "pm_card_visa" }, { idempotencyKey: "order-1" })
 *   const declined = yield* Effect.flip(payments.create({ ...order, paymentMethod: "pm_card_chargeDeclined" }))
 *   console.log(payment.status, declined._tag) // => succeeded PaymentDeclined
 * })
 * const program = Effect.gen(function*() {
 *   const { baseUrl } = yield* StripeSimulator.serve()
 *   const environment = ConfigProvider.fromUnknown({ STRIPE_BASE_URL: baseUrl, STRIPE_API_KEY: "sk_simulated" })
 *   const layer = Stripe.layer.pipe(Layer.provide(UndiciTransport.layer({ loopback: true })))
 *   yield* pay.pipe(Effect.provide(layer), Effect.provideService(ConfigProvider.ConfigProvider, environment))
 * })
 * await Effect.runPromise(Effect.scoped(program))
 * ```
 */
import type { VendorError } from "@breakwater/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Money } from "../Money.ts"

/**
 * - `succeeded`: the money is taken.
 * - `authorized`: it is held, and can be captured or let go.
 * - `requires_action`: the payer has to do something first, such as 3-D Secure.
 * - `processing`: the network has not decided yet.
 * - `canceled`: it was let go.
 * - `failed`: it was declined.
 */
export type PaymentStatus = "succeeded" | "authorized" | "requires_action" | "processing" | "canceled" | "failed"

export interface Payment {
  /** Ours; says nothing to anyone else. */
  readonly id: string
  readonly status: PaymentStatus
  /** What was asked for. */
  readonly money: Money
  /** What has been taken of it: nothing yet, all, or the part that was captured. Refunds do not lower it. */
  readonly captured: Money
  /** What the caller knows it by: an order, an invoice. */
  readonly reference: string | undefined
}

export interface Refund {
  readonly id: string
  readonly paymentId: string
  readonly status: "succeeded" | "pending" | "failed"
  readonly money: Money
}

export interface PaymentRequest {
  readonly money: Money
  /** The payer's instrument, as the vendor tokenised it. */
  readonly paymentMethod: string
  /** What the caller knows it by; 1 to 200 characters. */
  readonly reference: string
  /** `Automatic` takes the money now; `Manual` holds it until {@link Payments} `capture`. @default "Automatic" */
  readonly capture?: "Automatic" | "Manual" | undefined
}

/** For calls that move money. */
export interface WriteOptions {
  /** Makes a repetition of the call the same call. @default a new one, kept over this call's own attempts */
  readonly idempotencyKey?: string | undefined
}

/** Why a payment was declined, as far as its payer can act on it. That a card is reported stolen is not told. */
export const DeclineReason = Schema.Literals([
  "authentication_required",
  "expired_card",
  "incorrect_details",
  "insufficient_funds",
  "processing_error",
  "declined"
])
export type DeclineReason = typeof DeclineReason.Type

/** The payer's bank or the vendor declined. Another instrument may do. */
export class PaymentDeclined extends Schema.TaggedError<PaymentDeclined>()("PaymentDeclined", {
  reason: DeclineReason
}) {
  override get message() {
    return declineMessages[this.reason]
  }
}

const declineMessages: Record<DeclineReason, string> = {
  authentication_required: "The card needs the payer's authentication",
  expired_card: "The card has expired",
  incorrect_details: "The card's details are not right",
  insufficient_funds: "The card has insufficient funds",
  processing_error: "The card could not be processed; it may work later",
  declined: "The card was declined"
}

/** There is no such payment. */
export class PaymentNotFound extends Schema.TaggedError<PaymentNotFound>()("PaymentNotFound", { id: Schema.String }) {
  override get message() {
    return `there is no payment ${this.id}`
  }
}

/** The payment's state does not allow it: nothing to capture, already canceled, more than is left to refund. */
export class PaymentStateConflict
  extends Schema.TaggedError<PaymentStateConflict>()("PaymentStateConflict", { id: Schema.String })
{
  override get message() {
    return "the state of the payment does not allow this"
  }
}

/** The request cannot be made as it is; `field` says where. */
export class InvalidPayment
  extends Schema.TaggedError<InvalidPayment>()("InvalidPayment", { field: Schema.String, issue: Schema.String })
{
  override get message() {
    return `${this.field}: ${this.issue}`
  }
}

/** A reference, within the length that every vendor keeps. */
export const checkReference = (reference: string): Effect.Effect<string, InvalidPayment> =>
  reference.length >= 1 && reference.length <= 200
    ? Effect.succeed(reference)
    : Effect.fail(new InvalidPayment({ field: "reference", issue: "must be 1 to 200 characters long" }))

/** The idempotency key was used before, for something else. */
export class IdempotencyKeyReused extends Schema.TaggedError<IdempotencyKeyReused>()("IdempotencyKeyReused", {}) {
  override get message() {
    return "the idempotency key was used before, for a different request"
  }
}

export class Payments extends Context.Service<Payments, {
  /** Takes or holds money. */
  create(
    request: PaymentRequest,
    options?: WriteOptions
  ): Effect.Effect<Payment, PaymentDeclined | InvalidPayment | IdempotencyKeyReused | VendorError>

  get(id: string): Effect.Effect<Payment, PaymentNotFound | VendorError>

  /** Takes held money; unless it says how much, all of it. What is not captured is let go. */
  capture(
    id: string,
    money?: Money,
    options?: WriteOptions
  ): Effect.Effect<
    Payment,
    | PaymentNotFound
    | PaymentStateConflict
    | PaymentDeclined
    | InvalidPayment
    | IdempotencyKeyReused
    | VendorError
  >

  /** Lets held money go. */
  cancel(
    id: string,
    options?: WriteOptions
  ): Effect.Effect<Payment, PaymentNotFound | PaymentStateConflict | IdempotencyKeyReused | VendorError>

  /** Gives money back; unless it says how much, all that is left. */
  refund(
    id: string,
    money?: Money,
    options?: WriteOptions
  ): Effect.Effect<
    Refund,
    PaymentNotFound | PaymentStateConflict | InvalidPayment | IdempotencyKeyReused | VendorError
  >
}>()("breakwater/vendors/Payments") {}

/**
 * Payments: charges, captures, cancellations and refunds. A decline is an answer, not a failure. An unknown outcome is a
 * failure that says so; repeat the call with the same idempotency key to settle it.
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
 * - `succeeded`: the money has been taken.
 * - `authorized`: the money is held, and can be captured or released.
 * - `requires_action`: the payer has to act first, for example by 3-D Secure.
 * - `processing`: the outcome is not known yet, also for a status that the vendor has added since this version.
 * - `canceled`: the held money was released.
 * - `failed`: the payment was declined.
 */
export type PaymentStatus = "succeeded" | "authorized" | "requires_action" | "processing" | "canceled" | "failed"

export interface Payment {
  /** Our own opaque id, not the vendor's. */
  readonly id: string
  readonly status: PaymentStatus
  /** The requested money. */
  readonly money: Money
  /** The money taken so far: none, all, or the captured part. Refunds do not lower it. */
  readonly captured: Money
  /** The caller's own reference: an order, an invoice. */
  readonly reference: string | undefined
}

export interface Refund {
  readonly id: string
  readonly paymentId: string
  /** `pending` is also a status that the vendor has added since this version. */
  readonly status: "succeeded" | "pending" | "failed"
  readonly money: Money
}

export interface PaymentRequest {
  readonly money: Money
  /** The vendor's token for the payer's card or account. */
  readonly paymentMethod: string
  /** The caller's own reference: an order, an invoice; 1 to 200 characters. */
  readonly reference: string
  /** `Automatic` takes the money now; `Manual` holds it until {@link Payments} `capture`. @default "Automatic" */
  readonly capture?: "Automatic" | "Manual" | undefined
}

/** Options of calls that move money. */
export interface WriteOptions {
  /** A repeated call with the same key has one effect. @default a new key, shared by all attempts of this call */
  readonly idempotencyKey?: string | undefined
}

/** The reason of a decline, as far as the payer can act on it. A card reported stolen is not told apart. */
export const DeclineReason = Schema.Literals([
  "authentication_required",
  "expired_card",
  "incorrect_details",
  "insufficient_funds",
  "processing_error",
  "declined"
])
export type DeclineReason = typeof DeclineReason.Type

/** The payer's bank or the vendor declined. Another card may work. */
export class PaymentDeclined extends Schema.TaggedError<PaymentDeclined>()("PaymentDeclined", {
  reason: DeclineReason
}) {
  override get message() {
    return declineMessages[this.reason]
  }
}

const declineMessages: Record<DeclineReason, string> = {
  authentication_required: "The payer must authenticate this card",
  expired_card: "The card has expired",
  incorrect_details: "The card's details are incorrect",
  insufficient_funds: "The card has insufficient funds",
  processing_error: "The card could not be processed; try again later",
  declined: "The card was declined"
}

/** No payment has this id. */
export class PaymentNotFound extends Schema.TaggedError<PaymentNotFound>()("PaymentNotFound", { id: Schema.String }) {
  override get message() {
    return `no payment has the id ${this.id}`
  }
}

/** The payment's state does not allow the call: nothing to capture, already canceled, or refunded beyond what is left. */
export class PaymentStateConflict
  extends Schema.TaggedError<PaymentStateConflict>()("PaymentStateConflict", { id: Schema.String })
{
  override get message() {
    return "the state of the payment does not allow this"
  }
}

/** The request is invalid; `field` names the place. */
export class InvalidPayment
  extends Schema.TaggedError<InvalidPayment>()("InvalidPayment", { field: Schema.String, issue: Schema.String })
{
  override get message() {
    return `${this.field}: ${this.issue}`
  }
}

/** Checks the length of a reference, so that every vendor can store it. */
export const checkReference = (reference: string): Effect.Effect<string, InvalidPayment> =>
  reference.length >= 1 && reference.length <= 200
    ? Effect.succeed(reference)
    : Effect.fail(new InvalidPayment({ field: "reference", issue: "must be 1 to 200 characters long" }))

/** The idempotency key was used before, for a different request. */
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

  /** Takes held money: the given amount, or all of it. The rest is released. */
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

  /** Releases held money. */
  cancel(
    id: string,
    options?: WriteOptions
  ): Effect.Effect<Payment, PaymentNotFound | PaymentStateConflict | IdempotencyKeyReused | VendorError>

  /** Gives money back: the given amount, or all that is left. */
  refund(
    id: string,
    money?: Money,
    options?: WriteOptions
  ): Effect.Effect<
    Refund,
    PaymentNotFound | PaymentStateConflict | InvalidPayment | IdempotencyKeyReused | VendorError
  >
}>()("breakwater/vendors/Payments") {}

/** Stripe: cards and more, through payment intents. Writes carry an idempotency key, so they can be repeated. */
import {
  type Answer,
  Conflict,
  isVendorError,
  Policy,
  RateLimited,
  type Reason,
  RequestRejected,
  Transport,
  Unavailable,
  Vendor
} from "@breakwater/core"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type { Money } from "../../Money.ts"
import * as PaymentId from "../PaymentId.ts"
import {
  checkReference,
  type DeclineReason,
  IdempotencyKeyReused,
  InvalidPayment,
  type Payment,
  PaymentDeclined,
  PaymentNotFound,
  Payments,
  PaymentStateConflict,
  type PaymentStatus,
  type Refund
} from "../Payments.ts"
import { fromStripe, toStripe } from "./Amounts.ts"
import {
  type CardProblem,
  type PaymentIntent,
  type Refund as StripeRefund,
  type RequestProblem,
  StripeApi
} from "./Api.ts"

const name = "stripe"

/**
 * Stripe's rules beyond the status (https://docs.stripe.com/error-low-level, https://docs.stripe.com/rate-limits).
 * `Stripe-Should-Retry` overrides the status, except for a declined card, which is an answer. A 409 is a key or an object
 * in use. A 429 is a rate limit, or a lock on an object, which is no reason to send fewer calls.
 */
const classify = (answer: Answer.Answer): Reason | undefined => {
  const { retryAfterMillis, status } = answer
  if (status < 400 || status === 402) return undefined
  const advice = Transport.header(answer.headers, "stripe-should-retry")
  const code = codeOf(answer.json)
  const isRetryable = advice !== "false"
  if (status === 409 || code === "lock_timeout") return new Conflict(status, { retryAfterMillis, isRetryable })
  if (status === 429 || code === "rate_limit") return new RateLimited(status, { retryAfterMillis, isRetryable })
  if (status >= 500) return new Unavailable(status, { retryAfterMillis, isRetryable })
  return advice === "true" ? new RequestRejected(status, { isRetryable: true }) : undefined
}

const codeOf = (json: unknown): unknown =>
  Predicate.hasProperty(json, "error") && Predicate.hasProperty(json.error, "code") ? json.error.code : undefined

/** The client. `STRIPE_API_KEY` is its secret; `STRIPE_BASE_URL` overrides the public address. */
export class Stripe extends Vendor.Service<Stripe>()({
  name,
  api: StripeApi,
  baseUrl: "https://api.stripe.com",
  auth: { _tag: "Bearer" },
  version: { header: "Stripe-Version", value: "2026-10-28.endive" },
  idempotencyHeader: "Idempotency-Key",
  // Set on a stored response, a 500 included (https://docs.stripe.com/api/idempotent_requests).
  replayedHeader: "Idempotent-Replayed",
  policy: {
    ...Policy.write,
    // The limit of live mode; a sandbox allows 25 (https://docs.stripe.com/rate-limits).
    rateLimit: { limit: 100, window: "1 second" }
  },
  classify
}) {}

/** {@link Payments} by a Stripe client. */
export const payments: Layer.Layer<Payments, never, Stripe> = Layer.effect(
  Payments,
  Effect.map(Stripe, ({ paymentIntents, refunds }) => {
    const retrieve = (id: string) =>
      Effect.flatMap(stripeIdOf(id), (params) =>
        Effect.mapError(
          paymentIntents.retrieve({ params }),
          (error) => isVendorError(error) ? error : new PaymentNotFound({ id })
        ))

    /** Part of a payment in Stripe's units. Stripe reads a bare number in the payment's own currency. */
    const partOf = Effect.fnUntraced(function*(id: string, money: Money) {
      const { currency } = yield* retrieve(id)
      return currency === money.currency.toLowerCase()
        ? yield* amountOf(money)
        : yield* new InvalidPayment({ field: "currency", issue: "is not that of the payment" })
    })

    return Payments.of({
      create: Effect.fn("Payments.create")(function*(request, options) {
        const payload = {
          amount: yield* amountOf(request.money),
          currency: request.money.currency.toLowerCase(),
          confirm: true,
          payment_method: request.paymentMethod,
          capture_method: request.capture === "Manual" ? "manual" : "automatic",
          automatic_payment_methods: { enabled: true, allow_redirects: "never" },
          metadata: { reference: yield* checkReference(request.reference) }
        } as const
        const intent = yield* Effect.mapError(
          paymentIntents.create({ payload }, options),
          (error) => isVendorError(error) ? error : isCardProblem(error) ? declined(error) : invalid(error)
        )
        return toPayment(intent)
      }),

      get: Effect.fn("Payments.get")((id) => Effect.map(retrieve(id), toPayment)),

      capture: Effect.fn("Payments.capture")(function*(id, money, options) {
        const params = yield* stripeIdOf(id)
        const payload = money === undefined ? {} : { amount_to_capture: yield* partOf(id, money) }
        const intent = yield* Effect.mapError(
          paymentIntents.capture({ params, payload }, options),
          (error) => isVendorError(error) ? error : isCardProblem(error) ? declined(error) : refused(id, error)
        )
        return toPayment(intent)
      }),

      cancel: Effect.fn("Payments.cancel")(function*(id, options) {
        const params = yield* stripeIdOf(id)
        const intent = yield* Effect.mapError(
          paymentIntents.cancel({ params, payload: {} }, options),
          (error) => isVendorError(error) ? error : refused(id, error)
        )
        return toPayment(intent)
      }),

      refund: Effect.fn("Payments.refund")(function*(id, money, options) {
        const params = yield* stripeIdOf(id)
        const part = money === undefined ? {} : { amount: yield* partOf(id, money) }
        const payload = { payment_intent: params.id, ...part }
        const refund = yield* Effect.mapError(
          refunds.create({ payload }, options),
          (error) => isVendorError(error) ? error : refused(id, error)
        )
        return toRefund(id, refund)
      })
    })
  })
)

/** {@link Payments} by Stripe, over the provided transport. */
export const layer: Layer.Layer<
  Payments,
  Config.ConfigError | Vendor.VendorMisconfigured,
  Transport.Transport
> = payments.pipe(Layer.provide(Stripe.layer))

/** The id of a payment intent. Any other id fails here, without a request. */
const stripeIdOf = (id: string): Effect.Effect<{ readonly id: string }, PaymentNotFound> => {
  const stripeId = PaymentId.decode("pay", name, id)
  return stripeId !== undefined && /^pi_\w{1,252}$/.test(stripeId)
    ? Effect.succeed({ id: stripeId })
    : Effect.fail(new PaymentNotFound({ id }))
}

const amountOf = (money: Money): Effect.Effect<number, InvalidPayment> => {
  const amount = toStripe(money)
  return typeof amount === "number" ? Effect.succeed(amount) : Effect.fail(new InvalidPayment(amount))
}

const toPayment = (intent: PaymentIntent): Payment => ({
  id: PaymentId.encode("pay", name, intent.id),
  status: statuses.get(intent.status) ?? "processing",
  money: fromStripe(intent.amount, intent.currency),
  // Stripe's specification does not promise the field.
  captured: fromStripe(
    intent.amount_received ?? (intent.status === "succeeded" ? intent.amount : 0),
    intent.currency
  ),
  reference: intent.metadata?.["reference"]
})

/** A status that Stripe adds later is not known to be final. */
const statuses: ReadonlyMap<string, PaymentStatus> = new Map(Object.entries<PaymentStatus>({
  succeeded: "succeeded",
  requires_capture: "authorized",
  requires_action: "requires_action",
  requires_confirmation: "requires_action",
  processing: "processing",
  canceled: "canceled",
  requires_payment_method: "failed"
}))

const toRefund = (paymentId: string, refund: StripeRefund): Refund => ({
  id: PaymentId.encode("ref", name, refund.id),
  paymentId,
  status: refund.status === "succeeded"
    ? "succeeded"
    : refund.status === "failed" || refund.status === "canceled"
    ? "failed"
    : "pending",
  money: fromStripe(refund.amount, refund.currency)
})

const isCardProblem = (problem: CardProblem | RequestProblem): problem is CardProblem =>
  problem.error.type === "card_error"

/** Decline codes: https://docs.stripe.com/declines/codes. A lost or stolen card is reported as a plain decline. */
const declined = ({ error }: CardProblem): PaymentDeclined =>
  new PaymentDeclined({
    reason: declineReasons.get(error.decline_code) ?? declineReasons.get(error.code) ?? "declined"
  })

const declineReasons: ReadonlyMap<string | undefined, DeclineReason> = new Map(Object.entries<DeclineReason>({
  authentication_required: "authentication_required",
  authentication_not_handled: "authentication_required",
  expired_card: "expired_card",
  invalid_expiry_month: "incorrect_details",
  invalid_expiry_year: "incorrect_details",
  incorrect_number: "incorrect_details",
  invalid_number: "incorrect_details",
  incorrect_cvc: "incorrect_details",
  invalid_cvc: "incorrect_details",
  incorrect_zip: "incorrect_details",
  insufficient_funds: "insufficient_funds",
  withdrawal_count_limit_exceeded: "insufficient_funds",
  processing_error: "processing_error",
  reenter_transaction: "processing_error",
  try_again_later: "processing_error",
  issuer_not_available: "processing_error"
}))

/** Stripe rejected a new payment. */
const invalid = (problem: RequestProblem): InvalidPayment | IdempotencyKeyReused => {
  const { code, param, type } = problem.error
  if (type === "idempotency_error") return new IdempotencyKeyReused()
  return new InvalidPayment({
    field: fields.get(param) ?? "request",
    issue: issues.get(code) ?? "is not accepted"
  })
}

/** Stripe rejected a change of a payment, which may not exist. */
const refused = (
  id: string,
  problem: RequestProblem
): PaymentNotFound | PaymentStateConflict | IdempotencyKeyReused => {
  const { code, type } = problem.error
  if (type === "idempotency_error") return new IdempotencyKeyReused()
  return code === "resource_missing" ? new PaymentNotFound({ id }) : new PaymentStateConflict({ id })
}

/** Our names for Stripe's parameters. */
const fields: ReadonlyMap<string | undefined, string> = new Map(Object.entries({
  amount: "amount",
  currency: "currency",
  payment_method: "paymentMethod",
  "metadata[reference]": "reference",
  metadata: "reference"
}))

/** Our words for Stripe's codes. */
const issues: ReadonlyMap<string | undefined, string> = new Map(Object.entries({
  amount_too_small: "is below the smallest amount",
  amount_too_large: "is above the largest amount",
  resource_missing: "is not known",
  parameter_missing: "is missing"
}))

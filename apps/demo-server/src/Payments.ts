/** `/payments`: take a payment, show it, capture, cancel or refund it. */
import type { Money } from "@breakwater/vendors"
import * as Domain from "@breakwater/vendors/payments"
import * as Effect from "effect/Effect"
import { HttpApiBuilder } from "effect/http-api"
import { createHash } from "node:crypto"
import { DemoApi, type Payment } from "./Api.ts"
import { Features } from "./Features.ts"
import * as Problem from "./Problem.ts"

export const layer = HttpApiBuilder.group(
  DemoApi,
  "payments",
  Effect.fn(function*(handlers) {
    const payments = yield* Domain.Payments
    const { payments: { call } } = yield* Features

    /** Part of a payment, in the payment's own currency. */
    const partOf = Effect.fnUntraced(function*(id: string, amount: number | undefined) {
      if (amount === undefined) return undefined
      const { money: { currency } } = yield* payments.get(id)
      return { amount, currency } satisfies Money
    })

    return handlers
      .handle(
        "create",
        ({ headers, payload: { amount, currency, ...rest } }) =>
          call(payments.create({ money: { amount, currency }, ...rest }, optionsOf(headers))).pipe(
            Effect.map(toView),
            Effect.catchTags({
              VendorError: Problem.ofVendorError,
              FeatureOff: Problem.ofFeatureOff,
              PaymentDeclined: declined,
              InvalidPayment: invalid,
              IdempotencyKeyReused: keyReused
            })
          )
      )
      .handle("get", ({ params: { id } }) =>
        call(payments.get(id)).pipe(
          Effect.map(toView),
          Effect.catchTags({
            VendorError: Problem.ofVendorError,
            FeatureOff: Problem.ofFeatureOff,
            PaymentNotFound: notFound
          })
        ))
      .handle(
        "capture",
        ({ headers, params: { id }, payload }) =>
          call(Effect.flatMap(partOf(id, payload?.amount), (money) => payments.capture(id, money, optionsOf(headers))))
            .pipe(
              Effect.map(toView),
              Effect.catchTags({
                VendorError: Problem.ofVendorError,
                FeatureOff: Problem.ofFeatureOff,
                PaymentDeclined: declined,
                PaymentNotFound: notFound,
                PaymentStateConflict: stateConflict,
                InvalidPayment: invalid,
                IdempotencyKeyReused: keyReused
              })
            )
      )
      .handle("cancel", ({ headers, params: { id } }) =>
        call(payments.cancel(id, optionsOf(headers))).pipe(
          Effect.map(toView),
          Effect.catchTags({
            VendorError: Problem.ofVendorError,
            FeatureOff: Problem.ofFeatureOff,
            PaymentNotFound: notFound,
            PaymentStateConflict: stateConflict,
            IdempotencyKeyReused: keyReused
          })
        ))
      .handle(
        "refund",
        ({ headers, params: { id }, payload }) =>
          call(Effect.flatMap(partOf(id, payload?.amount), (money) => payments.refund(id, money, optionsOf(headers))))
            .pipe(
              Effect.map(({ money, ...refund }) => ({ ...refund, ...money })),
              Effect.catchTags({
                VendorError: Problem.ofVendorError,
                FeatureOff: Problem.ofFeatureOff,
                PaymentNotFound: notFound,
                PaymentStateConflict: stateConflict,
                InvalidPayment: invalid,
                IdempotencyKeyReused: keyReused
              })
            )
      )
  })
)

/** Scopes the key by its caller: the same key of two callers is two keys at the vendor, and no caller can write the key of another. */
const optionsOf = (
  headers: { readonly "idempotency-key"?: string; readonly "x-client"?: string }
): Domain.WriteOptions => {
  const key = headers["idempotency-key"]
  if (key === undefined) return {}
  const scoped = JSON.stringify([headers["x-client"] ?? null, key])
  return { idempotencyKey: createHash("sha256").update(scoped).digest("hex") }
}

const toView = ({ id, money, reference, status }: Domain.Payment): typeof Payment.Type => ({
  id,
  status,
  ...money,
  reference: reference ?? null
})

const declined = ({ message, reason }: Domain.PaymentDeclined) =>
  Effect.fail<typeof Problem.Declined.Type>({ error: "PAYMENT_DECLINED", message, reason })

const invalid = ({ field, issue }: Domain.InvalidPayment) =>
  Effect.fail(Problem.invalidRequest(field, `${field} ${issue}`))

const notFound = () => Effect.fail(Problem.notFound("No such payment"))

const stateConflict = ({ message }: Domain.PaymentStateConflict) =>
  Effect.fail<typeof Problem.StateConflict.Type>({ error: "STATE_CONFLICT", message })

const keyReused = ({ message }: Domain.IdempotencyKeyReused) =>
  Effect.fail<typeof Problem.KeyReused.Type>({ error: "IDEMPOTENCY_KEY_REUSED", message })

/** The suite that every implementation of `Payments` must pass, for all vendors. */
import { Payments } from "@breakwater/vendors/payments/Payments"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"

export interface PaymentMethods {
  readonly succeeds: string
  readonly declines: string
  readonly hasInsufficientFunds: string
  readonly isExpired: string
  readonly isStolen: string
  readonly needsAction: string
}

/** The name of the error of a call. */
const failure = (call: Effect.Effect<unknown, { readonly _tag: string }>): Effect.Effect<string> =>
  Effect.orDie(Effect.map(Effect.flip(call), ({ _tag }) => _tag))

/** `layer` is built anew for each test, and starts without any payments. */
export const suite = <E>(name: string, layer: Layer.Layer<Payments, E>, methods: PaymentMethods): void => {
  const price = { amount: 1_999, currency: "EUR" }
  const request = { money: price, paymentMethod: methods.succeeds, reference: "order 7001" }
  const held = { ...request, capture: "Manual" } as const
  const behaves = <A, F>(behaviour: string, test: (payments: Payments["Service"]) => Effect.Effect<A, F>) =>
    it.live(behaviour, () => Effect.provide(Effect.flatMap(Payments, test), layer))

  describe(`Payments by ${name}`, () => {
    behaves("takes money at once, under the caller's reference", (payments) =>
      Effect.gen(function*() {
        const payment = yield* payments.create(request)
        assert.deepStrictEqual({ ...payment, id: "" }, {
          id: "",
          status: "succeeded",
          money: price,
          captured: price,
          reference: "order 7001"
        })
        assert.match(payment.id, /^pay_[\w-]+$/)
        assert.deepStrictEqual(yield* payments.get(payment.id), payment)
      }))

    behaves("holds money until it is captured", (payments) =>
      Effect.gen(function*() {
        const payment = yield* payments.create(held)
        assert.strictEqual(payment.status, "authorized")
        assert.deepStrictEqual(payment.captured, { amount: 0, currency: "EUR" })
        const captured = yield* payments.capture(payment.id)
        assert.strictEqual(captured.id, payment.id)
        assert.oneOf(captured.status, ["succeeded", "processing"])
      }))

    behaves("captures a part, and refunds no more than that", (payments) =>
      Effect.gen(function*() {
        const payment = yield* payments.create(held)
        const captured = yield* payments.capture(payment.id, { amount: 500, currency: "EUR" })
        assert.oneOf(captured.status, ["succeeded", "processing"])
        assert.deepStrictEqual(captured.money, price)
        assert.strictEqual(
          yield* failure(payments.refund(payment.id, { amount: 501, currency: "EUR" })),
          "PaymentStateConflict"
        )
        const refund = yield* payments.refund(payment.id)
        assert.deepStrictEqual(refund.money, { amount: 500, currency: "EUR" })
        const after = yield* payments.get(payment.id)
        assert.deepStrictEqual(after.captured, { amount: 500, currency: "EUR" })
      }))

    behaves(
      "takes no money for a reference that is empty or longer than 200 characters",
      (payments) =>
        Effect.gen(function*() {
          for (const reference of ["", "x".repeat(201)]) {
            const error = yield* Effect.flip(payments.create({ ...request, reference }))
            if (error._tag !== "InvalidPayment") return assert.fail(error.message)
            assert.strictEqual(error.field, "reference")
          }
          const longest = "x".repeat(200)
          assert.strictEqual((yield* payments.create({ ...request, reference: longest })).reference, longest)
        })
    )

    behaves("does not capture more than is held", (payments) =>
      Effect.gen(function*() {
        const payment = yield* payments.create(held)
        assert.strictEqual(
          yield* failure(payments.capture(payment.id, { amount: 2_000, currency: "EUR" })),
          "PaymentStateConflict"
        )
        assert.strictEqual((yield* payments.get(payment.id)).status, "authorized")
      }))

    behaves(
      "releases held money, and then neither captures nor refunds it",
      (payments) =>
        Effect.gen(function*() {
          const payment = yield* payments.create(held)
          const canceled = yield* payments.cancel(payment.id)
          assert.deepStrictEqual(canceled, { ...payment, status: "canceled" })
          assert.strictEqual(yield* failure(payments.capture(payment.id)), "PaymentStateConflict")
          assert.strictEqual(yield* failure(payments.cancel(payment.id)), "PaymentStateConflict")
          assert.strictEqual(yield* failure(payments.refund(payment.id)), "PaymentStateConflict")
        })
    )

    behaves("neither captures nor releases money that is already taken", (payments) =>
      Effect.gen(function*() {
        const payment = yield* payments.create(request)
        assert.strictEqual(yield* failure(payments.capture(payment.id)), "PaymentStateConflict")
        assert.strictEqual(yield* failure(payments.cancel(payment.id)), "PaymentStateConflict")
      }))

    behaves("refunds money in parts, then the rest, and then nothing", (payments) =>
      Effect.gen(function*() {
        const payment = yield* payments.create(request)
        const part = yield* payments.refund(payment.id, { amount: 499, currency: "EUR" })
        assert.strictEqual(part.paymentId, payment.id)
        assert.deepStrictEqual(part.money, { amount: 499, currency: "EUR" })
        assert.oneOf(part.status, ["succeeded", "pending"])
        assert.match(part.id, /^ref_[\w-]+$/)
        assert.strictEqual(
          yield* failure(payments.refund(payment.id, { amount: 1_501, currency: "EUR" })),
          "PaymentStateConflict"
        )
        const rest = yield* payments.refund(payment.id)
        assert.deepStrictEqual(rest.money, { amount: 1_500, currency: "EUR" })
        assert.notStrictEqual(rest.id, part.id)
        assert.strictEqual(yield* failure(payments.refund(payment.id)), "PaymentStateConflict")
      }))

    behaves("rejects a part in another currency", (payments) =>
      Effect.gen(function*() {
        const payment = yield* payments.create(held)
        const dollars = { amount: 500, currency: "USD" }
        for (
          const error of [
            yield* Effect.flip(payments.capture(payment.id, dollars)),
            yield* Effect.flip(payments.refund(payment.id, dollars))
          ]
        ) {
          if (error._tag !== "InvalidPayment") return assert.fail(error.message)
          assert.strictEqual(error.field, "currency")
        }
        assert.strictEqual((yield* payments.get(payment.id)).status, "authorized")
      }))

    for (
      const [paymentMethod, reason] of [
        [methods.declines, "declined"],
        [methods.hasInsufficientFunds, "insufficient_funds"],
        [methods.isExpired, "expired_card"],
        [methods.isStolen, "declined"]
      ] as const
    ) {
      behaves(
        `tells why a payment was declined, as far as its payer may know: ${paymentMethod}`,
        (payments) =>
          Effect.gen(function*() {
            const error = yield* Effect.flip(payments.create({ ...request, paymentMethod }))
            if (error._tag !== "PaymentDeclined") return assert.fail(error.message)
            assert.strictEqual(error.reason, reason)
            assert.notMatch(`${error.message} ${JSON.stringify(error)}`, /lost|stolen|fraud|pick.?up/i)
          })
      )
    }

    behaves("waits for a payer who has to act first", (payments) =>
      Effect.gen(function*() {
        const payment = yield* payments.create({ ...request, paymentMethod: methods.needsAction })
        assert.strictEqual(payment.status, "requires_action")
        assert.strictEqual(yield* failure(payments.capture(payment.id)), "PaymentStateConflict")
      }))

    behaves("finds no payment that it did not make", (payments) =>
      Effect.gen(function*() {
        for (const id of ["", "pay_", "pay_unknown", "order 7001"]) {
          for (const call of [payments.get(id), payments.capture(id), payments.cancel(id), payments.refund(id)]) {
            assert.strictEqual(yield* failure(call), "PaymentNotFound", JSON.stringify(id))
          }
        }
      }))

    behaves("executes the same call once under one idempotency key", (payments) =>
      Effect.gen(function*() {
        const once = { idempotencyKey: "order-7001" }
        const payment = yield* payments.create(held, once)
        assert.deepStrictEqual(yield* payments.create(held, once), payment)
        assert.notStrictEqual((yield* payments.create(held)).id, payment.id)

        const part = { amount: 500, currency: "EUR" }
        const capture = { idempotencyKey: "order-7001-capture" }
        const captured = yield* payments.capture(payment.id, part, capture)
        assert.deepStrictEqual(yield* payments.capture(payment.id, part, capture), captured)

        const back = { idempotencyKey: "order-7001-refund" }
        const refund = yield* payments.refund(payment.id, { amount: 100, currency: "EUR" }, back)
        assert.deepStrictEqual(yield* payments.refund(payment.id, { amount: 100, currency: "EUR" }, back), refund)
        assert.strictEqual((yield* payments.refund(payment.id)).money.amount, 400)
      }))

    behaves("rejects an idempotency key that was used for another request", (payments) =>
      Effect.gen(function*() {
        const once = { idempotencyKey: "order-7001" }
        const payment = yield* payments.create(held, once)
        for (
          const call of [
            payments.create({ ...held, money: { amount: 2_000, currency: "EUR" } }, once),
            payments.capture(payment.id, undefined, once),
            payments.cancel(payment.id, once),
            payments.refund(payment.id, undefined, once)
          ]
        ) {
          assert.strictEqual(yield* failure(call), "IdempotencyKeyReused")
        }
        assert.strictEqual((yield* payments.get(payment.id)).status, "authorized")
      }))
  })
}

/**
 * Values that a vendor adds to an enumeration. Found in use: a new `status` of a payment intent was an `InvalidResponse`
 * after the money had been taken, and the id was lost.
 */
import * as Payments from "@breakwater/vendors/payments"
import * as Stripe from "@breakwater/vendors/payments/stripe"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../fakes/Transport.ts"

const intent = {
  id: "pi_1",
  object: "payment_intent",
  amount: 1999,
  currency: "eur",
  status: "succeeded",
  created: 1,
  metadata: { reference: "order-1" }
}
const refund = { id: "re_1", object: "refund", amount: 1999, currency: "eur", status: "succeeded", created: 1 }
const money = { amount: 1999, currency: "EUR" }
const order = { money, reference: "order-1", paymentMethod: "pm_card_visa" }

/** The result of a call to a vendor that always answers like this. */
const asked = <A, E>(json: unknown, call: (payments: Payments.Payments["Service"]) => Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(Effect.flatMap(Payments.Payments, call))
    yield* TestClock.adjust("1 second")
    return yield* Fiber.join(fiber)
  }).pipe(
    Effect.provide(Stripe.layer.pipe(Layer.provide(FakeTransport.layer(() => ({ status: 200, json }))))),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({ STRIPE_API_KEY: "simulated" }))
  )

const cases = ["settling_instantly", "", "SUCCEEDED", "constructor"]

describe("a status that the vendor has added", () => {
  it.effect("of a payment is not known yet, and keeps the id", () =>
    Effect.gen(function*() {
      const known = yield* asked(intent, (payments) => payments.create(order))
      for (const status of cases) {
        const payment = yield* asked({ ...intent, status }, (payments) => payments.create(order))
        assert.deepStrictEqual(
          payment,
          { ...known, status: "processing", captured: { amount: 0, currency: "EUR" } },
          status
        )
        const found = yield* asked({ ...intent, status }, (payments) => payments.get(known.id))
        assert.deepStrictEqual([found.id, found.status], [known.id, "processing"])
      }
    }))

  it.effect("of a refund is pending, and keeps the id", () =>
    Effect.gen(function*() {
      const { id } = yield* asked(intent, (payments) => payments.create(order))
      const known = yield* asked(refund, (payments) => payments.refund(id))
      for (const status of cases) {
        const refunded = yield* asked({ ...refund, status }, (payments) => payments.refund(id))
        assert.deepStrictEqual(refunded, { ...known, status: "pending" }, status)
      }
    }))
})

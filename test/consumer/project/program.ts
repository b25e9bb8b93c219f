/** A service that takes a payment by Stripe, and shows how a call fails. */
import { isVendorError } from "@breakwater/core"
import { UndiciTransport } from "@breakwater/core/transport"
import * as Payments from "@breakwater/vendors/payments"
import * as Stripe from "@breakwater/vendors/payments/stripe"
import { ConfigProvider, Effect, Layer } from "effect"

const order = { money: { amount: 1999, currency: "EUR" }, reference: "order-1" }

const pay = Effect.gen(function*() {
  const payments = yield* Payments.Payments
  const { status } = yield* payments.create({ ...order, paymentMethod: "pm_card_visa" })
  const declined = yield* Effect.flip(payments.create({ ...order, paymentMethod: "pm_card_chargeDeclined" }))
  return `${status} ${declined._tag}`
})

const stripe = Stripe.layer.pipe(Layer.provide(UndiciTransport.layer({ loopback: true })))

// Nothing listens on this port.
const away = ConfigProvider.fromUnknown({ STRIPE_BASE_URL: "http://127.0.0.1:1", STRIPE_API_KEY: "sk_simulated" })
const failed = pay.pipe(
  Effect.provide(stripe),
  Effect.provideService(ConfigProvider.ConfigProvider, away),
  Effect.catchIf(isVendorError, (error) => Effect.succeed(error.reason._tag))
)

void Effect.runPromise(Effect.all([Effect.provide(pay, stripe), failed])).then((lines) => console.log(lines.join("\n")))

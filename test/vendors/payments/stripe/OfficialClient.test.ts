/** Stripe's official library against our simulator: a fake that is only tested with its author's client proves nothing. */
import type { Simulator } from "@breakwater/core/simulator"
import * as StripeSimulator from "@breakwater/vendors/payments/stripe/Simulator"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Stripe } from "stripe"
import * as OwnClock from "../../../drivers/OwnClock.ts"
import { until } from "../../../watches/Until.ts"
import * as Wiretap from "../../../watches/Wiretap.ts"

const secretKey = ["sk", "test", "marked"].join("_")

const clientOf = ({ baseUrl }: { readonly baseUrl: string }, config?: Stripe.StripeConfig, key = secretKey): Stripe => {
  const { hostname, port } = new URL(baseUrl)
  return new Stripe(key, {
    host: hostname,
    port,
    protocol: "http",
    maxNetworkRetries: 0,
    telemetry: false,
    ...config
  })
}

const call = <A>(request: () => Promise<A>): Effect.Effect<A, Stripe.errors.StripeError> =>
  Effect.tryPromise({
    try: request,
    catch: (error) => {
      if (error instanceof Stripe.errors.StripeError) return error
      throw error
    }
  })

/** The error of a request. */
const refusal = <A>(request: () => Promise<A>): Effect.Effect<Stripe.errors.StripeError> =>
  Effect.orDie(Effect.flip(call(request)))

const simulated = Effect.map(
  StripeSimulator.serve(),
  (simulator) => ({ simulator, stripe: clientOf(simulator), books: simulator.books })
)

/** A simulator whose clock the test sets, and with it the end of a `latency`. */
const simulatedOnItsOwnClock = Effect.gen(function*() {
  const clock = yield* OwnClock.make
  const simulator = yield* clock.on(StripeSimulator.serve())
  return { clock, simulator, stripe: clientOf(simulator), books: simulator.books }
})

const order: Stripe.PaymentIntentCreateParams = {
  amount: 1_999,
  currency: "eur",
  payment_method: "pm_card_visa",
  confirm: true,
  automatic_payment_methods: { enabled: true, allow_redirects: "never" }
}
const held: Stripe.PaymentIntentCreateParams = { ...order, capture_method: "manual" }

/** As Stripe writes an error, for faults that answer in its place. */
const errorBody = (type: string, code?: string): string => JSON.stringify({ error: { type, code, message: "marked" } })

describe("Stripe's official client against our simulator", () => {
  describe("a payment", () => {
    it.live("is taken at once when it is confirmed", () =>
      Effect.gen(function*() {
        const { books, stripe } = yield* simulated
        const intent = yield* call(() => stripe.paymentIntents.create(order))
        assert.strictEqual(intent.object, "payment_intent")
        assert.strictEqual(intent.status, "succeeded")
        assert.strictEqual(intent.amount_received, 1_999)
        assert.strictEqual(intent.amount_capturable, 0)
        assert.strictEqual(intent.currency, "eur")
        assert.match(intent.id, /^pi_\w{24}$/)
        assert.deepStrictEqual(books.charges.all.map(({ id }) => id), [intent.latest_charge])
        assert.strictEqual(books.charges.all[0]?.amount_captured, 1_999)
      }))

    it.live("takes nothing before it is confirmed", () =>
      Effect.gen(function*() {
        const { books, stripe } = yield* simulated
        const bare = yield* call(() => stripe.paymentIntents.create({ amount: 1_999, currency: "eur" }))
        const ready = yield* call(() =>
          stripe.paymentIntents.create({ amount: 1_999, currency: "eur", payment_method: "pm_card_visa" })
        )
        assert.strictEqual(bare.status, "requires_payment_method")
        assert.strictEqual(ready.status, "requires_confirmation")
        assert.deepStrictEqual(books.charges.all, [])
      }))

    it.live("is held, captured, and refunded in parts, never beyond the rest", () =>
      Effect.gen(function*() {
        const { books, stripe } = yield* simulated
        const intent = yield* call(() => stripe.paymentIntents.create(held))
        assert.strictEqual(intent.status, "requires_capture")
        assert.strictEqual(intent.amount_capturable, 1_999)
        assert.strictEqual(intent.amount_received, 0)
        assert.strictEqual(books.charges.all[0]?.captured, false)

        const captured = yield* call(() => stripe.paymentIntents.capture(intent.id))
        assert.strictEqual(captured.status, "succeeded")
        assert.strictEqual(captured.amount_received, 1_999)

        const part = yield* call(() =>
          stripe.refunds.create({ payment_intent: intent.id, amount: 499, reason: "requested_by_customer" })
        )
        assert.strictEqual(part.object, "refund")
        assert.strictEqual(part.amount, 499)
        assert.strictEqual(part.status, "succeeded")
        assert.strictEqual(part.reason, "requested_by_customer")
        assert.strictEqual(part.charge, intent.latest_charge)

        const tooMuch = yield* refusal(() => stripe.refunds.create({ payment_intent: intent.id, amount: 1_501 }))
        assert.instanceOf(tooMuch, Stripe.errors.StripeInvalidRequestError)
        assert.strictEqual(tooMuch.statusCode, 400)
        assert.strictEqual(tooMuch.param, "amount")

        const rest = yield* call(() => stripe.refunds.create({ payment_intent: intent.id }))
        assert.strictEqual(rest.amount, 1_500)
        assert.strictEqual(books.charges.all[0]?.refunded, true)

        const again = yield* refusal(() => stripe.refunds.create({ payment_intent: intent.id }))
        assert.strictEqual(again.code, "charge_already_refunded")
        assert.strictEqual(books.refunds.all.reduce((sum, { amount }) => sum + amount, 0), 1_999)
      }))

    it.live("is captured in part, and only that part can be refunded", () =>
      Effect.gen(function*() {
        const { stripe } = yield* simulated
        const intent = yield* call(() => stripe.paymentIntents.create(held))
        const tooMuch = yield* refusal(() => stripe.paymentIntents.capture(intent.id, { amount_to_capture: 2_000 }))
        assert.strictEqual(tooMuch.code, "amount_too_large")
        assert.strictEqual(tooMuch.param, "amount_to_capture")
        const captured = yield* call(() => stripe.paymentIntents.capture(intent.id, { amount_to_capture: 500 }))
        assert.strictEqual(captured.amount_received, 500)
        assert.strictEqual(captured.amount_capturable, 0)
        const refund = yield* call(() => stripe.refunds.create({ charge: intent.latest_charge as string }))
        assert.strictEqual(refund.amount, 500)
        assert.strictEqual(refund.payment_intent, intent.id)
      }))

    it.live("is canceled while it is held, and then neither captured nor canceled again", () =>
      Effect.gen(function*() {
        const { books, stripe } = yield* simulated
        const intent = yield* call(() => stripe.paymentIntents.create(held))
        const canceled = yield* call(() =>
          stripe.paymentIntents.cancel(intent.id, { cancellation_reason: "requested_by_customer" })
        )
        assert.strictEqual(canceled.status, "canceled")
        assert.strictEqual(canceled.amount_capturable, 0)
        assert.strictEqual(books.charges.all[0]?.amount_captured, 0)
        for (
          const request of [
            () => stripe.paymentIntents.capture(intent.id),
            () => stripe.paymentIntents.cancel(intent.id)
          ]
        ) {
          const error = yield* refusal(request)
          assert.instanceOf(error, Stripe.errors.StripeInvalidRequestError)
          assert.strictEqual(error.statusCode, 400)
          assert.strictEqual(error.code, "payment_intent_unexpected_state")
          assert.strictEqual(error.payment_intent?.status, "canceled")
        }
      }))

    it.live("cannot be captured or canceled once it is taken", () =>
      Effect.gen(function*() {
        const { stripe } = yield* simulated
        const intent = yield* call(() => stripe.paymentIntents.create(order))
        const capture = yield* refusal(() => stripe.paymentIntents.capture(intent.id))
        const cancel = yield* refusal(() => stripe.paymentIntents.cancel(intent.id))
        assert.strictEqual(capture.code, "payment_intent_unexpected_state")
        assert.strictEqual(cancel.code, "payment_intent_unexpected_state")
      }))

    it.live("is read again as it was written", () =>
      Effect.gen(function*() {
        const { stripe } = yield* simulated
        const intent = yield* call(() => stripe.paymentIntents.create(order))
        const again = yield* call(() => stripe.paymentIntents.retrieve(intent.id))
        assert.deepStrictEqual(again, intent)
      }))
  })

  describe("lists", () => {
    it.live("are walked to their end by auto-pagination, newest first, each object once", () =>
      Effect.gen(function*() {
        const { simulator, stripe } = yield* simulated
        const made: Array<string> = []
        for (let amount = 100; amount < 125; amount++) {
          made.push((yield* call(() => stripe.paymentIntents.create({ ...order, amount }))).id)
        }
        simulator.journal.clear()
        const intents = yield* call(() => stripe.paymentIntents.list({ limit: 10 }).autoPagingToArray({ limit: 1_000 }))
        assert.deepStrictEqual(intents.map(({ id }) => id), made.toReversed())
        assert.strictEqual(simulator.journal.count, 3)

        const charges = yield* call(() => stripe.charges.list({ limit: 7 }).autoPagingToArray({ limit: 1_000 }))
        assert.deepStrictEqual(charges.map(({ payment_intent }) => payment_intent), made.toReversed())
      }))

    it.live("end exactly at a page's end without an empty page after it", () =>
      Effect.gen(function*() {
        const { stripe } = yield* simulated
        yield* call(() => stripe.paymentIntents.create(order))
        yield* call(() => stripe.paymentIntents.create(order))
        const page = yield* call(() => stripe.paymentIntents.list({ limit: 2 }))
        assert.strictEqual(page.object, "list")
        assert.strictEqual(page.url, "/v1/payment_intents")
        assert.lengthOf(page.data, 2)
        assert.strictEqual(page.has_more, false)
      }))

    it.live("of charges show the money taken for one payment", () =>
      Effect.gen(function*() {
        const { stripe } = yield* simulated
        const first = yield* call(() => stripe.paymentIntents.create(order))
        yield* call(() => stripe.paymentIntents.create({ ...order, amount: 500 }))
        const charges = yield* call(() => stripe.charges.list({ payment_intent: first.id }))
        assert.deepStrictEqual(charges.data.map(({ amount, paid }) => ({ amount, paid })), [
          { amount: 1_999, paid: true }
        ])
      }))

    it.live("refuse a page of more than a hundred", () =>
      Effect.gen(function*() {
        const { stripe } = yield* simulated
        const error = yield* refusal(() => stripe.charges.list({ limit: 101 }))
        assert.instanceOf(error, Stripe.errors.StripeInvalidRequestError)
        assert.strictEqual(error.param, "limit")
      }))
  })

  describe("a card", () => {
    // https://docs.stripe.com/testing#declined-payments
    it.live.each([
      ["pm_card_visa_chargeDeclined", "card_declined", "generic_decline"],
      ["pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"],
      ["pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"],
      ["pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"],
      ["pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"],
      ["pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"],
      ["pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"]
    ])("is declined as its token says: %s", ([paymentMethod, code, declineCode]) =>
      Effect.gen(function*() {
        const { books, stripe } = yield* simulated
        const error = yield* refusal(() => stripe.paymentIntents.create({ ...order, payment_method: paymentMethod! }))
        assert.instanceOf(error, Stripe.errors.StripeCardError)
        assert.strictEqual(error.statusCode, 402)
        assert.strictEqual(error.code, code)
        assert.strictEqual(error.decline_code, declineCode)
        // The intent exists nevertheless, and waits for another card.
        assert.strictEqual(error.payment_intent?.status, "requires_payment_method")
        const intent = yield* call(() => stripe.paymentIntents.retrieve(error.payment_intent!.id))
        assert.strictEqual(intent.status, "requires_payment_method")
        assert.strictEqual(intent.amount_received, 0)
        assert.deepStrictEqual(
          books.charges.all.map(({ amount_captured, id, paid, status }) => ({ amount_captured, id, paid, status })),
          [{ amount_captured: 0, id: error.charge, paid: false, status: "failed" }]
        )
        const refund = yield* refusal(() => stripe.refunds.create({ payment_intent: intent.id }))
        assert.strictEqual(refund.code, "resource_missing")
      }))

    // https://docs.stripe.com/testing#three-ds-cards
    it.live.each([
      "pm_card_authenticationRequired",
      "pm_card_threeDSecure2Required",
      "pm_card_threeDSecureRequired"
    ])(
      "waits for its bearer's authentication, and nothing is charged meanwhile: %s",
      (paymentMethod) =>
        Effect.gen(function*() {
          const { books, stripe } = yield* simulated
          const intent = yield* call(() => stripe.paymentIntents.create({ ...order, payment_method: paymentMethod }))
          assert.strictEqual(intent.status, "requires_action")
          assert.deepStrictEqual(books.charges.all, [])
          const canceled = yield* call(() => stripe.paymentIntents.cancel(intent.id))
          assert.strictEqual(canceled.status, "canceled")
        })
    )

    it.live.each(["pm_card_mastercard", "pm_card_visa_debit", "pm_card_unionpay"])(
      "of another brand is taken: %s",
      (paymentMethod) =>
        Effect.gen(function*() {
          const { stripe } = yield* simulated
          const intent = yield* call(() => stripe.paymentIntents.create({ ...order, payment_method: paymentMethod }))
          assert.strictEqual(intent.status, "succeeded")
        })
    )

    it.live.each(["pm_card_unheardOf", "pm_card_constructor", "pm_1a2b3c", "card_visa"])(
      "that nobody knows is refused by its parameter: %s",
      (paymentMethod) =>
        Effect.gen(function*() {
          const { books, stripe } = yield* simulated
          const error = yield* refusal(() => stripe.paymentIntents.create({ ...order, payment_method: paymentMethod }))
          assert.instanceOf(error, Stripe.errors.StripeInvalidRequestError)
          assert.strictEqual(error.code, "resource_missing")
          assert.strictEqual(error.param, "payment_method")
          assert.deepStrictEqual(books.intents.all, [])
        })
    )
  })

  describe("an idempotency key", () => {
    it.live("replays the same payment with a marker, and charges once", () =>
      Effect.gen(function*() {
        const { books, stripe } = yield* simulated
        const create = () => stripe.paymentIntents.create(order, { idempotencyKey: "order-1" })
        const first = yield* call(create)
        const second = yield* call(create)
        assert.deepStrictEqual(second, first)
        assert.isUndefined(first.lastResponse.headers["idempotent-replayed"])
        assert.strictEqual(second.lastResponse.headers["idempotent-replayed"], "true")
        assert.strictEqual(second.lastResponse.headers["original-request"], first.lastResponse.requestId)
        assert.notStrictEqual(second.lastResponse.requestId, first.lastResponse.requestId)
        assert.strictEqual(second.lastResponse.idempotencyKey, "order-1")
        assert.lengthOf(books.charges.all, 1)
      }))

    it.live("replays a decline", () =>
      Effect.gen(function*() {
        const { books, stripe } = yield* simulated
        const create = () =>
          stripe.paymentIntents.create({ ...order, payment_method: "pm_card_chargeDeclined" }, {
            idempotencyKey: "order-1"
          })
        const first = yield* refusal(create)
        const second = yield* refusal(create)
        assert.strictEqual(second.payment_intent?.id, first.payment_intent?.id)
        assert.strictEqual(second.headers?.["idempotent-replayed"], "true")
        assert.lengthOf(books.charges.all, 1)
      }))

    it.live("is rejected for another body and for another endpoint", () =>
      Effect.gen(function*() {
        const { books, stripe } = yield* simulated
        const intent = yield* call(() => stripe.paymentIntents.create(held, { idempotencyKey: "order-1" }))
        const otherBody = yield* refusal(() =>
          stripe.paymentIntents.create({ ...held, amount: 2_000 }, { idempotencyKey: "order-1" })
        )
        const otherEndpoint = yield* refusal(() =>
          stripe.paymentIntents.capture(intent.id, {}, { idempotencyKey: "order-1" })
        )
        for (const error of [otherBody, otherEndpoint]) {
          assert.instanceOf(error, Stripe.errors.StripeIdempotencyError)
          assert.strictEqual(error.statusCode, 400)
        }
        assert.deepStrictEqual(books.charges.all.map(({ amount, captured }) => ({ amount, captured })), [
          { amount: 1_999, captured: false }
        ])
      }))

    it.live("belongs to the account whose secret key it came with", () =>
      Effect.gen(function*() {
        const { books, simulator, stripe } = yield* simulated
        const other = clientOf(simulator, {}, [secretKey, "other"].join("_"))
        yield* call(() => stripe.paymentIntents.create(order, { idempotencyKey: "order-1" }))
        yield* call(() => other.paymentIntents.create(order, { idempotencyKey: "order-1" }))
        assert.lengthOf(books.charges.all, 2)
      }))

    it.live("is in use while its first request is running, and replays the response after that", () =>
      Effect.gen(function*() {
        const { books, clock, simulator, stripe } = yield* simulatedOnItsOwnClock
        const create = () => stripe.paymentIntents.create(order, { idempotencyKey: "order-1" })
        yield* simulator.setFault({ kind: "latency", millis: 60_000, times: 1 })
        const running = yield* Effect.forkChild(call(create))
        yield* until("the first request has come", () => simulator.journal.count === 1)

        const conflict = yield* refusal(create)
        assert.strictEqual(conflict.statusCode, 409)
        assert.strictEqual(conflict.code, "idempotency_key_in_use")
        assert.deepStrictEqual(books.charges.all, [])

        yield* clock.adjust("1 minute")
        const first = yield* Fiber.join(running)
        const replayed = yield* call(create)
        assert.deepStrictEqual(replayed, first)
        assert.lengthOf(books.charges.all, 1)
      }))

    it.live("keeps a 500 too: the money is taken once, and the same 500 is replayed", () =>
      Effect.gen(function*() {
        const { books, stripe } = yield* simulated
        const create = () =>
          stripe.paymentIntents.create({ ...order, payment_method: "pm_card_simulatorBreaks" }, {
            idempotencyKey: "order-1"
          })
        const first = yield* refusal(create)
        const second = yield* refusal(create)
        for (const error of [first, second]) {
          assert.instanceOf(error, Stripe.errors.StripeAPIError)
          assert.strictEqual(error.statusCode, 500)
          assert.strictEqual(error.rawType, "api_error")
        }
        assert.strictEqual(second.headers?.["idempotent-replayed"], "true")
        assert.deepStrictEqual(books.charges.all.map(({ paid }) => paid), [true])
      }))

    it.live("is not spent on a request that fails validation", () =>
      Effect.gen(function*() {
        const { stripe } = yield* simulated
        const invalid = yield* refusal(() =>
          stripe.paymentIntents.create({ ...order, amount: 19.99 }, { idempotencyKey: "order-1" })
        )
        assert.instanceOf(invalid, Stripe.errors.StripeInvalidRequestError)
        assert.strictEqual(invalid.param, "amount")
        const intent = yield* call(() => stripe.paymentIntents.create(order, { idempotencyKey: "order-1" }))
        assert.isUndefined(intent.lastResponse.headers["idempotent-replayed"])
      }))

    it.live("is forgotten after a day, and not a moment before", () =>
      Effect.gen(function*() {
        const { books, clock, stripe } = yield* simulatedOnItsOwnClock
        const create = () => stripe.paymentIntents.create(order, { idempotencyKey: "order-1" })
        const first = yield* call(create)
        yield* clock.adjust("86399999 millis")
        assert.strictEqual((yield* call(create)).id, first.id)
        yield* clock.adjust("1 millis")
        const second = yield* call(create)
        assert.notStrictEqual(second.id, first.id)
        assert.isUndefined(second.lastResponse.headers["idempotent-replayed"])
        assert.lengthOf(books.charges.all, 2)
      }))

    it.live("has at most 255 characters", () =>
      Effect.gen(function*() {
        const { stripe } = yield* simulated
        yield* call(() => stripe.paymentIntents.create(order, { idempotencyKey: "k".repeat(255) }))
        const error = yield* refusal(() => stripe.paymentIntents.create(order, { idempotencyKey: "k".repeat(256) }))
        assert.strictEqual(error.statusCode, 400)
      }))
  })

  describe("a refusal", () => {
    it.live("of an invalid API key is an authentication error", () =>
      Effect.gen(function*() {
        const { books, simulator } = yield* simulated
        for (const key of [["pk", "test", "marked"].join("_"), "marked"]) {
          const stripe = clientOf(simulator, {}, key)
          const error = yield* refusal(() => stripe.paymentIntents.create(order))
          assert.instanceOf(error, Stripe.errors.StripeAuthenticationError)
          assert.strictEqual(error.statusCode, 401)
        }
        assert.deepStrictEqual(books.intents.all, [])
      }))

    it.live("of an unknown payment is a 404 where the path names it, and a 400 where a parameter does", () =>
      Effect.gen(function*() {
        const { stripe } = yield* simulated
        for (
          const request of [
            () => stripe.paymentIntents.retrieve("pi_unknown"),
            () => stripe.paymentIntents.capture("pi_unknown"),
            () => stripe.paymentIntents.cancel("pi_unknown")
          ]
        ) {
          const error = yield* refusal(request)
          assert.instanceOf(error, Stripe.errors.StripeInvalidRequestError)
          assert.strictEqual(error.statusCode, 404)
          assert.strictEqual(error.code, "resource_missing")
          assert.strictEqual(error.param, "intent")
        }
        for (const params of [{ payment_intent: "pi_unknown" }, { charge: "ch_unknown" }]) {
          const error = yield* refusal(() => stripe.refunds.create(params))
          assert.strictEqual(error.statusCode, 400)
          assert.strictEqual(error.code, "resource_missing")
          assert.strictEqual(error.param, Object.keys(params)[0])
        }
      }))

    it.live("of an address that the simulator does not serve is a 404", () =>
      Effect.gen(function*() {
        const { stripe } = yield* simulated
        const error = yield* refusal(() => stripe.customers.list())
        assert.instanceOf(error, Stripe.errors.StripeInvalidRequestError)
        assert.strictEqual(error.statusCode, 404)
        assert.strictEqual(error.rawType, "invalid_request_error")
      }))

    it.live.each<[string, Partial<Stripe.PaymentIntentCreateParams>, string, string | undefined]>([
      ["an amount below the smallest", { amount: 49 }, "amount", "amount_too_small"],
      ["an amount of nine digits", { amount: 100_000_000 }, "amount", undefined],
      ["an invalid currency", { currency: "euro" }, "currency", undefined],
      ["a number for a truth value", { confirm: 1 as unknown as boolean }, "confirm", undefined],
      [
        "a word that is not offered, however deep",
        { automatic_payment_methods: { enabled: true, allow_redirects: "sometimes" } },
        "automatic_payment_methods[allow_redirects]",
        undefined
      ]
    ])("names the parameter: %s", ([, params, param, code]) =>
      Effect.gen(function*() {
        const { books, stripe } = yield* simulated
        const error = yield* refusal(() => stripe.paymentIntents.create({ ...order, ...params }))
        assert.instanceOf(error, Stripe.errors.StripeInvalidRequestError)
        assert.strictEqual(error.statusCode, 400)
        assert.strictEqual(error.param, param)
        assert.strictEqual(error.code, code)
        assert.deepStrictEqual(books.intents.all, [])
      }))

    it.live("names a parameter that is missing", () =>
      Effect.gen(function*() {
        const { stripe } = yield* simulated
        const method = yield* refusal(() =>
          stripe.paymentIntents.create({ amount: 1_999, currency: "eur", confirm: true })
        )
        assert.strictEqual(method.code, "parameter_missing")
        assert.strictEqual(method.param, "payment_method")
        const error = yield* refusal(() => stripe.paymentIntents.create({ currency: "eur" } as typeof order))
        assert.strictEqual(error.code, "parameter_missing")
        assert.strictEqual(error.param, "amount")
        const refund = yield* refusal(() => stripe.refunds.create({}))
        assert.strictEqual(refund.code, "parameter_missing")
      }))
  })

  describe("amounts", () => {
    it.live("of a currency without decimals are whole units", () =>
      Effect.gen(function*() {
        const { stripe } = yield* simulated
        const intent = yield* call(() => stripe.paymentIntents.create({ ...order, amount: 500, currency: "jpy" }))
        assert.strictEqual(intent.amount_received, 500)
        assert.strictEqual(intent.currency, "jpy")
      }))

    it.live("of ISK are written with two decimals that are 00", () =>
      Effect.gen(function*() {
        const { stripe } = yield* simulated
        const intent = yield* call(() => stripe.paymentIntents.create({ ...order, amount: 500, currency: "ISK" }))
        assert.strictEqual(intent.amount, 500)
        assert.strictEqual(intent.currency, "isk")
        const error = yield* refusal(() => stripe.paymentIntents.create({ ...order, amount: 550, currency: "isk" }))
        assert.strictEqual(error.param, "amount")
      }))
  })

  describe("the client's own encoding", () => {
    it.live("keeps metadata in every script, with characters that are special in a form", () =>
      Effect.gen(function*() {
        const { stripe } = yield* simulated
        const metadata = {
          order: "7001",
          "a key of words": "1 & 2 = 3 + 4 % 5 # 6",
          "ключ": "значение 支払い 🧾",
          quotes: `'"(!*)'`,
          lines: "one\ntwo\r\nthree",
          brackets: "items[0][price]",
          "0": "a key that looks like an index"
        }
        const intent = yield* call(() => stripe.paymentIntents.create({ ...order, metadata }))
        assert.deepStrictEqual(intent.metadata, metadata)
        const refund = yield* call(() => stripe.refunds.create({ payment_intent: intent.id, metadata }))
        assert.deepStrictEqual(refund.metadata, metadata)
      }))

    it.live("is understood: arrays by index, booleans", () =>
      Effect.gen(function*() {
        const { simulator } = yield* simulated
        const wire = yield* Wiretap.listen(simulator.baseUrl)
        const stripe = clientOf(wire)
        const intent = yield* call(() =>
          stripe.paymentIntents.create({
            amount: 1_999,
            currency: "eur",
            confirm: false,
            allowed_payment_method_types: ["card", "link"],
            capture_method: "automatic_async"
          })
        )
        assert.include(
          wire.exchanges[0]?.body,
          "allowed_payment_method_types[0]=card&allowed_payment_method_types[1]=link"
        )
        assert.include(wire.exchanges[0]?.body, "confirm=false")
        assert.deepStrictEqual(intent.payment_method_types, ["card", "link"])
        assert.strictEqual(intent.capture_method, "automatic_async")
        assert.strictEqual(intent.status, "requires_payment_method")
      }))

    it.live("unsets metadata by an empty value", () =>
      Effect.gen(function*() {
        const { stripe } = yield* simulated
        const intent = yield* call(() =>
          stripe.paymentIntents.create({ ...order, metadata: { kept: "1", unset: "", none: null } })
        )
        assert.deepStrictEqual(intent.metadata, { kept: "1" })
      }))
  })

  it.live("finds a different request id on every response", () =>
    Effect.gen(function*() {
      const { stripe } = yield* simulated
      const intent = yield* call(() => stripe.paymentIntents.create(order))
      const ids = [
        intent.lastResponse.requestId,
        (yield* call(() => stripe.paymentIntents.retrieve(intent.id))).lastResponse.requestId,
        (yield* call(() => stripe.charges.list())).lastResponse.requestId,
        (yield* refusal(() => stripe.paymentIntents.retrieve("pi_unknown"))).requestId,
        (yield* refusal(() => stripe.paymentIntents.create({ ...order, amount: 1 }))).requestId,
        (yield* refusal(() => stripe.customers.list())).requestId,
        (yield* refusal(() => stripe.paymentIntents.capture(intent.id))).requestId
      ]
      for (const id of ids) assert.match(id ?? "", /^req_\w+$/)
      assert.strictEqual(new Set(ids).size, ids.length)
      assert.strictEqual(intent.lastResponse.apiVersion, "2026-10-28.endive")
    }))

  describe("with two retries of its own", () => {
    const retrying = Effect.gen(function*() {
      const simulator = yield* StripeSimulator.serve()
      const wire = yield* Wiretap.listen(simulator.baseUrl)
      return { simulator, wire, stripe: clientOf(wire, { maxNetworkRetries: 2 }), books: simulator.books }
    })

    /** The idempotency keys of all attempts. */
    const keysOf = (wire: Wiretap.Wiretap) =>
      new Set(wire.exchanges.map(({ headers }) => headers.get("idempotency-key")))

    it.live.each<[string, Simulator.Fault]>([
      ["reset after the money was taken", { kind: "resetAfter", times: 1 }],
      ["reset twice after the money was taken", { kind: "resetAfter", times: 2 }],
      ["reset before anything happened", { kind: "resetBefore", times: 1 }],
      ["500", { kind: "status", status: 500, body: errorBody("api_error"), times: 1 }],
      ["409", { kind: "status", status: 409, body: errorBody("invalid_request_error"), times: 1 }],
      [
        "429 with the advice to retry",
        {
          kind: "status",
          status: 429,
          headers: { "stripe-should-retry": "true" },
          body: errorBody("invalid_request_error", "lock_timeout"),
          times: 1
        }
      ]
    ])("charges once, under one key, when it met: %s", ([, fault]) =>
      Effect.gen(function*() {
        const { books, simulator, stripe, wire } = yield* retrying
        yield* simulator.setFault(fault)
        const intent = yield* call(() => stripe.paymentIntents.create(order))
        assert.strictEqual(intent.status, "succeeded")
        assert.lengthOf(wire.exchanges, 1 + (fault.kind === "refuse" ? 0 : fault.times ?? 0))
        assert.strictEqual(keysOf(wire).size, 1)
        assert.lengthOf(books.charges.all, 1)
        assert.strictEqual(
          intent.lastResponse.headers["idempotent-replayed"],
          fault.kind === "resetAfter" ? "true" : undefined
        )
      }))

    it.live.each<[string, Simulator.Fault, typeof Stripe.errors.StripeError]>([
      [
        "429",
        { kind: "status", status: 429, body: errorBody("invalid_request_error", "rate_limit") },
        Stripe.errors.StripeRateLimitError
      ],
      ["the rate limit", { kind: "rateLimit", limit: 0, windowMillis: 60_000 }, Stripe.errors.StripeRateLimitError],
      [
        "500 with the advice not to retry",
        {
          kind: "status",
          status: 500,
          headers: { "stripe-should-retry": "false" },
          body: errorBody("api_error")
        },
        Stripe.errors.StripeAPIError
      ],
      [
        "409 with the advice not to retry",
        {
          kind: "status",
          status: 409,
          headers: { "stripe-should-retry": "false" },
          body: errorBody("invalid_request_error")
        },
        Stripe.errors.StripeAPIError
      ]
    ])("asks once and reports it: %s", ([, fault, expected]) =>
      Effect.gen(function*() {
        const { books, simulator, stripe } = yield* retrying
        yield* simulator.setFault(fault)
        const error = yield* refusal(() => stripe.paymentIntents.create(order))
        assert.instanceOf(error, expected)
        assert.strictEqual(simulator.journal.count, 1)
        assert.deepStrictEqual(books.charges.all, [])
      }))

    it.live("reads the rate limit in Stripe's form", () =>
      Effect.gen(function*() {
        const { simulator, stripe } = yield* retrying
        yield* simulator.setFault({ kind: "rateLimit", limit: 1, windowMillis: 60_000 })
        yield* call(() => stripe.paymentIntents.create(order))
        const error = yield* refusal(() => stripe.paymentIntents.create(order))
        assert.instanceOf(error, Stripe.errors.StripeRateLimitError)
        assert.strictEqual(error.statusCode, 429)
        assert.strictEqual(error.code, "rate_limit")
        assert.strictEqual(error.headers?.["stripe-rate-limited-reason"], "global-rate")
      }))

    it.live("gives up on a vendor that fails every time, and money is taken once at most", () =>
      Effect.gen(function*() {
        const { books, stripe, wire } = yield* retrying
        const error = yield* refusal(() =>
          stripe.paymentIntents.create({ ...order, payment_method: "pm_card_simulatorBreaks" })
        )
        assert.strictEqual(error.statusCode, 500)
        assert.lengthOf(wire.exchanges, 3)
        assert.strictEqual(keysOf(wire).size, 1)
        assert.lengthOf(books.charges.all, 1)
      }))
  })
})

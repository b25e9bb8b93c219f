import type { Policy } from "@breakwater/core"
import { Deadline, isVendorError, type Reason, type VendorError } from "@breakwater/core"
import type { Simulator } from "@breakwater/core/simulator"
import * as PaymentId from "@breakwater/vendors/payments/PaymentId"
import { DeclineReason, type PaymentRequest, Payments } from "@breakwater/vendors/payments/Payments"
import * as StripeSimulator from "@breakwater/vendors/payments/stripe/Simulator"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Schedule, Schema, type Scope } from "effect"
import * as OwnClock from "../../../drivers/OwnClock.ts"
import * as StripeClient from "../../../drivers/StripeClient.ts"
import { until } from "../../../watches/Until.ts"
import * as Wiretap from "../../../watches/Wiretap.ts"
import { within } from "../../../watches/Within.ts"
import { suite } from "../PaymentsSuite.ts"

suite(
  "Stripe",
  Layer.unwrap(Effect.map(StripeSimulator.serve(), ({ baseUrl }) => StripeClient.layer({ baseUrl }))),
  {
    succeeds: "pm_card_visa",
    declines: "pm_card_chargeDeclined",
    hasInsufficientFunds: "pm_card_chargeDeclinedInsufficientFunds",
    isExpired: "pm_card_chargeDeclinedExpiredCard",
    isStolen: "pm_card_chargeDeclinedStolenCard",
    needsAction: "pm_card_threeDSecure2Required"
  }
)

const request: PaymentRequest = {
  money: { amount: 1_999, currency: "EUR" },
  paymentMethod: "pm_card_visa",
  reference: "order 7001"
}
const held: PaymentRequest = { ...request, capture: "Manual" }

/** Three retries without long pauses: our own rate limit would pause for its window after a 429. */
const quick: Policy.Policy = { retry: { retries: 3, base: "5 millis" }, rateLimit: false }
const patient: Policy.Policy = {
  attemptTimeout: "150 millis",
  deadline: "10 seconds",
  retry: Schedule.upTo(Schedule.spaced("50 millis"), { times: 100 }),
  retryBudget: false
}

interface World {
  readonly simulator: StripeSimulator.StripeSimulator
  readonly wire: Wiretap.Wiretap
  readonly payments: Payments["Service"]
}

/** Payments by Stripe against a simulator, with a record of the traffic. */
const world = <A, E>(
  policy: Policy.Policy,
  test: (world: World) => Effect.Effect<A, E>,
  serve: Effect.Effect<StripeSimulator.StripeSimulator, never, Scope.Scope> = StripeSimulator.serve()
) =>
  Effect.gen(function*() {
    const simulator = yield* serve
    const wire = yield* Wiretap.listen(simulator.baseUrl)
    return yield* Effect.flatMap(Payments, (payments) => test({ simulator, wire, payments })).pipe(
      Effect.provide(StripeClient.layer({ baseUrl: wire.baseUrl, policy }))
    )
  })

/** The vendor error of a call. */
const vendorError = <A, E>(call: Effect.Effect<A, E>): Effect.Effect<VendorError> =>
  Effect.orDie(Effect.flip(call)).pipe(
    Effect.map((error) => isVendorError(error) ? error : assert.fail(`not a VendorError: ${String(error)}`))
  )

/** An error in Stripe's own form, as a fault. */
const answers = (
  status: number,
  error: Readonly<Record<string, unknown>>,
  more: { readonly headers?: Readonly<Record<string, string>>; readonly times?: number } = {}
): Simulator.Fault => ({ kind: "status", status, body: JSON.stringify({ error }), ...more })

const keysOf = (wire: Wiretap.Wiretap): ReadonlyArray<string | null> =>
  wire.exchanges.filter(({ method }) => method === "POST").map(({ headers }) => headers.get("idempotency-key"))

describe("Payments by Stripe", () => {
  describe("ids", () => {
    it("are read as they were written, and as those of no other kind or vendor", () => {
      const id = PaymentId.encode("pay", "stripe", "pi_123")
      assert.strictEqual(PaymentId.decode("pay", "stripe", id), "pi_123")
      assert.isUndefined(PaymentId.decode("ref", "stripe", id))
      assert.isUndefined(PaymentId.decode("pay", "adyen", id))
    })

    it.live("do not show the vendor", () =>
      world(quick, ({ payments, simulator }) =>
        Effect.gen(function*() {
          const payment = yield* payments.create(request)
          const refund = yield* payments.refund(payment.id)
          const [intent] = simulator.books.intents.all
          assert.strictEqual(payment.id, PaymentId.encode("pay", "stripe", intent!.id))
          for (const id of [payment.id, refund.id]) assert.notMatch(id, /stripe|pi_|re_\w{24}/)
        })))

    it.live("that are foreign, truncated or misspelt are not found, mostly without a request", () =>
      world(quick, ({ payments, simulator, wire }) =>
        Effect.gen(function*() {
          const { id } = yield* payments.create(request)
          const refund = yield* payments.refund(id)
          const [intent] = simulator.books.intents.all
          const before = wire.exchanges.length
          const standard = Buffer.from(`stripe:${intent!.id}`).toString("base64")
          const foreign = [
            "",
            "pay_",
            "pay_unknown",
            intent!.id,
            refund.id,
            PaymentId.encode("pay", "adyen", intent!.id),
            PaymentId.encode("pay", "stripe", ""),
            PaymentId.encode("pay", "stripe", "ch_1"),
            PaymentId.encode("pay", "stripe", "pi_"),
            PaymentId.encode("pay", "stripe", `${intent!.id}/cancel`),
            PaymentId.encode("pay", "stripe", `../charges?payment_intent=${intent!.id}`),
            PaymentId.encode("pay", "stripe", `pi_${"1".repeat(300)}`),
            `${id}=`,
            `${id}==`,
            ` ${id}`,
            `${id}\n`,
            id.toUpperCase(),
            `pay_${standard.padEnd(standard.length + 1, "=")}`,
            // The last character has unused bits, so it can be written in other ways.
            `${id.slice(0, -1)}${String.fromCharCode(id.charCodeAt(id.length - 1) + 1)}`
          ]
          for (const other of foreign) {
            const error = yield* Effect.flip(payments.get(other))
            assert.strictEqual(error._tag, "PaymentNotFound", JSON.stringify(other))
          }
          assert.strictEqual(wire.exchanges.length, before)

          // Some truncated ids are valid ids: only Stripe can tell that it has no such payment.
          for (let length = 0; length < id.length; length++) {
            const error = yield* Effect.flip(payments.get(id.slice(0, length)))
            assert.strictEqual(error._tag, "PaymentNotFound", id.slice(0, length))
          }
          for (const { path } of wire.exchanges.slice(before)) assert.match(path, /^\/v1\/payment_intents\/pi_\w+$/)
        })))

    it.prop(
      "are read as they were written, and in no other spelling",
      { vendorId: Schema.String, other: Schema.String },
      ({ other, vendorId }) => {
        const wellFormed = vendorId.toWellFormed()
        const id = PaymentId.encode("pay", "stripe", wellFormed)
        assert.strictEqual(PaymentId.decode("pay", "stripe", id), wellFormed)
        assert.isUndefined(PaymentId.decode("ref", "stripe", id))
        assert.isUndefined(PaymentId.decode("pay", "adyen", id))
        const read = PaymentId.decode("pay", "stripe", other)
        if (read !== undefined) assert.strictEqual(PaymentId.encode("pay", "stripe", read), other)
      }
    )
  })

  describe("a request that is rejected before it is sent", () => {
    it.live.each<[string, PaymentRequest["money"], string, RegExp]>([
      ["an amount of nine digits", { amount: 100_000_000, currency: "EUR" }, "amount", /largest/],
      ["nine digits as Stripe counts them", { amount: 1_000_000, currency: "ISK" }, "amount", /largest/],
      ["a fraction where Stripe knows none", { amount: 150, currency: "MGA" }, "amount", /fraction/],
      ["a third decimal", { amount: 5_124, currency: "KWD" }, "amount", /multiple of 10/],
      ["a currency that Stripe counts in two ways", { amount: 500, currency: "UGX" }, "currency", /not supported/]
    ])("names our field: %s", ([, money, field, issue]) =>
      world(quick, ({ payments, wire }) =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(payments.create({ ...request, money }))
          if (error._tag !== "InvalidPayment") return assert.fail(error.message)
          assert.strictEqual(error.field, field)
          assert.match(error.issue, issue)
          assert.isEmpty(wire.exchanges)
        })))

    it.live("has a part in another currency, which Stripe would read as the payment's own", () =>
      world(quick, ({ payments, wire }) =>
        Effect.gen(function*() {
          const { id } = yield* payments.create(held)
          const before = wire.exchanges.length
          const yen = { amount: 500, currency: "JPY" }
          assert.strictEqual((yield* Effect.flip(payments.capture(id, yen)))._tag, "InvalidPayment")
          assert.strictEqual((yield* Effect.flip(payments.refund(id, yen)))._tag, "InvalidPayment")
          assert.deepStrictEqual(wire.exchanges.slice(before).map(({ method }) => method), ["GET", "GET"])
        })))
  })

  describe("a request that Stripe rejects", () => {
    it.live.each<[string, Partial<PaymentRequest>, string, string]>([
      [
        "an amount below the smallest",
        { money: { amount: 49, currency: "EUR" } },
        "amount",
        "is below the smallest amount"
      ],
      ["nothing at all", { money: { amount: 0, currency: "EUR" } }, "amount", "is below the smallest amount"],
      ["an unknown instrument", { paymentMethod: "pm_card_unheardOf" }, "paymentMethod", "is not known"],
      ["an invalid currency", { money: { amount: 500, currency: "EURO" } }, "currency", "is not accepted"]
    ])(
      "names our field: %s",
      ([, changes, field, issue]) =>
        world(quick, ({ payments, simulator }) =>
          Effect.gen(function*() {
            const error = yield* Effect.flip(payments.create({ ...request, ...changes }))
            if (error._tag !== "InvalidPayment") return assert.fail(error.message)
            assert.deepStrictEqual({ field: error.field, issue: error.issue }, { field, issue })
            assert.strictEqual(simulator.journal.count, 1)
            assert.isEmpty(simulator.books.charges.all)
          }))
    )

    it.live.each([
      ["metadata[reference]", "reference"],
      ["metadata", "reference"],
      ["automatic_payment_methods[enabled]", "request"],
      ["constructor", "request"],
      ["__proto__", "request"]
    ])(
      "names our field for Stripe's parameter %s",
      ([param, field]) =>
        world(quick, ({ payments, simulator }) =>
          Effect.gen(function*() {
            yield* simulator.setFault(answers(400, { type: "invalid_request_error", code: "constructor", param }))
            const error = yield* Effect.flip(payments.create(request))
            if (error._tag !== "InvalidPayment") return assert.fail(error.message)
            assert.deepStrictEqual({ field: error.field, issue: error.issue }, { field, issue: "is not accepted" })
          }))
    )

    // https://docs.stripe.com/declines/codes
    it.live.each<[string, string, DeclineReason]>([
      ["card_declined", "generic_decline", "declined"],
      ["card_declined", "insufficient_funds", "insufficient_funds"],
      ["card_declined", "withdrawal_count_limit_exceeded", "insufficient_funds"],
      ["card_declined", "authentication_required", "authentication_required"],
      ["card_declined", "try_again_later", "processing_error"],
      ["card_declined", "issuer_not_available", "processing_error"],
      ["card_declined", "reenter_transaction", "processing_error"],
      ["card_declined", "do_not_honor", "declined"],
      ["card_declined", "constructor", "declined"],
      // Shown to the payer as a plain decline.
      ["card_declined", "lost_card", "declined"],
      ["card_declined", "stolen_card", "declined"],
      ["card_declined", "pickup_card", "declined"],
      ["card_declined", "fraudulent", "declined"],
      ["card_declined", "merchant_blacklist", "declined"],
      ["card_declined", "restricted_card", "declined"],
      ["expired_card", "expired_card", "expired_card"],
      ["incorrect_cvc", "incorrect_cvc", "incorrect_details"],
      ["incorrect_number", "incorrect_number", "incorrect_details"],
      ["incorrect_zip", "incorrect_zip", "incorrect_details"],
      ["invalid_cvc", "invalid_cvc", "incorrect_details"],
      ["invalid_expiry_month", "invalid_expiry_month", "incorrect_details"],
      ["processing_error", "processing_error", "processing_error"],
      ["payment_intent_authentication_failure", "authentication_not_handled", "authentication_required"]
    ])(
      "is a decline in our words: %s, %s",
      ([code, declineCode, reason]) =>
        world(quick, ({ payments, simulator }) =>
          Effect.gen(function*() {
            yield* simulator.setFault(
              answers(402, { type: "card_error", code, decline_code: declineCode, message: "Your card was stolen." })
            )
            const error = yield* Effect.flip(payments.create(request))
            if (error._tag !== "PaymentDeclined") return assert.fail(error.message)
            assert.strictEqual(error.reason, reason)
            assert.include(DeclineReason.literals, error.reason)
            assert.notMatch(`${error.message} ${JSON.stringify(error)}`, /lost|stolen|fraud|pick.?up|blacklist/i)
            assert.strictEqual(simulator.journal.count, 1)
          }))
    )

    it.live("because of our credential is not tried again", () =>
      Effect.gen(function*() {
        const simulator = yield* StripeSimulator.serve()
        const error = yield* Effect.flatMap(Payments, (payments) => vendorError(payments.create(request))).pipe(
          Effect.provide(StripeClient.layer({ baseUrl: simulator.baseUrl, secretKey: "marked", policy: quick }))
        )
        assert.strictEqual(error.reason._tag, "Unauthorized")
        assert.strictEqual(error.mayHaveHappened, false)
        assert.strictEqual(simulator.journal.count, 1)
      }))
  })

  describe("a key in use", () => {
    it.live("is waited for until the first call is done, and all callers get its answer", () =>
      Effect.gen(function*() {
        const clock = yield* OwnClock.make
        yield* world({ ...patient, attemptTimeout: "5 seconds" }, ({ payments, simulator }) =>
          Effect.gen(function*() {
            const create = payments.create(request, { idempotencyKey: "order-7001" })
            yield* simulator.setFault({ kind: "latency", millis: 60_000, times: 1 })
            const first = yield* Effect.forkChild(create)
            yield* until("the first request has come", () => simulator.journal.count === 1)
            const second = yield* Effect.forkChild(create)
            yield* until(
              "the second call was turned away twice",
              () => simulator.journal.requests.filter(({ status }) => status === 409).length >= 2
            )
            assert.isEmpty(simulator.books.charges.all)
            yield* clock.adjust("1 minute")
            assert.deepStrictEqual(yield* Fiber.join(second), yield* Fiber.join(first))
            assert.lengthOf(simulator.books.charges.all, 1)
          }), clock.on(StripeSimulator.serve()))
      }))

    it.live("that stays in use ends as a conflict with an unknown outcome", () =>
      Effect.gen(function*() {
        const clock = yield* OwnClock.make
        yield* world(quick, ({ payments, simulator }) =>
          Effect.gen(function*() {
            const create = payments.create(request, { idempotencyKey: "order-7001" })
            yield* simulator.setFault({ kind: "latency", millis: 60_000, times: 1 })
            yield* Effect.forkChild(create)
            yield* until("the first request has come", () => simulator.journal.count === 1)
            const error = yield* vendorError(create)
            assert.strictEqual(error.reason._tag, "Conflict")
            assert.strictEqual(error.attempts, 4)
            assert.strictEqual(error.mayHaveHappened, true)
          }), clock.on(StripeSimulator.serve()))
      }))
  })

  describe("an outcome that is unknown", () => {
    const fates: ReadonlyArray<[string, Simulator.Fault, Policy.Policy]> = [
      ["reset after the money was taken", { kind: "resetAfter", times: 1 }, quick],
      ["reset every time but the last", { kind: "resetAfter", times: 3 }, quick],
      ["cut off in the middle of the answer", { kind: "halfBody", times: 2 }, quick],
      ["reset before anything happened", { kind: "resetBefore", times: 3 }, quick],
      ["slower than an attempt may be", { kind: "latency", millis: 500, times: 1 }, patient],
      ["answered too slowly to be read", { kind: "drip", bytesPerSecond: 10, times: 2 }, patient]
    ]

    it.live.each(fates)(
      "ends in one charge and one answer, under one key: %s",
      ([, fault, policy]) =>
        world(policy, ({ payments, simulator, wire }) =>
          Effect.gen(function*() {
            yield* simulator.setFault(fault)
            const payment = yield* payments.create(request)
            assert.strictEqual(payment.status, "succeeded")
            assert.isAtLeast(wire.exchanges.length, 2)
            assert.strictEqual(new Set(keysOf(wire)).size, 1)
            assert.deepStrictEqual(simulator.books.intents.all.map(({ id }) => PaymentId.encode("pay", "stripe", id)), [
              payment.id
            ])
            assert.lengthOf(simulator.books.charges.all, 1)
          }))
    )

    it.live.each(fates)(
      "ends in one capture and one refund: %s",
      ([, fault, policy]) =>
        world(policy, ({ payments, simulator, wire }) =>
          Effect.gen(function*() {
            const { id } = yield* payments.create(held)
            yield* simulator.setFault({ ...fault, operation: "paymentIntents.capture" })
            yield* payments.capture(id)
            yield* simulator.setFault({ ...fault, operation: "refunds.create" })
            const refund = yield* payments.refund(id, { amount: 999, currency: "EUR" })
            assert.strictEqual(refund.status, "succeeded")
            assert.deepStrictEqual(simulator.books.refunds.all.map(({ amount }) => amount), [999])
            assert.strictEqual(simulator.books.charges.all[0]?.amount_refunded, 999)
            // One key for each of the three writes.
            assert.strictEqual(new Set(keysOf(wire)).size, 3)
          }))
    )

    it.live("is reported when no attempt was answered, and is settled by the same call under the same key", () =>
      world(quick, ({ payments, simulator }) =>
        Effect.gen(function*() {
          const create = payments.create(request, { idempotencyKey: "order-7001" })
          yield* simulator.setFault({ kind: "resetAfter" })
          const error = yield* vendorError(create)
          assert.strictEqual(error.reason._tag, "ConnectionLost")
          assert.strictEqual(error.attempts, 4)
          assert.strictEqual(error.mayHaveHappened, true)
          yield* simulator.setFault(undefined)
          assert.strictEqual((yield* create).status, "succeeded")
          assert.lengthOf(simulator.books.charges.all, 1)
        })))

    it.live("stays unknown when Stripe fails after it has acted and replays its 500", () =>
      world(quick, ({ payments, simulator, wire }) =>
        Effect.gen(function*() {
          const error = yield* vendorError(payments.create({ ...request, paymentMethod: "pm_card_simulatorBreaks" }))
          assert.strictEqual(error.reason._tag, "Unavailable")
          assert.strictEqual(error.attempts, 2)
          assert.strictEqual(error.mayHaveHappened, true)
          assert.deepStrictEqual(wire.exchanges.map(({ answer }) => answer?.headers.get("idempotent-replayed")), [
            null,
            "true"
          ])
          assert.lengthOf(simulator.books.charges.all, 1)
        })))
  })

  describe("Stripe's advice", () => {
    const apiError = { type: "api_error" }
    const requestError = { type: "invalid_request_error" }
    const limited = { type: "invalid_request_error", code: "rate_limit" }
    const locked = { type: "invalid_request_error", code: "lock_timeout" }
    const yes = { headers: { "stripe-should-retry": "true" } }
    const no = { headers: { "stripe-should-retry": "false" } }
    const reasoned = { headers: { "stripe-rate-limited-reason": "endpoint-concurrency" } }

    it.live.each<[string, Simulator.Fault, Reason["_tag"], boolean, mayHaveHappened: boolean]>([
      ["409", answers(409, requestError), "Conflict", true, true],
      ["409, retry", answers(409, requestError, yes), "Conflict", true, true],
      ["409, do not retry", answers(409, requestError, no), "Conflict", false, true],
      ["429", answers(429, limited), "RateLimited", true, false],
      ["429 without a code", answers(429, requestError), "RateLimited", true, false],
      ["429 with its reason", answers(429, limited, reasoned), "RateLimited", true, false],
      ["429, retry", answers(429, limited, yes), "RateLimited", true, false],
      ["429, do not retry", answers(429, limited, no), "RateLimited", false, false],
      ["429 for a locked object", answers(429, locked), "Conflict", true, true],
      ["429 for a locked object, do not retry", answers(429, locked, no), "Conflict", false, true],
      ["400 for the rate limit", answers(400, limited), "RateLimited", true, false],
      ["500", answers(500, apiError), "Unavailable", true, true],
      ["500, retry", answers(500, apiError, yes), "Unavailable", true, true],
      ["500, do not retry", answers(500, apiError, no), "Unavailable", false, true],
      ["503 without a body", { kind: "status", status: 503 }, "Unavailable", true, true],
      ["400, retry", answers(400, requestError, yes), "RequestRejected", true, false],
      ["401, retry", answers(401, requestError, yes), "RequestRejected", true, false],
      ["403", answers(403, requestError), "RequestRejected", false, false],
      ["400 without a body", { kind: "status", status: 400 }, "RequestRejected", false, false],
      ["424", answers(424, requestError), "RequestRejected", false, false]
    ])(
      "is followed: %s",
      ([, fault, reason, isRetried, mayHaveHappened]) =>
        world(quick, ({ payments, simulator }) =>
          Effect.gen(function*() {
            yield* simulator.setFault(fault)
            const error = yield* vendorError(payments.create(request))
            assert.strictEqual(error.reason._tag, reason)
            assert.strictEqual(simulator.journal.count, isRetried ? 4 : 1)
            assert.strictEqual(error.attempts, simulator.journal.count)
            assert.strictEqual(error.mayHaveHappened, mayHaveHappened)
          }))
    )

    it.live.each([["400", {}], ["400, do not retry", no]] as const)(
      "leaves a refusal a refusal: %s",
      ([, more]) =>
        world(quick, ({ payments, simulator }) =>
          Effect.gen(function*() {
            yield* simulator.setFault(answers(400, requestError, more))
            assert.strictEqual((yield* Effect.flip(payments.create(request)))._tag, "InvalidPayment")
            assert.strictEqual(simulator.journal.count, 1)
          }))
    )

    it.live.each<[string, Simulator.Fault]>([
      ["a locked object", answers(429, locked, { times: 2 })],
      ["the rate limit", answers(429, limited, { times: 2 })],
      ["a conflict", answers(409, requestError, { times: 2 })],
      ["a failure that passes", answers(500, apiError, { times: 2 })],
      ["a refusal that is to be tried again", answers(400, requestError, { times: 2, ...yes })]
    ])(
      "leads to one charge in the end: %s",
      ([, fault]) =>
        world(quick, ({ payments, simulator, wire }) =>
          Effect.gen(function*() {
            yield* simulator.setFault(fault)
            assert.strictEqual((yield* payments.create(request)).status, "succeeded")
            assert.lengthOf(wire.exchanges, 3)
            assert.strictEqual(new Set(keysOf(wire)).size, 1)
            assert.lengthOf(simulator.books.charges.all, 1)
          }))
    )

    it.live("is not called again before its Retry-After", () =>
      world(quick, ({ payments, simulator }) =>
        Effect.gen(function*() {
          yield* simulator.setFault(answers(503, apiError, { headers: { "retry-after": "1" }, times: 1 }))
          yield* payments.create(request)
          const [first, second] = simulator.journal.requests.map(({ at }) => Date.parse(at))
          // The journal's clock counts whole milliseconds.
          assert.isAtLeast(second! - first!, 999)
        })))
  })

  describe("a request", () => {
    it.live("that reads carries the key, the version and our user agent, and nothing else", () =>
      world(quick, ({ payments, wire }) =>
        Effect.gen(function*() {
          const { id } = yield* payments.create(request)
          yield* payments.get(id)
          const { body, headers, query } = wire.exchanges[1]!
          assert.deepStrictEqual(Object.fromEntries(headers), {
            accept: "application/json",
            "accept-encoding": "gzip, deflate, br, zstd",
            authorization: `Bearer ${StripeClient.secretKey}`,
            connection: "keep-alive",
            host: new URL(wire.baseUrl).host,
            "stripe-version": "2026-10-28.endive",
            "user-agent": "breakwater/0.1"
          })
          assert.strictEqual(body, "")
          assert.strictEqual(query.size, 0)
        })))

    it.live("that writes also carries an idempotency key and a form, the same on each attempt", () =>
      world(quick, ({ payments, simulator, wire }) =>
        Effect.gen(function*() {
          yield* simulator.setFault({ kind: "resetAfter", times: 3 })
          yield* payments.create(request)
          const [first] = wire.exchanges
          const { "idempotency-key": key, ...headers } = Object.fromEntries(first!.headers)
          assert.deepStrictEqual(headers, {
            accept: "application/json",
            "accept-encoding": "gzip, deflate, br, zstd",
            authorization: `Bearer ${StripeClient.secretKey}`,
            connection: "keep-alive",
            "content-length": String(first!.body.length),
            "content-type": "application/x-www-form-urlencoded",
            host: new URL(wire.baseUrl).host,
            "stripe-version": "2026-10-28.endive",
            "user-agent": "breakwater/0.1"
          })
          assert.match(key ?? "", /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/)
          assert.deepStrictEqual(Object.fromEntries(new URLSearchParams(first!.body)), {
            amount: "1999",
            "automatic_payment_methods[allow_redirects]": "never",
            "automatic_payment_methods[enabled]": "true",
            capture_method: "automatic",
            confirm: "true",
            currency: "eur",
            "metadata[reference]": "order 7001",
            payment_method: "pm_card_visa"
          })
          const sent = wire.exchanges.map(({ body, headers, method, path, query }) =>
            JSON.stringify([method, path, String(query), Object.entries(Object.fromEntries(headers)), body])
          )
          assert.lengthOf(sent, 4)
          assert.strictEqual(new Set(sent).size, 1)
        })))

    it.live("has a new key, unless its caller gives one", () =>
      world(quick, ({ payments, wire }) =>
        Effect.gen(function*() {
          yield* payments.create(request)
          yield* payments.create(request)
          yield* payments.create(request, { idempotencyKey: "order-7001" })
          const keys = keysOf(wire)
          assert.strictEqual(new Set(keys).size, 3)
          assert.strictEqual(keys[2], "order-7001")
        })))
  })

  describe("a fault", () => {
    const tight: Policy.Policy = {
      attemptTimeout: "2 seconds",
      deadline: "20 seconds",
      maxResponseSize: "16 KiB",
      retry: false
    }

    it.live.each<[string, Simulator.Fault, Reason["_tag"], mayHaveHappened: boolean, charges: number]>([
      ["latency", { kind: "latency", millis: 5_000 }, "Timeout", true, 0],
      ["refuse", { kind: "refuse" }, "ConnectFailed", false, 0],
      ["resetBefore", { kind: "resetBefore" }, "ConnectionLost", true, 0],
      ["resetAfter", { kind: "resetAfter" }, "ConnectionLost", true, 1],
      ["halfBody", { kind: "halfBody" }, "ConnectionLost", true, 1],
      ["drip", { kind: "drip", bytesPerSecond: 20 }, "Timeout", true, 1],
      ["endless", { kind: "endless" }, "ResponseTooLarge", true, 1],
      ["malformed", { kind: "malformed" }, "InvalidResponse", true, 1],
      ["wrongType", { kind: "wrongType" }, "InvalidResponse", true, 0],
      ["an empty answer", { kind: "status", status: 200 }, "InvalidResponse", true, 0],
      ["an answer that says nothing", { kind: "status", status: 200, body: "{}" }, "InvalidResponse", true, 0],
      ["no content", { kind: "status", status: 204 }, "InvalidResponse", true, 0],
      ["a redirect", { kind: "status", status: 302, headers: { location: "/" } }, "InvalidResponse", true, 0],
      [
        "a proxy's page",
        { kind: "status", status: 502, headers: { "content-type": "text/html" }, body: "<html>" },
        "Unavailable",
        true,
        0
      ],
      [
        "rateLimit",
        { kind: "rateLimit", limit: 0, windowMillis: 60_000, retryAfterSeconds: 30 },
        "RateLimited",
        false,
        0
      ]
    ])(
      "ends as a typed error within the deadline: %s",
      ([, fault, reason, mayHaveHappened, charges]) =>
        Effect.gen(function*() {
          // Without the wiretap, which would listen on a port that must be closed.
          const simulator = yield* StripeSimulator.serve()
          yield* simulator.setFault(fault)
          const error = yield* Effect.flatMap(Payments, (payments) => vendorError(payments.create(request))).pipe(
            within("4 seconds"),
            Effect.provide(StripeClient.layer({ baseUrl: simulator.baseUrl, policy: tight }))
          )
          assert.strictEqual(error.reason._tag, reason)
          assert.strictEqual(error.mayHaveHappened, mayHaveHappened)
          assert.strictEqual(error.vendor, "stripe")
          assert.strictEqual(error.operation, "paymentIntents.create")
          assert.lengthOf(simulator.books.charges.all, charges)
        })
    )

    it.live("that drifts is found, or harmless", () =>
      Effect.gen(function*() {
        const seen = new Set<string>()
        for (let seed = 1; seed <= 40; seed++) {
          seen.add(
            yield* world(tight, ({ payments, simulator }) =>
              Effect.gen(function*() {
                const { id } = yield* payments.create(request)
                yield* simulator.setFault({ kind: "drift" })
                const result = yield* Effect.exit(payments.get(id))
                if (result._tag === "Success") {
                  assert.strictEqual(result.value.id, id)
                  assert.strictEqual(result.value.status, "succeeded")
                  assert.deepStrictEqual(result.value.money, request.money)
                  return "harmless"
                }
                const [failure] = result.cause.reasons
                const error = failure?._tag === "Fail" ? failure.error : undefined
                return isVendorError(error) ? error.reason._tag : "untyped"
              }), StripeSimulator.serve({ seed })).pipe(Effect.scoped)
          )
        }
        assert.deepStrictEqual(seen, new Set(["harmless", "InvalidResponse"]))
      }))

    it.live("at a read ends within the deadline that the caller has left", () =>
      world({ retry: false }, ({ payments, simulator }) =>
        Effect.gen(function*() {
          const { id } = yield* payments.create(request)
          yield* simulator.setFault({ kind: "latency", millis: 5_000 })
          const error = yield* vendorError(Deadline.within("100 millis")(payments.get(id)))
          assert.strictEqual(error.reason._tag, "DeadlineExceeded")
          assert.strictEqual(error.mayHaveHappened, false)
        })))
  })
})

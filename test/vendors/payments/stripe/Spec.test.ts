/** Traffic of our client and simulator, checked against Stripe's published description. */
import { Payments } from "@breakwater/vendors/payments/Payments"
import * as Api from "@breakwater/vendors/payments/stripe/Api"
import * as StripeSimulator from "@breakwater/vendors/payments/stripe/Simulator"
import { Stripe } from "@breakwater/vendors/payments/stripe/Stripe"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema, SchemaAST } from "effect"
import { HttpApi } from "effect/http-api"
import { readFileSync } from "node:fs"
import * as OwnClock from "../../../drivers/OwnClock.ts"
import * as StripeClient from "../../../drivers/StripeClient.ts"
import { until } from "../../../watches/Until.ts"
import * as Wiretap from "../../../watches/Wiretap.ts"
import * as PublishedSpec from "../../PublishedSpec.ts"

const specPath = PublishedSpec.find("stripe-spec3-2023-08-16.yaml")
const fixturesPath = PublishedSpec.find("stripe-fixtures3.json")

const order = {
  amount: 1_999,
  currency: "eur",
  confirm: true,
  payment_method: "pm_card_visa",
  automatic_payment_methods: { enabled: true, allow_redirects: "never" },
  description: "Two tickets & a programme",
  metadata: { reference: "order 7001", "two words": "a=b" }
} as const

/** Every endpoint of the contract with every parameter, and every reason for a refusal. */
const everything = Effect.gen(function*() {
  const { charges, paymentIntents, refunds } = yield* Stripe
  const create = (changes: object, idempotencyKey?: string) =>
    paymentIntents.create({ payload: { ...order, ...changes } }, { idempotencyKey })

  const taken = yield* create({}, "order-1")
  yield* create({}, "order-1")
  yield* create({ amount: 2_000 }, "order-1").pipe(Effect.flip)
  const held = yield* create({ capture_method: "manual" })
  const partly = yield* create({ capture_method: "manual" })
  const canceled = yield* create({ capture_method: "manual" })
  yield* paymentIntents.create({ payload: { amount: 500, currency: "jpy", capture_method: "automatic_async" } })
  yield* create({ confirm: false })
  yield* create({ payment_method: "pm_card_threeDSecure2Required" })
  for (
    const kind of [
      "chargeDeclined",
      "chargeDeclinedInsufficientFunds",
      "chargeDeclinedLostCard",
      "chargeDeclinedStolenCard",
      "chargeDeclinedExpiredCard",
      "chargeDeclinedIncorrectCvc",
      "chargeDeclinedProcessingError",
      // Takes the money and answers 500.
      "simulatorBreaks"
    ]
  ) {
    yield* create({ payment_method: `pm_card_${kind}` }).pipe(Effect.flip)
  }
  yield* create({ amount: 1 }).pipe(Effect.flip)
  yield* create({ amount: 150, currency: "isk" }).pipe(Effect.flip)
  yield* create({ currency: "euro" }).pipe(Effect.flip)
  yield* create({ payment_method: "pm_card_unheardOf" }).pipe(Effect.flip)
  yield* paymentIntents.create({ payload: { amount: 500, currency: "eur", confirm: true } }).pipe(Effect.flip)

  const at = (id: string) => ({ params: { id } })
  yield* paymentIntents.capture({ ...at(held.id), payload: {} })
  yield* paymentIntents.capture({ ...at(partly.id), payload: { amount_to_capture: 500 } })
  yield* paymentIntents.capture({ ...at(partly.id), payload: {} }).pipe(Effect.flip)
  yield* paymentIntents.capture({ ...at(canceled.id), payload: { amount_to_capture: 2_000 } }).pipe(Effect.flip)
  yield* paymentIntents.capture({ ...at("pi_unknown"), payload: {} }).pipe(Effect.flip)
  yield* paymentIntents.cancel({ ...at(canceled.id), payload: { cancellation_reason: "abandoned" } })
  yield* paymentIntents.cancel({ ...at(canceled.id), payload: {} }).pipe(Effect.flip)
  yield* paymentIntents.cancel({ ...at("pi_unknown"), payload: {} }).pipe(Effect.flip)

  const refund = (payload: Parameters<typeof refunds.create>[0]["payload"]) => refunds.create({ payload })
  const metadata = { reference: "order 7001" }
  yield* refund({ payment_intent: taken.id, amount: 999, reason: "requested_by_customer", metadata })
  yield* refund({ payment_intent: taken.id, amount: 1_001 }).pipe(Effect.flip)
  yield* refund({ payment_intent: taken.id })
  yield* refund({ payment_intent: taken.id }).pipe(Effect.flip)
  yield* refund({ charge: held.latest_charge! })
  yield* refund({ payment_intent: "pi_unknown" }).pipe(Effect.flip)
  yield* refund({}).pipe(Effect.flip)

  yield* paymentIntents.retrieve(at(partly.id))
  yield* paymentIntents.retrieve(at("pi_unknown")).pipe(Effect.flip)
  const page = yield* paymentIntents.list({ query: { limit: 2 } })
  yield* paymentIntents.list({ query: { starting_after: page.data[1]!.id } })
  yield* charges.list({ query: {} })
  yield* charges.list({ query: { limit: 1, payment_intent: taken.id, starting_after: "ch_unknown" } })
})

/** The same traffic from our `Payments`. */
const everyPayment = Effect.gen(function*() {
  const payments = yield* Payments
  const request = { money: { amount: 1_999, currency: "EUR" }, paymentMethod: "pm_card_visa", reference: "a&b=c d" }
  const { id } = yield* payments.create({ ...request, capture: "Manual" })
  yield* payments.get(id)
  yield* payments.capture(id, { amount: 1_500, currency: "EUR" })
  yield* payments.refund(id, { amount: 500, currency: "EUR" })
  yield* payments.refund(id)
  yield* payments.capture((yield* payments.create({ ...request, capture: "Manual" })).id)
  yield* payments.cancel((yield* payments.create({ ...request, capture: "Manual" })).id)
  yield* payments.create({ ...request, money: { amount: 500, currency: "ISK" } })
})

/** Requests that our client never sends. */
const unruly = (baseUrl: string) =>
  Effect.gen(function*() {
    const authorization = `Bearer ${StripeClient.secretKey}`
    const post = (body: string, headers: Record<string, string> = { authorization }) =>
      Effect.promise(() =>
        fetch(`${baseUrl}/v1/payment_intents`, {
          method: "POST",
          headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
          body
        })
      )
    yield* post("amount=1999&currency=eur", {})
    yield* post("amount=1999&currency=eur", { authorization: "Bearer marked" })
    yield* post("amount=1999&currency=eur", { authorization, "idempotency-key": "k".repeat(256) })
    yield* post("amount=nineteen&currency=eur")
    yield* post("currency=eur")
    yield* post("amount=1999&currency=eur&automatic_payment_methods[enabled]=perhaps")
    yield* post("amount[=1999")
    yield* Effect.promise(() => fetch(`${baseUrl}/v1/charges?limit=1000`, { headers: { authorization } }))
  })

/** All possible requests to a simulator, with their responses. */
const record = Effect.gen(function*() {
  const clock = yield* OwnClock.make
  const simulator = yield* clock.on(StripeSimulator.serve())
  const wire = yield* Wiretap.listen(simulator.baseUrl)
  const provided = Effect.provide(StripeClient.layer({ baseUrl: wire.baseUrl, policy: { retry: false } }))

  yield* provided(everything)
  yield* provided(everyPayment)
  // The simulator's other responses depend on timing and on its faults.
  yield* provided(Effect.gen(function*() {
    const { paymentIntents } = yield* Stripe
    const create = paymentIntents.create({ payload: order }, { idempotencyKey: "order-2" })
    yield* simulator.setFault({ kind: "latency", millis: 60_000, times: 1 })
    const running = yield* Effect.forkChild(create)
    yield* until("the first request has come", () => simulator.journal.requests.at(-1)?.status === null)
    yield* Effect.flip(create)
    yield* clock.adjust("1 minute")
    yield* Fiber.join(running)
    yield* simulator.setFault({ kind: "rateLimit", limit: 0, windowMillis: 60_000, retryAfterSeconds: 1 })
    yield* Effect.flip(create)
    yield* simulator.setFault(undefined)
  }))
  const ours = wire.exchanges.slice()
  yield* unruly(wire.baseUrl)
  return { ours, all: wire.exchanges }
})

describe.skipIf(specPath === undefined)("Stripe's published description", () => {
  let loaded: PublishedSpec.PublishedSpec | undefined
  const published = Effect.sync(() => loaded ??= PublishedSpec.load(specPath!))

  it.live("allows every request that our client makes", () =>
    Effect.gen(function*() {
      const { ours } = yield* record
      const spec = yield* published
      assert.deepStrictEqual(
        ours.flatMap((exchange) => spec.request(exchange).map((wrong) => `${exchange.path} ${exchange.body} ${wrong}`)),
        []
      )
      assert.deepStrictEqual(new Set(ours.map((exchange) => spec.operationOf(exchange))), everyOperation)
    }))

  it.live("allows every answer that our simulator gives", () =>
    Effect.gen(function*() {
      const { all } = yield* record
      const spec = yield* published
      assert.deepStrictEqual(
        all.flatMap((exchange) => spec.answer(exchange).map((wrong) => `${exchange.method} ${exchange.path} ${wrong}`)),
        []
      )
      // All situations are covered.
      const seen = all.map((exchange) => `${spec.operationOf(exchange)} ${exchange.answer?.status}`)
      assert.deepStrictEqual(Array.from(new Set(seen)).toSorted(), [
        "GET /v1/charges 200",
        "GET /v1/charges 400",
        "GET /v1/payment_intents 200",
        "GET /v1/payment_intents/{intent} 200",
        "GET /v1/payment_intents/{intent} 404",
        "POST /v1/payment_intents 200",
        "POST /v1/payment_intents 400",
        "POST /v1/payment_intents 401",
        "POST /v1/payment_intents 402",
        "POST /v1/payment_intents 409",
        "POST /v1/payment_intents 429",
        "POST /v1/payment_intents 500",
        "POST /v1/payment_intents/{intent}/cancel 200",
        "POST /v1/payment_intents/{intent}/cancel 400",
        "POST /v1/payment_intents/{intent}/cancel 404",
        "POST /v1/payment_intents/{intent}/capture 200",
        "POST /v1/payment_intents/{intent}/capture 400",
        "POST /v1/payment_intents/{intent}/capture 404",
        "POST /v1/refunds 200",
        "POST /v1/refunds 400"
      ])
    }))

  it.live("rejects invalid traffic", () =>
    Effect.gen(function*() {
      const { ours } = yield* record
      const spec = yield* published
      const create = ours[0]!
      const answered = (body: object) => ({
        ...create,
        answer: { ...create.answer!, body: JSON.stringify({ ...JSON.parse(create.answer!.body), ...body }) }
      })
      assert.isEmpty(spec.answer(create))
      assert.isNotEmpty(spec.answer(answered({ status: "done" })))
      assert.isNotEmpty(spec.answer(answered({ amount: "1999" })))
      assert.isNotEmpty(spec.answer(answered({ livemode: undefined })))
      assert.isEmpty(spec.request(create))
      assert.isNotEmpty(spec.request({ ...create, body: `${create.body}&amonut=1` }))
      assert.isNotEmpty(spec.request({ ...create, body: create.body.replace("1999", "19.99") }))
      assert.isNotEmpty(spec.request({ ...create, body: `${create.body}&automatic_payment_methods[enabled]=perhaps` }))
      assert.isNotEmpty(spec.request({ ...create, method: "PUT" }))
      assert.isNotEmpty(spec.request({ ...create, query: new URLSearchParams({ limit: "1" }) }))
    }))

  it.effect("knows every parameter that our contract can write, but for newer ones", () =>
    Effect.gen(function*() {
      const spec = yield* published
      const known = Array.from(everyOperation).flatMap((operation) =>
        spec.parametersOf(operation).map((name) => `${operation} ${name}`)
      )
      const declared = declaredParameters()
      assert.include(declared, "POST /v1/payment_intents amount")
      assert.include(declared, "GET /v1/charges payment_intent")
      assert.deepStrictEqual(declared.filter((parameter) => !known.includes(parameter)), newer)
    }))

  it.effect("knows every field that our contract reads, and no status that it does not", () =>
    Effect.gen(function*() {
      const spec = yield* published
      for (
        const [name, schema] of [
          ["payment_intent", Api.PaymentIntent],
          ["charge", Api.Charge],
          ["refund", Api.Refund],
          ["api_errors", Api.CardProblem.fields.error],
          ["api_errors", Api.RequestProblem.fields.error]
        ] as const
      ) {
        assert.deepStrictEqual(Object.keys(schema.fields).filter((field) => !spec.fieldsOf(name).includes(field)), [])
      }
      assert.sameMembers(
        [...Api.PaymentIntent.fields.status.literals],
        [...spec.valuesOf("payment_intent", "status")]
      )
      assert.sameMembers([...Api.Charge.fields.status.literals], [...spec.valuesOf("charge", "status")])
    }))
})

/** Newer than the description: https://github.com/stripe/stripe-node/blob/v23.1.0/CHANGELOG.md */
const newer = ["POST /v1/payment_intents allowed_payment_method_types"]

/** Parameters of our contract's operations in query and body, as `GET /v1/charges limit`. */
const declaredParameters = (): ReadonlyArray<string> => {
  const declared: Array<string> = []
  HttpApi.reflect(Api.StripeApi, {
    onGroup() {},
    onEndpoint({ endpoint }) {
      const payloads = Array.from(endpoint.payload.values()).flatMap(({ schemas }) => Array.from(schemas))
      for (const schema of [...payloads, ...(endpoint.query === undefined ? [] : [endpoint.query])]) {
        const type = SchemaAST.toType(schema.ast)
        if (!SchemaAST.isObjects(type)) throw new Error(`${endpoint.identifier} takes something without names`)
        const operation = `${endpoint.method} ${endpoint.path.replace(":id", "{intent}").replace(/\/$/, "")}`
        declared.push(...type.propertySignatures.map(({ name }) => `${operation} ${String(name)}`))
      }
    }
  })
  return declared
}

const everyOperation = new Set([
  "POST /v1/payment_intents",
  "GET /v1/payment_intents",
  "GET /v1/payment_intents/{intent}",
  "POST /v1/payment_intents/{intent}/capture",
  "POST /v1/payment_intents/{intent}/cancel",
  "GET /v1/charges",
  "POST /v1/refunds"
])

describe.skipIf(fixturesPath === undefined)("Stripe's published sample objects", () => {
  it.effect.each(
    [
      ["payment_intent", Api.PaymentIntent],
      ["charge", Api.Charge],
      ["refund", Api.Refund]
    ] as const
  )("are read by our contract: %s", ([name, schema]) =>
    Effect.gen(function*() {
      const { resources } = JSON.parse(readFileSync(fixturesPath!, "utf8")) as {
        readonly resources: Readonly<Record<string, { readonly id: string }>>
      }
      const read = yield* Schema.decodeUnknownEffect<Schema.Codec<{ readonly id: string }, unknown>>(schema)(
        resources[name]
      )
      assert.strictEqual(read.id, resources[name]!.id)
    }))
})

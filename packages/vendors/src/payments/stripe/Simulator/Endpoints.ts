/** Handlers of the simulated endpoints: their changes to the books, and their refusals. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Layer from "effect/Layer"
import { isWhole } from "../Amounts.ts"
import { type Charge, type PaymentIntent, StripeApi } from "../Api.ts"
import type { Books } from "./Books.ts"
import { type Fate, fateOf } from "./Cards.ts"

export const endpoints = (books: Books) => Layer.mergeAll(paymentIntents(books), charges(books), refunds(books))

const paymentIntents = (books: Books) =>
  HttpApiBuilder.group(StripeApi, "paymentIntents", (group) =>
    group
      .handle("list", ({ query }) => Effect.succeed(page("/v1/payment_intents", books.intents.all, query)))
      .handle("create", ({ payload }) =>
        Effect.gen(function*() {
          if (!/^[a-z]{3}$/i.test(payload.currency)) return yield* invalid("currency", "Invalid currency")
          const currency = payload.currency.toLowerCase()
          if (payload.amount < (smallestAmounts[currency] ?? 1)) {
            return yield* invalid("amount", "Amount must be larger", "amount_too_small")
          }
          if (!isWhole(payload.amount, currency)) return yield* invalid("amount", "Amount must have no fraction")
          const fate = payload.payment_method === undefined ? undefined : fateOf(payload.payment_method)
          if (payload.payment_method !== undefined && fate === undefined) {
            return yield* invalid("payment_method", "No such PaymentMethod", "resource_missing")
          }
          if (payload.confirm === true && fate === undefined) {
            return yield* invalid("payment_method", "A payment method is needed to confirm", "parameter_missing")
          }
          const intent = books.intents.put({
            id: books.id("pi"),
            object: "payment_intent",
            amount: payload.amount,
            amount_capturable: 0,
            amount_received: 0,
            currency,
            status: fate === undefined ? "requires_payment_method" : "requires_confirmation",
            capture_method: payload.capture_method ?? "automatic",
            confirmation_method: "automatic",
            payment_method: fate === undefined ? null : books.id("pm"),
            payment_method_types: payload.allowed_payment_method_types ?? ["card"],
            latest_charge: null,
            created: yield* seconds,
            livemode: false,
            metadata: withoutUnset(payload.metadata)
          })
          return payload.confirm !== true || fate === undefined ? intent : yield* confirm(books, intent, fate)
        }))
      .handle("retrieve", ({ params }) => found(books, params.id))
      .handle("capture", ({ params, payload }) =>
        Effect.gen(function*() {
          const intent = yield* found(books, params.id)
          if (intent.status !== "requires_capture") return yield* unexpectedState(intent, "captured")
          const amount = payload.amount_to_capture ?? intent.amount
          if (amount < 1) return yield* invalid("amount_to_capture", "The amount to capture must be positive")
          if (amount > intent.amount) {
            return yield* invalid("amount_to_capture", "The amount to capture is more than is held", "amount_too_large")
          }
          updateCharge(books, intent, { captured: true, amount_captured: amount })
          return books.intents.put({ ...intent, status: "succeeded", amount_capturable: 0, amount_received: amount })
        }))
      .handle("cancel", ({ params }) =>
        Effect.gen(function*() {
          const intent = yield* found(books, params.id)
          if (intent.status === "succeeded" || intent.status === "canceled") {
            return yield* unexpectedState(intent, "canceled")
          }
          updateCharge(books, intent, { refunded: true, amount_refunded: intent.amount })
          return books.intents.put({ ...intent, status: "canceled", amount_capturable: 0 })
        })))

/** Confirming makes a charge, declined or not. */
const confirm = (books: Books, intent: PaymentIntent, fate: Fate) =>
  Effect.gen(function*() {
    if (fate._tag === "NeedsAction") return books.intents.put({ ...intent, status: "requires_action" })
    const isManual = intent.capture_method === "manual"
    const isDeclined = fate._tag === "Declines"
    const charge = books.charges.put({
      id: books.id("ch"),
      object: "charge",
      amount: intent.amount,
      amount_captured: isDeclined || isManual ? 0 : intent.amount,
      amount_refunded: 0,
      billing_details: { address: { country: null } },
      captured: !isDeclined && !isManual,
      currency: intent.currency,
      disputed: false,
      paid: !isDeclined,
      payment_intent: intent.id,
      refunded: false,
      status: isDeclined ? "failed" : "succeeded",
      created: intent.created,
      livemode: false,
      metadata: intent.metadata ?? {}
    })
    if (isDeclined) {
      // A declined intent stays, and waits for another payment method.
      const left = books.intents.put({
        ...intent,
        status: "requires_payment_method",
        payment_method: null,
        latest_charge: charge.id
      })
      return yield* Effect.fail({
        error: {
          type: "card_error" as const,
          code: fate.code,
          decline_code: fate.declineCode,
          message: fate.message,
          charge: charge.id,
          payment_intent: left
        }
      })
    }
    const taken = books.intents.put({
      ...intent,
      status: isManual ? "requires_capture" : "succeeded",
      amount_capturable: isManual ? intent.amount : 0,
      amount_received: isManual ? 0 : intent.amount,
      latest_charge: charge.id
    })
    return fate._tag === "Succeeds" ? taken : yield* Effect.die("the simulated vendor breaks after it has acted")
  })

const charges = (books: Books) =>
  HttpApiBuilder.group(StripeApi, "charges", (group) =>
    group.handle("list", ({ query }) => {
      const { payment_intent: intent } = query
      const all = intent === undefined
        ? books.charges.all
        : books.charges.all.filter((charge) => charge.payment_intent === intent)
      return Effect.succeed(page("/v1/charges", all, query))
    }))

const refunds = (books: Books) =>
  HttpApiBuilder.group(StripeApi, "refunds", (group) =>
    group.handle("create", ({ payload }) =>
      Effect.gen(function*() {
        const { charge: chargeId, payment_intent: intentId } = payload
        if (intentId === undefined && chargeId === undefined) {
          return yield* invalid("payment_intent", "One of payment_intent and charge is needed", "parameter_missing")
        }
        const charge = intentId === undefined
          ? books.charges.get(chargeId!)
          : books.charges.all.find((charge) => charge.payment_intent === intentId && charge.paid)
        if (charge === undefined) {
          const param = intentId === undefined ? "charge" : "payment_intent"
          return yield* invalid(param, `No such ${param}`, "resource_missing")
        }
        const left = charge.amount_captured - charge.amount_refunded
        if (charge.refunded) {
          return yield* invalid("charge", "Charge has already been refunded", "charge_already_refunded")
        }
        const amount = payload.amount ?? left
        if (amount < 1 || amount > left) {
          return yield* invalid("amount", "Refund amount is greater than unrefunded amount on charge")
        }
        books.charges.put({
          ...charge,
          amount_refunded: charge.amount_refunded + amount,
          refunded: amount === left
        })
        return books.refunds.put({
          id: books.id("re"),
          object: "refund",
          amount,
          currency: charge.currency,
          status: "succeeded",
          payment_intent: charge.payment_intent ?? null,
          charge: charge.id,
          reason: payload.reason ?? null,
          created: yield* seconds,
          metadata: withoutUnset(payload.metadata)
        })
      })))

const updateCharge = (books: Books, { latest_charge: id }: PaymentIntent, changes: Partial<Charge>): void => {
  const charge = typeof id === "string" ? books.charges.get(id) : undefined
  if (charge !== undefined) books.charges.put({ ...charge, ...changes })
}

const page = <Item extends { readonly id: string }>(
  url: string,
  items: ReadonlyArray<Item>,
  query: { readonly limit?: number; readonly starting_after?: string }
) => {
  const begin = query.starting_after === undefined ? 0 : items.findIndex(({ id }) => id === query.starting_after) + 1
  const end = begin + (query.limit ?? 10)
  return { object: "list" as const, data: items.slice(begin, end), has_more: end < items.length, url }
}

/** An empty value unsets a key: https://docs.stripe.com/api/metadata */
const withoutUnset = (metadata: Readonly<Record<string, string>> = {}) =>
  Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== ""))

const seconds = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1_000))

/** https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts, for some. */
const smallestAmounts: Readonly<Record<string, number>> = {
  usd: 50,
  eur: 50,
  gbp: 30,
  jpy: 50,
  chf: 50,
  cad: 50,
  aud: 50
}

const found = (books: Books, id: string) => {
  const intent = books.intents.get(id)
  return intent !== undefined ? Effect.succeed(intent) : Effect.fail({
    error: {
      type: "invalid_request_error" as const,
      code: "resource_missing" as const,
      message: `No such payment_intent: '${id}'`,
      param: "intent"
    }
  })
}

const invalid = (param: string, message: string, code?: string) =>
  Effect.fail({
    error: { type: "invalid_request_error" as const, message, param, ...(code === undefined ? {} : { code }) }
  })

const unexpectedState = (intent: PaymentIntent, what: string) =>
  Effect.fail({
    error: {
      type: "invalid_request_error" as const,
      code: "payment_intent_unexpected_state",
      message: `This PaymentIntent's status is ${intent.status}, so it could not be ${what}`,
      payment_intent: intent
    }
  })

/**
 * A misspelt field means nothing else: it is a 400 that names it, in one sentence. Found by playing the demo server (faults
 * 43 and 47): `{"amont":5}` refunded everything, and `"captur":"Manual"` took the money at once.
 */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as DemoServer from "../processes/DemoServer.ts"
import { request } from "../processes/DemoServer.ts"

class Server extends Context.Service<Server, DemoServer.DemoServer>()("test/regressions/StrictInput") {
  static readonly layer = Layer.effect(Server, DemoServer.start())
}

const order = { amount: 1999, currency: "EUR", paymentMethod: "pm_card_visa", reference: "order-1" }
const post = (path: string, body?: unknown) =>
  Effect.flatMap(Server, ({ url }) => request("POST", `${url}${path}`, { body }))
const put = (path: string, body: unknown) =>
  Effect.flatMap(Server, ({ control }) => request("PUT", `${control}${path}`, { body }))

const isRefused = ({ json, status, text }: DemoServer.Reply, field: string, message: string) => {
  assert.deepStrictEqual([status, json], [400, { error: "INVALID_REQUEST", message, field }])
  assert.isBelow(text.length, 300)
}

layer(Server.layer, { timeout: "60 seconds", excludeTestServices: true })("the demo server", (it) => {
  it.effect("refunds nothing for a misspelt amount, and names the field", () =>
    Effect.gen(function*() {
      const { id } = (yield* post("/payments", order)).json as { readonly id: string }
      const refunds = `/payments/${id}/refunds`
      isRefused(yield* post(refunds, { amont: 5 }), "amont", "Unknown field: amont")
      isRefused(yield* post(refunds, { amount: 5, currency: "EUR" }), "currency", "Unknown field: currency")
      isRefused(yield* post(refunds, { amount: "5" }), "amount", "Expected number")
      isRefused(yield* post(refunds, [5]), "body", "Expected object | null")
      isRefused(yield* post(`/payments/${id}/capture`, { Amount: 5 }), "Amount", "Unknown field: Amount")
      assert.deepInclude((yield* post(refunds)).json, { amount: 1999 })
    }))

  it.effect("takes no money at once for a misspelt capture, and names all unknown fields", () =>
    Effect.gen(function*() {
      const { control, url } = yield* Server
      yield* request("DELETE", `${control}/_journal/stripe`)
      isRefused(yield* post("/payments", { ...order, captur: "Manual" }), "captur", "Unknown field: captur")
      isRefused(yield* post("/payments", { ...order, a: 1, b: 2 }), "a", "Unknown fields: a, b")
      // What may be a secret in the wrong place is not repeated.
      isRefused(
        yield* post("/payments", { ...order, [`k${"0123456789".repeat(3)}`]: 1 }),
        "body",
        "has an unknown field"
      )
      assert.deepInclude((yield* request("GET", `${control}/_journal/stripe`)).json, { count: 0 })
      isRefused(
        yield* request("GET", `${url}/checkout-context?country=US&bsae=GBP`),
        "bsae",
        "Unknown field: bsae"
      )
    }))

  it.effect("refuses an unknown kind, field or operation of a fault, and sets none", () =>
    Effect.gen(function*() {
      const { control } = yield* Server
      const kinds = "must be one of latency, refuse, resetBefore, resetAfter, halfBody, drip, endless, malformed, " +
        "wrongType, drift, status, rateLimit"
      isRefused(yield* put("/_faults/stripe", { kind: "nope" }), "kind", kinds)
      isRefused(yield* put("/_faults/stripe", {}), "kind", kinds)
      isRefused(yield* put("/_faults/stripe", { kind: "latency", milis: 5 }), "milis", "Unknown field: milis")
      isRefused(yield* put("/_faults/stripe", { kind: "refuse", time: 1 }), "time", "Unknown field: time")
      isRefused(
        yield* put("/_faults/frankfurter", { kind: "refuse", operation: "rates" }),
        "operation",
        "must be one of rate"
      )
      isRefused(yield* put("/_features/rates", { mode: "off", until: 1 }), "until", "Unknown field: until")
      const { json } = yield* request("GET", `${control}/_simulators`)
      assert.deepStrictEqual((json as ReadonlyArray<{ readonly fault: unknown }>).map(({ fault }) => fault), [
        null,
        null,
        null,
        null,
        null
      ])
    }))
})

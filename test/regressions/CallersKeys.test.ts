/** The keys of two callers do not meet at the vendor, and `Retry-After` is a number. Found by playing the demo server (fault 77). */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DemoServer from "../processes/DemoServer.ts"
import { request } from "../processes/DemoServer.ts"
import { patience } from "../watches/Patience.ts"

const order = { amount: 1999, currency: "EUR", paymentMethod: "pm_card_visa", reference: "order-1" }

describe("the demo server", () => {
  it.live("gives each caller keys of its own", () =>
    Effect.gen(function*() {
      const { url } = yield* DemoServer.start()
      const pay = (key: string, client?: string, amount = order.amount) =>
        Effect.map(
          request("POST", `${url}/payments`, {
            body: { ...order, amount },
            headers: { "idempotency-key": key, ...(client === undefined ? {} : { "x-client": client }) }
          }),
          ({ json, status }) => status === 201 ? (json as { readonly id: string }).id : status
        )
      const [anna, bert, nobody] = [yield* pay("1", "anna"), yield* pay("1", "bert"), yield* pay("1")]
      assert.strictEqual(new Set([anna, bert, nobody]).size, 3)
      // The same caller's key is the same key, for the same request only.
      assert.deepStrictEqual([yield* pay("1", "anna"), yield* pay("1", "bert"), yield* pay("1")], [anna, bert, nobody])
      assert.strictEqual(yield* pay("1", "anna", 5), 422)
      // No caller can write the name of another into its key.
      assert.notStrictEqual(yield* pay("anna\",\"1"), anna)
      assert.notStrictEqual(yield* pay(",1", "anna"), yield* pay("1", "anna,"))
      assert.strictEqual(yield* pay("1", "not visible"), 400)
    }))

  it.live("tells a caller to come back within a day", () =>
    Effect.gen(function*() {
      const { control, url } = yield* DemoServer.start({
        FEATURE_OFF_AFTER: "1 milli",
        FEATURE_OFF_FOR: `${"9".repeat(23)} days`
      })
      for (const vendor of ["frankfurter", "open-exchange-rates"]) {
        yield* request("PUT", `${control}/_faults/${vendor}`, { body: { kind: "refuse" } })
      }
      const off = yield* request("GET", `${url}/rates/EUR/USD`).pipe(
        Effect.repeat({ until: ({ text }) => text.includes("FEATURE_OFF") }),
        Effect.timeout(patience)
      )
      assert.deepStrictEqual([off.status, off.headers.get("retry-after")], [503, "86400"])
      const page = yield* request("GET", `${url}/checkout-context?country=US`)
      assert.nestedPropertyVal(page.json, "rate.retryAfter", 86_400)
      // Off by hand, it has no time at which it is on again.
      yield* request("PUT", `${control}/_features/rates`, { body: { mode: "off" } })
      assert.strictEqual((yield* request("GET", `${url}/rates/EUR/USD`)).headers.get("retry-after"), "5")
    }))
})

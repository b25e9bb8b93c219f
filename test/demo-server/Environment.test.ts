import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import * as ScriptedServer from "../fakes/ScriptedServer.ts"
import * as DemoServer from "../processes/DemoServer.ts"
import { request } from "../processes/DemoServer.ts"
import * as Effort from "../setup/Effort.ts"

const id = randomUUID().replaceAll("-", "")
const stripeKey = ["sk", "test", id].join("_")
const payment = { amount: 1999, currency: "EUR", paymentMethod: "pm_card_visa", reference: "order-1" }

const vendors = [
  { name: "frankfurter", key: undefined, ask: ["GET", "/rates/EUR/USD"] },
  {
    name: "open-exchange-rates",
    key: id,
    ask: ["GET", "/rates/EUR/USD"],
    header: "authorization",
    sent: `Token ${id}`
  },
  {
    name: "rest-countries",
    key: `rc_live_${id}`,
    ask: ["GET", "/countries/DE"],
    header: "authorization",
    sent: `Bearer rc_live_${id}`
  },
  { name: "country-state-city", key: id, ask: ["GET", "/countries/DE"], header: "x-cscapi-key", sent: id },
  {
    name: "stripe",
    key: stripeKey,
    ask: ["POST", "/payments", payment],
    header: "authorization",
    sent: `Bearer ${stripeKey}`
  }
] as const

const variable = (vendor: string, what: string) => `${vendor.toUpperCase().replaceAll("-", "_")}_${what}`

describe("the environment", () => {
  it.live("sets the base URL and the key of every vendor", () =>
    Effect.gen(function*() {
      // No vendor can answer, so that all of them are called.
      const everybody = yield* ScriptedServer.serve(() => ({ status: 503 }))
      const environment: Record<string, string> = {}
      for (const { key, name } of vendors) {
        environment[variable(name, "BASE_URL")] = `${everybody.baseUrl}/of-${name}`
        if (key !== undefined) environment[variable(name, "API_KEY")] = key
      }
      const server = yield* DemoServer.start(environment)
      for (const { ask: [method, path, body], name, ...vendor } of vendors) {
        yield* request(method, `${server.url}${path}`, { body })
        const seen = everybody.seen.find(({ url }) => url.startsWith(`/of-${name}/`))
        assert.isDefined(seen, `${name} was not asked`)
        if (vendor.key === undefined) assert.isUndefined(seen.header("authorization"))
        else assert.strictEqual(seen.header(vendor.header), vendor.sent)
      }
      const { json } = yield* request("GET", `${server.control}/_simulators`)
      for (const { vendor } of json as ReadonlyArray<{ readonly vendor: string }>) {
        const journal = yield* request("GET", `${server.control}/_journal/${vendor}`)
        assert.deepInclude(journal.json, { count: 0 })
      }
      assert.sameMembers(
        (json as ReadonlyArray<{ readonly vendor: string }>).map(({ vendor }) => vendor),
        vendors.map(({ name }) => name)
      )
    }))

  it.live(
    "must have the key of a vendor whose base URL it sets: no simulated key is sent",
    () =>
      Effect.gen(function*() {
        const elsewhere = yield* ScriptedServer.serve(() => ({ status: 503 }))
        for (const { name } of Effort.everyNth(2, vendors.filter(({ key }) => key !== undefined))) {
          const { output } = yield* Effect.flip(DemoServer.start({ [variable(name, "BASE_URL")]: elsewhere.baseUrl }))
          assert.include(output, variable(name, "API_KEY"))
        }
        assert.isEmpty(elsewhere.seen)
      })
  )
})

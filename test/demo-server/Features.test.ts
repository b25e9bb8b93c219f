import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DemoServer from "../processes/DemoServer.ts"
import { request } from "../processes/DemoServer.ts"
import { patience } from "../watches/Patience.ts"

interface Feature {
  readonly feature: string
  readonly state: string
  readonly by: string
  readonly share: number
  readonly because: string | null
  readonly lastFailure: string | null
}

const ready = ({ url }: DemoServer.DemoServer, name: string) =>
  Effect.map(request("GET", `${url}/health/ready`), ({ json, status }) => {
    assert.strictEqual(status, 200)
    return (json as { readonly features: ReadonlyArray<Feature> }).features.find(({ feature }) => feature === name)!
  })

/** Requests a rate until the feature is in a state, with a limit. Returns the last answer. */
const askUntil = (server: DemoServer.DemoServer, state: string) =>
  Effect.gen(function*() {
    const reply = yield* request("GET", `${server.url}/rates/EUR/USD`)
    return { reply, feature: yield* ready(server, "rates") }
  }).pipe(
    Effect.tap(() => Effect.sleep("100 millis")),
    Effect.repeat({ until: ({ feature }) => feature.state === state }),
    Effect.timeoutOrElse({
      duration: patience,
      orElse: () => Effect.die(new Error(`the feature is not ${state} in time`))
    })
  )

const setFault = (server: DemoServer.DemoServer, vendor: string, body?: unknown) =>
  request(body === undefined ? "DELETE" : "PUT", `${server.control}/_faults/${vendor}`, { body })

describe("the demo server's features", () => {
  it.live(
    "go off while their vendors are out, nobody is asked then, and come back by themselves, first for some",
    () =>
      Effect.gen(function*() {
        const server = yield* DemoServer.start({
          RATES_FRESH: "0",
          FEATURE_OFF_AFTER: "200 millis",
          FEATURE_OFF_FOR: "1 second",
          FEATURE_STEP: "500 millis"
        })
        assert.deepInclude(yield* ready(server, "rates"), { state: "on", share: 1, by: "rule", because: null })
        for (const vendor of ["frankfurter", "open-exchange-rates"]) yield* setFault(server, vendor, { kind: "refuse" })
        const { feature } = yield* askUntil(server, "off")
        assert.deepInclude(feature, { share: 0, by: "rule", because: "VendorOut" })
        assert.match(feature.lastFailure ?? "", /^(frankfurter|open-exchange-rates): \w+$/)

        const off = yield* request("GET", `${server.url}/rates/EUR/USD`)
        assert.strictEqual(off.status, 503)
        assert.deepInclude(off.json, { error: "FEATURE_OFF", feature: "rates" })
        assert.isAtLeast(Number(off.headers.get("retry-after")), 1)
        assert.deepInclude(yield* ready(server, "countries"), { state: "on" })

        for (const vendor of ["frankfurter", "open-exchange-rates"]) yield* setFault(server, vendor)
        const back = yield* askUntil(server, "recovering")
        assert.isAbove(back.feature.share, 0)
        assert.isBelow(back.feature.share, 1)
        assert.strictEqual(back.feature.because, "VendorWasOut")
        yield* askUntil(server, "on")
        const { status, text } = yield* request("GET", `${server.url}/metrics`)
        assert.strictEqual(status, 200)
        assert.match(text, /^breakwater_feature_share\{feature="rates"\} 1$/m)
      })
  )

  it.live("are switched by hand, and report it, until the rule applies again", () =>
    Effect.gen(function*() {
      const server = yield* DemoServer.start()
      const set = (mode: string, feature = "rates") =>
        request("PUT", `${server.control}/_features/${feature}`, { body: { mode } })
      const rate = request("GET", `${server.url}/rates/EUR/USD`)

      assert.strictEqual((yield* set("off")).status, 204)
      assert.deepInclude(yield* ready(server, "rates"), { state: "off", by: "hand", because: "ByHand" })
      assert.deepInclude((yield* rate).json, { error: "FEATURE_OFF", feature: "rates" })
      for (const vendor of ["frankfurter", "open-exchange-rates"]) {
        const journal = yield* request("GET", `${server.control}/_journal/${vendor}`)
        assert.deepInclude(journal.json, { count: 0 })
      }
      const page = yield* request("GET", `${server.url}/checkout-context?country=US`)
      assert.nestedPropertyVal(page.json, "rate.reason", "FeatureOff")
      assert.nestedPropertyVal(page.json, "country.status", "present")

      yield* set("automatic")
      assert.deepInclude(yield* ready(server, "rates"), { state: "on", by: "rule", because: null })
      assert.strictEqual((yield* rate).status, 200)

      assert.strictEqual((yield* set("off", "teleport")).status, 404)
      assert.strictEqual((yield* set("sometimes")).status, 400)
    }))
})

import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import { json, serve } from "../fakes/ScriptedServer.ts"
import * as DemoServer from "../processes/DemoServer.ts"
import { request } from "../processes/DemoServer.ts"
import * as RealRedis from "../processes/RealRedis.ts"
import { describeFrom } from "../setup/DescribeFrom.ts"

const frankfurter = serve(({ url }) => json({ date: "2026-11-20", base: "EUR", quote: url.slice(-3), rate: 1.0842 }))

describe("demo servers and a Redis", () => {
  it.live("one starts and answers while its Redis is down, and prints no password", () =>
    Effect.gen(function*() {
      const password = `p@${randomUUID()}`
      const server = yield* DemoServer.start({
        REDIS_URL: `redis://:${encodeURIComponent(password)}@127.0.0.1:1`,
        RATES_FRESH: "5 minutes"
      })
      const rate = yield* request("GET", `${server.url}/rates/EUR/USD`)
      assert.strictEqual(rate.status, 200)
      assert.include(server.output(), "bypassed")
      assert.notInclude(server.output(), password)
      assert.notInclude(server.output(), encodeURIComponent(password))
      assert.strictEqual(yield* server.stop, 0)
    }))

  it.live("one does not start with an invalid REDIS_URL", () =>
    Effect.gen(function*() {
      const { output } = yield* Effect.flip(DemoServer.start({ REDIS_URL: "https://redis.example.com" }))
      assert.include(output, "REDIS_URL")
      assert.include(output, "redis://")
    }))

  describeFrom("ci", describe.runIf(RealRedis.isInstalled))("that is real", {}, () => {
    it.live("what one has asked the other knows; and both answer when it is killed", () =>
      Effect.gen(function*() {
        const vendor = yield* frankfurter
        const redis = yield* RealRedis.start()
        const environment = { REDIS_URL: redis.url, FRANKFURTER_BASE_URL: vendor.baseUrl, RATES_FRESH: "5 minutes" }
        const [one, other] = yield* Effect.all(
          [DemoServer.start(environment), DemoServer.start(environment)],
          { concurrency: 2 }
        )
        const first = yield* request("GET", `${one.url}/rates/EUR/USD`)
        assert.deepInclude(first.json, { rate: 1.0842, provenance: { kind: "Fresh", source: "frankfurter" } })
        const second = yield* request("GET", `${other.url}/rates/EUR/USD`)
        assert.nestedPropertyVal(second.json, "provenance.kind", "Cached")
        assert.strictEqual(vendor.seen.length, 1)

        yield* redis.kill
        for (const { url } of [one, other]) {
          const { status } = yield* request("GET", `${url}/rates/EUR/GBP`)
          assert.strictEqual(status, 200)
        }
        assert.strictEqual(vendor.seen.length, 3)
        const metrics = yield* request("GET", `${other.url}/metrics`)
        assert.match(metrics.text, /^breakwater_cache_bypassed_total\S* [1-9]/m)
      }))
  })
})

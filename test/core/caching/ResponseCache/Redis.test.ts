import * as ResponseCache from "@breakwater/core/caching/ResponseCache"
import * as CacheStore from "@breakwater/core/fleet/CacheStore"
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer } from "effect"
import { Redis } from "effect/persistence"
import { json, serve } from "../../../fakes/ScriptedServer.ts"
import * as Fleet from "../../../processes/Fleet.ts"
import * as RealRedis from "../../../processes/RealRedis.ts"
import { until } from "../../../watches/Until.ts"

describe.runIf(RealRedis.isInstalled)("three processes that share a cache in Redis", () => {
  it.live(
    "make one call for ten thousand callers of a cold key, and continue when Redis is killed",
    () =>
      Effect.gen(function*() {
        const vendor = yield* serve(() => json({ rate: 1.0842 }))
        const redis = yield* RealRedis.start()
        const fleet = yield* Fleet.start(vendor.baseUrl, redis.url)

        const cold = yield* Effect.forEach(fleet, (member) => member.calls("rate", 3_334, "EURUSD"), { concurrency: 3 })
        assert.strictEqual(vendor.seen.length, 1)
        assert.deepStrictEqual(cold.map(({ counts }) => counts), [1, 2, 3].map(() => ({ Answered: 3_334 })))
        assert.strictEqual(cold.reduce((sum, { statistics }) => sum + (statistics?.shared ?? 0), 0), 2)

        // The others need not fetch an answer that one has.
        yield* fleet[0]!.calls("rate", 1, "EURGBP")
        yield* fleet[1]!.calls("rate", 1, "EURGBP")
        assert.strictEqual(vendor.seen.length, 2)

        yield* redis.kill
        const lonely = yield* Effect.forEach(fleet, (member) => member.calls("rate", 100, "EURJPY"), { concurrency: 3 })
        assert.deepStrictEqual(lonely.map(({ counts }) => counts), [1, 2, 3].map(() => ({ Answered: 100 })))
        assert.strictEqual(vendor.seen.length, 2 + 3)
        assert.isTrue(lonely.every(({ statistics }) => (statistics?.bypassed ?? 0) > 0))
      })
  )
})

describe.runIf(RealRedis.isInstalled)("a lead in Redis", () => {
  it.live("has one holder, until that one gives it up or its time ends, and none takes it from the next", () =>
    Effect.gen(function*() {
      const server = yield* RealRedis.start()
      const redis = yield* Layer.build(NodeRedis.layer({ url: server.url }))
      const store = Effect.map(
        Layer.build(Layer.provide(CacheStore.layerRedis({ namespace: "shop" }), Layer.succeedContext(redis))),
        (context) => Context.get(context, CacheStore.CacheStore)!
      )
      const [first, second] = [yield* store, yield* store]
      const giveUp = yield* first.lead!("EUR", 3_600_000)
      assert.isDefined(giveUp)
      assert.isUndefined(yield* second.lead!("EUR", 3_600_000))
      assert.isUndefined(yield* first.lead!("EUR", 3_600_000))
      assert.isDefined(yield* second.lead!("USD", 3_600_000))
      yield* giveUp
      assert.isDefined(yield* second.lead!("EUR", 3_600_000))
      // Too late: it is another's now.
      yield* giveUp
      assert.isUndefined(yield* first.lead!("EUR", 3_600_000))

      assert.isDefined(yield* first.lead!("GBP", 1))
      assert.isDefined(yield* Effect.repeat(second.lead!("GBP", 1), { until: (lead) => lead !== undefined }))
    }))
})

describe.runIf(RealRedis.isInstalled)("a cache in Redis", () => {
  it.live("takes and gives up leads, ages by the clock of Redis, and is left behind when it is cleared", () =>
    Effect.gen(function*() {
      const server = yield* RealRedis.start()
      const redis = yield* Layer.build(NodeRedis.layer({ url: server.url }))
      const send = Effect.flatMap(Redis.Redis, (redis) => redis.send<ReadonlyArray<string>>("KEYS", "*"))
      const keys = Effect.map(send.pipe(Effect.provide(redis)), (keys) => keys.toSorted())
      const process = (namespace: string) =>
        Effect.gen(function*() {
          const store = yield* Layer.build(
            Layer.provide(CacheStore.layerRedis({ namespace }), Layer.succeedContext(redis))
          )
          return yield* ResponseCache.make<number, never>(
            { vendor: "acme", operation: "rate", fresh: "1 hour", storeTimeout: "1 minute" },
            { name: "acme/rate/1", codec: { encode: String, decode: Number } }
          ).pipe(Effect.provideContext(store))
        })
      const answer = (value: number) => () => Effect.succeed({ value })
      const [first, second, other] = [yield* process("blue"), yield* process("blue"), yield* process("green")]

      const leaving = yield* Effect.forkChild(first.lookup("EUR", () => Effect.never))
      yield* until("the lead is taken", () => first.statistics.loads === 1)
      assert.deepStrictEqual(yield* keys, ["breakwater:lead:blue/acme/rate/1/EUR"])
      yield* Fiber.interrupt(leaving)
      assert.strictEqual(yield* second.lookup("EUR", answer(2)), 2)
      yield* Effect.repeat(keys, { until: (keys) => keys.join() === "breakwater:answer:blue/acme/rate/1/EUR" })

      assert.strictEqual(yield* first.lookup("EUR", answer(3)), 2)
      assert.strictEqual(yield* other.lookup("EUR", answer(4)), 4)
      yield* Effect.repeat(keys, { until: (keys) => keys.includes("breakwater:answer:green/acme/rate/1/EUR") })
      first.clear()
      assert.strictEqual(yield* (yield* process("blue")).lookup("EUR", answer(5)), 5)
      assert.strictEqual(yield* (yield* process("green")).lookup("EUR", answer(6)), 4)
    }))
})

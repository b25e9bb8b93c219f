import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { json, serve } from "../../../fakes/ScriptedServer.ts"
import * as Fleet from "../../../processes/Fleet.ts"
import * as RealRedis from "../../../processes/RealRedis.ts"

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

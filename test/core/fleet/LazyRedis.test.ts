import * as LazyRedis from "@breakwater/core/fleet/LazyRedis"
import { NodeRedis } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Queue, Schedule, Scope } from "effect"
import { Redis } from "effect/persistence"
import { TestClock } from "effect/testing"
import * as RealRedis from "../../processes/RealRedis.ts"
import { describeFrom } from "../../setup/DescribeFrom.ts"
import { patience } from "../../watches/Patience.ts"

const double = Redis.script((value: string) => [value], { lua: "return ARGV[1] .. ARGV[1]", numberOfKeys: 0 })
  .withReturnType<string>()

describe("a Redis that comes late", () => {
  it.effect("is retried until it is connected, and rejects commands meanwhile", () =>
    Effect.gen(function*() {
      let tries = 0
      let left = 0
      const client = Layer.effect(
        Redis.Redis,
        Effect.gen(function*() {
          yield* Effect.addFinalizer(() => Effect.sync(() => void left++))
          if (++tries < 3) return yield* Effect.fail("refused")
          return yield* Redis.make({
            send: <A>(command: string) => Effect.succeed(command as A),
            subscribe: () => Effect.succeed(Effect.never),
            connect: Effect.never
          })
        })
      )
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(LazyRedis.layer(client, { wait: 0 }), scope)
      yield* Effect.gen(function*() {
        const redis = yield* Redis.Redis
        yield* TestClock.adjust(0)
        assert.strictEqual(tries, 1)
        assert.strictEqual(left, 1)
        assert.strictEqual((yield* Effect.flip(redis.send("PING")))._tag, "RedisError")
        assert.strictEqual((yield* Effect.flip(redis.eval(double)("a")))._tag, "RedisError")
        assert.strictEqual((yield* Effect.flip(Effect.scoped(redis.reserve)))._tag, "RedisError")
        const messages = yield* redis.subscribe("news")
        assert.strictEqual((yield* Effect.flip(Queue.take(messages)))._tag, "RedisError")

        yield* TestClock.adjust("1 second")
        assert.strictEqual(tries, 3)
        assert.strictEqual(yield* redis.send("PING"), "PING")
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(tries, 3)
      }).pipe(Effect.provide(context), Effect.scoped)
      assert.strictEqual(left, 2)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(left, 3)
    }))

  it.effect("is retried every five seconds at most, and no longer once its scope is closed", () =>
    Effect.gen(function*() {
      let tries = 0
      const client = Layer.effect(Redis.Redis, Effect.suspend(() => (tries++, Effect.fail("refused"))))
      const scope = yield* Scope.make()
      yield* Layer.buildWithScope(LazyRedis.layer(client, { wait: 0 }), scope)
      yield* TestClock.adjust("1 hour")
      const before = tries
      yield* TestClock.adjust("1 hour")
      assert.isAtLeast(tries - before, 3_600 / 6 - 1)
      assert.isAtMost(tries - before, 3_600 / 4 + 1)
      yield* Scope.close(scope, Exit.void)
      const last = tries
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(tries, last)
    }))

  it.effect("delays the start of the process by a second at most", () =>
    Effect.gen(function*() {
      const client = Layer.effect(Redis.Redis, Effect.never)
      const start = yield* Effect.forkChild(Effect.scoped(Layer.build(LazyRedis.layer(client))))
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(start.pollUnsafe())
      yield* TestClock.adjust("1 milli")
      assert.isDefined(start.pollUnsafe())
    }))

  describeFrom("ci", describe.runIf(RealRedis.isInstalled))("and is real", {}, () => {
    it.live("answers once it is started", () =>
      Effect.gen(function*() {
        const first = yield* RealRedis.start()
        yield* first.kill
        const context = yield* Layer.build(LazyRedis.layer(NodeRedis.layer({ url: first.url }), { wait: 0 }))
        const ping = Effect.flatMap(Redis.Redis, (redis) => redis.send<string>("PING")).pipe(Effect.provide(context))
        assert.strictEqual((yield* Effect.flip(ping))._tag, "RedisError")

        yield* RealRedis.start(first.port)
        const answer = Effect.retry(ping, Schedule.spaced("10 millis"))
        assert.strictEqual(yield* Effect.timeout(answer, patience), "PONG")
      }))
  })
})

/** A Redis that is no longer the primary is left for the one that is. Source: FAULTS.md §4, row 34. */
import { FailOpen } from "@breakwater/core/fleet/FailOpen"
import * as LazyRedis from "@breakwater/core/fleet/LazyRedis"
import * as Timeline from "@breakwater/core/Timeline"
import { NodeRedis } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger, Schedule } from "effect"
import { Redis } from "effect/persistence"
import { TestClock } from "effect/testing"
import { connect, createServer } from "node:net"
import * as Loopback from "../fakes/Loopback.ts"
import * as RealRedis from "../processes/RealRedis.ts"
import { describeFrom } from "../setup/DescribeFrom.ts"
import { patience } from "../watches/Patience.ts"

const write = Redis.script((key: string) => [key], {
  lua: "return redis.call('SET', KEYS[1], 'script')",
  numberOfKeys: 1
})

/** A client whose servers answer in turn: with an error of this text, or well. The last one goes on. */
const clientOf = (...servers: ReadonlyArray<string | undefined>) => {
  const built: Array<string | undefined> = []
  let closed = 0
  const client = Layer.effect(
    Redis.Redis,
    Effect.gen(function*() {
      const reply = servers[Math.min(built.length, servers.length - 1)]
      built.push(reply)
      yield* Effect.addFinalizer(() => Effect.sync(() => void closed++))
      const send = <A>(command: string) =>
        reply === undefined
          ? Effect.succeed(command as A)
          : Effect.fail(new Redis.RedisError({ cause: new Error(reply) }))
      return yield* Redis.make({
        send,
        subscribe: () => Effect.succeed(Effect.never),
        connect: Effect.succeed({ send, close: Effect.void })
      })
    })
  )
  return { client, built, closed: () => closed }
}

describe("a Redis client", () => {
  it.effect.each([
    "READONLY You can't write against a read only replica.",
    "READONLY You can't write against a read only replica. script: 6b1bf486, on @user_script:1.",
    "ERR Error running script (call to f_6b1b): @user_script: 1: -READONLY You can't write against a read only replica. ",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "LOADING Redis is loading the dataset in memory",
    "MOVED 3999 127.0.0.1:6381",
    "CLUSTERDOWN The cluster is down"
  ])("is built anew after the reply: %s", (reply) =>
    Effect.gen(function*() {
      const { built, client, closed } = clientOf(reply, undefined)
      const redis = Context.get(yield* Layer.build(LazyRedis.layer(client, { wait: 0 })), Redis.Redis)
      yield* TestClock.adjust(0)
      assert.strictEqual((yield* Effect.flip(redis.send("SET")))._tag, "RedisError")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* redis.send("SET"), "SET")
      assert.deepStrictEqual(built, [reply, undefined])
      assert.strictEqual(closed(), 1)
    }))

  it.effect.each([
    "ERR unknown command 'SETT'",
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "ERR the value READONLY is not an integer"
  ])("is kept after the reply: %s", (reply) =>
    Effect.gen(function*() {
      const { built, client } = clientOf(reply)
      const redis = Context.get(yield* Layer.build(LazyRedis.layer(client, { wait: 0 })), Redis.Redis)
      yield* TestClock.adjust(0)
      assert.strictEqual((yield* Effect.flip(redis.send("SET")))._tag, "RedisError")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(built.length, 1)
    }))

  it.effect("is built once a second while its name still leads to the old server, however many commands fail", () =>
    Effect.gen(function*() {
      const { built, client } = clientOf("READONLY You can't write against a read only replica.")
      const redis = Context.get(yield* Layer.build(LazyRedis.layer(client, { wait: 0 })), Redis.Redis)
      yield* TestClock.adjust(0)
      for (let i = 0; i < 100; i++) {
        yield* Effect.all([
          Effect.exit(redis.send("SET")),
          Effect.exit(redis.eval(write)("a")),
          Effect.exit(Effect.scoped(Effect.flatMap(redis.reserve, (connection) => connection.send("SET"))))
        ], { concurrency: "unbounded" })
        yield* TestClock.adjust("100 millis")
      }
      assert.isAtLeast(built.length, 9)
      assert.isAtMost(built.length, 11)
    }))
})

describe("a bypass", () => {
  /** The lines that are logged. */
  const logged = (program: (failOpen: FailOpen) => Effect.Effect<void>) => {
    const lines: Array<unknown> = []
    const logger = Logger.make<unknown, void>(({ message }) => void lines.push(String(message)))
    return Effect.as(program(new FailOpen({ what: "the store", timeoutMillis: 100, pauseMillis: 1_000 })), lines).pipe(
      Effect.provide(Logger.layer([logger]))
    )
  }
  const down = "the store is slow or down; it is bypassed"
  const well = "the store works again"
  const round = (failOpen: FailOpen, failing: ReadonlyArray<string>) =>
    Effect.withFiber((fiber) =>
      Effect.forEach(["read", "write", "lease"], (command) =>
        failOpen.ask(
          Timeline.of(fiber),
          command,
          () => failing.includes(command) ? Effect.fail("READONLY") : Effect.void,
          undefined
        )).pipe(Effect.andThen(TestClock.adjust("10 seconds")))
    )

  it.effect.each<readonly [string, ReadonlyArray<string>]>([
    ["all commands fail", ["read", "write", "lease"]],
    ["all writes fail", ["write", "lease"]],
    ["one command fails", ["lease"]]
  ])("is logged once, and its end once, when %s", ([, failing]) =>
    Effect.gen(function*() {
      const lines = yield* logged((failOpen) =>
        Effect.gen(function*() {
          yield* round(failOpen, [])
          for (let i = 0; i < 10; i++) yield* round(failOpen, failing)
          for (let i = 0; i < 10; i++) yield* round(failOpen, [])
        })
      )
      assert.deepStrictEqual(lines, [down, well])
    }))
})

describeFrom("ci", describe.runIf(RealRedis.isInstalled))("a real Redis", {}, () => {
  it.live("that is demoted is left for the replica that was promoted", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* RealRedis.start(), yield* RealRedis.start()]
      const own = (port: number) =>
        Effect.map(
          Layer.build(NodeRedis.layer({ url: `redis://127.0.0.1:${port}` })),
          (context) => Context.get(context, Redis.Redis)
        )
      const [old, promoted] = [yield* own(first.port), yield* own(second.port)]
      yield* promoted.send("REPLICAOF", "127.0.0.1", String(first.port))

      // A name that leads to the primary. Connections that are open stay where they are.
      let primary = first.port
      const endpoint = yield* Loopback.listen(createServer((socket) => {
        const next = connect(primary, "127.0.0.1")
        for (const [from, to] of [[socket, next], [next, socket]] as const) {
          from.on("error", () => to.destroy()).on("close", () => to.destroy()).pipe(to)
        }
      }))
      const client = NodeRedis.layer({ url: `redis://127.0.0.1:${endpoint.port}`, disableOfflineQueue: true })
      const redis = Context.get(yield* Layer.build(LazyRedis.layer(client)), Redis.Redis)
      yield* redis.send("SET", "before", "1")

      yield* promoted.send("REPLICAOF", "NO", "ONE")
      yield* old.send("REPLICAOF", "127.0.0.1", String(second.port))
      primary = second.port
      const refused = yield* Effect.flip(redis.eval(write)("a"))
      assert.match(String(refused.cause), /READONLY/)
      const written = Effect.retry(redis.send("SET", "after", "2"), Schedule.spaced("10 millis"))
      yield* Effect.timeout(written, patience)
      assert.strictEqual(yield* promoted.send("GET", "after"), "2")
      yield* redis.eval(write)("b")
      assert.strictEqual(yield* promoted.send("GET", "b"), "script")
    }))
})

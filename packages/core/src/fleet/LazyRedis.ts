/**
 * A Redis connection that may be missing when the process starts. Until the first connection, every command fails at
 * once: shared state in Redis is bypassed, and no call waits.
 *
 * The client must reconnect by itself for ever, and must reject commands while disconnected instead of queueing them.
 * Defaults without a source are our own judgement.
 *
 * @example
 * ```ts
 * import { CacheStore, LazyRedis } from "@breakwater/core/fleet"
 * import { NodeRedis } from "@effect/platform-node"
 * import { Layer } from "effect"
 *
 * const redis = NodeRedis.layer({
 *   url: "redis://127.0.0.1:1",
 *   disableOfflineQueue: true,
 *   socket: { reconnectStrategy: (retries) => Math.min(50 * 2 ** retries, 2_000) }
 * })
 * const store = CacheStore.layerRedis({ namespace: "shop-production" })
 * export const shared = Layer.provide(store, LazyRedis.layer(redis))
 * ```
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Range from "../Range.ts"

/** Pauses between two attempts to build the client: 100 ms, doubled up to 5 s, with jitter. */
const pauses = Schedule.jittered(Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]))
const notYet = new Redis.RedisError({ cause: "Redis is not connected yet" })

export interface LazyRedisOptions {
  /** How long the start of the process waits for Redis before it continues without; at least 0. @default "1 second" */
  readonly wait?: Duration.Input | undefined
}

/**
 * Builds a client's layer, in the background when it takes long, and retries until it succeeds. Throws when an option
 * is out of its range.
 */
export const layer = <E, R>(
  client: Layer.Layer<Redis.Redis, E, R>,
  options: LazyRedisOptions = {}
): Layer.Layer<Redis.Redis, never, R> => {
  const waitMillis = Range.durationOrZero("LazyRedis: wait", options.wait ?? Duration.seconds(1))
  return Layer.effect(
    Redis.Redis,
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      let redis: Redis.Redis["Service"] | undefined
      const build = Effect.map(Layer.buildWithScope(client, scope), (context) => {
        redis = Context.get(context, Redis.Redis)
      })
      const building = yield* Effect.forkIn(Effect.retry(build, pauses), scope)
      yield* Effect.timeoutOption(Fiber.await(building), waitMillis)
      const late = <X, E, R>(use: (redis: Redis.Redis["Service"]) => Effect.Effect<X, E, R>) =>
        Effect.suspend((): Effect.Effect<X, E | Redis.RedisError, R> =>
          redis === undefined ? Effect.fail(notYet) : use(redis)
        )
      return Redis.Redis.of({
        send: (command, ...args) => late((redis) => redis.send(command, ...args)),
        eval: (script) => (...params) => late((redis) => redis.eval(script)(...params)),
        reserve: late((redis) => redis.reserve),
        subscribe: (channel) =>
          late((redis) => redis.subscribe(channel)).pipe(
            Effect.catchTag("RedisError", (error) =>
              Effect.tap(Queue.unbounded<Redis.RedisMessage, Redis.RedisError>(), Queue.fail(error)))
          )
      })
    })
  )
}

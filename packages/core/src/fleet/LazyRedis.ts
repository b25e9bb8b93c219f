/**
 * A Redis connection that may be missing when the process starts. Until the first connection, every command fails at
 * once: shared state in Redis is bypassed, and no call waits. A server that is no longer the primary, or not ready, is left:
 * the client is built anew, and so its name leads to the server that took over.
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
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Range from "../Range.ts"
import * as Timeline from "../Timeline.ts"

/** Hears why commands failed. */
type Watch = <X, E, R>(command: Effect.Effect<X, E, R>) => Effect.Effect<X, E, R>

/** The present client. */
interface Connected {
  readonly service: Redis.Redis["Service"]
  readonly close: Effect.Effect<void>
  readonly since: number
}

/** Pauses between two attempts to build the client: 100 ms, doubled up to 5 s, with jitter. */
const pauses = Schedule.jittered(Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]))
const notYet = new Redis.RedisError({ cause: "Redis is not connected yet" })

export interface LazyRedisOptions {
  /** How long the start of the process waits for Redis before it continues without; at least 0. @default "1 second" */
  readonly wait?: Duration.Input | undefined
}

/** The shortest time between two clients, in milliseconds. */
const leastMillis = 1_000

/**
 * Replies of a server that cannot serve writes: a replica, one that loads its data, or a part of a cluster. A script
 * before Redis 7 reports them inside another error.
 */
const misplaced = /^(?:ERR .*-)?(?:READONLY|MASTERDOWN|LOADING|MOVED|CLUSTERDOWN) /s

const isMisplaced = ({ cause }: Redis.RedisError): boolean => cause instanceof Error && misplaced.test(cause.message)

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
      const environment = yield* Effect.context<R>()
      let redis: Connected | undefined
      const build = Effect.gen(function*() {
        const own = yield* Scope.fork(scope)
        const context = yield* Effect.onError(
          Layer.buildWithScope(client, own),
          (cause) => Scope.close(own, Exit.failCause(cause))
        )
        const since = yield* Timeline.now
        redis = { service: Context.get(context, Redis.Redis), close: Scope.close(own, Exit.void), since }
      })
      const connect = Effect.retry(build, pauses)
      const building = yield* Effect.forkIn(connect, scope)
      yield* Effect.timeoutOption(Fiber.await(building), waitMillis)
      /** Replaces the client that a server has turned away. */
      const leave = (left: Connected) =>
        Effect.suspend(() => {
          if (redis !== left) return Effect.void
          redis = undefined
          return Effect.withFiber((fiber) => {
            const rest = left.since + leastMillis - Timeline.of(fiber).now()
            const replaced = Effect.andThen(Effect.sleep(Math.max(0, rest)), connect)
            const replacing = Effect.provideContext(
              Effect.andThen(Effect.forkIn(left.close, scope), replaced),
              environment
            )
            return Effect.asVoid(Effect.forkIn(replacing, scope))
          })
        })
      const late = <X, E, R>(use: (redis: Redis.Redis["Service"], watch: Watch) => Effect.Effect<X, E, R>) =>
        Effect.suspend((): Effect.Effect<X, E | Redis.RedisError, R> => {
          const present = redis
          if (present === undefined) return Effect.fail(notYet)
          const watch: Watch = Effect.tapError((error) =>
            error instanceof Redis.RedisError && isMisplaced(error) ? leave(present) : Effect.void
          )
          return watch(use(present.service, watch))
        })
      return Redis.Redis.of({
        send: (command, ...args) => late((redis) => redis.send(command, ...args)),
        eval: (script) => (...params) => late((redis) => redis.eval(script)(...params)),
        reserve: late((redis, watch) =>
          Effect.map(redis.reserve, (connection) => ({
            send: (command, ...args) => watch(connection.send(command, ...args)),
            eval: (script) => (...params) => watch(connection.eval(script)(...params))
          }))
        ),
        subscribe: (channel) =>
          late((redis) => redis.subscribe(channel)).pipe(
            Effect.catchTag("RedisError", (error) =>
              Effect.tap(Queue.unbounded<Redis.RedisMessage, Redis.RedisError>(), Queue.fail(error)))
          )
      })
    })
  )
}

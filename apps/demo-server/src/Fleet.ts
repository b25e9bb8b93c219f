/**
 * What this server shares with others like it in Redis, where `REDIS_URL` names one: answers, rate limits and breakers.
 * Redis may be down when the server starts and at any time later; the server then goes on by itself.
 */
import { CacheStore, LazyRedis, SharedState } from "@breakwater/core/fleet"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

const RedisUrl = Schema.URLFromString.check(
  Schema.makeFilter(({ protocol }) => protocol === "redis:" || protocol === "rediss:", {
    message: "it must begin with redis:// or rediss://"
  })
)

export const layer = Layer.unwrap(
  Effect.gen(function*() {
    const url = yield* Config.option(Config.schema(RedisUrl, "REDIS_URL"))
    if (Option.isNone(url)) return Layer.empty
    const NodeRedis = yield* Effect.promise(() => import("@effect/platform-node/NodeRedis"))
    const redis = NodeRedis.layer({
      url: url.value.href,
      // What Redis does not hear now it need not hear later.
      disableOfflineQueue: true,
      pingInterval: 1_000,
      socket: {
        connectTimeout: 1_000,
        // A connection that nothing comes from any more is made anew.
        socketTimeout: 5_000,
        reconnectStrategy: (retries) => Math.min(50 * 2 ** retries, 2_000) + Math.random() * 200
      }
    })
    return Layer.provide(Layer.mergeAll(CacheStore.layerRedis, SharedState.layerRedis()), LazyRedis.layer(redis))
  })
)

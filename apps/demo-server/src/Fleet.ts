/**
 * State that this server shares with others in Redis: answers, rate limits and breakers. `REDIS_URL` switches it on. Redis
 * may be down at the start and at any later time; the server then works with its own state.
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
      // A command that cannot be sent now is worthless later.
      disableOfflineQueue: true,
      pingInterval: 1_000,
      socket: {
        connectTimeout: 1_000,
        // A silent connection is replaced.
        socketTimeout: 5_000,
        reconnectStrategy: (retries) => Math.min(50 * 2 ** retries, 2_000) + Math.random() * 200
      }
    })
    return Layer.provide(Layer.mergeAll(CacheStore.layerRedis, SharedState.layerRedis()), LazyRedis.layer(redis))
  })
)

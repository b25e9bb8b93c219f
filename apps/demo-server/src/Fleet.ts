/**
 * State that this server shares with others in Redis: answers, rate limits and breakers. `REDIS_URL` switches it on, and
 * servers with the same `REDIS_NAMESPACE` share. Redis may be down at the start and at any later time; the server then
 * works with its own state.
 */
import { Credential } from "@breakwater/core/credentials"
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

const Namespace = Schema.String.check(
  Schema.isPattern(/^[\w.-]{1,64}$/, {
    message: "it must be 1 to 64 letters, digits, dots, underscores or hyphens"
  })
)

/** Servers of one namespace have the same account with each vendor, so they may share answers that need a key. */
const accounts = Credential.layerAccounts(({ key, vendor }) => `${vendor}/${key}`)

export const layer = Layer.unwrap(
  Effect.gen(function*() {
    const url = yield* Config.option(Config.schema(RedisUrl, "REDIS_URL"))
    if (Option.isNone(url)) return Layer.empty
    const namespace = yield* Config.withDefault(Config.schema(Namespace, "REDIS_NAMESPACE"), "breakwater-demo")
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
    const shared = Layer.mergeAll(CacheStore.layerRedis({ namespace }), SharedState.layerRedis({ namespace }))
    return Layer.merge(Layer.provide(shared, LazyRedis.layer(redis)), accounts)
  })
)

/**
 * A process of a fleet that shares its state of a vendor in Redis. It makes the calls that lines of JSON command, and
 * reports their outcomes.
 */
import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import * as CacheStore from "@breakwater/core/fleet/CacheStore"
import * as LazyRedis from "@breakwater/core/fleet/LazyRedis"
import * as SharedState from "@breakwater/core/fleet/SharedState"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { Effect, Fiber, Layer, Option, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { createInterface } from "node:readline"
import type { Ended, Order } from "./Fleet.ts"

const [baseUrl = "", redisUrl = ""] = process.argv.slice(2)

const Rate = Schema.Struct({ rate: Schema.Finite })
const plain = { bulkhead: false, retry: false } as const

/** An operation of which a fleet may make sixty calls an hour. */
const limited = <const Name extends string>(name: Name) =>
  HttpApiEndpoint.get(name, `/${name}`, { success: Rate })
    .annotate(Operation.Policy, { ...plain, breaker: false, rateLimit: { limit: 60, window: "1 hour" } })

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("rates", { topLevel: true }).add(
    HttpApiEndpoint.get("rate", "/rate/:pair", { params: { pair: Schema.String }, success: Rate })
      .annotate(Operation.Policy, { ...plain, cache: { fresh: "5 minutes", storeTimeout: "1 second" } }),
    limited("before"),
    limited("during"),
    limited("after"),
    HttpApiEndpoint.get("busy", "/busy", { success: Rate })
      .annotate(Operation.Policy, { ...plain, rateLimit: { limit: 10_000 } }),
    HttpApiEndpoint.get("frail", "/frail", { success: Rate }).annotate(Operation.Policy, {
      ...plain,
      breaker: { trip: { _tag: "Consecutive", failures: 2 }, openFor: "500 millis", growth: 1, probes: [1] }
    })
  )
)

const program = Effect.gen(function*() {
  const client = yield* Vendor.make({ name: "acme", api: Api, baseUrl })
  const lines = createInterface({ input: process.stdin })
  const say = (beginning: string, what: unknown) => console.log(beginning, JSON.stringify(what))

  let ended: Record<string, number> = {}
  const call = ({ operation, pair }: Order) =>
    (operation === "rate" ? client.rate({ params: { pair } }) : client[operation]()).pipe(
      Effect.match({
        onSuccess: () => "Answered",
        onFailure: (error) => error.reason._tag
      }),
      Effect.tap((end) => Effect.sync(() => ended[end] = (ended[end] ?? 0) + 1))
    )
  const report = (): Ended => {
    const counts = ended
    ended = {}
    return { counts, statistics: Vendor.caches(client).statistics("rate") }
  }

  let load = Option.none<Fiber.Fiber<unknown>>()
  console.log("ready")
  for (;;) {
    const line = yield* Effect.promise(() => new Promise<string>((resolve) => lines.once("line", resolve)))
    const order = JSON.parse(line) as Order
    switch (order.is) {
      case "calls":
        yield* Effect.all(Array.from({ length: order.count }, () => call(order)), { concurrency: "unbounded" })
        say("ended", report())
        break
      case "load":
        load = Option.some(yield* Effect.forkChild(Effect.forever(Effect.andThen(call(order), Effect.sleep(5)))))
        say("begun", {})
        break
      case "rest":
        if (Option.isSome(load)) yield* Fiber.interrupt(load.value)
        say("ended", report())
    }
  }
})

const redis = LazyRedis.layer(NodeRedis.layer({
  url: redisUrl,
  disableOfflineQueue: true,
  socket: { reconnectStrategy: () => 50 }
}))
const namespace = "fleet"
const shared = Layer.mergeAll(
  CacheStore.layerRedis({ namespace }),
  SharedState.layerRedis({ namespace, timeout: "1 second", processes: Effect.succeed(3) })
)
Effect.runFork(Effect.scoped(
  Effect.provide(program, [Layer.provide(shared, redis), UndiciTransport.layer({ loopback: true })])
))

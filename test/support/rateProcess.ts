/** A process of a fleet: it asks for the same rate as often as it is told to, over a cache that is shared in Redis. */
import * as CacheStore from "@breakwater/core/policies/CacheStore"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import * as Operation from "@breakwater/core/vendor/Operation"
import * as Vendor from "@breakwater/core/vendor/Vendor"
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { Effect, Layer, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { createInterface } from "node:readline"

const [baseUrl = "", redisUrl = ""] = process.argv.slice(2)

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("rates", { topLevel: true }).add(
    HttpApiEndpoint.get("rate", "/rate/:pair", {
      params: { pair: Schema.String },
      success: Schema.Struct({ rate: Schema.Finite })
    }).annotate(Operation.Policy, { cache: { fresh: "5 minutes", storeTimeout: "1 second" }, bulkhead: false })
  )
)

const program = Effect.gen(function*() {
  const client = yield* Vendor.make({ name: "acme", api: Api, baseUrl })
  const lines = createInterface({ input: process.stdin })
  console.log("ready")
  for (;;) {
    const line = yield* Effect.promise(() => new Promise<string>((resolve) => lines.once("line", resolve)))
    const { count, pair } = JSON.parse(line) as { readonly count: number; readonly pair: string }
    const calls = Array.from({ length: count }, () => Effect.exit(client.rate({ params: { pair } })))
    const exits = yield* Effect.all(calls, { concurrency: "unbounded" })
    const failed = exits.filter((exit) => exit._tag === "Failure").length
    console.log(JSON.stringify({ failed, ...Vendor.caches(client).statistics("rate") }))
  }
})

const store = Layer.provide(CacheStore.layerRedis, NodeRedis.layer({ url: redisUrl }))
Effect.runFork(Effect.scoped(Effect.provide(program, [store, UndiciTransport.layer({ loopback: true })])))

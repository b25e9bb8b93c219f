/** Clients of the HTTP bench, each used as its authors recommend, with kept-alive connections. */
import { Operation, Vendor } from "@breakwater/core"
import { UndiciTransport } from "@breakwater/core/transport"
import { NodeHttpClient } from "@effect/platform-node"
import { create } from "axios"
import axiosRetry, { exponentialDelay } from "axios-retry"
import * as Cockatiel from "cockatiel"
import { Effect, Layer, Schedule, Schema, type Scope } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { HttpApi, HttpApiClient, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import got from "got"
import ky from "ky"
import { Agent as HttpAgent } from "node:http"
import CircuitBreakerOfOpossum from "opossum"
import { Agent, interceptors, request } from "undici"

/** `small` is 1 KB, `large` 100 KB, `smallWait` 1 KB after a millisecond. */
export type Kind = "small" | "large" | "smallWait"

const pathOf: Readonly<Record<Kind, string>> = { small: "/small", large: "/large", smallWait: "/small?wait=1" }

export interface Client {
  readonly name: string
  readonly settings: string
  /** Makes one call, and has its answer as a JavaScript value. */
  readonly call: (kind: Kind) => Effect.Effect<unknown, unknown> | Promise<unknown>
}

const Answer = Schema.Struct({
  rates: Schema.Array(Schema.Struct({
    id: Schema.Int,
    base: Schema.String,
    quote: Schema.String,
    rate: Schema.Finite,
    asOf: Schema.String,
    source: Schema.String
  }))
})

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("rates", { topLevel: true }).add(
    HttpApiEndpoint.get("small", "/small", { success: Answer }),
    HttpApiEndpoint.get("large", "/large", { success: Answer }),
    HttpApiEndpoint.get("smallWait", "/small", { query: { wait: Schema.Literal("1") }, success: Answer })
  )
)

/** The largest number of concurrent calls. */
const most = 512

const ours = (baseUrl: string) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(UndiciTransport.layer({ loopback: true, connections: most }))
    const api = Api.annotate(Operation.Policy, {
      bulkhead: { limit: most, queue: most },
      rateLimit: { limit: 100_000_000 }
    })
    const client = yield* Effect.provideContext(Vendor.make({ name: "acme", api, baseUrl }), context)
    const calls: Readonly<Record<Kind, Effect.Effect<unknown, unknown>>> = {
      small: client.small(),
      large: client.large(),
      smallWait: client.smallWait({ query: { wait: "1" } })
    }
    return {
      name: "Breakwater",
      settings: `the default policies, decoded by its schema; bulkhead ${most}, a rate limit that is never reached`,
      call: (kind: Kind) => calls[kind]
    }
  })

const effects = (baseUrl: string) =>
  Effect.gen(function*() {
    const layer = NodeHttpClient.layerUndiciOptions({ connections: most })
    const context = yield* Layer.build(Layer.mergeAll(
      layer,
      Layer.provide(RateLimiter.layer, RateLimiter.layerStoreMemory),
      CircuitBreaker.layerStoreMemory()
    ))
    return yield* Effect.gen(function*() {
      const http = yield* HttpClient.HttpClient
      const breaker = yield* CircuitBreaker.make({
        tripPolicy: CircuitBreaker.rate({ threshold: 0.5, minimumCalls: 20, size: 100 }),
        openDuration: "5 seconds"
      })
      const limit = yield* RateLimiter.makeWithRateLimiter
      const full = http.pipe(
        HttpClient.filterStatusOk,
        HttpClient.retryTransient({ times: 3, schedule: Schedule.jittered(Schedule.exponential("500 millis")) })
      )
      const api = yield* HttpApiClient.make(Api, { baseUrl })
      const bare: Client = {
        name: "Effect HttpClient",
        settings: "`layerUndici`, `response.json`",
        call: (kind) => Effect.flatMap(http.get(baseUrl + pathOf[kind]), (response) => response.json)
      }
      const composed: Client = {
        name: "Effect HttpClient, composed",
        settings:
          "`filterStatusOk`, `retryTransient` (3 times, exponential from 500 ms, jittered), `Effect.timeout` of 3 s, " +
          "`RateLimiter` and `CircuitBreaker` in memory, `schemaBodyJson`",
        call: (kind) =>
          full.get(baseUrl + pathOf[kind]).pipe(
            Effect.flatMap(HttpClientResponse.schemaBodyJson(Answer)),
            Effect.timeout("3 seconds"),
            breaker.execute({ key: "acme" }),
            limit({ algorithm: "token-bucket", key: "acme", limit: 100_000_000, window: "1 second" })
          )
      }
      const apiClient: Client = {
        name: "Effect HttpApiClient",
        settings: "`layerUndici`, the same contract as ours, decoded",
        call: (kind) => kind === "smallWait" ? api.smallWait({ query: { wait: "1" } }) : api[kind]()
      }
      return [bare, composed, apiClient]
    }).pipe(Effect.provideContext(context))
  })

const promises = (baseUrl: string) =>
  Effect.gen(function*() {
    const agent = yield* Effect.acquireRelease(
      Effect.sync(() => new Agent({ connections: most })),
      (agent) => Effect.promise(() => agent.destroy())
    )
    const intercepted = agent.compose(interceptors.retry({ maxRetries: 3 }), interceptors.cache())
    const httpAgent = new HttpAgent({ keepAlive: true, maxSockets: most })
    yield* Effect.addFinalizer(() => Effect.sync(() => httpAgent.destroy()))
    const by = (dispatcher: typeof intercepted) => async (kind: Kind): Promise<unknown> => {
      const { body } = await request(baseUrl + pathOf[kind], { dispatcher })
      return body.json()
    }
    const raw = by(agent)
    const policy = Cockatiel.wrap(
      Cockatiel.retry(Cockatiel.handleAll, {
        maxAttempts: 3,
        backoff: new Cockatiel.ExponentialBackoff({ initialDelay: 500 })
      }),
      Cockatiel.circuitBreaker(Cockatiel.handleAll, {
        halfOpenAfter: 5_000,
        breaker: new Cockatiel.SamplingBreaker({ threshold: 0.5, duration: 30_000 })
      }),
      Cockatiel.bulkhead(most, most),
      Cockatiel.timeout(3_000, Cockatiel.TimeoutStrategy.Aggressive)
    )
    const axiosClient = create({ httpAgent, timeout: 3_000 })
    axiosRetry(axiosClient, { retries: 3, retryDelay: (count, error) => exponentialDelay(count, error) })
    const fired = (kind: Kind) => axiosClient.get<unknown>(baseUrl + pathOf[kind]).then(({ data }) => data)
    const opossum = new CircuitBreakerOfOpossum(fired, {
      timeout: 10_000,
      errorThresholdPercentage: 50,
      volumeThreshold: 20,
      resetTimeout: 5_000,
      capacity: most
    })
    const gotClient = got.extend({ agent: { http: httpAgent }, retry: { limit: 3 }, timeout: { request: 3_000 } })
    const kyClient = ky.create({ retry: 3, timeout: 3_000 })
    const clients: ReadonlyArray<Client> = [
      { name: "undici", settings: `\`request\` by an \`Agent\` of ${most} connections, \`body.json()\``, call: raw },
      {
        name: "undici, retry and cache",
        settings: "`interceptors.retry` (3) and `interceptors.cache`; the answers may not be cached",
        call: by(intercepted)
      },
      {
        name: "cockatiel over undici",
        settings: `retry (3), circuit breaker (sampling), bulkhead (${most}), timeout (3 s, aggressive)`,
        call: (kind) => policy.execute(() => raw(kind))
      },
      {
        name: "fetch",
        settings: "Node's own, `AbortSignal.timeout` of 3 s",
        call: (kind) =>
          fetch(baseUrl + pathOf[kind], { signal: AbortSignal.timeout(3_000) }).then((response) => response.json())
      },
      { name: "ky", settings: "`retry` 3, `timeout` 3 s", call: (kind) => kyClient.get(baseUrl + pathOf[kind]).json() },
      {
        name: "axios, axios-retry, opossum",
        settings: `a kept-alive \`http.Agent\`, \`timeout\` 3 s, 3 retries, opossum with \`capacity\` ${most}`,
        call: (kind) => opossum.fire(kind)
      },
      {
        name: "got",
        settings: "a kept-alive `http.Agent`, `retry.limit` 3, `timeout.request` 3 s",
        call: (kind) => gotClient(baseUrl + pathOf[kind]).json()
      }
    ]
    return clients
  })

/** All clients, ready to call; they are closed with the scope. */
export const make = (baseUrl: string): Effect.Effect<ReadonlyArray<Client>, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    return [yield* ours(baseUrl), ...(yield* promises(baseUrl)), ...(yield* effects(baseUrl))]
  })

/** Two clients of one vendor at the same time, such as `layerWith` beside `layer`: one set of limits, or an error that says so. */
import * as Vendor from "@breakwater/core/client/Vendor"
import * as Credential from "@breakwater/core/credentials/Credential"
import * as RateLimit from "@breakwater/core/policies/RateLimit"
import type * as Policy from "@breakwater/core/stack/Policy"
import * as Telemetry from "@breakwater/core/Telemetry"
import * as Frankfurter from "@breakwater/vendors/exchange-rates/frankfurter"
import * as ExchangeRatesLayers from "@breakwater/vendors/exchange-rates/layers"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Exit, Fiber, Layer, Logger, Metric, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Depot from "../fakes/Depot.ts"
import * as SharedStores from "../fakes/SharedStores.ts"

const credentials = Layer.succeed(Credential.Credentials, { read: () => Effect.succeed(Redacted.make("test")) })

const rateLimit = { limit: 5, window: "1 hour", queue: 0 } as const
const breaker = { trip: { _tag: "Consecutive", failures: 2 }, openFor: "1 hour" } as const

class Client extends Vendor.Service<Client>()({ ...Depot.declaration, policy: { retry: false, rateLimit, breaker } }) {}

/** With metrics of its own. */
const alone = <A, E, R>(test: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => Effect.provideService(test, Metric.MetricRegistry, new Map()))

const over = (depot: Depot.Depot) => Effect.provide([depot.transport, credentials])

const build = <E, R>(layer: Layer.Layer<Client, E, R>) =>
  Effect.map(Layer.build(layer), (context) => Context.get(context, Client))

type Calls = Effect.Success<ReturnType<typeof Depot.make>>

/** The tags of the ends of calls, made in turn by some clients. */
const play = (clients: ReadonlyArray<Calls>, calls: number) =>
  Effect.forEach(
    Array.from({ length: calls }, (_, call) => clients[call % clients.length]!),
    (client) =>
      Depot.soon(Effect.match(client.report(), {
        onSuccess: () => "answered",
        onFailure: ({ reason }) => reason._tag
      }))
  )

describe("two clients of a vendor keep to one rate limit", () => {
  const cached = { stock: { cache: { fresh: "1 minute" } } } as const
  const patient = { report: { deadline: "1 minute", attemptTimeout: "20 seconds" } } as const

  it.effect.each<readonly [string, () => ReadonlyArray<typeof Client.layer>]>([
    ["layerWith twice", () => [Client.layerWith(cached), Client.layerWith(cached)]],
    [
      "layerWith twice, spelled twice",
      () => [Client.layerWith({ ...cached }), Client.layerWith(structuredClone(cached))]
    ],
    ["layerWith beside layer", () => [Client.layer, Client.layerWith(cached)]],
    ["layer beside layerWith, with other times", () => [Client.layerWith(patient), Client.layer]],
    ["three of them", () => [Client.layer, Client.layerWith(cached), Client.layerWith(patient)]],
    ["layer, built twice", () => [Client.layer, Client.layer]]
  ])("%s", ([, layersOf]) =>
    Effect.gen(function*() {
      const depot = Depot.serve()
      const clients = yield* Effect.forEach(layersOf(), build).pipe(over(depot))
      const ends = yield* play(clients, 10)
      assert.deepStrictEqual(ends, [...Array(5).fill("answered"), ...Array(5).fill("RateLimitExceeded")])
      assert.strictEqual(depot.sent.length, 5)
    }).pipe(alone))

  it.effect("and to one bulkhead and retry budget, also those of one operation", () =>
    Effect.gen(function*() {
      const depot = Depot.serve(() => ({ status: 503, after: "1 second" }))
      const policy: Policy.Policy = {
        retry: { retries: 100, base: 0 },
        retryBudget: { ratio: 0, reserve: 2, perSecond: 0 },
        breaker: false,
        deadline: "1 hour",
        attemptTimeout: "1 minute",
        bulkhead: { limit: 2, queue: 0 }
      }
      const own = { audit: { bulkhead: { limit: 1, queue: 0 } } }
      const made = Vendor.make({ ...Depot.declaration, policy }, own).pipe(over(depot))
      const clients = [yield* made, yield* made]
      const fibers = yield* Effect.forEach(
        [...clients, ...clients].flatMap((client) => [client.report(), client.audit()]),
        (call) => Effect.forkChild(Effect.flip(call))
      )
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(depot.sent.map(({ path }) => path), ["/report", "/audit", "/report"])
      yield* TestClock.adjust("10 minutes")
      for (const fiber of fibers) yield* Fiber.join(fiber)
      assert.strictEqual(depot.sent.length, 3 + 2)
    }).pipe(alone))

  it.effect("and each operation keeps to its own, though another has the same settings", () =>
    Effect.gen(function*() {
      const depot = Depot.serve()
      const own = { rateLimit: { ...rateLimit, limit: 2 } }
      const made = Depot.make({ policy: { retry: false, rateLimit: own.rateLimit } }).pipe(over(depot))
      const overridden = Vendor.make(
        { ...Depot.declaration, policy: { retry: false, rateLimit: own.rateLimit } },
        { report: own, audit: own }
      ).pipe(over(depot))
      yield* Effect.scoped(made)
      const clients = [yield* overridden, yield* overridden]
      for (const client of clients) {
        for (const call of [client.report(), client.audit(), client.charge()]) {
          for (let time = 0; time < 2; time++) yield* Depot.soon(Effect.exit(call))
        }
      }
      assert.deepStrictEqual(depot.sent.map(({ path }) => path), [
        "/report",
        "/report",
        "/audit",
        "/audit",
        "/charge",
        "/charge"
      ])
    }).pipe(alone))

  it.effect("two origins, two vendors and two registries have a set each", () =>
    Effect.gen(function*() {
      const depot = Depot.serve()
      const policy = { retry: false, rateLimit } as const
      const clients = yield* Effect.all([
        Depot.make({ policy }),
        Depot.make({ policy, baseUrl: "https://eu.depot.example" }),
        Depot.make({ policy, name: "depot-two" }),
        alone(Depot.make({ policy }))
      ]).pipe(over(depot))
      yield* play(clients, 40)
      assert.strictEqual(depot.sent.length, 20)
    }).pipe(alone))

  it.effect("one path of an origin beside another has the same set", () =>
    Effect.gen(function*() {
      const depot = Depot.serve()
      const policy = { retry: false, rateLimit } as const
      const clients = yield* Effect.all([
        Depot.make({ policy }),
        Depot.make({ policy, baseUrl: "https://depot.example/v2" })
      ]).pipe(over(depot))
      yield* play(clients, 10)
      assert.strictEqual(depot.sent.length, 5)
    }).pipe(alone))

  it.effect("of a package: a failover with its own caches beside the plain client", () =>
    Effect.gen(function*() {
      const layer = Layer.merge(ExchangeRatesLayers.failover(), Frankfurter.Frankfurter.layer)
      yield* Layer.build(layer)
    }).pipe(over(Depot.serve()), Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({}))), alone))
})

describe("a second client with another limit is refused", () => {
  const refusal = (policies: readonly [Policy.Policy, Policy.Policy], overrides: Vendor.Overrides = {}) =>
    Effect.gen(function*() {
      const [first, second] = policies
      yield* Depot.make({ policy: first })
      return (yield* Effect.flip(Vendor.make({ ...Depot.declaration, policy: second }, overrides))).message
    }).pipe(over(Depot.serve()), alone)

  it.effect.each<readonly [string, Policy.Policy, Policy.Policy, Vendor.Overrides, said: string]>([
    ["a rate limit", { rateLimit }, { rateLimit: { ...rateLimit, limit: 6 } }, {}, "report has another rateLimit"],
    ["no rate limit", { rateLimit }, {}, {}, "report has another rateLimit"],
    ["a bulkhead", {}, { bulkhead: { limit: 3 } }, {}, "report has another bulkhead"],
    ["no bulkhead", {}, { bulkhead: false }, {}, "report has another bulkhead"],
    [
      "an adaptive limit",
      { bulkhead: {} },
      { bulkhead: {}, adaptiveLimit: {} },
      {},
      "report has another adaptiveLimit"
    ],
    ["a retry budget", {}, { retryBudget: { ratio: 0.5 } }, {}, "report has another retryBudget"],
    [
      "a limit of one operation",
      { rateLimit },
      { rateLimit },
      { audit: { rateLimit: { ...rateLimit, limit: 1 } } },
      "audit has another rateLimit"
    ],
    [
      "a gate made twice",
      { rateLimit: RateLimit.make(rateLimit) },
      { rateLimit: RateLimit.make(rateLimit) },
      {},
      "report has another rateLimit"
    ]
  ])("%s", ([, first, second, overrides, said]) =>
    Effect.gen(function*() {
      const message = yield* refusal([first, second], overrides)
      assert.strictEqual(
        message,
        `${said} in a second client, at https://depot.example: build its layer once, or give both the same policy`
      )
    }))

  it.effect("but not with a gate that both were given, nor with another breaker, retry, hedge, timeout or cache", () =>
    Effect.gen(function*() {
      const bulkhead = { limit: 7 }
      const shared = RateLimit.make(rateLimit)
      yield* Depot.make({ policy: { rateLimit: shared, bulkhead } })
      yield* Depot.make({
        policy: {
          rateLimit: shared,
          bulkhead,
          breaker: false,
          retry: false,
          hedge: { after: "1 second" },
          deadline: "1 minute",
          cache: { fresh: "1 minute" }
        }
      })
    }).pipe(over(Depot.serve()), alone))

  it.effect("and leaves nothing behind: later it may live alone", () =>
    Effect.gen(function*() {
      const depot = Depot.serve()
      const scope = yield* Scope.make()
      yield* Scope.provide(Depot.make({ policy: { rateLimit } }).pipe(over(depot)), scope)
      const other = Depot.make({ policy: { rateLimit: { ...rateLimit, limit: 2 } } }).pipe(over(depot))
      yield* Effect.flip(Effect.scoped(other))
      yield* Scope.close(scope, Exit.void)
      yield* play([yield* other], 5)
      assert.strictEqual(depot.sent.length, 2)
    }).pipe(alone))
})

describe("clients one after the other", () => {
  it.effect("begin anew, with any policy", () =>
    Effect.gen(function*() {
      const depot = Depot.serve()
      for (const limit of [1, 2, 3]) {
        const made = Depot.make({ policy: { retry: false, rateLimit: { ...rateLimit, limit } } }).pipe(over(depot))
        yield* Effect.scoped(Effect.flatMap(made, (client) => play([client], 5)))
      }
      assert.strictEqual(depot.sent.length, 6)
    }).pipe(alone))

  it.effect("that overlap hand their counts on", () =>
    Effect.gen(function*() {
      const depot = Depot.serve()
      const made = Depot.make({ policy: { retry: false, rateLimit } }).pipe(over(depot))
      let scope = yield* Scope.make()
      let client = yield* Scope.provide(made, scope)
      for (let turn = 0; turn < 4; turn++) {
        yield* play([client], 1)
        const next = yield* Scope.make()
        client = yield* Scope.provide(made, next)
        yield* Scope.close(scope, Exit.void)
        scope = next
      }
      yield* play([client], 4)
      assert.strictEqual(depot.sent.length, 5)
      yield* Scope.close(scope, Exit.void)
    }).pipe(alone))
})

describe("what is shown of gates that clients share", () => {
  const transitions = Effect.map(
    Metric.snapshot,
    (all) =>
      all.flatMap(({ attributes, id, state }) =>
        id === Telemetry.breakerTransitions && attributes?.["to"] === "Open" && attributes["operation"] === "report"
          ? [(state as { readonly count: number }).count]
          : []
      )
  )

  it.effect("is counted and logged once, also when the first client is gone", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    return Effect.gen(function*() {
      const depot = Depot.serve(() => ({ status: 503 }))
      const made = Depot.make({ policy: { retry: false, breaker } }).pipe(over(depot))
      const scope = yield* Scope.make()
      const first = yield* Scope.provide(made, scope)
      const second = yield* made
      assert.deepStrictEqual(yield* play([first, second], 3), ["Unavailable", "Unavailable", "CircuitOpen"])
      assert.deepStrictEqual(yield* transitions, [1])
      assert.deepStrictEqual(lines, ["circuit breaker of depot/report: Closed → Open"])
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* play([second], 2), ["Unavailable", "CircuitOpen"])
      assert.deepStrictEqual(yield* transitions, [2])
      assert.deepStrictEqual(lines.slice(1), [
        "circuit breaker of depot/report: Open → HalfOpen",
        "circuit breaker of depot/report: HalfOpen → Open"
      ])
    }).pipe(Effect.provide(Logger.layer([logger])), alone)
  })

  it.effect("is shared with the fleet for as long as one client lives, and with each fleet apart", () =>
    Effect.gen(function*() {
      const [fleet, another] = [yield* SharedStores.make(), yield* SharedStores.make()]
      const depot = Depot.serve(() => ({ status: 503 }))
      const trip = { _tag: "Consecutive", failures: 100 } as const
      const made = Depot.make({ policy: { retry: false, breaker: { trip } } }).pipe(over(depot))
      const [first, last] = [yield* Scope.make(), yield* Scope.make()]
      yield* Scope.provide(fleet.join(made), first)
      const second = yield* Scope.provide(fleet.join(made), last)
      const elsewhere = yield* another.join(made)
      yield* Scope.close(first, Exit.void)
      // A process whose calls fail asks how the others fare.
      yield* play([second], 1)
      yield* TestClock.adjust("1500 millis")
      assert.isAbove(fleet.asked, 0)
      assert.strictEqual(another.asked, 0)
      yield* play([second, elsewhere], 2)
      yield* Scope.close(last, Exit.void)
      const asked = fleet.asked
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual(fleet.asked, asked)
      assert.isAbove(another.asked, 0)
    }).pipe(alone))
})

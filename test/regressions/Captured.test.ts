/** Services around a call that differ from those its client was built with: the client's count, unless the caller overrides. */
import * as Vendor from "@breakwater/core/client/Vendor"
import * as Chain from "@breakwater/core/credentials/Chain"
import * as Credential from "@breakwater/core/credentials/Credential"
import * as RefreshingCredentials from "@breakwater/core/credentials/RefreshingCredentials"
import { CacheStore, type Store } from "@breakwater/core/fleet/Store"
import * as Files from "@breakwater/core/sources/Files"
import * as FromEnvironment from "@breakwater/core/sources/FromEnvironment"
import type * as Policy from "@breakwater/core/stack/Policy"
import * as Telemetry from "@breakwater/core/Telemetry"
import { assert, describe, it } from "@effect/vitest"
import { type Config, ConfigProvider, Context, Effect, Layer, Metric, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import { randomUUID } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Depot from "../fakes/Depot.ts"
import * as SecretFiles from "../fakes/SecretFiles.ts"
import * as SharedStores from "../fakes/SharedStores.ts"

class Client extends Vendor.Service<Client>()(Depot.declaration) {}

const [ours, theirs] = [randomUUID(), randomUUID()]

const config = (settings: Readonly<Record<string, string>>) =>
  ConfigProvider.layer(ConfigProvider.fromUnknown(settings))

const holding = (secret: string): Credential.Credentials => ({ read: () => Effect.succeed(Redacted.make(secret)) })

/** The services of a caller that belongs to another tenant. */
const elsewhere = <A, E, R>(call: Effect.Effect<A, E, R>) =>
  call.pipe(
    Effect.provideService(Credential.Credentials, holding(theirs)),
    Effect.provide(config({ DEPOT_API_KEY: theirs, DEPOT_BASE_URL: "https://theirs.example" }))
  )

const build = <E>(depot: Depot.Depot, layers: Layer.Layer<never, E> = Layer.empty) =>
  Effect.map(
    Layer.build(Client.layer.pipe(Layer.provide([depot.transport, layers]))),
    (context) => Context.get(context, Client)
  )

describe("a client's calls read the credentials of its layer, which are", () => {
  it.live.each<readonly [string, (directory: string) => Layer.Layer<never, Config.ConfigError>]>([
    ["files", (directory) => Files.layer({ directory })],
    ["the default, over a ConfigProvider of the layer", () => config({ DEPOT_API_KEY: ours })],
    ["some object", () => Layer.succeed(Credential.Credentials, holding(ours))],
    [
      "a chain with the environment",
      () => Layer.provide(Chain.layer([Credential.environment]), config({ DEPOT_API_KEY: ours }))
    ],
    [
      "a chain of several parts",
      (directory) => Layer.provide(Chain.layer([Credential.environment, Files.make({ directory })]), config({}))
    ],
    [
      "a cache over the environment",
      () =>
        Layer.provide(
          RefreshingCredentials.layer(Effect.succeed(Credential.environment)),
          config({ DEPOT_API_KEY: ours })
        )
    ],
    [
      "configured, with the environment",
      () =>
        FromEnvironment.layer.pipe(
          Layer.provide(FetchHttpClient.layer),
          Layer.provide(config({ CREDENTIALS: "environment", DEPOT_API_KEY: ours }))
        )
    ],
    [
      "configured, with files",
      (directory) =>
        FromEnvironment.layer.pipe(
          Layer.provide(FetchHttpClient.layer),
          Layer.provide(config({ CREDENTIALS: `environment,files:${directory}` }))
        )
    ]
  ])("%s", ([, layerOf]) =>
    Effect.gen(function*() {
      const directory = yield* SecretFiles.directory
      writeFileSync(join(directory, "DEPOT_API_KEY"), ours, { mode: 0o600 })
      // A refused request is renewed from the same source.
      const depot = Depot.serve((_, index) => index === 1 ? Depot.refused : Depot.ok)
      const client = yield* build(depot, layerOf(directory)).pipe(Effect.provide(config({ DEPOT_API_KEY: theirs })))
      yield* elsewhere(client.report())
      yield* elsewhere(Effect.exit(client.report()))
      yield* client.charge()
      assert.deepStrictEqual(new Set(depot.secrets), new Set([ours]))
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

  it.effect("those of each of two clients of one vendor, wherever they are called", () =>
    Effect.gen(function*() {
      const depot = Depot.serve()
      const one = yield* build(depot, Layer.succeed(Credential.Credentials, holding(ours)))
      const other = yield* build(depot, Layer.succeed(Credential.Credentials, holding(theirs)))
      for (const client of [one, other, one]) {
        yield* Depot.soon(client.report().pipe(Effect.provideService(Credential.Credentials, holding("none"))))
      }
      assert.deepStrictEqual(depot.secrets, [ours, theirs, ours])
    }))
})

describe("a caller that overrides the credentials", () => {
  const own = randomUUID()
  const withOwn = Effect.provideService(Credential.Override, holding(own))

  it.effect("has its own sent, for its own calls alone", () =>
    Effect.gen(function*() {
      const depot = Depot.serve()
      const client = yield* build(depot, config({ DEPOT_API_KEY: ours }))
      yield* Depot.soon(client.report().pipe(withOwn))
      yield* Depot.soon(client.report())
      assert.deepStrictEqual(depot.secrets, [own, ours])
    }))

  it.effect("has them read with its own ConfigProvider", () =>
    Effect.gen(function*() {
      const depot = Depot.serve()
      const client = yield* build(depot, config({ DEPOT_API_KEY: ours }))
      const call = client.report().pipe(
        Effect.provideService(Credential.Override, Credential.fromConfig),
        Effect.provide(config({ DEPOT_API_KEY: own }))
      )
      yield* Depot.soon(call)
      assert.deepStrictEqual(depot.secrets, [own])
    }))

  it.effect("gets no answer from the cache, and puts none there", () =>
    Effect.gen(function*() {
      const depot = Depot.serve()
      const client = yield* build(depot, config({ DEPOT_API_KEY: ours }))
      const seen = [
        yield* Depot.soon(client.stock().pipe(withOwn)),
        yield* Depot.soon(client.stock()),
        yield* Depot.soon(client.stock().pipe(withOwn)),
        yield* Depot.soon(client.stock())
      ]
      assert.deepStrictEqual(seen.map(({ n }) => n), [0, 1, 2, 1])
      assert.deepStrictEqual(depot.secrets, [own, ours, own])
    }))

  it.effect("has them refused without harm to the client's own", () =>
    Effect.gen(function*() {
      const depot = Depot.serve(({ secret }) => secret === own ? Depot.refused : Depot.ok)
      const client = yield* build(depot, config({ DEPOT_API_KEY: ours }))
      for (let call = 0; call < 4; call++) yield* Depot.soon(Effect.exit(client.report().pipe(withOwn)))
      yield* Depot.soon(client.report())
      yield* Depot.soon(Effect.exit(client.report().pipe(withOwn)))
      // Of its own calls, those from the third on are not sent.
      assert.deepStrictEqual(depot.secrets, [own, own, ours])
    }))

  it.effect("has no hold on the calls that a reading makes", () =>
    Effect.gen(function*() {
      const depot = Depot.serve()
      const client = yield* build(depot, config({ DEPOT_API_KEY: ours }))
      let reads = 0
      const overriding: Credential.Credentials = {
        read: () =>
          Effect.suspend(() => reads++ === 0 ? Effect.orDie(client.audit()) : Effect.void).pipe(
            Effect.as(Redacted.make(own))
          )
      }
      yield* Depot.soon(client.report().pipe(Effect.provideService(Credential.Override, overriding)))
      assert.deepStrictEqual(depot.sent.map(({ path, secret }) => [path, secret]), [["/audit", ours], ["/report", own]])
    }))
})

describe("a client's calls count and share", () => {
  it.effect("in the registry of its layer: also the refusals of its secret", () =>
    Effect.gen(function*() {
      const [here, there] = [new Map(), new Map()]
      const depot = Depot.serve(() => Depot.refused)
      const client = yield* build(depot, config({ DEPOT_API_KEY: ours })).pipe(
        Effect.provideService(Metric.MetricRegistry, here)
      )
      const call = Depot.soon(Effect.exit(client.report()))
      yield* call.pipe(Effect.provideService(Metric.MetricRegistry, there))
      const refusals = Effect.map(Metric.snapshot, (all) =>
        all.flatMap(({ id, state }) =>
          id === Telemetry.credentialRefusals ? [(state as { readonly count: number }).count] : []
        ))
      assert.deepStrictEqual(yield* refusals.pipe(Effect.provideService(Metric.MetricRegistry, here)), [1])
      assert.deepStrictEqual(yield* Effect.provideService(Metric.snapshot, Metric.MetricRegistry, there), [])
    }))

  it.effect("in the cache store of its layer", () =>
    Effect.gen(function*() {
      const store = () => {
        const asked: Array<string> = []
        const store: Store = {
          read: (key) => Effect.sync(() => void asked.push(key)),
          write: () => Effect.void,
          remove: () => Effect.void
        }
        return { asked, store }
      }
      const [here, there] = [store(), store()]
      const depot = Depot.serve()
      // Answers that need a secret are shared for an account with a name.
      const account = Credential.layerAccounts(() => "depot")
      const client = yield* build(depot, Layer.merge(config({ DEPOT_API_KEY: ours }), account)).pipe(
        Effect.provideService(CacheStore, here.store)
      )
      yield* Depot.soon(client.stock().pipe(Effect.provideService(CacheStore, there.store)))
      assert.isNotEmpty(here.asked)
      assert.isEmpty(there.asked)
    }))

  it.effect.each<readonly [string, Policy.Policy]>([
    ["rate limit", { rateLimit: { limit: 2, window: "1 hour", queue: 0 } }],
    ["breaker", { breaker: { trip: { _tag: "Consecutive", failures: 2 }, openFor: "1 hour" } }]
  ])("with the fleet of its layer: the %s", ([, policy]) =>
    Effect.gen(function*() {
      const [fleet, another] = [yield* SharedStores.make(), yield* SharedStores.make()]
      const depot = Depot.serve(() => ({ status: 503 }))
      const client = yield* Depot.make({ policy: { retry: false, ...policy } }).pipe(
        Effect.provide([depot.transport, config({ DEPOT_API_KEY: ours })]),
        fleet.join
      )
      for (let call = 0; call < 3; call++) yield* another.join(Depot.soon(Effect.exit(client.report()), "2 seconds"))
      assert.strictEqual(depot.sent.length, 2)
      assert.isAbove(fleet.asked, 0)
      assert.strictEqual(another.asked, 0)
    }))
})

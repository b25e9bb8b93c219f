/** Keys of secrets at the start of a client: those that its declaration names must exist, and no others. */
import * as Vendor from "@breakwater/core/client/Vendor"
import * as Credential from "@breakwater/core/credentials/Credential"
import { CredentialUnavailable, type VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Layer, Redacted } from "effect"
import { randomUUID } from "node:crypto"
import * as Depot from "../fakes/Depot.ts"

const [ofEu, ofUs] = [randomUUID(), randomUUID()]

const environment = (settings: Readonly<Record<string, string>>) =>
  Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(settings)))

/** Makes a client and closes it, or says why it cannot be made. */
const start = (requiredKeys: ReadonlyArray<string> | undefined) =>
  Effect.scoped(Depot.make({ requiredKeys })).pipe(
    Effect.match({ onSuccess: () => "made", onFailure: ({ message }) => message }),
    Effect.provide(Depot.serve().transport)
  )

const missing = (name: string) => `the credential ${name} is not available`

describe("a client whose calls all name a tenant", () => {
  it.effect("starts without a default key, and sends each tenant's", () =>
    Effect.gen(function*() {
      const depot = Depot.serve()
      const client = yield* Depot.make({ requiredKeys: [] }).pipe(Effect.provide(depot.transport))
      yield* Depot.soon(client.report(undefined, { key: "eu" }))
      yield* Depot.soon(client.report(undefined, { key: "us" }))
      assert.deepStrictEqual(depot.secrets, [ofEu, ofUs])
    }).pipe(environment({ DEPOT_EU_API_KEY: ofEu, DEPOT_US_API_KEY: ofUs })))

  it.effect("starts while the source is down, which does not hold its keys anyway", () =>
    Effect.gen(function*() {
      let reads = 0
      const credentials: Credential.Credentials = {
        read: () =>
          Effect.suspend(() => {
            reads++
            return Effect.fail(new CredentialUnavailable("DEPOT_API_KEY", "Unreachable"))
          })
      }
      assert.strictEqual(yield* start([]).pipe(Effect.provideService(Credential.Credentials, credentials)), "made")
      assert.strictEqual(reads, 0)
    }))

  it.effect("learns at the first call that a tenant has no key, and what its name is", () =>
    Effect.gen(function*() {
      const depot = Depot.serve()
      const client = yield* Depot.make({ requiredKeys: [] }).pipe(Effect.provide(depot.transport))
      const reasonOf = (call: Effect.Effect<unknown, VendorError>) =>
        Depot.soon(Effect.map(Effect.flip(call), ({ reason }) => reason))
      assert.deepStrictEqual(
        yield* reasonOf(client.report(undefined, { key: "us" })),
        new CredentialUnavailable("DEPOT_US_API_KEY")
      )
      assert.deepStrictEqual(yield* reasonOf(client.report()), new CredentialUnavailable("DEPOT_API_KEY"))
      assert.isEmpty(depot.sent)
    }).pipe(environment({ DEPOT_EU_API_KEY: ofEu })))

  it.effect("can be a vendor of ours, whose declaration asks for a default key", () =>
    Effect.gen(function*() {
      const depot = Depot.serve()
      class Shared extends Vendor.Service<Shared>()(Depot.declaration) {}
      const layer = Layer.effect(Shared, Vendor.make({ ...Shared.declaration, requiredKeys: ["eu"] }))
      const context = yield* Layer.build(Layer.provide(layer, depot.transport))
      yield* Depot.soon(Context.get(context, Shared).report(undefined, { key: "eu" }))
      assert.deepStrictEqual(depot.secrets, [ofEu])
    }).pipe(environment({ DEPOT_EU_API_KEY: ofEu })))
})

describe("a client starts only with the keys that it requires:", () => {
  it.effect.each<readonly [string, ReadonlyArray<string> | undefined, Record<string, string>, string]>([
    ["the default one, unless it says otherwise", undefined, { DEPOT_EU_API_KEY: ofEu }, missing("DEPOT_API_KEY")],
    ["which is there", undefined, { DEPOT_API_KEY: ofEu }, "made"],
    ["those of two regions", ["eu", "us"], { DEPOT_EU_API_KEY: ofEu, DEPOT_US_API_KEY: ofUs }, "made"],
    ["one of which has none", ["eu", "us"], { DEPOT_EU_API_KEY: ofEu }, missing("DEPOT_US_API_KEY")],
    [
      "all that are missing are named",
      ["", "eu", "us"],
      { DEPOT_EU_API_KEY: ofEu },
      `${missing("DEPOT_API_KEY")}; ${missing("DEPOT_US_API_KEY")}`
    ],
    ["a region beside the default", ["", "eu"], { DEPOT_EU_API_KEY: ofEu, DEPOT_API_KEY: ofUs }, "made"]
  ])("%s", ([, keys, settings, end]) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* start(keys), end)
    }).pipe(environment(settings)))

  it.effect("none, if it does not authenticate", () =>
    Depot.make({ auth: undefined, requiredKeys: ["eu"] }).pipe(
      Effect.provide(Depot.serve().transport),
      environment({})
    ))

  it.effect("the secret of a source that is there", () =>
    Effect.gen(function*() {
      const credentials: Credential.Credentials = {
        read: ({ key }) =>
          key === "eu" ? Effect.succeed(Redacted.make(ofEu)) : Effect.fail(new CredentialUnavailable(`vault/${key}`))
      }
      const withThem = Effect.provideService(Credential.Credentials, credentials)
      assert.strictEqual(yield* start(["eu"]).pipe(withThem), "made")
      assert.strictEqual(yield* start(["eu", "us"]).pipe(withThem), missing("vault/us"))
    }))
})

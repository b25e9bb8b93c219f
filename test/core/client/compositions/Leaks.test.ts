import * as Vendor from "@breakwater/core/client/Vendor"
import * as Simulator from "@breakwater/core/simulator/Simulator"
import type * as Policy from "@breakwater/core/stack/Policy"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import { isVendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Schema } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { counted, held, noMoreThan } from "../../../watches/Held.ts"
import { within } from "../../../watches/Within.ts"

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("items", { topLevel: true }).add(
    HttpApiEndpoint.get("item", "/item", { success: Schema.Struct({ name: Schema.String, padding: Schema.String }) })
  )
)

const handlers = HttpApiBuilder.group(
  Api,
  "items",
  (group) => group.handle("item", () => Effect.succeed({ name: "anvil", padding: "x".repeat(4_000) }))
)

const simulator = Simulator.serve({
  vendor: "acme",
  api: Api,
  handlers,
  front: (_request, next) => Effect.orElseSucceed(next, () => Simulator.json(500, {}))
})

const acmeWith = (policy: Policy.Policy) =>
  Vendor.make({
    name: "acme",
    api: Api,
    baseUrl: "https://acme.example",
    policy: { retry: { base: 0, retries: 1 }, ...policy }
  })

/** Cuts off what does not end by itself. */
const quick = acmeWith({ deadline: "5 minutes", attemptTimeout: "300 millis" })
/** Its timers, should one be left behind, outlive the test. */
const patient = acmeWith({ deadline: "5 minutes", attemptTimeout: "2 minutes", connectTimeout: "2 minutes" })

const faults: ReadonlyArray<readonly [Simulator.Fault, client: typeof quick, reason: string]> = [
  [{ kind: "drip", bytesPerSecond: 20 }, quick, "Timeout"],
  [{ kind: "endless" }, quick, "Timeout"],
  [{ kind: "latency", millis: 2_000 }, quick, "Timeout"],
  [{ kind: "halfBody" }, patient, "ConnectionLost"],
  [{ kind: "resetBefore" }, patient, "ConnectionLost"],
  [{ kind: "resetAfter" }, patient, "ConnectionLost"],
  [{ kind: "wrongType" }, patient, "InvalidResponse"],
  [{ kind: "malformed" }, patient, "InvalidResponse"],
  [{ kind: "drift" }, patient, "InvalidResponse"],
  [{ kind: "refuse" }, patient, "ConnectFailed"],
  [{ kind: "status", status: 503 }, patient, "Unavailable"]
]

describe("a call to a vendor that misbehaves", () => {
  it.live.each(faults)(
    "leaves no socket, timer or fiber behind: %j",
    ([fault, makeClient, reason]) =>
      Effect.gen(function*() {
        const before = yield* held
        yield* Effect.gen(function*() {
          const acme = yield* simulator
          const client = yield* makeClient.pipe(
            Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ ACME_BASE_URL: acme.baseUrl })))
          )
          yield* client.item()
          const healthy = yield* held
          yield* acme.setFault(fault)
          // Two attempts of the quick one, and as much again and more.
          const error = yield* within("1400 millis")(Effect.flip(client.item()))
          assert.isTrue(isVendorError(error))
          assert.strictEqual(error.reason._tag, reason)
          yield* noMoreThan(healthy)
          yield* acme.setFault(undefined)
          assert.strictEqual((yield* client.item()).name, "anvil")
        }).pipe(Effect.provide(UndiciTransport.layer({ loopback: true })), Effect.scoped)
        yield* noMoreThan(before)
      }).pipe(counted)
  )
})

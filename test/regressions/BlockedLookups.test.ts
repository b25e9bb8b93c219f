/** Names that do not resolve delay no other name. Source: FAULTS.md §4, row 29. */
import * as AddressGuard from "@breakwater/core/transport/AddressGuard"
import * as Resolver from "@breakwater/core/transport/Resolver"
import { ConnectFailed } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as NameServer from "../fakes/NameServer.ts"
import { until } from "../watches/Until.ts"

const isPublic = AddressGuard.make()
const dead = Array.from({ length: 20 }, (_, index) => `dead-${index}.example`)

/** Asks for names that nobody answers for. */
const askingInVain = (resolver: Resolver.Resolver) =>
  Effect.forEach(dead, (name) => Effect.forkChild(resolver.addresses(name), { startImmediately: true }))

describe("a healthy name", () => {
  it.live("is found while other names are waited for", () =>
    Effect.gen(function*() {
      const server = yield* NameServer.serve((name) => name.startsWith("dead") ? "silence" : ["1.1.1.1"])
      const resolver = yield* Resolver.make(isPublic, { servers: [server.address] })
      const waiting = yield* askingInVain(resolver)
      yield* until("all are asked for", () => new Set(server.asked).size === dead.length)
      assert.deepStrictEqual(yield* resolver.addresses("shop.example"), ["1.1.1.1"])
      for (const fiber of waiting) assert.isUndefined(fiber.pollUnsafe())
      yield* Fiber.interruptAll(waiting)
    }))

  it.live("is found after a name server has failed for another one, which is not asked for again at once", () =>
    Effect.gen(function*() {
      const server = yield* NameServer.serve((name) => name.startsWith("dead") ? "failure" : ["1.1.1.1"])
      const resolver = yield* Resolver.make(isPublic, { servers: [server.address] })
      const ask = Effect.flip(resolver.addresses("dead.example"))
      assert.deepStrictEqual(yield* ask, new ConnectFailed("Dns"))
      const asked = server.asked.length
      yield* Effect.all(Array.from({ length: 100 }, () => ask), { concurrency: "unbounded" })
      assert.strictEqual(server.asked.length, asked)
      assert.deepStrictEqual(yield* resolver.addresses("shop.example"), ["1.1.1.1"])
    }))
})

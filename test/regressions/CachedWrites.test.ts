/** Writes and a cache in the vendor's policy: every write reaches the vendor. */
import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../fakes/Transport.ts"

const State = Schema.Struct({ isOn: Schema.Boolean })

const endpoints = {
  PUT: HttpApiEndpoint.put("change", "/switch", { payload: State, success: State }),
  PATCH: HttpApiEndpoint.patch("change", "/switch", { payload: State, success: State }),
  POST: HttpApiEndpoint.post("change", "/switch", { payload: State, success: State })
}

describe("a cache in the vendor's policy", () => {
  it.effect.each(["PUT", "PATCH", "POST"] as const)(
    "lets every idempotent %s reach the vendor",
    (method) =>
      Effect.gen(function*() {
        const Api = HttpApi.make("acme").add(
          HttpApiGroup.make("switches", { topLevel: true }).add(
            endpoints[method].annotate(Operation.Safety, "Idempotent")
          )
        )
        const sent: Array<unknown> = []
        const transport = FakeTransport.layer(({ body }) => {
          sent.push(body)
          return { status: 200, json: JSON.parse(String(body)) }
        })
        const client = yield* Vendor.make({
          name: "acme",
          api: Api,
          baseUrl: "https://acme.example",
          policy: { cache: { fresh: "1 hour" } }
        }).pipe(Effect.provide(transport))
        for (const isOn of [true, false, true]) {
          const fiber = yield* Effect.forkChild(client.change({ payload: { isOn } }))
          yield* TestClock.adjust("1 second")
          assert.deepStrictEqual(yield* Fiber.join(fiber), { isOn })
        }
        assert.deepStrictEqual(sent, [true, false, true].map((isOn) => JSON.stringify({ isOn })))
      })
  )

  it.each(["PUT", "PATCH"] as const)("is refused for an operation that is a %s", (method) => {
    const Api = HttpApi.make("acme").add(
      HttpApiGroup.make("switches", { topLevel: true }).add(
        endpoints[method].annotate(Operation.Safety, "Idempotent")
          .annotate(Operation.Policy, { cache: { fresh: "1 hour" } })
      )
    )
    assert.throws(
      () => Vendor.make({ name: "acme", api: Api, baseUrl: "https://acme.example" }),
      new RegExp(`change is a ${method}, which must reach the vendor every time`)
    )
  })
})

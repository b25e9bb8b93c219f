/** Values from outside that look like ours: a vendor's JSON, errors of another version, results of foreign functions. */
import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import * as Failover from "@breakwater/core/degradation/Failover"
import * as Outcome from "@breakwater/core/Outcome"
import * as Stack from "@breakwater/core/stack/Stack"
import { isVendorError, type Reason, Unavailable, VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { TestClock } from "effect/testing"
import { inspect } from "node:util"
import * as FakeTransport from "../fakes/Transport.ts"
import * as MemoryTracer from "../watches/MemoryTracer.ts"

/** Lets a minute of virtual time pass, in which an effect ends. */
const soon = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(Effect.exit(effect))
    yield* TestClock.adjust("1 minute")
    return yield* Fiber.join(fiber)
  })

const reason = new Unavailable(503)
const error = new VendorError({ vendor: "acme", operation: "ring", safety: "Idempotent", reason })

/** A reason that a newer version may have. */
const newer = {
  _tag: "QuotaSpent",
  fate: "Rejected",
  isRetryable: false,
  retryAfterMillis: undefined,
  message: "spent"
}

describe("isVendorError", () => {
  const proxy = new Proxy({}, { has: () => true })
  const { proxy: revoked, revoke } = Proxy.revocable({}, {})
  revoke()

  it.each<readonly [string, unknown]>([
    ["JSON with the name of the brand", { "~breakwater/VendorError": 1, "breakwater/VendorError": true, reason }],
    ["an object with the brand and no reason", { [Symbol.for("breakwater/VendorError")]: true }],
    ["one with a reason that is not one", { [Symbol.for("breakwater/VendorError")]: true, reason: { _tag: "x" } }],
    ["a proxy that has everything", proxy],
    ["a revoked proxy", revoked],
    ["an object without a prototype", Object.assign(Object.create(null), { _tag: "VendorError", reason })],
    ["nothing", undefined]
  ])("is false for %s", (_, value) => {
    assert.isFalse(isVendorError(value))
  })

  it("is true for an error of this copy, and of another one with the same brand", () => {
    assert.isTrue(isVendorError(error))
    assert.isTrue(isVendorError({ [Symbol.for("breakwater/VendorError")]: true, reason: newer }))
  })

  it.effect("does not let a vendor's JSON into a span in clear", () =>
    Effect.gen(function*() {
      const Api = HttpApi.make("acme").add(
        HttpApiGroup.make("cards", { topLevel: true }).add(
          HttpApiEndpoint.get("card", "/card", {
            success: Schema.String,
            error: Schema.Record(Schema.String, Schema.Unknown).pipe(HttpApiSchema.status(400))
          })
        )
      )
      const secret = ["4242", "4242", "4242", "4242"].join(" ")
      const tracer = MemoryTracer.make()
      const client = yield* Vendor.make({ name: "acme", api: Api, baseUrl: "https://acme.example" }).pipe(
        Effect.provide(FakeTransport.layer(() => ({
          status: 400,
          json: { "~breakwater/VendorError": 1, "breakwater/VendorError": true, card: secret }
        })))
      )
      const exit = yield* soon(client.card()).pipe(Effect.provide(tracer.layer))
      assert.isTrue(Exit.isFailure(exit) && Exit.hasFails(exit))
      assert.isNotEmpty(tracer.spans)
      assert.notInclude(
        inspect(tracer.spans.map(({ attributes, status }) => [attributes, status]), { depth: 9 }),
        secret
      )
    }))
})

describe("a reason of a newer version", () => {
  it("is no evidence about the vendor", () => {
    assert.strictEqual(Outcome.classify(newer as never), "Ignored")
    assert.strictEqual(Outcome.classify({ ...newer, _tag: "constructor" } as never), "Ignored")
  })

  it.effect("passes through a failover unchanged", () =>
    Effect.gen(function*() {
      const foreign = new VendorError({ vendor: "a", operation: "b", safety: "Keyed", reason: newer as never })
      const failover = Failover.make()
      const failed = yield* Effect.flip(failover.call({ north: Effect.fail(foreign), south: Effect.succeed(1) }))
      assert.strictEqual(failed, foreign)
    }))
})

describe("a function that must return a reason", () => {
  const odd: ReadonlyArray<readonly [string, () => unknown]> = [
    ["an error", () => new Error("odd")],
    ["a promise", () => Promise.resolve(undefined)],
    ["a text", () => "Timeout"],
    ["an object with a tag alone", () => ({ _tag: "Timeout" })],
    ["an exception", () => {
      throw new Error("thrown")
    }]
  ]
  const isDefect = (exit: Exit.Exit<unknown, unknown>) => Exit.isFailure(exit) && Cause.hasDies(exit.cause)

  it.effect.each(odd)(
    "ends its call at once as a defect: classify of a vendor with %s",
    ([, returns]) =>
      Effect.gen(function*() {
        const Api = HttpApi.make("acme").add(
          HttpApiGroup.make("bells", { topLevel: true }).add(
            HttpApiEndpoint.get("ring", "/ring", { success: Schema.Unknown })
          )
        )
        const client = yield* Vendor.make({
          name: "acme",
          api: Api,
          baseUrl: "https://acme.example",
          classify: returns as () => Reason | undefined
        }).pipe(Effect.provide(FakeTransport.layer(() => ({ status: 200, json: 1 }))))
        assert.isTrue(isDefect(yield* soon(client.ring())))
      })
  )

  it.effect.each(odd)(
    "ends its call at once as a defect: check of an operation with %s",
    ([, returns]) =>
      Effect.gen(function*() {
        const Api = HttpApi.make("acme").add(
          HttpApiGroup.make("bells", { topLevel: true }).add(
            HttpApiEndpoint.get("ring", "/ring", { success: Schema.Unknown }).pipe(
              Operation.check(returns as () => Reason | undefined)
            )
          )
        )
        const client = yield* Vendor.make({ name: "acme", api: Api, baseUrl: "https://acme.example" }).pipe(
          Effect.provide(FakeTransport.layer(() => ({ status: 200, json: 1 })))
        )
        assert.isTrue(isDefect(yield* soon(client.ring())))
      })
  )

  it.effect.each(odd)(
    "ends its call at once as a defect: classify of a guard with %s",
    ([, returns]) =>
      Effect.gen(function*() {
        const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent" })
        const call = stack.guard(Effect.fail("no"), returns as () => Reason | undefined)
        assert.isTrue(isDefect(yield* soon(call)))
      })
  )
})

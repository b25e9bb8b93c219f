/**
 * A failure that a vendor repeats for a known idempotency key: it says the same again. A 500 of Stripe's with
 * `Idempotent-Replayed: true` was asked for three times more.
 */
import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import { isVendorError, type Reason, Unavailable } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../fakes/Transport.ts"

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("orders", { topLevel: true }).add(
    HttpApiEndpoint.post("place", "/orders", {
      success: Schema.Struct({ n: Schema.Int }),
      error: Schema.Struct({ busy: Schema.Boolean }).pipe(HttpApiSchema.status(502))
    }).annotate(Operation.Safety, "Keyed").pipe(
      Operation.check(({ n }) => n < 0 ? new Unavailable(200) : undefined)
    )
  )
)

/** Places an order, against a vendor that answers like this for the first time and repeats it then. */
const place = (
  first: FakeTransport.Play,
  options: {
    readonly marks?: Record<string, string>
    readonly replayedHeader?: string
    readonly classify?: () => Reason | undefined
  }
) =>
  Effect.gen(function*() {
    const { marks = { "idempotent-replayed": "true" }, ...declared } = options
    let sent = 0
    const client = yield* Vendor.make({
      name: "acme",
      api: Api,
      baseUrl: "https://acme.example",
      idempotencyHeader: "Idempotency-Key",
      policy: { retry: { base: 0 } },
      ...declared
    }).pipe(Effect.provide(FakeTransport.layer((_, index) => {
      sent++
      return index === 0 || !("headers" in first || "status" in first)
        ? first
        : { ...first, headers: { ...first.headers, ...marks } }
    })))
    const fiber = yield* Effect.forkChild(Effect.exit(client.place()))
    yield* TestClock.adjust("1 minute")
    return { exit: yield* Fiber.join(fiber), sent }
  })

const replayedHeader = "Idempotent-Replayed"

describe("a failure that the vendor repeats", () => {
  it.effect.each<readonly [string, FakeTransport.Play, Parameters<typeof place>[1]]>([
    ["a 500", { status: 500 }, { replayedHeader }],
    ["a 503 with the Retry-After of its first time", { status: 503, headers: { "retry-after": "1" } }, {
      replayedHeader
    }],
    ["a 429", { status: 429 }, { replayedHeader }],
    ["a failure that the contract declares", { status: 502, json: { busy: true } }, { replayedHeader }],
    ["a reason of the declaration", { status: 500 }, { replayedHeader, classify: () => new Unavailable(500) }],
    ["marked in other letters", { status: 500 }, { replayedHeader: "X-REPLAYED", marks: { "x-replayed": " True " } }]
  ])("is not asked for again: %s", ([, first, options]) =>
    Effect.gen(function*() {
      const { exit, sent } = yield* place(first, options)
      assert.strictEqual(sent, 2)
      const error = yield* Effect.flip(exit)
      if (!isVendorError(error)) return assert.deepStrictEqual(error, { busy: true })
      assert.isFalse(error.isRetryable)
      assert.isUndefined(error.retryAfter)
      assert.strictEqual(error.attempts, 2)
      assert.strictEqual(error.mayHaveHappened, error.reason._tag !== "RateLimited")
    }))

  it.effect.each<readonly [string, Parameters<typeof place>[1]]>([
    ["the vendor declares no such header", {}],
    ["the header says false", { replayedHeader, marks: { "idempotent-replayed": "false" } }],
    ["the header is absent", { replayedHeader, marks: {} }]
  ])("is asked for as any other where %s", ([, options]) =>
    Effect.gen(function*() {
      assert.strictEqual((yield* place({ status: 500 }, options)).sent, 4)
    }))

  it.effect("is no matter for an answer, which is checked as any other", () =>
    Effect.gen(function*() {
      const marked = { "idempotent-replayed": "true" }
      const answer = yield* place({ status: 200, json: { n: 1 }, headers: marked }, { replayedHeader })
      assert.deepStrictEqual(answer, { exit: Exit.succeed({ n: 1 }), sent: 1 })
      const distrusted = yield* place({ status: 200, json: { n: -1 }, headers: marked }, { replayedHeader })
      assert.isTrue(Exit.isFailure(distrusted.exit))
    }))
})

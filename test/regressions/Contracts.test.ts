/**
 * Contracts that can never work, or work differently on each machine, refused when the client is made: an operation that
 * costs more than its rate limit ever has (every call was refused), and a `Schema.DateFromString` in a response (a time
 * without a zone was read as the machine's local time).
 */
import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import * as RateLimit from "@breakwater/core/policies/RateLimit"
import type * as Policy from "@breakwater/core/stack/Policy"
import * as Stack from "@breakwater/core/stack/Stack"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Fiber, Schema, SchemaGetter, SchemaTransformation } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { TestClock } from "effect/testing"
import * as TimeZone from "../drivers/TimeZone.ts"
import * as FakeTransport from "../fakes/Transport.ts"

const apiOf = (endpoint: HttpApiEndpoint.Constraint) =>
  HttpApi.make("acme").add(HttpApiGroup.make("items", { topLevel: true }).add(endpoint))

describe("the cost of an operation", () => {
  const make = (cost: number, vendor: Policy.Policy["rateLimit"], own?: Policy.Policy["rateLimit"], over = {}) => {
    const find = HttpApiEndpoint.get("find", "/item", { success: Schema.String }).annotate(Operation.Cost, cost)
    return Vendor.make({
      name: "acme",
      api: apiOf(own === undefined ? find : find.annotate(Operation.Policy, { rateLimit: own })),
      baseUrl: "https://acme.example",
      policy: { rateLimit: vendor }
    }, over)
  }

  it.each<readonly [string, () => unknown, most: number]>([
    ["the vendor's limit", () => make(6, { limit: 5 }), 5],
    ["its own limit", () => make(6, { limit: 100 }, { limit: 5 }), 5],
    ["the burst of a token bucket", () => make(6, { limit: 100, algorithm: "TokenBucket", burst: 5 }), 5],
    ["a limit made elsewhere", () => make(6, RateLimit.make({ limit: 5 })), 5],
    ["an operator's limit", () => make(6, { limit: 100 }, undefined, { find: { rateLimit: { limit: 5 } } }), 5],
    ["a part of a permit", () => make(5.5, { limit: 5 }), 5]
  ])("above %s is refused, with the mend", (_, make, most) => {
    assert.throws(
      make,
      new RegExp(
        `Vendor acme: find costs 5?[56.]+, .* more than ${most} permits; lower Operation.Cost, or raise the limit`
      )
    )
  })

  it.each<readonly [string, () => unknown]>([
    ["just the limit", () => make(5, { limit: 5 })],
    ["the limit of the operation, above the vendor's", () => make(6, { limit: 5 }, { limit: 6 })],
    ["anything, where there is no limit", () => make(1_000, undefined)],
    ["anything, where an operation switches the limit off", () => make(6, { limit: 5 }, false)]
  ])("may be %s", (_, make) => {
    assert.doesNotThrow(make)
  })

  it("of a single call above the limit is a mistake of its caller", () => {
    const stack = Stack.make({
      vendor: "acme",
      operation: "find",
      safety: "Idempotent",
      policy: { rateLimit: { limit: 5 } }
    })
    assert.throws(
      () => stack.guard(Effect.void, () => undefined, { cost: 6 }),
      "Stack: cost must be at most 5, the most permits of the rate limit, got 6"
    )
    assert.doesNotThrow(() => stack.guard(Effect.void, () => undefined, { cost: 5 }))
  })
})

describe("a time in a response", () => {
  TimeZone.inNewYork()

  const make = (success: Schema.Top, error?: Schema.Top) =>
    Vendor.make({
      name: "acme",
      api: apiOf(HttpApiEndpoint.get("find", "/item", { success, ...error && { error } })),
      baseUrl: "https://acme.example"
    })
  class Order extends Schema.Class<Order>("Order")({ created: Schema.Date }) {}
  interface Tree {
    readonly at: Date
    readonly parts: ReadonlyArray<Tree>
  }
  const Tree: Schema.Codec<Tree, { readonly at: string; readonly parts: ReadonlyArray<unknown> }> = Schema.Struct({
    parts: Schema.Array(Schema.suspend((): Schema.Codec<Tree, never> => Tree as never)),
    at: Schema.DateFromString
  }) as never
  const ofText = { decode: SchemaGetter.Date<string>(), encode: SchemaGetter.transform((at: Date) => at.toISOString()) }

  it.each<readonly [string, () => unknown, place: string]>([
    ["DateFromString", () => make(Schema.Struct({ at: Schema.DateFromString })), " at at"],
    ["Date in JSON", () => make(Schema.Struct({ order: Schema.Struct({ at: Schema.Date }) })), " at order.at"],
    ["Date alone", () => make(Schema.Date), ""],
    ["Date in a list", () => make(Schema.Struct({ all: Schema.Array(Schema.Date) })), " at all"],
    ["Date in a record", () => make(Schema.Record(Schema.String, Schema.Date)), ""],
    ["Date that may be null", () => make(Schema.Struct({ at: Schema.NullOr(Schema.Date) })), " at at"],
    ["Date in an Option", () => make(Schema.Struct({ at: Schema.Option(Schema.Date) })), " at at.value"],
    ["Date of a class", () => make(Order), " at created"],
    ["Date with a check", () => make(Schema.Date.check(Schema.isGreaterThanDate(new Date(0)))), ""],
    ["Date in itself", () => make(Tree), " at at"],
    ["DateTimeUtcFromDate", () => make(Schema.Struct({ at: Schema.DateTimeUtcFromDate })), " at at"],
    ["Date by a getter", () => make(Schema.Trim.pipe(Schema.decodeTo(Schema.Date, ofText))), ""],
    [
      "Date whose text has another check",
      () => make(Schema.NonEmptyString.pipe(Schema.decodeTo(Schema.Date, SchemaTransformation.dateFromString))),
      ""
    ],
    ["an error's Date", () => make(Schema.String, Schema.Date.pipe(HttpApiSchema.status(404))), ""],
    [
      "a header's Date",
      () => make(HttpApiSchema.WithHeaders(Schema.String, { expires: Schema.DateFromString })),
      " at expires"
    ],
    ["text that is a Date", () => make(Schema.DateFromString.pipe(HttpApiSchema.asText())), ""]
  ])("is refused where the machine's zone would decide: %s", (_, make, place) => {
    try {
      make()
    } catch (error) {
      return assert.strictEqual(
        (error as Error).message,
        `Vendor: find decodes a time without a zone${place} as this machine's local time; ` +
          `declare Schema.DateTimeUtcFromString, or a text with a check that demands a zone`
      )
    }
    assert.fail("not refused")
  })

  const zoned = Schema.String.check(Schema.isPattern(/(?:Z|[+-]\d\d:\d\d)$/))
  const day = Schema.String.check(Schema.isPattern(/^\d{4}-\d\d-\d\d$/))

  it.effect.each<readonly [string, Schema.Top, sent: unknown, millis: number]>([
    ["UTC by declaration", Schema.DateTimeUtcFromString, "2026-07-01T12:00:00", Date.UTC(2026, 6, 1, 12)],
    ["UTC of JSON", Schema.DateTimeUtc, "2026-07-01T12:00:00", Date.UTC(2026, 6, 1, 12)],
    [
      "a text that must have a zone",
      zoned.pipe(Schema.decodeTo(Schema.Date, SchemaTransformation.dateFromString)),
      "2026-07-01T12:00:00+02:00",
      Date.UTC(2026, 6, 1, 10)
    ],
    [
      "a text that is a day",
      day.pipe(Schema.decodeTo(Schema.Date, SchemaTransformation.dateFromString)),
      "2026-07-01",
      Date.UTC(2026, 6, 1)
    ],
    ["a number", Schema.DateFromMillis, 1_000, 1_000]
  ])("may be %s", ([, at, sent, millis]) =>
    Effect.gen(function*() {
      const Api = HttpApi.make("acme").add(
        HttpApiGroup.make("items", { topLevel: true }).add(
          HttpApiEndpoint.get("find", "/item", {
            success: Schema.Struct({ at }) as Schema.Struct<{ at: typeof Schema.Unknown }>
          })
        )
      )
      const client = yield* Vendor.make({ name: "acme", api: Api, baseUrl: "https://acme.example" }).pipe(
        Effect.provide(FakeTransport.layer(() => ({ status: 200, json: { at: sent } })))
      )
      const fiber = yield* Effect.forkChild(client.find())
      yield* TestClock.adjust("1 second")
      const found = (yield* Fiber.join(fiber)).at
      assert.strictEqual(DateTime.toEpochMillis(DateTime.makeUnsafe(found as Date | DateTime.DateTime)), millis)
    }))

  it("is no matter in what is only sent", () => {
    const search = HttpApiEndpoint.get("find", "/item", { query: { since: Schema.DateFromString } })
    assert.doesNotThrow(() => Vendor.make({ name: "acme", api: apiOf(search), baseUrl: "https://acme.example" }))
  })
})

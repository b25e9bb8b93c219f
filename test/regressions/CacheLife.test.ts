/** Lives, tags and validators out of every range, from a vendor, an option or a store: they harm no call and no process. */
import type { CacheOptions } from "@breakwater/core/caching/CacheOptions"
import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import { CacheStore, type Store } from "@breakwater/core/fleet/Store"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../fakes/Transport.ts"

/** A vendor with one cached operation, and the headers of what it was sent. */
const vendor = (cache: CacheOptions, headersOf: (index: number) => Record<string, string>, status = 200) =>
  Effect.gen(function*() {
    const Api = HttpApi.make("acme").add(
      HttpApiGroup.make("items", { topLevel: true }).add(
        HttpApiEndpoint.get("find", "/item", { success: Schema.Struct({ n: Schema.Int }) })
          .annotate(Operation.Policy, { cache: { jitter: 0, ...cache }, retry: false })
      )
    )
    const sent: Array<ReadonlyArray<string>> = []
    const transport = FakeTransport.layer(({ headers }, index) => {
      sent.push(headers)
      return index > 0 && status === 304
        ? { status, headers: headersOf(index) }
        : { status: 200, headers: headersOf(index), json: { n: index } }
    })
    const client = yield* Vendor.make({ name: "acme", api: Api, baseUrl: "https://acme.example" }).pipe(
      Effect.provide(transport)
    )
    return { sent, find: soon(client.find()) }
  })

/** Lets a second of virtual time pass, in which a call ends. */
const soon = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    yield* TestClock.adjust("1 second")
    return yield* Fiber.join(fiber)
  })

describe("the life of an answer, out of every range", () => {
  const digits = "9".repeat(400)

  it.effect.each<readonly [string, Record<string, string>]>([
    ["max-age of 400 digits", { "cache-control": `max-age=${digits}` }],
    ["max-age just beyond a double", { "cache-control": `max-age=1${"0".repeat(309)}` }],
    ["an Age of 400 digits beside it", { "cache-control": `max-age=${digits}`, age: digits }],
    ["an Expires in the year 9999", { expires: "Fri, 31 Dec 9999 23:59:59 GMT" }]
  ])("by the vendor: %s", ([, headers]) =>
    Effect.gen(function*() {
      const { find, sent } = yield* vendor({ fresh: "1 minute", obeyVendor: true }, () => headers)
      assert.deepStrictEqual(yield* find, { n: 0 })
      yield* find
      assert.isAtMost(sent.length, 2)
    }))

  it.effect.each<readonly [string, number, number]>([
    ["infinite", Infinity, 1],
    ["negative", -1, 2],
    ["not a number", NaN, 2]
  ])("by an option of the operation: %s", ([, life, calls]) =>
    Effect.gen(function*() {
      const { find, sent } = yield* vendor({ fresh: "1 minute", life: () => life }, () => ({}))
      yield* find
      yield* find
      assert.strictEqual(sent.length, calls)
    }))

  it.effect("by an option that returns what is no duration: a defect of that call, and the next one is made", () =>
    Effect.gen(function*() {
      let isBroken = true
      const { find } = yield* vendor(
        { fresh: "1 minute", life: () => isBroken ? "a while" as never : undefined },
        () => ({})
      )
      const exit = yield* Effect.exit(find)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      isBroken = false
      assert.deepStrictEqual(yield* find, { n: 1 })
    }))

  it.effect("by tags that are no list: a defect of that call, and the next one is made", () =>
    Effect.gen(function*() {
      let isBroken = true
      const { find } = yield* vendor({ fresh: "1 minute", tags: () => isBroken ? 7 as never : ["a"] }, () => ({}))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(find)))
      isBroken = false
      assert.deepStrictEqual(yield* find, { n: 1 })
    }))

  it.effect("is asked for again after a 304", () =>
    Effect.gen(function*() {
      let life = 60_000
      const { find, sent } = yield* vendor({ fresh: "1 hour", life: () => life }, () => ({ etag: "one" }), 304)
      yield* find
      yield* TestClock.adjust("2 minutes")
      life = 600_000
      yield* find
      yield* TestClock.adjust("9 minutes")
      yield* find
      assert.strictEqual(sent.length, 2)
      yield* TestClock.adjust("2 minutes")
      yield* find
      assert.strictEqual(sent.length, 3)
    }))
})

describe("an ETag that cannot be sent back", () => {
  it.effect.each<readonly [string, string]>([["bytes beyond ASCII", "\"café\""], ["a line break", "\"a\nb\""], [
    "nothing",
    ""
  ]])(
    "%s: the answer is asked for without it",
    ([, etag]) =>
      Effect.gen(function*() {
        const { find, sent } = yield* vendor({ fresh: "1 minute" }, () => ({ etag }))
        yield* find
        yield* TestClock.adjust("2 minutes")
        assert.deepStrictEqual(yield* find, { n: 1 })
        assert.notInclude(sent[1]!, "if-none-match")
      })
  )
})

describe("the content of a shared store", () => {
  const envelope = { value: "{\"n\":7}", at: 0, freshMillis: 60_000, bytes: 7, tags: [] }

  it.effect.each([
    ["tags: null", { ...envelope, tags: null }],
    ["tags that are numbers", { ...envelope, tags: [1] }],
    ["an infinite life", { ...envelope, freshMillis: "Infinity" }],
    ["a negative life", { ...envelope, freshMillis: -1 }],
    ["a list", []],
    ["null", null]
  ])("%s: the vendor is asked instead", ([, content]) =>
    Effect.gen(function*() {
      const store: Store = {
        read: () => Effect.succeed(JSON.stringify(content)),
        write: () => Effect.void,
        remove: () => Effect.void
      }
      const { find, sent } = yield* vendor({ fresh: "1 minute" }, () => ({})).pipe(
        Effect.provideService(CacheStore, store)
      )
      assert.deepStrictEqual(yield* find, { n: 0 })
      assert.strictEqual(sent.length, 1)
    }))

  it.effect("one that fits is given", () =>
    Effect.gen(function*() {
      const store: Store = {
        read: () => Effect.succeed(JSON.stringify(envelope)),
        write: () => Effect.void,
        remove: () => Effect.void
      }
      const { find, sent } = yield* vendor({ fresh: "1 minute" }, () => ({})).pipe(
        Effect.provideService(CacheStore, store)
      )
      assert.deepStrictEqual(yield* find, { n: 7 })
      assert.strictEqual(sent.length, 0)
    }))
})

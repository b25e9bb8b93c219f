import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import * as Credential from "@breakwater/core/credentials/Credential"
import * as Breaker from "@breakwater/core/policies/Breaker"
import type { Policy } from "@breakwater/core/stack/Policy"
import { InvalidResponse, isVendorError, type Reason, Unauthorized, Unavailable } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Redacted, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../../../fakes/Transport.ts"
import * as MemoryTracer from "../../../watches/MemoryTracer.ts"

/** The operation's check; a test may replace it. */
type Decide = (
  value: { readonly of: string },
  input: { readonly params: { readonly id: string } }
) => Reason | undefined

const ofAnother = new InvalidResponse(200, "the answer is about another item")
const isAboutIt: Decide = ({ of }, { params }) => of === params.id ? undefined : ofAnother

/** A vendor whose answers are checked, and the requests sent to it. */
const checked = (
  decide: Decide,
  script: (index: number, headers: ReadonlyArray<string>) => FakeTransport.Play | undefined,
  policy: Policy = {},
  auth?: { readonly _tag: "Bearer" }
) =>
  Effect.gen(function*() {
    const Api = HttpApi.make("acme").add(
      HttpApiGroup.make("items", { topLevel: true }).add(
        HttpApiEndpoint.get("find", "/items/:id", {
          params: { id: Schema.String },
          success: Schema.Struct({ of: Schema.String }),
          error: Schema.Struct({ missing: Schema.String }).pipe(HttpApiSchema.status(404))
        }).annotate(Operation.Policy, policy).pipe(Operation.check((value, input) => decide(value, input)))
      )
    )
    const sent: Array<ReadonlyArray<string>> = []
    const transport = FakeTransport.layer(({ headers }, index) => {
      sent.push(headers)
      return script(index, headers)
    })
    const client = yield* Vendor.make({ name: "acme", api: Api, baseUrl: "https://acme.example", auth }).pipe(
      Effect.provide(transport)
    )
    return { sent, find: (id: string) => client.find({ params: { id } }), client }
  })

/** Advances virtual time until an effect has ended. */
const soon = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    yield* TestClock.adjust("10 seconds")
    return yield* Fiber.join(fiber)
  })

const answer = (of: string, headers: Record<string, string> = {}): FakeTransport.Play => ({
  status: 200,
  headers,
  json: { of }
})

describe("Operation.check", () => {
  it.effect("accepts an answer", () =>
    Effect.gen(function*() {
      const { find } = yield* checked(isAboutIt, () => answer("anvil"))
      assert.deepStrictEqual(yield* soon(find("anvil")), { of: "anvil" })
    }))

  it.effect("fails the call with its reason, with the attempts that were made", () =>
    Effect.gen(function*() {
      const { find } = yield* checked(isAboutIt, () => answer("hammer"))
      const error = yield* soon(Effect.flip(find("anvil")))
      assert.isTrue(isVendorError(error))
      if (isVendorError(error)) assert.deepInclude(error, { operation: "find", reason: ofAnother, attempts: 1 })
    }))

  it.effect("does not run for a declared error", () =>
    Effect.gen(function*() {
      const { find } = yield* checked(() => ofAnother, () => ({ status: 404, json: { missing: "anvil" } }))
      assert.deepStrictEqual(yield* soon(Effect.flip(find("anvil"))), { missing: "anvil" })
    }))

  it.effect("counts for the breaker", () =>
    Effect.gen(function*() {
      const breaker = Breaker.make({ trip: { _tag: "Consecutive", failures: 2 }, openFor: "1 minute" })
      const { find, sent } = yield* checked(isAboutIt, () => answer("hammer"), { breaker })
      for (let call = 0; call < 3; call++) yield* soon(Effect.flip(find("anvil")))
      assert.strictEqual(sent.length, 2)
    }))

  it.effect("keeps an answer from the cache, and from other callers of the same request", () =>
    Effect.gen(function*() {
      const { client, find, sent } = yield* checked(
        isAboutIt,
        (index) => answer(index === 0 ? "hammer" : "anvil"),
        { cache: { fresh: "1 hour" } }
      )
      const both = yield* soon(Effect.all([Effect.exit(find("anvil")), Effect.exit(find("anvil"))], {
        concurrency: "unbounded"
      }))
      assert.isTrue(both.every(Exit.isFailure))
      assert.strictEqual(Vendor.caches(client).statistics("find")?.entries, 0)
      assert.deepStrictEqual(yield* soon(find("anvil")), { of: "anvil" })
      assert.strictEqual(sent.length, 2)
    }))

  it.effect("leaves the cached answer when its successor is refused, and does not run again on a 304", () =>
    Effect.gen(function*() {
      let asked = 0
      const plays = [answer("anvil", { etag: "one" }), answer("hammer"), { status: 304 } as const]
      const { find, sent } = yield* checked(
        (value, input) => {
          asked++
          return isAboutIt(value, input)
        },
        (index) => plays[index],
        { cache: { fresh: "1 minute", jitter: 0 }, retry: false }
      )
      assert.deepStrictEqual(yield* soon(find("anvil")), { of: "anvil" })
      yield* TestClock.adjust("2 minutes")
      assert.isTrue(Exit.isFailure(yield* soon(Effect.exit(find("anvil")))))
      assert.deepStrictEqual(yield* soon(find("anvil")), { of: "anvil" })
      assert.strictEqual(asked, 2)
      assert.include(sent[2]!, "if-none-match")
    }))

  it.effect("counts for the retry: a transient reason is tried again", () =>
    Effect.gen(function*() {
      const { find, sent } = yield* checked(
        ({ of }) => of === "later" ? new Unavailable(200, { retryAfterMillis: 5_000 }) : undefined,
        (index) => answer(index === 0 ? "later" : "anvil")
      )
      const fiber = yield* Effect.forkChild(find("anvil"))
      yield* TestClock.adjust("4900 millis")
      assert.strictEqual(sent.length, 1)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { of: "anvil" })
      assert.strictEqual(sent.length, 2)
    }))

  it.effect("counts for the credential: a key that the body refuses is renewed once", () =>
    Effect.gen(function*() {
      const keys = ["old", "new"]
      const credentials: Credential.Credentials = {
        read: () => Effect.succeed(Redacted.make(keys[0]!)),
        renew: () => Effect.sync(() => Redacted.make(keys[1]!))
      }
      const { find } = yield* checked(
        ({ of }) => of === "nobody" ? new Unauthorized(401) : undefined,
        (_, headers) => answer(headers.includes("Bearer new") ? "anvil" : "nobody"),
        {},
        { _tag: "Bearer" }
      ).pipe(Effect.provideService(Credential.Credentials, credentials))
      const found = yield* soon(find("anvil")).pipe(Effect.provideService(Credential.Credentials, credentials))
      assert.deepStrictEqual(found, { of: "anvil" })
    }))

  it.effect("affects only its own call when it throws: a defect, and everything is released", () =>
    Effect.gen(function*() {
      let isBroken = true
      const { find } = yield* checked(
        () => {
          if (isBroken) throw new Error("the check is broken")
          return undefined
        },
        () => answer("anvil"),
        { bulkhead: { limit: 1, queue: 0 } }
      )
      const exit = yield* soon(Effect.exit(find("anvil")))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      isBroken = false
      assert.deepStrictEqual(yield* soon(find("anvil")), { of: "anvil" })
    }))

  it.effect("is recorded in the span of the attempt", () =>
    Effect.gen(function*() {
      const tracer = MemoryTracer.make()
      const { find } = yield* checked(isAboutIt, () => answer("hammer"), { retry: false })
      yield* soon(Effect.exit(find("anvil"))).pipe(Effect.provide(tracer.layer))
      const attempt = tracer.spans.find(({ name }) => name === "GET /items/:id")
      assert.strictEqual(attempt?.attributes.get("error.type"), "InvalidResponse")
    }))

  it("types the answer and the input by the endpoint", () => {
    HttpApiEndpoint.get("find", "/items/:id", { params: { id: Schema.String }, success: Schema.String }).pipe(
      Operation.check((value, { params }) => {
        const text: string = value
        const id: string = params.id
        return text === id ? undefined : ofAnother
      }),
      // @ts-expect-error: the endpoint has no payload.
      Operation.check((_value, { payload }) => payload)
    )
  })
})

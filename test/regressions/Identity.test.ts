/**
 * The identity of an answer, and of shared state: who asked, whom, and for which deployment. Inputs: callers with other
 * secrets under the same key, one after the other, at once, and after a rotation; a sandbox beside production on one
 * store, for answers, limits and breakers; and what a store learns about a secret.
 */
import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import * as Credential from "@breakwater/core/credentials/Credential"
import * as CacheStore from "@breakwater/core/fleet/CacheStore"
import * as SharedState from "@breakwater/core/fleet/SharedState"
import * as Provenance from "@breakwater/core/Provenance"
import type { Policy } from "@breakwater/core/stack/Policy"
import type { TransportRequest } from "@breakwater/core/transport/Transport"
import { CredentialUnavailable } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Redacted, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import * as AnswerStore from "../fakes/AnswerStore.ts"
import * as FakeTransport from "../fakes/Transport.ts"

/** The secret of the calling fibre; `undefined` without one. */
const Signed = Context.Reference<string | undefined>("test/Signed", { defaultValue: () => undefined })
const as = (secret: string) => Effect.provideService(Signed, secret)

const ofFibre: Credential.Credentials = {
  read: () =>
    Effect.flatMap(Signed, (secret) =>
      secret === undefined
        ? Effect.fail(new CredentialUnavailable("ACME_API_KEY"))
        : Effect.succeed(Redacted.make(secret)))
}

/** The same, which name their account. */
const named = (account: () => string): Credential.Credentials => ({ read: ofFibre.read, account })

const headerOf = ({ headers }: TransportRequest, name: string) => headers[headers.indexOf(name) + 1]

const cache = { fresh: "1 hour", staleIfError: "1 day", jitter: 0 } as const

/** A vendor that answers with the name of the account that a request is for. */
const vendor = (options: {
  readonly policy?: Policy
  readonly baseUrl?: string
  readonly auth?: { readonly _tag: "Bearer" } | undefined
  readonly play?: (request: TransportRequest, index: number) => FakeTransport.Play
}) =>
  Effect.gen(function*() {
    const Api = HttpApi.make("acme").add(
      HttpApiGroup.make("accounts", { topLevel: true }).add(
        HttpApiEndpoint.get("me", "/me", { success: Schema.Struct({ account: Schema.String }) })
          .annotate(Operation.Policy, { retry: false, ...options.policy ?? { cache } })
      )
    )
    const sent: Array<TransportRequest> = []
    const transport = FakeTransport.layer((request, index) => {
      sent.push(request)
      return options.play?.(request, index) ??
        { status: 200, json: { account: `${headerOf(request, "authorization")} at ${request.origin}` } }
    })
    const client = yield* Vendor.make({
      name: "acme",
      api: Api,
      baseUrl: options.baseUrl ?? "https://acme.example",
      auth: "auth" in options ? options.auth : { _tag: "Bearer" }
    }).pipe(as("at the start"), Effect.provide(transport))
    return { client, sent, me: Effect.map(soon(client.me()), ({ account }) => account) }
  })

/** Lets a second of virtual time pass, in which a call ends. */
const soon = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    yield* TestClock.adjust("1 second")
    return yield* Fiber.join(fiber)
  })

const withCredentials = (credentials: Credential.Credentials = ofFibre) =>
  Effect.provideService(Credential.Credentials, credentials)

describe("an answer that was fetched with a secret", () => {
  it.effect("is given to later callers with the same secret, and not to one with another", () =>
    Effect.gen(function*() {
      const { me, sent } = yield* vendor({})
      for (let round = 0; round < 2; round++) {
        assert.include(yield* me.pipe(as("of ann")), "of ann")
        assert.include(yield* me.pipe(as("of bob")), "of bob")
      }
      assert.strictEqual(sent.length, 2)
    }).pipe(withCredentials()))

  it.effect("is shared by concurrent callers with the same secret, and not with one with another", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* vendor({})
      const both = Effect.forEach(
        ["of ann", "of bob", "of ann"],
        (secret) => Effect.map(client.me(), ({ account }) => account).pipe(as(secret)),
        { concurrency: "unbounded" }
      )
      const accounts = yield* soon(both)
      assert.deepStrictEqual(accounts.map((account) => account.split(" at ")[0]), [
        "Bearer of ann",
        "Bearer of bob",
        "Bearer of ann"
      ])
      assert.strictEqual(sent.length, 2)
    }).pipe(withCredentials()))

  it.effect("is not given stale either to a caller with another, when the vendor is down", () =>
    Effect.gen(function*() {
      const { client } = yield* vendor({
        play: (request, index) =>
          index === 0 ? { status: 200, json: { account: headerOf(request, "authorization") } } : { status: 503 }
      })
      const me = Effect.exit(soon(client.me().pipe(Provenance.acceptStale("1 day"))))
      yield* me.pipe(as("of ann"))
      yield* TestClock.adjust("2 hours")
      assert.isTrue(Exit.isSuccess(yield* me.pipe(as("of ann"))))
      assert.isTrue(Exit.isFailure(yield* me.pipe(as("of bob"))))
    }).pipe(withCredentials()))

  it.effect("is not given once the secret was replaced, nor kept if that happened during the call", () =>
    Effect.suspend(() => {
      let secret = "of ann"
      return Effect.gen(function*() {
        const { client, me, sent } = yield* vendor({})
        yield* me
        secret = "of bob"
        assert.include(yield* me, "of bob")
        secret = "of cid"
        const during = yield* Effect.forkChild(client.me())
        yield* TestClock.adjust(0)
        secret = "of dan"
        yield* TestClock.adjust("1 second")
        assert.include((yield* Fiber.join(during)).account, "of cid")
        secret = "of cid"
        yield* me
        assert.strictEqual(sent.length, 4)
      }).pipe(withCredentials({ read: () => Effect.sync(() => Redacted.make(secret)) }))
    }))

  it.effect("is not said to hold still by the vendor for another account, whose secret came during the call", () =>
    Effect.suspend(() => {
      let secret = "of ann"
      return Effect.gen(function*() {
        // The vendor numbers the versions of each account from 1, and no longer accepts the first secret.
        const { me, sent } = yield* vendor({
          play: (request, index) => {
            const account = headerOf(request, "authorization")!
            if (index > 0 && account === "Bearer of ann") return { status: 401 }
            return request.headers.includes("if-none-match")
              ? { status: 304, headers: { etag: "\"1\"" } }
              : { status: 200, headers: { etag: "\"1\"" }, json: { account } }
          }
        })
        assert.strictEqual(yield* me, "Bearer of ann")
        yield* TestClock.adjust("2 hours")
        assert.strictEqual(yield* me, "Bearer of bob")
        assert.strictEqual(yield* me, "Bearer of bob")
        assert.isAtMost(sent.length, 5)
      }).pipe(withCredentials({
        read: () => Effect.sync(() => Redacted.make(secret)),
        renew: () => Effect.sync(() => Redacted.make(secret = "of bob"))
      }))
    }))

  it.effect("outlives a rotation if its credentials name the account, and is another account's under another name", () =>
    Effect.suspend(() => {
      let [secret, account] = ["first", "ann"]
      return Effect.gen(function*() {
        const { me, sent } = yield* vendor({})
        assert.include(yield* me, "first")
        secret = "second"
        assert.include(yield* me, "first")
        ;[secret, account] = ["third", "bob"]
        assert.include(yield* me, "third")
        assert.strictEqual(sent.length, 2)
      }).pipe(withCredentials({ read: () => Effect.sync(() => Redacted.make(secret)), account: () => account }))
    }))

  it.effect("is still given while the source of the secret is out, and to nobody who has none", () =>
    Effect.suspend(() => {
      let problem: "Unreachable" | "Missing" | undefined
      return Effect.gen(function*() {
        const { me, sent } = yield* vendor({})
        yield* me
        problem = "Unreachable"
        assert.include(yield* me, "of ann")
        problem = "Missing"
        assert.isTrue(Exit.isFailure(yield* Effect.exit(me)))
        assert.strictEqual(sent.length, 1)
      }).pipe(withCredentials({
        read: () =>
          Effect.suspend(() =>
            problem === undefined
              ? Effect.succeed(Redacted.make("of ann"))
              : Effect.fail(new CredentialUnavailable("ACME_API_KEY", problem))
          )
      }))
    }))

  it.effect("does not keep its caller past the deadline while the secret is read", () =>
    Effect.suspend(() => {
      let isSlow = false
      return Effect.gen(function*() {
        const { client } = yield* vendor({ policy: { cache, deadline: "5 seconds" } })
        isSlow = true
        const call = yield* Effect.forkChild(Effect.exit(client.me()))
        yield* TestClock.adjust("5100 millis")
        assert.isDefined(call.pollUnsafe())
        yield* Fiber.interrupt(call)
      }).pipe(withCredentials({
        read: () => Effect.suspend(() => isSlow ? Effect.never : Effect.succeed(Redacted.make("of ann")))
      }))
    }))
})

describe("a store that processes share", () => {
  const twoProcesses = Effect.gen(function*() {
    const { state, store } = AnswerStore.make()
    const process = vendor({}).pipe(Effect.provideService(CacheStore.CacheStore, store))
    return { state, first: yield* process, second: yield* process }
  })

  it.effect("holds no answer that was fetched with a secret, because it cannot tell whose it is", () =>
    Effect.gen(function*() {
      const { first, second, state } = yield* twoProcesses
      yield* first.me.pipe(as("of ann"))
      assert.include(yield* second.me.pipe(as("of bob")), "of bob")
      assert.strictEqual(state.entries.size, 0)
    }).pipe(withCredentials()))

  it.effect("holds one whose account has a name: for that account", () =>
    Effect.suspend(() => {
      let account = "ann"
      return Effect.gen(function*() {
        const { first, second } = yield* twoProcesses
        yield* first.me.pipe(as("first secret of ann"))
        assert.include(yield* second.me.pipe(as("second secret of ann")), "first secret of ann")
        account = "bob"
        assert.include(yield* second.me.pipe(as("of bob")), "of bob")
        assert.strictEqual(second.sent.length, 1)
      }).pipe(withCredentials(named(() => account)))
    }))

  it.effect("learns nothing about a secret", () =>
    Effect.gen(function*() {
      const { first, state } = yield* twoProcesses
      yield* first.me.pipe(as("hunter2"))
      const names = [...state.entries.keys()]
      yield* first.me.pipe(as("hunter3"))
      assert.strictEqual(names.length, 1)
      assert.deepStrictEqual([...state.entries.keys()], names)
      assert.notInclude(names.join(), "hunter2")
    }).pipe(withCredentials(named(() => "ann"))))
})

describe("deployments that share a store", () => {
  const sandbox = { baseUrl: "https://sandbox.acme.example", auth: undefined }
  const production = { baseUrl: "https://acme.example", auth: undefined }

  it.effect.each<
    readonly [
      string,
      Parameters<typeof vendor>[0],
      string | undefined,
      Parameters<typeof vendor>[0],
      string | undefined
    ]
  >([
    ["another origin", sandbox, undefined, production, undefined],
    ["another port", { ...production, baseUrl: "https://acme.example:8443" }, undefined, production, undefined],
    ["another path", { ...production, baseUrl: "https://acme.example/sandbox" }, undefined, production, undefined],
    ["another namespace", production, "staging", production, "production"],
    ["a namespace beside none", production, "staging", production, undefined]
  ])("%s: each has its own answers", ([, one, oneName, other, otherName]) =>
    Effect.gen(function*() {
      const { store } = AnswerStore.make()
      const process = (options: Parameters<typeof vendor>[0], namespace: string | undefined) =>
        vendor(options).pipe(Effect.provideService(CacheStore.CacheStore, { ...store, namespace }))
      const [first, second, again] = [
        yield* process(one, oneName),
        yield* process(other, otherName),
        yield* process(other, otherName)
      ]
      yield* first.me
      yield* second.me
      assert.strictEqual(second.sent.length, 1)
      yield* again.me
      assert.strictEqual(again.sent.length, 0)
    }))

  /** The stores of limits and breakers, which each process enters under a namespace. */
  const sharedState = Effect.map(
    Layer.build(Layer.mergeAll(RateLimiter.layerStoreMemory, CircuitBreaker.layerStoreMemory())),
    (stores) => (namespace?: string) =>
      Effect.map(
        Layer.build(Layer.provide(SharedState.layer({ namespace }), Layer.succeedContext(stores))),
        (fleet) => Effect.provideContext(fleet)
      )
  )

  const limited = { policy: { rateLimit: { limit: 2, window: "1 hour", queue: 0 } } } as const
  const down: Parameters<typeof vendor>[0] = {
    policy: { breaker: { trip: { _tag: "Consecutive", failures: 2 }, openFor: "1 minute" } },
    play: () => ({ status: 503 })
  }

  it.effect.each<readonly [string, Parameters<typeof vendor>[0], string | undefined, number]>([
    ["the same ones", production, undefined, 0],
    ["another origin", sandbox, undefined, 2],
    ["another namespace", production, "staging", 2]
  ])("%s: calls left of the other's limit", ([, options, namespace, left]) =>
    Effect.gen(function*() {
      const join = yield* sharedState
      const first = yield* vendor({ ...production, ...limited }).pipe(yield* join())
      const second = yield* vendor({ ...options, ...limited }).pipe(yield* join(namespace))
      for (let call = 0; call < 2; call++) yield* first.me
      for (let call = 0; call < 2; call++) yield* Effect.exit(second.me)
      assert.strictEqual(second.sent.length, left)
    }))

  it.effect.each<readonly [string, Parameters<typeof vendor>[0], string | undefined, string]>([
    ["the same ones", production, undefined, "CircuitOpen"],
    ["another origin", sandbox, undefined, "Unavailable"],
    ["another namespace", production, "staging", "Unavailable"]
  ])("%s: whether the other's open circuit holds", ([, options, namespace, reason]) =>
    Effect.gen(function*() {
      const join = yield* sharedState
      const first = yield* vendor({ ...production, ...down }).pipe(yield* join())
      const second = yield* vendor({ ...options, ...down }).pipe(yield* join(namespace))
      for (let call = 0; call < 2; call++) yield* Effect.exit(first.me)
      // A process looks at circuits that are called and have had no answer since: this call has none for a while.
      yield* TestClock.adjust("1 second")
      yield* Effect.exit(soon(second.client.me()))
      yield* TestClock.adjust("2 seconds")
      const error = yield* Effect.flip(soon(second.client.me()))
      assert.strictEqual((error as { readonly reason: { readonly _tag: string } }).reason._tag, reason)
    }))

  it("has a name, which means nothing in any store", () => {
    for (const namespace of ["", "a/b", "a:b", "{a}", "a b", "a".repeat(65), undefined as never]) {
      assert.throws(() => CacheStore.layerRedis({ namespace }), /CacheStore: namespace must be 1 to 64 letters/)
      assert.throws(() => CacheStore.layerPersistence({ namespace }), /CacheStore: namespace must be/)
    }
    assert.throws(() => SharedState.layer({ namespace: "a/b" }), /SharedState: namespace must be 1 to 64 letters/)
  })
})

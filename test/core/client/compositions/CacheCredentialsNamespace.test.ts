/** A cache, the credentials of its callers, and the namespaces of the processes that share it. */
import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import { Credentials } from "@breakwater/core/credentials/Credential"
import { CacheStore } from "@breakwater/core/fleet/Store"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Redacted, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { TestClock } from "effect/testing"
import { intBetween } from "../../../drivers/IntBetween.ts"
import * as AnswerStore from "../../../fakes/AnswerStore.ts"
import * as FakeTransport from "../../../fakes/Transport.ts"
import * as Effort from "../../../setup/Effort.ts"

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("accounts", { topLevel: true }).add(
    HttpApiEndpoint.get("balance", "/balance", { success: Schema.Struct({ of: Schema.String }) })
      .annotate(Operation.Policy, { cache: { fresh: "1 hour", jitter: 0 }, retry: false, breaker: false })
  )
)

/** The caller of a fibre: its secret, and whether the account behind it has a name. */
interface Caller {
  readonly secret: string
  readonly account: string | undefined
}
const Caller = Context.Reference<Caller>("test/Caller", {
  defaultValue: () => ({ secret: "none", account: undefined })
})

/** Credentials that know one account at a time, as those of one deployment do. */
const credentialsOf = (account: string | undefined): Credentials => ({
  read: () => Effect.map(Caller, ({ secret }) => Redacted.make(secret)),
  account: () => account
})

/** Four deployments, each with two processes: two namespaces, and a sandbox and a production in each. */
const deployments = ["blue", "green"].flatMap((namespace) =>
  ["https://acme.example", "https://sandbox.acme.example"].map((baseUrl) => ({ namespace, baseUrl }))
)

describe("cache × credentials × namespace", () => {
  it.effect("a fleet asks once for its account, and nobody else gets that answer", () =>
    Effect.gen(function*() {
      const { store } = AnswerStore.make()
      const asked: Array<string> = []
      const process = (namespace: string, baseUrl: string, account: string | undefined) =>
        Vendor.make({ name: "acme", api: Api, baseUrl, auth: { _tag: "Bearer" } }).pipe(
          Effect.provide(FakeTransport.layer(({ headers, origin }) => {
            const of = `${namespace} ${origin} ${headers[headers.indexOf("authorization") + 1]}`
            asked.push(of)
            return { status: 200, json: { of } }
          })),
          Effect.provideService(CacheStore, { ...store, namespace }),
          Effect.map((client) => client.balance().pipe(Effect.provideService(Credentials, credentialsOf(account)))),
          Effect.provideService(Credentials, credentialsOf(account))
        )
      const ask = (balance: Effect.Effect<{ readonly of: string }, unknown>, secret: string) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(
            balance.pipe(Effect.provideService(Caller, { secret, account: undefined }))
          )
          yield* TestClock.adjust("1 second")
          return (yield* Fiber.join(fiber)).of
        })
      const [one, two] = [
        yield* process("blue", "https://acme.example", "ann"),
        yield* process("blue", "https://acme.example", "ann")
      ]
      assert.strictEqual(yield* ask(one, "old"), "blue https://acme.example Bearer old")
      // The second process has a newer secret of the same account.
      assert.strictEqual(yield* ask(two, "new"), "blue https://acme.example Bearer old")
      assert.strictEqual(asked.length, 1)
      for (
        const [namespace, baseUrl, account] of [
          ["green", "https://acme.example", "ann"],
          ["blue", "https://sandbox.acme.example", "ann"],
          ["blue", "https://acme.example", "bob"],
          ["blue", "https://acme.example", undefined]
        ] as const
      ) {
        const other = yield* process(namespace, baseUrl, account)
        assert.strictEqual(yield* ask(other, "old"), `${namespace} ${baseUrl} Bearer old`)
      }
      assert.strictEqual(asked.length, 5)
    }))

  it.effect.prop(
    "every answer was fetched for its caller's account, by its own deployment, once",
    {
      script: Schema.Array(Schema.Struct({
        deployment: intBetween(0, 3),
        process: intBetween(0, 1),
        key: Schema.Literals(["", "eu"]),
        caller: intBetween(0, 5),
        isAtOnce: Schema.Boolean
      })).check(Schema.isMaxLength(40))
    },
    Effect.fnUntraced(function*({ script }) {
      const { store } = AnswerStore.make()
      /** Two secrets each of two named accounts, and two secrets of accounts without a name. */
      const callers: ReadonlyArray<Caller> = [
        { secret: "ann 1", account: "ann" },
        { secret: "ann 2", account: "ann" },
        { secret: "bob 1", account: "bob" },
        { secret: "bob 2", account: "bob" },
        { secret: "cid", account: undefined },
        { secret: "dan", account: undefined }
      ]
      const asked: Array<string> = []
      const accountOf = (secret: string) => callers.find((caller) => caller.secret === secret)!.account
      const clients = yield* Effect.forEach(
        deployments,
        ({ baseUrl, namespace }) =>
          Effect.forEach(
            [0, 1],
            (process) =>
              Effect.forEach([undefined, "ann", "bob"], (account) =>
                Vendor.make({ name: "acme", api: Api, baseUrl, auth: { _tag: "Bearer" } }).pipe(
                  Effect.map((client) => ({ account, client })),
                  Effect.provide(FakeTransport.layer(({ headers, origin }) => {
                    const secret = headers[headers.indexOf("authorization") + 1]!.replace("Bearer ", "")
                    // A secret without a name is known to one process alone.
                    const own = accountOf(secret) === undefined ? ` in process ${process}` : ""
                    const of = `${namespace} ${origin} ${accountOf(secret) ?? secret}${own}`
                    asked.push(of)
                    return { status: 200, json: { of } }
                  })),
                  Effect.provideService(CacheStore, { ...store, namespace }),
                  Effect.provideService(Credentials, credentialsOf(account))
                ))
          )
      )
      const running: Array<Fiber.Fiber<void, unknown>> = []
      const identities = new Set<string>()
      for (const { caller, deployment, isAtOnce, key, process } of script) {
        const { account, secret } = callers[caller]!
        const { baseUrl, namespace } = deployments[deployment]!
        const { client } = clients[deployment]![process]!.find((known) => known.account === account)!
        const own = account === undefined ? ` in process ${process}` : ""
        const expected = `${namespace} ${baseUrl} ${account ?? secret}${own}`
        identities.add(`${expected} ${key}`)
        const ask = Effect.map(client.balance(undefined, { key }), ({ of }) => assert.strictEqual(of, expected)).pipe(
          Effect.provideService(Caller, { secret, account }),
          Effect.provideService(Credentials, credentialsOf(account))
        )
        running.push(yield* Effect.forkChild(ask))
        if (!isAtOnce) yield* TestClock.adjust("100 millis")
      }
      yield* TestClock.adjust("10 seconds")
      yield* Effect.forEach(running, Fiber.join)
      assert.strictEqual(asked.length, identities.size)
    }),
    { arbitrary: { runs: Effort.runs(200) } }
  )
})

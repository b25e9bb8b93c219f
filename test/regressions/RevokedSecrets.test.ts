/** A secret that is revoked by hand: it is never sent again, and requests in flight with it are cut at once. */
import * as Credential from "@breakwater/core/credentials/Credential"
import * as RefreshingCredentials from "@breakwater/core/credentials/RefreshingCredentials"
import * as Failover from "@breakwater/core/degradation/Failover"
import * as Breaker from "@breakwater/core/policies/Breaker"
import * as Bulkhead from "@breakwater/core/policies/Bulkhead"
import * as Telemetry from "@breakwater/core/Telemetry"
import { Transport } from "@breakwater/core/transport/Transport"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import { ConnectFailed, CredentialRevoked, CredentialUnavailable, type VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Metric, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { randomUUID } from "node:crypto"
import { inspect } from "node:util"
import * as Acme from "../fakes/Acme.ts"
import * as Depot from "../fakes/Depot.ts"
import { json } from "../fakes/ScriptedServer.ts"

const name = "DEPOT_API_KEY"

/** Two secrets and a source that has one of them at a time. */
const keys = () => {
  const [first, second] = [randomUUID(), randomUUID()]
  const state = { current: first, refused: [] as Array<string> }
  const credentials: Credential.Credentials = {
    read: () => Effect.sync(() => Redacted.make(state.current)),
    renew: (_, refused) =>
      Effect.sync(() => {
        state.refused.push(Redacted.value(refused))
        return Redacted.make(state.current)
      })
  }
  return {
    first,
    second,
    state,
    credentials,
    layer: Layer.succeed(Credential.Credentials, credentials),
    revoke: (secret: string) => Credential.revoke(Redacted.make(secret)),
    replace: Effect.sync(() => {
      state.current = second
    })
  }
}

/** A vendor that answers nothing with the first secret, and a client of it with retries. */
const world = (changes: Parameters<typeof Depot.make>[0] = {}) =>
  Effect.gen(function*() {
    const own = keys()
    const depot = Depot.serve(({ secret }) => secret === own.first ? undefined : Depot.ok)
    const client = yield* Depot.make({ policy: {}, ...changes }).pipe(Effect.provide([depot.transport, own.layer]))
    return { ...own, client, depot }
  }).pipe((made) => Effect.suspend(() => Effect.provideService(made, Metric.MetricRegistry, new Map())))

/** Begins a call, which is in flight afterwards. */
const begin = <A, E>(call: Effect.Effect<A, E>) => Effect.tap(Effect.forkChild(Effect.exit(call)), TestClock.adjust(1))

const end = <A, E>(fiber: Fiber.Fiber<Exit.Exit<A, E>>) =>
  Effect.andThen(TestClock.adjust("1 minute"), Fiber.join(fiber))

const errorOf = (exit: Exit.Exit<unknown, VendorError>) => Effect.flip(exit)

describe("a revoked secret", () => {
  it.effect("is not sent: the source is asked for another one", () =>
    Effect.gen(function*() {
      const { client, depot, first, replace, revoke, second, state } = yield* world()
      assert.strictEqual(yield* revoke(first), 0)
      const reading = yield* begin(client.report())
      assert.deepStrictEqual(
        yield* errorOf(yield* end(reading)).pipe(Effect.map(({ reason }) => reason)),
        new CredentialUnavailable(name, "Revoked")
      )
      assert.deepStrictEqual(state.refused, [first])
      assert.isEmpty(depot.sent)
      yield* replace
      yield* Depot.soon(client.report())
      assert.deepStrictEqual(depot.secrets, [second])
    }))

  it.effect("is not sent by a call that was waiting for a permit", () =>
    Effect.gen(function*() {
      const { client, depot, replace, revoke, second } = yield* world({
        policy: { retry: false, rateLimit: { limit: 1, window: "1 second", queue: 1 }, attemptTimeout: "5 seconds" }
      })
      yield* replace
      yield* Depot.soon(client.report())
      const waiting = yield* begin(client.report())
      yield* revoke(second)
      assert.deepStrictEqual(
        yield* errorOf(yield* end(waiting)).pipe(Effect.map(({ reason }) => reason)),
        new CredentialUnavailable(name, "Revoked")
      )
      assert.deepStrictEqual(depot.secrets, [second])
    }))

  it.effect("that its source still has is replaced at once, though the source is cached, and once for all calls", () =>
    Effect.gen(function*() {
      const [first, second] = [randomUUID(), randomUUID()]
      const asked: Array<string | undefined> = []
      let current = first
      const credentials = yield* RefreshingCredentials.make({
        name: "remote",
        fetch: (_, refused) =>
          Effect.sync(() => {
            asked.push(refused && Redacted.value(refused))
            return { value: Redacted.make(current) }
          }).pipe(Effect.delay(5))
      })
      const depot = Depot.serve()
      const client = yield* Depot.make({ requiredKeys: [] }).pipe(
        Effect.provide(depot.transport),
        Effect.provideService(Credential.Credentials, credentials)
      )
      yield* Depot.soon(client.report())
      current = second
      yield* Credential.revoke(Redacted.make(first))
      const calls = yield* Effect.forEach(Array.from({ length: 20 }), () => begin(client.report()))
      for (const call of calls) assert.isTrue(Exit.isSuccess(yield* end(call)))
      assert.deepStrictEqual(asked, [undefined, first])
      assert.deepStrictEqual(depot.secrets, [first, ...Array(20).fill(second)])
    }))

  it.effect("is known without the line end that its source has, and with one", () =>
    Effect.gen(function*() {
      const [plain, ended] = [keys(), keys()]
      for (const [own, revoked] of [[plain, `${plain.first}\n`], [ended, ended.first]] as const) {
        if (own === ended) own.state.current = `${own.first}\r\n`
        const depot = Depot.serve(() => undefined)
        const client = yield* Depot.make().pipe(
          Effect.provide([depot.transport, own.layer]),
          Effect.provideService(Metric.MetricRegistry, new Map())
        )
        const call = yield* begin(client.report())
        assert.strictEqual(yield* own.revoke(revoked), 1)
        assert.deepStrictEqual((yield* errorOf(yield* end(call))).reason, new CredentialUnavailable(name, "Revoked"))
        assert.deepStrictEqual(depot.secrets, [own.first])
      }
    }))

  it.effect("is no successor after a refusal", () =>
    Effect.gen(function*() {
      const { client, depot, first, revoke, second, state } = yield* world()
      state.current = second
      const refusing = Depot.serve(() => Depot.refused)
      const other = yield* Depot.make({ baseUrl: "https://eu.depot.example" }).pipe(
        Effect.provide(refusing.transport),
        Effect.provideService(Credential.Credentials, {
          read: () => Effect.succeed(Redacted.make(second)),
          renew: () => Effect.succeed(Redacted.make(first))
        })
      )
      yield* revoke(first)
      const call = yield* begin(other.report())
      assert.strictEqual((yield* errorOf(yield* end(call))).reason._tag, "Unauthorized")
      assert.deepStrictEqual(refusing.secrets, [second])
      yield* Depot.soon(client.report())
      assert.deepStrictEqual(depot.secrets, [second])
    }))

  it.effect("is not sent by a caller that overrides the credentials with it", () =>
    Effect.gen(function*() {
      const { client, depot, first, revoke, second, state } = yield* world()
      state.current = second
      yield* revoke(first)
      const override: Credential.Credentials = { read: () => Effect.succeed(Redacted.make(first)) }
      const call = yield* begin(client.report().pipe(Effect.provideService(Credential.Override, override)))
      assert.strictEqual((yield* errorOf(yield* end(call))).reason._tag, "CredentialUnavailable")
      assert.isEmpty(depot.sent)
    }))

  it.effect("is forgotten after ten thousand others", () =>
    Effect.gen(function*() {
      const { client, depot, first, replace, revoke, second } = yield* world()
      yield* replace
      yield* revoke(second)
      yield* Effect.forEach(Array.from({ length: 9_999 }), (_, at) => revoke(`${first}-${at}`), { discard: true })
      yield* Depot.soon(Effect.exit(client.report()))
      assert.isEmpty(depot.sent)
      yield* revoke(`${first}-last`)
      yield* Depot.soon(client.report())
      assert.deepStrictEqual(depot.secrets, [second])
    }).pipe((test) =>
      Effect.suspend(() => Effect.provideService(test, Credential.Revocations, Credential.makeRevocations()))
    ))
})

describe("a request in flight with a revoked secret is cut, and its call", () => {
  it.effect.each(["report", "charge"] as const)(
    "is repeated with the next secret, if it may be sent twice: %s",
    (operation) =>
      Effect.gen(function*() {
        const { client, depot, first, replace, revoke, second } = yield* world()
        const call = yield* begin(client[operation]())
        yield* replace
        assert.strictEqual(yield* revoke(first), 1)
        assert.isTrue(Exit.isSuccess(yield* end(call)))
        assert.deepStrictEqual(depot.secrets, [first, second])
        assert.strictEqual(depot.sent[0]!.idempotencyKey, depot.sent[1]!.idempotencyKey)
        assert.strictEqual(depot.sent[0]!.idempotencyKey !== undefined, operation === "charge")
        // Nothing is left to cut.
        assert.strictEqual(yield* revoke(first), 0)
      })
  )

  it.effect("leaves nothing to cut after the transport has thrown", () =>
    Effect.gen(function*() {
      const own = keys()
      const transport = Layer.succeed(Transport, {
        send: () => {
          throw new Error("mine")
        }
      })
      const client = yield* Depot.make({ policy: {} }).pipe(Effect.provide([transport, own.layer]))
      for (const call of [client.report(), client.charge(), client.ship()]) {
        assert.isTrue(Exit.hasDies(yield* end(yield* begin(call))))
      }
      assert.strictEqual(yield* own.revoke(own.first), 0)
    }))

  it.effect("fails, if it may not: it may have happened", () =>
    Effect.gen(function*() {
      const { client, depot, first, replace, revoke } = yield* world()
      const call = yield* begin(client.ship())
      yield* replace
      yield* revoke(first)
      const error = yield* errorOf(yield* end(call))
      assert.deepStrictEqual(error.reason, new CredentialRevoked(name, "Unknown"))
      assert.deepStrictEqual([error.fate, error.mayHaveHappened, error.attempts], ["Unknown", true, 1])
      assert.strictEqual(depot.sent.length, 1)
    }))

  it.effect("is repeated in any case, if nothing was sent yet", () =>
    Effect.gen(function*() {
      const own = keys()
      const sent: Array<string> = []
      let cancelled = 0
      // A vendor to which there is no connection for the first request.
      const transport = Layer.succeed(Transport, {
        send: ({ headers }, receiver) => {
          sent.push(headers[headers.indexOf("authorization") + 1]!)
          if (sent.length > 1) {
            queueMicrotask(() => {
              receiver.onSent()
              receiver.onHeaders(204, {})
              receiver.onEnd(Buffer.alloc(0))
            })
          }
          return () => cancelled++
        }
      })
      const client = yield* Depot.make({ policy: {} }).pipe(Effect.provide([transport, own.layer]))
      const call = yield* begin(client.ship())
      yield* own.replace
      yield* own.revoke(own.first)
      assert.strictEqual(cancelled, 1)
      assert.isTrue(Exit.isSuccess(yield* end(call)))
      assert.deepStrictEqual(sent, [`Bearer ${own.first}`, `Bearer ${own.second}`])
    }))

  it.effect("keeps its fate, if the source has no other secret: a write may have happened", () =>
    Effect.gen(function*() {
      const { client, depot, first, revoke } = yield* world()
      const call = yield* begin(client.charge())
      yield* revoke(first)
      const error = yield* errorOf(yield* end(call))
      assert.deepStrictEqual(error.reason, new CredentialUnavailable(name, "Revoked"))
      assert.deepStrictEqual([error.fate, error.mayHaveHappened], ["Unknown", true])
      assert.strictEqual(depot.sent.length, 1)
    }))

  it.effect("keeps its fate, if the repetition does not reach the vendor", () =>
    Effect.gen(function*() {
      const own = keys()
      const depot = Depot.serve(({ secret }) =>
        secret === own.first ? undefined : { reason: new ConnectFailed("Refused") }
      )
      const client = yield* Depot.make({ policy: { retry: { retries: 2, base: 0 } } }).pipe(
        Effect.provide([depot.transport, own.layer])
      )
      const call = yield* begin(client.charge())
      yield* own.replace
      yield* own.revoke(own.first)
      const error = yield* errorOf(yield* end(call))
      assert.deepStrictEqual([error.reason._tag, error.fate, error.mayHaveHappened], ["ConnectFailed", "Unknown", true])
    }))

  it.effect("does not move on to another vendor, if it may have happened", () =>
    Effect.gen(function*() {
      const { client, first, revoke } = yield* world()
      let others = 0
      const calls = [client.ship(), client.charge()].map((call) =>
        Failover.make().call<unknown, VendorError, never>({ depot: call, other: Effect.sync(() => ++others) })
      )
      const fibers = yield* Effect.forEach(calls, begin)
      yield* revoke(first)
      const reasons: Array<unknown> = []
      for (const fiber of fibers) reasons.push((yield* errorOf(yield* end(fiber))).reason)
      assert.deepStrictEqual(reasons, [
        new CredentialRevoked(name, "Unknown"),
        new CredentialUnavailable(name, "Revoked")
      ])
      assert.strictEqual(others, 0)
    }))

  it.effect("is not repeated by a retry of its policy, and needs none", () =>
    Effect.gen(function*() {
      const { client, depot, first, replace, revoke, second } = yield* world({ policy: { retry: false } })
      const call = yield* begin(client.report())
      yield* replace
      yield* revoke(first)
      assert.isTrue(Exit.isSuccess(yield* end(call)))
      assert.deepStrictEqual(depot.secrets, [first, second])
    }))

  it.effect("takes a permit for the repetition, and may be refused one", () =>
    Effect.gen(function*() {
      const { client, depot, first, replace, revoke } = yield* world({
        policy: { retry: false, rateLimit: { limit: 3, window: "1 hour", queue: 0 } }
      })
      const calls = [yield* begin(client.charge()), yield* begin(client.charge())]
      yield* replace
      yield* revoke(first)
      const [one, other] = [yield* end(calls[0]!), yield* end(calls[1]!)]
      const [failed, answered] = Exit.isSuccess(one) ? [other, one] : [one, other]
      assert.isTrue(Exit.isSuccess(answered))
      const error = yield* errorOf(failed)
      assert.deepStrictEqual([error.reason._tag, error.fate], ["RateLimitExceeded", "Unknown"])
      assert.strictEqual(depot.sent.length, 3)
    }))

  it.effect("keeps its fate while the source takes its time with the next secret", () =>
    Effect.gen(function*() {
      const own = keys()
      const depot = Depot.serve(() => undefined)
      const client = yield* Depot.make().pipe(
        Effect.provide([
          depot.transport,
          Layer.succeed(Credential.Credentials, { read: own.credentials.read, renew: () => Effect.never })
        ])
      )
      const call = yield* begin(client.charge())
      yield* own.revoke(own.first)
      const error = yield* errorOf(yield* end(call))
      assert.deepStrictEqual([error.reason._tag, error.fate, error.mayHaveHappened], ["Timeout", "Unknown", true])
      assert.strictEqual(depot.sent.length, 1)
    }))

  it.effect("is not repeated with a secret that is revoked while it waits for a permit", () =>
    Effect.gen(function*() {
      const { client, depot, first, replace, revoke, second } = yield* world({
        policy: { retry: false, rateLimit: { limit: 1, window: "1 second", queue: 1 }, attemptTimeout: "5 seconds" }
      })
      const call = yield* begin(client.charge())
      yield* replace
      yield* revoke(first)
      yield* TestClock.adjust(10)
      assert.strictEqual(yield* revoke(second), 0)
      const error = yield* errorOf(yield* end(call))
      assert.deepStrictEqual([error.reason, error.fate], [new CredentialUnavailable(name, "Revoked"), "Unknown"])
      assert.deepStrictEqual(depot.secrets, [first])
    }))

  it.effect("needs no budget for the repetition, and says nothing about the vendor", () =>
    Effect.gen(function*() {
      const breaker = Breaker.make({ trip: { _tag: "Consecutive", failures: 2 } })
      const { client, depot, first, replace, revoke, second } = yield* world({
        policy: { breaker, bulkhead: false, retryBudget: { ratio: 0, reserve: 0, perSecond: 0 } }
      })
      const calls = yield* Effect.forEach(Array.from({ length: 200 }), () => begin(client.report()))
      yield* replace
      assert.strictEqual(yield* revoke(first), 200)
      for (const call of calls) assert.isTrue(Exit.isSuccess(yield* end(call)))
      assert.strictEqual(depot.secrets.filter((secret) => secret === second).length, 200)
    }))

  it.effect("is one call with its hedges: each is cut, and the next ones have the next secret", () =>
    Effect.gen(function*() {
      const bulkhead = Bulkhead.make()
      const { client, depot, first, replace, revoke, second } = yield* world({
        policy: { bulkhead, hedge: { after: 5, hedges: 1 } }
      })
      const call = yield* begin(client.report())
      yield* TestClock.adjust(5)
      assert.deepStrictEqual(depot.secrets, [first, first])
      yield* replace
      assert.strictEqual(yield* revoke(first), 2)
      assert.isTrue(Exit.isSuccess(yield* end(call)))
      assert.deepStrictEqual(new Set(depot.secrets.slice(2)), new Set([second]))
      assert.strictEqual(bulkhead.running("depot"), 0)
    }))

  it.effect("of two vendors with one source: both, and those with another secret go on", () =>
    Effect.gen(function*() {
      const own = keys()
      const other = randomUUID()
      const depot = Depot.serve(({ secret }) =>
        secret === own.first ? undefined : secret === other ? { status: 200, json: { n: 0 }, after: 100 } : Depot.ok
      )
      const credentials: Credential.Credentials = {
        read: (request) => request.key === "eu" ? Effect.succeed(Redacted.make(other)) : own.credentials.read(request)
      }
      const made = (vendor: string) =>
        Depot.make({ name: vendor, policy: { retry: { base: 0 } } }).pipe(
          Effect.provide(depot.transport),
          Effect.provideService(Credential.Credentials, credentials)
        )
      const [one, two] = [yield* made("depot"), yield* made("depot-two")]
      const calls = yield* Effect.forEach(
        [one.report(), two.report(), one.report(undefined, { key: "eu" })],
        (call) => begin(call)
      )
      yield* own.replace
      assert.strictEqual(yield* own.revoke(own.first), 2)
      for (const call of calls) assert.isTrue(Exit.isSuccess(yield* end(call)))
      assert.deepStrictEqual(depot.secrets, [own.first, own.first, other, own.second, own.second])
    }))

  it.effect("is not cut after it has ended: answered, timed out, interrupted or refused", () =>
    Effect.gen(function*() {
      const { client, depot, first, revoke, state } = yield* world({ policy: { retry: false } })
      yield* end(yield* begin(client.report()))
      const interrupted = yield* begin(client.report())
      yield* Fiber.interrupt(interrupted)
      state.current = randomUUID()
      yield* Depot.soon(client.report())
      assert.strictEqual(depot.sent.length, 3)
      assert.strictEqual(yield* revoke(first), 0)
      assert.strictEqual(yield* revoke(state.current), 0)
    }))

  it.effect("is not cut while its successor is awaited, after the vendor refused it", () =>
    Effect.gen(function*() {
      const own = keys()
      const depot = Depot.serve(({ secret }) => secret === own.first ? Depot.refused : Depot.ok)
      const client = yield* Depot.make().pipe(
        Effect.provide([
          depot.transport,
          Layer.succeed(Credential.Credentials, {
            read: own.credentials.read,
            renew: () => Effect.delay(Effect.succeed(Redacted.make(own.second)), 100)
          })
        ])
      )
      const call = yield* begin(client.report())
      yield* TestClock.adjust(50)
      assert.deepStrictEqual(depot.secrets, [own.first])
      assert.strictEqual(yield* own.revoke(own.first), 0)
      assert.isTrue(Exit.isSuccess(yield* end(call)))
      assert.deepStrictEqual(depot.secrets, [own.first, own.second])
    }))

  it.effect.each([0, 1, 2])(
    "is cut beside others, of which the one begun at place %s has ended",
    (place) =>
      Effect.gen(function*() {
        const { client, depot, first, replace, revoke, second } = yield* world()
        const calls = yield* Effect.forEach(Array.from({ length: 3 }), () => begin(client.report()))
        yield* Fiber.interrupt(calls[place]!)
        yield* replace
        assert.strictEqual(yield* revoke(first), 2)
        for (const call of calls.toSpliced(place, 1)) assert.isTrue(Exit.isSuccess(yield* end(call)))
        assert.deepStrictEqual(depot.secrets, [first, first, first, second, second])
        assert.strictEqual(yield* revoke(first), 0)
      })
  )

  it.effect.each(["012", "102", "210", "120"])(
    "is forgotten when it has ended, in the order %s",
    (order) =>
      Effect.gen(function*() {
        const revocations = Credential.makeRevocations()
        const { client } = yield* world().pipe(Effect.provideService(Credential.Revocations, revocations))
        const calls = yield* Effect.forEach(Array.from({ length: 3 }), () => begin(client.report()))
        assert.notInclude(inspect(revocations), "first: undefined")
        for (const place of order) yield* Fiber.interrupt(calls[Number(place)]!)
        assert.include(inspect(revocations), "first: undefined")
      })
  )

  it.effect("is not sent with a successor that is revoked while the request waits for a permit", () =>
    Effect.gen(function*() {
      const own = keys()
      const depot = Depot.serve(() => Depot.refused)
      const client = yield* Depot.make({
        policy: { retry: false, rateLimit: { limit: 1, window: "1 second", queue: 1 }, attemptTimeout: "5 seconds" }
      }).pipe(
        Effect.provide([
          depot.transport,
          Layer.succeed(Credential.Credentials, {
            read: own.credentials.read,
            renew: () => Effect.succeed(Redacted.make(own.second))
          })
        ])
      )
      const call = yield* begin(client.report())
      yield* TestClock.adjust(10)
      yield* own.revoke(own.second)
      assert.deepStrictEqual((yield* errorOf(yield* end(call))).reason, new CredentialUnavailable(name, "Revoked"))
      assert.deepStrictEqual(depot.secrets, [own.first])
    }))

  it.effect("is cut in its second request too, after the first one was refused", () =>
    Effect.gen(function*() {
      const own = keys()
      const third = randomUUID()
      const depot = Depot.serve(({ secret }) =>
        secret === own.first ? Depot.refused : secret === own.second ? undefined : Depot.ok
      )
      const client = yield* Depot.make({ policy: {} }).pipe(
        Effect.provide([
          depot.transport,
          Layer.succeed(Credential.Credentials, {
            read: own.credentials.read,
            renew: (_, refused) =>
              Effect.sync(() => Redacted.make(Redacted.value(refused) === own.first ? own.second : third))
          })
        ])
      )
      const call = yield* begin(client.charge())
      yield* TestClock.adjust(5)
      assert.deepStrictEqual(depot.secrets, [own.first, own.second])
      assert.strictEqual(yield* own.revoke(own.second), 1)
      assert.isTrue(Exit.isSuccess(yield* end(call)))
      assert.deepStrictEqual(depot.secrets, [own.first, own.second, third])
    }))

  it.effect("is named in the metrics by its reason, and shows no secret", () =>
    Effect.gen(function*() {
      const registry = new Map()
      const own = keys()
      const depot = Depot.serve(() => undefined)
      const client = yield* Depot.make().pipe(
        Effect.provide([depot.transport, own.layer]),
        Effect.provideService(Metric.MetricRegistry, registry)
      )
      const call = yield* begin(client.ship())
      assert.notInclude(inspect(client, { depth: 20, showHidden: true }), own.first)
      yield* own.revoke(own.first)
      const exit = yield* end(call)
      if (Exit.isSuccess(exit)) return assert.fail("it was cut")
      assert.notInclude(Cause.pretty(exit.cause) + inspect(exit, { depth: 20, showHidden: true }), own.first)
      const outcomes = (yield* Effect.provideService(Metric.snapshot, Metric.MetricRegistry, registry)).flatMap((
        metric
      ) =>
        metric.id === Telemetry.metrics.operations.name && (metric.state as { readonly count: number }).count > 0
          ? [metric.attributes?.["outcome"]]
          : []
      )
      assert.deepStrictEqual(outcomes, ["CredentialRevoked"])
    }))
})

describe("over real sockets a revoked secret", () => {
  it.live("is gone from the wire: its connection closes, and the call goes on with the next one", () =>
    Effect.gen(function*() {
      const own = keys()
      const { client, server } = yield* Acme.play(
        (seen) => seen.header("authorization") === `Bearer ${own.first}` ? "silence" : json({ ok: true }),
        { auth: { _tag: "Bearer" } }
      ).pipe(Effect.provide(own.layer))
      const call = yield* Effect.forkChild(client.ping())
      yield* server.untilSeen(1)
      yield* own.replace
      assert.strictEqual(yield* own.revoke(own.first), 1)
      assert.deepStrictEqual(yield* Fiber.join(call), { ok: true })
      assert.deepStrictEqual(server.seen.map((seen) => seen.header("authorization")), [
        `Bearer ${own.first}`,
        `Bearer ${own.second}`
      ])
    }).pipe(Acme.overTheWire))

  it.live("is cut while its answer arrives, and an unsafe call says that it may have happened", () =>
    Effect.gen(function*() {
      const own = keys()
      const { client, server } = yield* Acme.play(() => "silence", { auth: { _tag: "Bearer" } }).pipe(
        Effect.provide(own.layer)
      )
      const call = yield* Effect.forkChild(Effect.flip(client.items.ship({ params: { id: "anvil" } })))
      yield* server.untilSeen(1)
      yield* own.replace
      assert.strictEqual(yield* own.revoke(own.first), 1)
      const error = yield* Fiber.join(call)
      assert.deepStrictEqual([error.reason._tag, error.fate], ["CredentialRevoked", "Unknown"])
      yield* server.untilNoneOpen
      assert.strictEqual(server.seen.length, 1)
    }).pipe(Acme.overTheWire))

  it.live("fails none of a hundred calls in flight, and is not seen again", () =>
    Effect.gen(function*() {
      const own = keys()
      const { client, server } = yield* Acme.play(
        (seen) => seen.header("authorization") === `Bearer ${own.first}` ? "silence" : json({ ok: true }),
        {
          auth: { _tag: "Bearer" },
          policy: {
            bulkhead: { limit: 100 },
            retry: { base: 0 },
            deadline: "1 minute",
            attemptTimeout: "1 minute",
            connectTimeout: "1 minute"
          }
        }
      ).pipe(Effect.provide(own.layer))
      const calls = yield* Effect.forkChild(
        Effect.all(Array.from({ length: 100 }, () => client.ping()), { concurrency: 100 })
      )
      yield* server.untilSeen(100)
      yield* own.replace
      assert.strictEqual(yield* own.revoke(own.first), 100)
      assert.strictEqual((yield* Fiber.join(calls)).length, 100)
      assert.strictEqual(server.seen.length, 200)
      for (const seen of server.seen.slice(100)) {
        assert.strictEqual(seen.header("authorization"), `Bearer ${own.second}`)
      }
    }).pipe(Effect.provide(UndiciTransport.layer({ connections: 100, loopback: true }))))
})

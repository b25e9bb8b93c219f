import type { Declaration } from "@breakwater/core/client/Declaration"
import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import * as Credential from "@breakwater/core/credentials/Credential"
import * as RefreshingCredentials from "@breakwater/core/credentials/RefreshingCredentials"
import { Refusals } from "@breakwater/core/credentials/Refusals"
import type { Source } from "@breakwater/core/credentials/Source"
import * as Telemetry from "@breakwater/core/Telemetry"
import {
  CredentialUnavailable,
  isVendorError,
  type Reason,
  RequestRejected,
  Timeout,
  Unauthorized
} from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Logger, Metric, Redacted, Result, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { TestClock } from "effect/testing"
import { randomUUID } from "node:crypto"
import { inspect } from "node:util"
import { intBetween } from "../../../drivers/IntBetween.ts"
import * as Rotation from "../../../drivers/Rotation.ts"
import { overTheWire, play } from "../../../fakes/Acme.ts"
import * as FakeTransport from "../../../fakes/Transport.ts"

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("status", { topLevel: true }).add(
    HttpApiEndpoint.get("ping", "/ping", { success: HttpApiSchema.NoContent }),
    HttpApiEndpoint.post("order", "/orders", {
      payload: Schema.Struct({ item: Schema.String }),
      success: HttpApiSchema.NoContent
    }).annotate(Operation.Safety, "Keyed"),
    HttpApiEndpoint.get("whoami", "/whoami", {
      success: HttpApiSchema.NoContent,
      error: Schema.Struct({ nobody: Schema.Boolean }).pipe(HttpApiSchema.status(401))
    })
  )
)

/** A secret that exists only in these tests. */
const run = randomUUID()
const secret = (name: string): string => `${name}-${run}`

/** A vendor that accepts some secrets, and a source with one per key; tests change both. */
const world = () => {
  const state = {
    accepted: new Set([secret("first")]),
    /** The response to a secret that is not accepted. */
    refusal: 401,
    /** The delay of a response. */
    takes: Duration.millis(1),
    /** The secret that gets no response. */
    silent: "",
    secrets: new Map([["", secret("first")]]),
    /** The secret that the source returns after a refusal, if it differs from the usual one. */
    renewal: undefined as ReturnType<typeof Credential.Credentials.Service.read> | undefined,
    /** The secrets of the requests sent. */
    sent: [] as Array<string>,
    requests: [] as Array<{ readonly headers: string; readonly body: unknown }>,
    refused: [] as Array<string>
  }
  const read: Credential.Credentials["read"] = ({ key }) =>
    Effect.suspend(() => {
      const value = state.secrets.get(key)
      return value === undefined
        ? Effect.fail(new CredentialUnavailable("ACME_API_KEY"))
        : Effect.succeed(Redacted.make(value))
    })
  const layer = Layer.merge(
    Layer.succeed(Credential.Credentials, {
      read,
      renew: (request, refused) => {
        state.refused.push(Redacted.value(refused))
        return state.renewal ?? read(request)
      }
    }),
    FakeTransport.layer(({ body, headers }) => {
      const token = headers[headers.indexOf("authorization") + 1]!.replace("Bearer ", "")
      state.sent.push(token)
      state.requests.push({ headers: headers.join("\n").replace(token, "…"), body })
      if (token === state.silent) return undefined
      return state.accepted.has(token)
        ? { status: 204, after: state.takes }
        : { status: state.refusal, after: state.takes, json: { nobody: true } }
    })
  )
  return { state, layer }
}

const make = (changes: Partial<Declaration<typeof Api>> = {}) =>
  Vendor.make({
    name: "acme",
    api: Api,
    baseUrl: "https://api.acme.example",
    auth: { _tag: "Bearer" },
    idempotencyHeader: "Idempotency-Key",
    policy: { retry: false },
    ...changes
  })

/** Runs effects to their end on virtual time, and returns their exits. */
const outcome = <A, E>(
  effect: Effect.Effect<A, E>,
  duration: Duration.Input = "10 millis"
): Effect.Effect<"answered" | Reason> =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(Effect.result(effect))
    yield* TestClock.adjust(duration)
    const result = yield* Fiber.join(fiber)
    if (result._tag === "Success") return "answered"
    return isVendorError(result.failure) ? result.failure.reason : assert.fail(inspect(result.failure))
  })

/** Lets an effect end on virtual time. */
const elapse = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    yield* TestClock.adjust("10 millis")
    return yield* Fiber.join(fiber)
  })

const scenario = (
  play: (scene: {
    readonly state: ReturnType<typeof world>["state"]
    readonly client: Effect.Success<ReturnType<typeof make>>
  }) => Effect.Effect<void, unknown>,
  changes: Partial<Declaration<typeof Api>> = {}
) =>
  Effect.suspend(() => {
    const { layer, state } = world()
    return make(changes).pipe(
      Effect.flatMap((client) => play({ state, client })),
      Effect.provide(layer),
      Effect.provideService(Metric.MetricRegistry, new Map())
    )
  })

const parked = (millis: number) => new CredentialUnavailable("ACME_API_KEY", "Refused", millis)

describe("a secret that the vendor refuses", () => {
  it.effect("is renewed, and the same request is sent once more with the new one", () =>
    scenario(Effect.fnUntraced(function*({ client, state }) {
      state.accepted = new Set([secret("second")])
      state.renewal = Effect.succeed(Redacted.make(secret("second")))
      assert.strictEqual(yield* outcome(client.order({ payload: { item: "anvil" } })), "answered")
      assert.deepStrictEqual(state.sent, [secret("first"), secret("second")])
      assert.deepStrictEqual(state.refused, [secret("first")])
      assert.deepStrictEqual(state.requests[0], state.requests[1])
      assert.match(state.requests[0]!.headers, /Idempotency-Key/)
    })))

  it.effect("is dead when its successor is refused as well: nothing more is sent with that", () =>
    scenario(Effect.fnUntraced(function*({ client, state }) {
      state.accepted = new Set()
      state.renewal = Effect.succeed(Redacted.make(secret("second")))
      assert.deepStrictEqual(yield* outcome(client.ping()), new Unauthorized(401))
      assert.deepStrictEqual(state.sent, [secret("first"), secret("second")])
      state.secrets.set("", secret("second"))
      assert.deepStrictEqual(yield* outcome(client.ping()), parked(30_000 - 8))
      assert.strictEqual(state.sent.length, 2)
    })))

  it.effect("is dead when the only other one is dead too", () =>
    scenario(Effect.fnUntraced(function*({ client, state }) {
      state.accepted = new Set()
      state.renewal = Effect.succeed(Redacted.make(secret("second")))
      yield* outcome(client.ping())
      assert.deepStrictEqual(yield* outcome(client.ping()), new Unauthorized(401))
      assert.deepStrictEqual(state.sent, [secret("first"), secret("second"), secret("first")])
      assert.instanceOf(yield* outcome(client.ping()), CredentialUnavailable)
      assert.strictEqual(state.sent.length, 3)
    })))

  it.effect("is dead at the second refusal in a row when there is no other", () =>
    scenario(Effect.fnUntraced(function*({ client, state }) {
      state.accepted = new Set()
      assert.deepStrictEqual(yield* outcome(client.ping()), new Unauthorized(401))
      assert.deepStrictEqual(yield* outcome(client.ping()), new Unauthorized(401))
      const third = yield* outcome(client.ping())
      assert.instanceOf(third, CredentialUnavailable)
      assert.strictEqual(state.sent.length, 2)
    })))

  it.effect("is not dead after a single slip of the vendor's", () =>
    scenario(Effect.fnUntraced(function*({ client, state }) {
      for (let slip = 0; slip < 5; slip++) {
        state.accepted = new Set()
        assert.deepStrictEqual(yield* outcome(client.ping()), new Unauthorized(401))
        state.accepted = new Set([secret("first")])
        assert.strictEqual(yield* outcome(client.ping()), "answered")
      }
    })))

  it.effect("is not dead because of an earlier refusal of another one", () =>
    scenario(Effect.fnUntraced(function*({ client, state }) {
      state.accepted = new Set()
      assert.deepStrictEqual(yield* outcome(client.ping()), new Unauthorized(401))
      for (const name of ["second", "second", "third"]) {
        state.secrets.set("", secret(name))
        assert.deepStrictEqual(yield* outcome(client.ping()), new Unauthorized(401))
      }
    })))

  it.effect("is dead under its own key, beside dead secrets of other keys", () =>
    scenario(Effect.fnUntraced(function*({ client, state }) {
      state.accepted = new Set()
      for (const key of ["eu", "us"]) {
        state.secrets.set(key, secret(key))
        yield* outcome(client.ping(undefined, { key }))
        yield* outcome(client.ping(undefined, { key }))
      }
      for (const key of ["eu", "us"]) {
        assert.instanceOf(yield* outcome(client.ping(undefined, { key })), CredentialUnavailable)
      }
    })))

  it.effect("is probed by one call now and then, and used by all once it is accepted again", () =>
    scenario(
      Effect.fnUntraced(function*({ client, state }) {
        state.accepted = new Set()
        yield* outcome(client.ping())
        yield* outcome(client.ping(), "1 millis")
        yield* TestClock.adjust("4999 millis")
        assert.deepStrictEqual(yield* outcome(client.ping(), 0), parked(1))
        yield* TestClock.adjust("1 millis")
        const probe = yield* Effect.forkChild(outcome(client.ping(), 0))
        yield* TestClock.adjust(0)
        assert.deepStrictEqual(yield* outcome(client.ping(), 0), parked(5_000))
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(
          yield* Fiber.join(probe),
          new Unauthorized(401)
        )
        assert.strictEqual(state.sent.length, 3)
        state.accepted = new Set([secret("first")])
        assert.deepStrictEqual(yield* outcome(client.ping(), 0), parked(5_000))
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(yield* outcome(client.ping()), "answered")
        assert.strictEqual(yield* outcome(client.ping()), "answered")
      }),
      { refusedFor: "5 seconds" }
    ))

  it.effect("is forgotten when the source has a different one", () =>
    scenario(Effect.fnUntraced(function*({ client, state }) {
      state.accepted = new Set()
      yield* outcome(client.ping())
      yield* outcome(client.ping())
      assert.instanceOf(yield* outcome(client.ping()), CredentialUnavailable)
      state.secrets.set("", secret("second"))
      state.accepted = new Set([secret("second")])
      assert.strictEqual(yield* outcome(client.ping()), "answered")
    })))

  it.effect("is not renewed for a 403", () =>
    scenario(Effect.fnUntraced(function*({ client, state }) {
      state.accepted = new Set()
      state.refusal = 403
      for (let call = 0; call < 5; call++) {
        assert.deepStrictEqual(yield* outcome(client.ping()), new RequestRejected(403))
      }
      assert.strictEqual(state.sent.length, 5)
      assert.isEmpty(state.refused)
    })))

  it.effect("is renewed for a 401 that the contract declares, and its error is the caller's", () =>
    scenario(Effect.fnUntraced(function*({ client, state }) {
      const whoami = Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(Effect.result(client.whoami()))
        yield* TestClock.adjust("10 millis")
        return yield* Fiber.join(fiber)
      })
      state.accepted = new Set([secret("second")])
      state.renewal = Effect.succeed(Redacted.make(secret("second")))
      assert.isTrue(Result.isSuccess(yield* whoami))
      assert.deepStrictEqual(state.sent, [secret("first"), secret("second")])
      state.accepted = new Set()
      assert.deepStrictEqual(yield* whoami, Result.fail({ nobody: true }))
      assert.strictEqual(state.sent.length, 4)
    })))

  it.effect("is refused by a 401 that the contract declares as by any other", () =>
    scenario(Effect.fnUntraced(function*({ client, state }) {
      state.accepted = new Set()
      assert.deepStrictEqual(yield* outcome(client.ping()), new Unauthorized(401))
      yield* elapse(Effect.flip(client.whoami()))
      const sent = state.sent.length
      // Two operations were refused, so the secret is dead for all.
      assert.instanceOf(yield* outcome(client.order({ payload: { item: "anvil" } })), CredentialUnavailable)
      assert.strictEqual(state.sent.length, sent)
    })))

  it.effect("counts as refused although its source is down", () =>
    scenario(Effect.fnUntraced(function*({ client, state }) {
      state.accepted = new Set()
      state.renewal = Effect.fail(new CredentialUnavailable("ACME_API_KEY", "Unreachable"))
      assert.deepStrictEqual(yield* outcome(client.ping()), new Unauthorized(401))
      assert.deepStrictEqual(yield* outcome(client.ping()), new Unauthorized(401))
      assert.instanceOf(yield* outcome(client.ping()), CredentialUnavailable)
    })))

  it.effect("is renewed within the connect timeout, or the call fails as not sent", () =>
    scenario(
      Effect.fnUntraced(function*({ client, state }) {
        let isInterrupted = false
        state.accepted = new Set()
        state.renewal = Effect.onInterrupt(Effect.never, () => Effect.sync(() => isInterrupted = true))
        const end = yield* outcome(client.order({ payload: { item: "anvil" } }), "51 millis")
        assert.deepStrictEqual(end, new Timeout("Secret", 50))
        yield* TestClock.adjust(0)
        assert.isTrue(isInterrupted)
        assert.strictEqual(state.sent.length, 1)
      }),
      { policy: { retry: false, connectTimeout: "50 millis" } }
    ))

  it.effect("has a successor that arrives too late: nothing is sent with it", () =>
    scenario(
      Effect.fnUntraced(function*({ client, state }) {
        state.accepted = new Set()
        state.takes = Duration.millis(100)
        state.renewal = Effect.succeed(Redacted.make(secret("second"))).pipe(Effect.delay(200), Effect.uninterruptible)
        assert.deepStrictEqual(yield* outcome(client.ping(), "151 millis"), new Timeout("Secret", 50))
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(state.sent.length, 1)
      }),
      { policy: { retry: false, connectTimeout: "50 millis" } }
    ))

  it.effect("has a successor without a response: the attempt reports that", () =>
    scenario(Effect.fnUntraced(function*({ client, state }) {
      state.accepted = new Set()
      state.silent = secret("second")
      state.renewal = Effect.succeed(Redacted.make(secret("second")))
      assert.deepStrictEqual(yield* outcome(client.ping(), "10 seconds"), new Timeout("Headers", 3_000))
      const attempts = (yield* Metric.snapshot).filter(({ id }) => id === Telemetry.requestDuration)
      assert.deepStrictEqual(attempts.map(({ attributes }) => attributes?.["error.type"]), ["Timeout"])
    })))

  it.effect("is not renewed for a caller that was interrupted", () =>
    scenario(Effect.fnUntraced(function*({ client, state }) {
      let isInterrupted = false
      state.accepted = new Set()
      state.renewal = Effect.onInterrupt(Effect.never, () => Effect.sync(() => isInterrupted = true))
      const fiber = yield* Effect.forkChild(client.ping())
      yield* TestClock.adjust("5 millis")
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust(0)
      assert.isTrue(isInterrupted)
      assert.strictEqual(state.sent.length, 1)
    })))

  it.effect("is not used by a call that was queued when it was revoked", () =>
    scenario(
      Effect.fnUntraced(function*({ client, state }) {
        assert.strictEqual(yield* outcome(client.ping()), "answered")
        const waiting = yield* Effect.forkChild(outcome(client.ping(), "1 second"))
        yield* TestClock.adjust("100 millis")
        state.secrets.set("", secret("second"))
        state.accepted = new Set([secret("second")])
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(waiting), "answered")
        assert.deepStrictEqual(state.sent, [secret("first"), secret("second")])
      }),
      { policy: { retry: false, rateLimit: { limit: 1, window: "500 millis", queue: 1 } } }
    ))

  it.effect("is reported: one error when it is dead, one line when a secret works again, a gauge and a counter", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      lines.push(`${logLevel} ${String(message)}`)
    })
    return scenario(Effect.fnUntraced(function*({ client, state }) {
      const shown = (name: string) =>
        Effect.map(Metric.snapshot, (all) => {
          const metric = all.find(({ id }) => id === name)
          return metric === undefined ? undefined : (metric.state as { value?: number; count?: number })
        })
      state.accepted = new Set()
      for (let call = 0; call < 5; call++) yield* outcome(client.ping())
      assert.deepStrictEqual(lines, [
        "Error the vendor no longer accepts the credential ACME_API_KEY for ping: it is not called"
      ])
      assert.strictEqual((yield* shown(Telemetry.credentialDead))?.value, 1)
      assert.strictEqual((yield* shown(Telemetry.credentialRefusals))?.count, 2)
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(yield* outcome(client.ping()), new Unauthorized(401))
      assert.strictEqual(lines.length, 1)
      // A client can be inspected.
      assert.notInclude(inspect(client, { depth: 20, showHidden: true }), run)
      state.secrets.set("", secret("second"))
      state.accepted = new Set([secret("second")])
      yield* outcome(client.ping())
      yield* outcome(client.ping())
      assert.deepStrictEqual(lines.slice(1), ["Info the vendor accepts the credential ACME_API_KEY again"])
      assert.strictEqual((yield* shown(Telemetry.credentialDead))?.value, 0)
      // A single slip is not logged.
      state.accepted = new Set()
      yield* outcome(client.ping())
      state.accepted = new Set([secret("second")])
      yield* outcome(client.ping())
      assert.strictEqual(lines.length, 2)
    })).pipe(Effect.provide(Logger.layer([logger])))
  })

  it.effect.prop(
    "does not affect other tenants: a tenant with a valid key is served",
    {
      script: Schema.Array(Schema.Struct({
        tenant: intBetween(0, 3),
        event: Schema.Literals(["call", "call", "call", "revoke", "rotate", "wait"])
      })).check(Schema.isMaxLength(60))
    },
    ({ script }) =>
      scenario(
        Effect.fnUntraced(function*({ client, state }) {
          const key = (tenant: number) => `tenant-${tenant}`
          let rotations = 0
          const rotate = (tenant: number) => {
            const value = secret(`${key(tenant)}-${rotations++}`)
            state.secrets.set(key(tenant), value)
            state.accepted.add(value)
          }
          for (let tenant = 0; tenant < 4; tenant++) rotate(tenant)
          for (const { event, tenant } of script) {
            const current = state.secrets.get(key(tenant))!
            if (event === "revoke") state.accepted.delete(current)
            else if (event === "rotate") rotate(tenant)
            else if (event === "wait") yield* TestClock.adjust("10 seconds")
            else {
              const end = yield* outcome(client.ping(undefined, { key: key(tenant) }))
              assert.strictEqual(end === "answered", state.accepted.has(current), inspect(end))
            }
          }
        }),
        // One at a time and two per window: a refused tenant uses only its own permits.
        {
          policy: {
            retry: false,
            bulkhead: { limit: 1, queue: 0 },
            breaker: { trip: { _tag: "Consecutive", failures: 2 } }
          }
        }
      )
  )
})

describe("a resent request", () => {
  it.live("is cancelled with its caller", () => {
    let reads = 0
    const credentials = Layer.succeed(Credential.Credentials, {
      read: () => Effect.sync(() => Redacted.make(secret(String(reads++))))
    })
    return Effect.gen(function*() {
      const { client, server } = yield* play(
        (_, index) => index === 0 ? { status: 401, headers: { connection: "close" } } : "silence",
        {
          auth: { _tag: "Bearer" }
        }
      )
      const fiber = yield* Effect.forkChild(client.ping())
      yield* server.untilSeen(2)
      yield* Fiber.interrupt(fiber)
      yield* server.untilNoneOpen
    }).pipe(Effect.provide(credentials), overTheWire)
  })
})

describe("Refusals", () => {
  it("remembers no more than ten thousand keys, the latest", () => {
    const refusals = new Refusals(1_000)
    const value = Redacted.make(secret("any"))
    const refused = { operation: "ping", secret: value, sentAt: 0, now: 0, isSecond: true }
    for (let key = 0; key <= 10_000; key++) refusals.refuse({ ...refused, key: String(key) })
    assert.strictEqual(refusals.dead, 10_000)
    assert.strictEqual(refusals.pause("0", "ping", value, 0), 0)
    assert.strictEqual(refusals.pause("10000", "ping", value, 0), 1_000)
  })
})

describe("a key that is rotated under 200 calls in flight", () => {
  const source = (name: string) => {
    const [first, second] = [secret(`${name}-first`), secret(`${name}-second`)]
    let current = first
    const source: Source = {
      name: "changing",
      fetch: () => Effect.sync(() => ({ value: Redacted.make(current) }))
    }
    return {
      first,
      second,
      source,
      rotate: Effect.sync(() => {
        current = second
      })
    }
  }

  it.live.each([true, false])("fails no call, from a local source, with an overlap: %s", (overlap) => {
    const { first, rotate, second, source: near } = source("near")
    const credentials = Layer.succeed(Credential.Credentials, Credential.fromSource(near))
    return Rotation.underLoad({ credentials, first, second, rotate, overlap })
  })

  it.live.each([true, false])("fails no call, from a cached source, with an overlap: %s", (overlap) => {
    const { first, rotate, second, source: far } = source("far")
    // Without an overlap the refusal triggers the refresh; with one, the secret's age does.
    const credentials = RefreshingCredentials.layer(Effect.succeed(far), overlap ? { maxAge: "10 millis" } : {})
    return Rotation.underLoad({ credentials, first, second, rotate, overlap })
  })
})

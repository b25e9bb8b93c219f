import type { Auth } from "@breakwater/core/client/Declaration"
import { type CredentialRequest, Credentials } from "@breakwater/core/credentials/Credential"
import * as Bulkhead from "@breakwater/core/policies/Bulkhead"
import { CredentialUnavailable, isVendorError, Timeout } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Cause, ConfigProvider, Deferred, Effect, Exit, Fiber, Layer, Metric, Redacted } from "effect"
import { randomUUID } from "node:crypto"
import { inspect } from "node:util"
import { overTheWire, play } from "../../../fakes/Acme.ts"
import { json, type Script } from "../../../fakes/ScriptedServer.ts"
import * as MemoryTracer from "../../../watches/MemoryTracer.ts"

const bearer: Auth = { _tag: "Bearer" }

/** Scripted credentials, from the second reading on: making the client takes the first. */
const credentials = (
  read: (request: CredentialRequest, index: number) => ReturnType<typeof Credentials.Service.read>
) => {
  const requests: Array<CredentialRequest> = []
  return {
    /** The number of readings for calls. */
    requests,
    layer: Layer.effect(
      Credentials,
      Effect.sync(() => {
        let isMade = false
        return {
          read: (request: CredentialRequest) => {
            if (isMade) return read(request, requests.push(request) - 1)
            isMade = true
            return Effect.succeed(Redacted.make("of the making"))
          }
        }
      })
    )
  }
}

const secret = (index: number): string => `secret-${index}-${run}`
/** A secret that exists only in these tests. */
const run = randomUUID()

const authorizations = (seen: ReadonlyArray<{ header(name: string): string | undefined }>) =>
  seen.map((request) => request.header("authorization"))

describe("a client's credential", () => {
  it.live.each<readonly [string, Auth, header: string, value: string]>([
    ["as a bearer token", bearer, "authorization", `Bearer ${secret(0)}`],
    ["in a header of the vendor's own", { _tag: "Header", name: "X-Api-Key" }, "x-api-key", secret(0)],
    [
      "with a user",
      { _tag: "Basic", user: "shöp" },
      "authorization",
      `Basic ${Buffer.from(`shöp:${secret(0)}`, "utf8").toString("base64")}`
    ]
  ])("is sent %s", ([, auth, header, value]) =>
    Effect.gen(function*() {
      const { client, server } = yield* play(() => json({ ok: true }), { auth })
      yield* client.ping()
      assert.strictEqual(server.seen[0]!.header(header), value)
      assert.strictEqual(JSON.stringify(server.seen[0]!.headers).split(value).length, 2)
    }).pipe(Effect.provide(credentials(() => Effect.succeed(Redacted.make(secret(0)))).layer), overTheWire))

  it.live("is not sent to a vendor without authentication", () => {
    const { layer, requests } = credentials(() => Effect.succeed(Redacted.make(secret(0))))
    return Effect.gen(function*() {
      const { client, server } = yield* play(() => json({ ok: true }))
      yield* client.ping()
      assert.deepStrictEqual(authorizations(server.seen), [undefined])
      assert.strictEqual(requests.length, 0)
    }).pipe(Effect.provide(layer), overTheWire)
  })

  it.live("is read for every attempt", () => {
    const { layer, requests } = credentials((_, index) => Effect.succeed(Redacted.make(secret(index))))
    return Effect.gen(function*() {
      const { client, server } = yield* play((_, index) => index < 2 ? { status: 503 } : json({ ok: true }), {
        auth: bearer
      })
      yield* client.ping()
      yield* client.ping()
      assert.deepStrictEqual(authorizations(server.seen), [0, 1, 2, 3].map((index) => `Bearer ${secret(index)}`))
      assert.strictEqual(requests.length, 4)
    }).pipe(Effect.provide(layer), overTheWire)
  })

  it.live("is read for the call's key", () => {
    const { layer, requests } = credentials(() => Effect.succeed(Redacted.make(secret(0))))
    return Effect.gen(function*() {
      const { client } = yield* play(() => json({ ok: true }), { auth: bearer })
      yield* client.ping()
      yield* client.ping(undefined, { key: "eu" })
      assert.deepStrictEqual(requests, [{ vendor: "acme", key: "" }, { vendor: "acme", key: "eu" }])
    }).pipe(Effect.provide(layer), overTheWire)
  })

  it.live("may arrive after a delay", () =>
    Effect.gen(function*() {
      const { client, server } = yield* play(() => json({ ok: true }), { auth: bearer })
      yield* client.ping()
      assert.deepStrictEqual(authorizations(server.seen), [`Bearer ${secret(0)}`])
    }).pipe(
      Effect.provide(
        credentials(() => Effect.promise(() => Promise.resolve(Redacted.make(secret(0)))).pipe(Effect.delay(1))).layer
      ),
      overTheWire
    ))

  it.live("may need a call of its own", () => {
    const { layer } = credentials(() => Effect.suspend(() => token))
    let token: ReturnType<typeof Credentials.Service.read> = Effect.die("nobody to ask")
    return Effect.gen(function*() {
      const { client: tokens } = yield* play(() => json({ ok: true }), { name: "tokens" })
      token = Effect.as(Effect.orDie(tokens.ping()), Redacted.make(secret(7)))
      const { client, server } = yield* play(() => json({ ok: true }), { auth: bearer })
      yield* client.ping()
      assert.deepStrictEqual(authorizations(server.seen), [`Bearer ${secret(7)}`])
    }).pipe(Effect.provide(layer), overTheWire)
  })

  it.live.each(
    [
      ["at once", Effect.fail(new CredentialUnavailable("ACME_API_KEY"))],
      ["after a while", Effect.fail(new CredentialUnavailable("ACME_API_KEY")).pipe(Effect.delay(1))]
    ] as const
  )("is missing, which is known %s: nothing is sent or retried", ([, read]) => {
    const { layer, requests } = credentials(() => read)
    return Effect.gen(function*() {
      const { client, server } = yield* play(() => json({ ok: true }), { auth: bearer })
      const error = yield* Effect.flip(client.ping())
      assert.deepStrictEqual(error.reason, new CredentialUnavailable("ACME_API_KEY"))
      assert.strictEqual(error.fate, "NotSent")
      assert.strictEqual(error.message, "acme ping: the credential ACME_API_KEY is not available")
      assert.strictEqual(requests.length, 1)
      assert.strictEqual(server.seen.length, 0)
    }).pipe(Effect.provide(layer), overTheWire)
  })

  it.live("is missing for one key: the error names the variable", () =>
    Effect.gen(function*() {
      const { client } = yield* play(() => json({ ok: true }), { auth: bearer })
      const error = yield* Effect.flip(client.ping(undefined, { key: "eu-west" }))
      assert.strictEqual(error.reason.message, "the credential ACME_EU_WEST_API_KEY is not available")
    }).pipe(
      Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ ACME_API_KEY: secret(0) }))),
      overTheWire
    ))

  it.live.each(
    [
      ["is interrupted", Effect.interrupt, (exit: Exit.Exit<unknown, unknown>) => Exit.hasInterrupts(exit)],
      ["is broken", Effect.die("broken"), (exit: Exit.Exit<unknown, unknown>) => Exit.hasDies(exit)],
      [
        "is broken after a while",
        Effect.die("broken").pipe(Effect.delay(1)),
        (exit: Exit.Exit<unknown, unknown>) => Exit.hasDies(exit)
      ]
    ] as const
  )("cannot be read, because its reading %s: so is the call, and everything is released", ([, read, isSo]) => {
    const bulkhead = Bulkhead.make({ limit: 1, queue: 0 })
    return Effect.gen(function*() {
      const { client, server } = yield* play(() => json({ ok: true }), { auth: bearer, policy: { bulkhead } })
      const exit = yield* Effect.exit(client.ping())
      assert.isTrue(isSo(exit), inspect(exit))
      assert.strictEqual(bulkhead.running("acme"), 0)
      assert.strictEqual(server.seen.length, 0)
    }).pipe(Effect.provide(credentials(() => read).layer), overTheWire)
  })

  /** A reading that never ends, and records its start and its interruption. */
  const endless = Effect.gen(function*() {
    const begun = yield* Deferred.make<void>()
    const interrupted = yield* Deferred.make<void>()
    const read = Effect.andThen(
      Deferred.succeed(begun, undefined),
      Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
    )
    return {
      begun: Deferred.await(begun),
      interrupted: Deferred.await(interrupted),
      layer: credentials(() => read).layer
    }
  })

  it.live("is no longer waited for when the caller is interrupted", () =>
    Effect.gen(function*() {
      const { begun, interrupted, layer } = yield* endless
      yield* Effect.gen(function*() {
        const { client, server } = yield* play(() => json({ ok: true }), { auth: bearer })
        const fiber = yield* Effect.forkChild(client.ping())
        yield* begun
        yield* Fiber.interrupt(fiber)
        yield* interrupted
        assert.strictEqual(server.seen.length, 0)
      }).pipe(Effect.provide(layer))
    }).pipe(overTheWire))

  it.live("is waited for no longer than a connection", () =>
    Effect.gen(function*() {
      const { interrupted, layer } = yield* endless
      yield* Effect.gen(function*() {
        const { client, server } = yield* play(() => json({ ok: true }), {
          auth: bearer,
          policy: { connectTimeout: "20 millis", retry: false }
        })
        const error = yield* Effect.flip(client.ping())
        assert.deepStrictEqual(error.reason, new Timeout("Secret", 20))
        assert.strictEqual(error.fate, "NotSent")
        yield* interrupted
        assert.strictEqual(server.seen.length, 0)
      }).pipe(Effect.provide(layer))
    }).pipe(overTheWire))
})

describe("a client's secret", () => {
  const value = secret(42)
  /** All forms in which it is sent. */
  const shapes = [value, Buffer.from(`shop:${value}`).toString("base64"), encodeURIComponent(value)]

  const assertAbsent = (text: string, where: string) => {
    for (const shape of shapes) assert.notInclude(text, shape, where)
  }

  it.live.each<readonly [string, Script, reason: string | undefined]>([
    ["a success", () => json({ ok: true }), undefined],
    ["a refusal", () => ({ status: 401 }), "Unauthorized"],
    // A vendor that repeats the request.
    ["an answer that repeats it", ({ headers }) => json(Object.fromEntries(headers)), "InvalidResponse"],
    ["a page that repeats it", ({ headers }) => ({ body: `<html>${JSON.stringify(headers)}` }), "InvalidResponse"],
    [
      "a redirect that repeats it",
      ({ headers }) => ({ status: 302, headers: { location: `/?${String(headers)}` } }),
      "InvalidResponse"
    ],
    ["an outage", () => ({ status: 503 }), "Unavailable"],
    ["a connection that is lost", () => "reset", "ConnectionLost"],
    ["an answer that never comes", () => "silence", "Timeout"]
  ])("is not visible after %s: not in the error, the cause, the spans or the metrics", ([, script, reason]) => {
    const { layer: tracing, spans } = MemoryTracer.make()
    return Effect.gen(function*() {
      for (const auth of [bearer, { _tag: "Header", name: "X-Api-Key" }, { _tag: "Basic", user: "shop" }] as const) {
        const { client, server } = yield* play(script, {
          auth,
          policy: { retry: { retries: 1, base: 0 }, attemptTimeout: "50 millis" }
        })
        const exit = yield* Effect.exit(client.ping()).pipe(Effect.provide(tracing))
        assert.isTrue(shapes.some((shape) => JSON.stringify(server.seen[0]!.headers).includes(shape)), "it was sent")
        if (Exit.isFailure(exit)) {
          const [failure] = exit.cause.reasons
          if (failure?._tag !== "Fail" || !isVendorError(failure.error)) return assert.fail(Cause.pretty(exit.cause))
          const { error } = failure
          assert.strictEqual(error.reason._tag, reason)
          assertAbsent(`${error.message}\n${error.stack ?? ""}\n${String(error)}`, "message and stack")
          assertAbsent(JSON.stringify(error), "JSON of the error")
          assertAbsent(inspect(error, { depth: 20, showHidden: true, getters: true }), "inspect of the error")
          assertAbsent(Cause.pretty(exit.cause), "Cause.pretty")
        } else {
          assert.strictEqual(reason, undefined)
        }
        assertAbsent(inspect(exit, { depth: 20, showHidden: true }), "inspect of the exit")
        assertAbsent(JSON.stringify(exit), "JSON of the exit")
        // A client can be inspected.
        assertAbsent(inspect(client, { depth: 20, showHidden: true }), "the client")
      }
      assert.isNotEmpty(spans)
      for (const { attributes, events, name, status } of spans) {
        assertAbsent(inspect({ name, attributes, events, status }, { depth: 20, showHidden: true }), "span")
      }
      const metrics = yield* Metric.snapshot
      assert.isNotEmpty(metrics)
      assertAbsent(inspect(metrics, { depth: 20, showHidden: true }), "metrics")
    }).pipe(
      Effect.provide(credentials(() => Effect.succeed(Redacted.make(value))).layer),
      Effect.provideService(Metric.MetricRegistry, new Map()),
      overTheWire
    )
  })

  it.live("is not shown when it cannot be sent, such as with a line break inside", () =>
    Effect.gen(function*() {
      const { client, server } = yield* play(() => json({ ok: true }), { auth: bearer })
      const exit = yield* Effect.exit(client.ping())
      const error = yield* Effect.flip(exit)
      assert.deepStrictEqual(
        error.reason,
        new CredentialUnavailable("ACME_API_KEY", "Unusable")
      )
      assertAbsent(inspect(exit, { depth: 20, showHidden: true }), "inspect")
      assert.strictEqual(server.seen.length, 0)
    }).pipe(Effect.provide(credentials(() => Effect.succeed(Redacted.make(`${value}\n${value}`))).layer), overTheWire))
})

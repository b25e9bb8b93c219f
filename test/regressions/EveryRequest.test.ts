/** Every request takes a permit of the rate limit: also the second one of an attempt, after a new secret or a redirect. */
import type { Declaration } from "@breakwater/core/client/Declaration"
import * as Vendor from "@breakwater/core/client/Vendor"
import * as Credential from "@breakwater/core/credentials/Credential"
import type * as Policy from "@breakwater/core/stack/Policy"
import { isVendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Redacted } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { TestClock } from "effect/testing"
import { type AcmeApi, overTheWire, play } from "../fakes/Acme.ts"
import * as ScriptedServer from "../fakes/ScriptedServer.ts"
import * as FakeTransport from "../fakes/Transport.ts"

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("status", { topLevel: true }).add(
    HttpApiEndpoint.get("ping", "/ping", { success: HttpApiSchema.NoContent })
  )
)

const [stale, good] = ["stale", "good"].map((name) => Redacted.make(`${name}-secret`)) as [
  Redacted.Redacted,
  Redacted.Redacted
]

/** Calls whose source always gives a secret that the vendor refuses first; the times of all requests. */
const renewing = (calls: number, rateLimit: Policy.Policy["rateLimit"]) =>
  Effect.gen(function*() {
    const sent: Array<number> = []
    const clock = yield* Effect.clockWith(Effect.succeed)
    const layer = Layer.merge(
      Layer.succeed(Credential.Credentials, {
        read: () => Effect.succeed(stale),
        renew: () => Effect.succeed(good)
      }),
      FakeTransport.layer(({ headers }) => {
        sent.push(clock.currentTimeMillisUnsafe())
        return headers.includes(`Bearer ${Redacted.value(good)}`) ? { status: 204 } : { status: 401 }
      })
    )
    const made = Vendor.make({
      name: "acme",
      api: Api,
      baseUrl: "https://acme.example",
      auth: { _tag: "Bearer" },
      policy: { rateLimit, retry: false, breaker: false, deadline: "1 hour" }
    })
    const exits = yield* Effect.gen(function*() {
      const client = yield* made
      const fiber = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: calls }), () => Effect.exit(client.ping()))
      )
      yield* TestClock.adjust("1 hour")
      return yield* Fiber.join(fiber)
    }).pipe(Effect.provide(layer), Effect.scoped)
    return { exits, sent }
  })

const reasonOf = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isFailure(exit)
    ? exit.cause.reasons.map((reason) =>
      reason._tag === "Fail" && isVendorError(reason.error) && reason.error.reason._tag
    )
    : []

describe("a request after a new secret", () => {
  it.effect.each([1, 2, 5])(
    "is sent with a permit of its own, or not at all: limit %i",
    (limit) =>
      Effect.gen(function*() {
        const { exits, sent } = yield* renewing(5, { limit, window: "2 hours", queue: 0 })
        assert.strictEqual(sent.length, limit)
        assert.strictEqual(exits.filter(Exit.isSuccess).length, Math.floor(limit / 2))
        for (const exit of exits.filter(Exit.isFailure)) assert.deepStrictEqual(reasonOf(exit), ["RateLimitExceeded"])
      })
  )

  it.effect("waits for its permit", () =>
    Effect.gen(function*() {
      const { exits, sent } = yield* renewing(4, { limit: 1, window: "10 seconds", maxWait: "1 minute" })
      assert.isTrue(exits.every(Exit.isSuccess))
      assert.strictEqual(sent.length, 8)
      for (const [index, at] of sent.entries()) assert.isAtLeast(at - (sent[index - 1] ?? -Infinity), 10_000)
    }))
})

describe("a redirect", () => {
  const redirecting = (hops: number): ScriptedServer.Script => ({ url }) => {
    const at = Number(new URL(url, "http://acme").searchParams.get("hop") ?? 0)
    return at === hops
      ? ScriptedServer.json({ ok: true })
      : { status: 302, headers: { location: `/ping?hop=${at + 1}` } }
  }
  const declared = (limit: number): Partial<Declaration<typeof AcmeApi>> => ({
    redirects: 5,
    policy: { retry: false, rateLimit: { limit, window: "1 hour", queue: 0 } }
  })

  it.live.each<readonly [hops: number, limit: number, sent: number, isAnswered: boolean]>([
    [0, 1, 1, true],
    [1, 2, 2, true],
    [1, 1, 1, false],
    [3, 4, 4, true],
    [3, 2, 2, false]
  ])(
    "is followed with a permit of its own, or not at all: %i of them, limit %i",
    ([hops, limit, sent, isAnswered]) =>
      Effect.gen(function*() {
        const { client, server } = yield* play(redirecting(hops), declared(limit))
        const exit = yield* Effect.exit(client.ping())
        assert.strictEqual(server.seen.length, sent)
        assert.deepStrictEqual(reasonOf(exit), isAnswered ? [] : ["RateLimitExceeded"])
      }).pipe(overTheWire)
  )
})

/**
 * Times that a vendor gives in forms of its own. Found in use: a Unix time in `Retry-After` blocked a key for a day, and
 * a date of ISO 8601 was no reason to wait.
 */
import * as Vendor from "@breakwater/core/client/Vendor"
import * as Policy from "@breakwater/core/stack/Policy"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../fakes/Transport.ts"

const now = Date.UTC(2026, 10, 30, 12)

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("rates", { topLevel: true }).add(HttpApiEndpoint.get("find", "/", { success: Schema.Null }))
)

/** The times at which a call is sent, in milliseconds from its start: the first response has these headers. */
const sentTimes = (status: number, headers: Record<string, string | ReadonlyArray<string>>) =>
  Effect.gen(function*() {
    yield* TestClock.setTime(now)
    const clock = yield* Clock.Clock
    const sent: Array<number> = []
    const client = yield* Vendor.make({
      name: "acme",
      api: Api,
      baseUrl: "https://acme.example",
      policy: { ...Policy.read, retry: { base: 0 }, deadline: "10 minutes", rateLimit: { maxWait: "10 minutes" } }
    }).pipe(Effect.provide(FakeTransport.layer((_, index) => {
      sent.push(clock.currentTimeMillisUnsafe() - now)
      return index === 0 ? { status, headers } : { status: 200, json: null }
    })))
    const fiber = yield* Effect.forkChild(Effect.exit(client.find()))
    for (let i = 0; i < 1_000; i++) yield* TestClock.adjust("100 millis")
    yield* Fiber.interrupt(fiber)
    return sent
  })

const seconds = now / 1_000 + 30
const iso = new Date(now + 30_000).toISOString()

describe("a vendor that asks to come back in 30 seconds", () => {
  it.effect.each<readonly [string, string | ReadonlyArray<string>]>([
    ["Unix time", String(seconds)],
    ["Unix time in milliseconds", String(seconds * 1_000)],
    ["Unix time in microseconds", String(seconds * 1_000_000)],
    ["an ISO date", iso],
    ["an ISO date with an offset", iso.replace("T12", "T14").replace("Z", "+02:00")],
    ["a list", "1, 30"],
    ["two lines", ["30", "1"]]
  ])("is asked again then, and not a day later: %s", ([, value]) =>
    Effect.gen(function*() {
      for (const status of [429, 503]) {
        const [, again = Infinity] = yield* sentTimes(status, { "retry-after": value })
        assert.isAtLeast(again, 30_000)
        assert.isBelow(again, 60_000)
      }
    }).pipe(Effect.scoped))
})

describe("a time that cannot be read", () => {
  it.effect.each(["soon", "", "in 5 minutes", "2026-11-30T12:00:30", "99999999999999999999", "1000000001", "1e3"])(
    "is a second at least: %j",
    (value) =>
      Effect.gen(function*() {
        const [, again = Infinity] = yield* sentTimes(503, { "retry-after": value })
        assert.isAtLeast(again, 1_000)
        assert.isBelow(again, 10_000)
      }).pipe(Effect.scoped)
  )

  it.effect.each(["99999999999999999999", "1000000001", "soon"])(
    "as the reset of a quota is not a pause: %j",
    (reset) =>
      Effect.gen(function*() {
        const [, again = Infinity] = yield* sentTimes(500, {
          "x-ratelimit-remaining": "0",
          "x-ratelimit-reset": reset
        })
        assert.isBelow(again, 1_000)
      }).pipe(Effect.scoped)
  )
})

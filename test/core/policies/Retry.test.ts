import * as Retry from "@breakwater/core/policies/Retry"
import {
  Conflict,
  ConnectFailed,
  DeadlineExceeded,
  RateLimited,
  type Reason,
  RequestRejected,
  Timeout,
  Unavailable
} from "@breakwater/core/Reason"
import type { Fate, Safety } from "@breakwater/core/Safety"
import { VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Pull, Random, Schedule, Schema } from "effect"
import { reasons } from "../../drivers/Reasons.ts"

const intBetween = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const error = new VendorError({ vendor: "acme", operation: "charge", safety: "Idempotent", reason: reasons.Timeout })

/** All delays of a schedule in milliseconds; throws when there are more than `most`. */
const delaysOf = Effect.fnUntraced(function*(schedule: Retry.RetrySchedule, most = 50) {
  const step = yield* Schedule.toStep(schedule)
  const delays: Array<number> = []
  for (let now = 0;; now += 1_000) {
    const next = yield* Pull.matchEffect(step(now, error), {
      onSuccess: ([, delay]) => Effect.succeed(Duration.toMillis(delay)),
      onDone: () => Effect.succeed("done" as const),
      onFailure: (cause) => Effect.failCause(cause)
    })
    if (next === "done") return delays
    delays.push(next)
    assert.isAtMost(delays.length, most)
  }
})

/** Every random draw is the same: at almost 1 a delay is as long as it can be. */
const withDraw = (draw: number) =>
  Effect.provideService(Random.Random, { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => draw })
const almostOne = 1 - 2 ** -53

describe("backoff", () => {
  it.effect("by default retries three times, within half a second, one second and two", () =>
    Effect.gen(function*() {
      const longest = yield* withDraw(almostOne)(delaysOf(Retry.backoff()))
      assert.deepStrictEqual(longest.map(Math.round), [500, 1_000, 2_000])
      assert.deepStrictEqual(yield* withDraw(0)(delaysOf(Retry.backoff())), [0, 0, 0])
    }))

  it.effect("by default never waits more than twenty seconds", () =>
    Effect.gen(function*() {
      const longest = yield* withDraw(almostOne)(delaysOf(Retry.backoff({ retries: 8 })))
      assert.deepStrictEqual(longest.map(Math.round), [500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000])
    }))

  it.effect("waits a short time as often as a long one (full jitter), and differently for each call", () =>
    Effect.gen(function*() {
      const schedule = Retry.backoff({ retries: 1, base: 1_000 })
      const delays = yield* Random.withSeed(
        Effect.forEach(Array.from({ length: 2_000 }), () => Effect.map(delaysOf(schedule), ([delay]) => delay!)),
        "full jitter"
      )
      for (let quarter = 0; quarter < 4; quarter++) {
        const inQuarter = delays.filter((delay) => Math.floor(delay / 250) === quarter).length
        assert.isAtLeast(inQuarter, 400)
        assert.isAtMost(inQuarter, 600)
      }
      assert.isAtLeast(new Set(delays).size, 1_900)
    }))

  it.effect("starts growing afresh for each call", () =>
    Effect.gen(function*() {
      const schedule = Retry.backoff({ retries: 2 })
      const first = yield* withDraw(0.5)(delaysOf(schedule))
      assert.deepStrictEqual(first, [250, 500])
      assert.deepStrictEqual(yield* withDraw(0.5)(delaysOf(schedule)), first)
    }))

  it.each<readonly [Retry.BackoffOptions, string]>([
    [{ retries: -1 }, "Retry: retries must be a whole number of at least 0, got -1"],
    [{ retries: 1.5 }, "Retry: retries must be a whole number of at least 0, got 1.5"],
    [{ retries: Infinity }, "Retry: retries must be a whole number of at least 0, got Infinity"],
    [{ base: -1 }, "Retry: base must be at least 0 and finite, got -1 ms"],
    [{ base: Infinity }, "Retry: base must be at least 0 and finite, got Infinity ms"],
    [{ factor: 0.5 }, "Retry: factor must be at least 1 and finite, got 0.5"],
    [{ cap: -1 }, "Retry: cap must be at least 0 and finite, got -1 ms"],
    [{ cap: Infinity }, "Retry: cap must be at least 0 and finite, got Infinity ms"]
  ])("refuses %j", (options, message) => {
    assert.throws(() => Retry.backoff(options), message)
  })

  it.effect.prop(
    "waits between 0 and min(cap, base * factor^(n - 1)) before retry n, and ends after its retries",
    {
      retries: intBetween(0, 12),
      base: intBetween(0, 10_000),
      factor: Schema.Literals([1, 1.5, 2, 3, 10]),
      cap: intBetween(0, 60_000),
      seed: Schema.Int
    },
    Effect.fnUntraced(function*({ base, cap, factor, retries, seed }) {
      const delays = yield* Random.withSeed(delaysOf(Retry.backoff({ retries, base, factor, cap })), seed)
      assert.strictEqual(delays.length, retries)
      let bound = base
      for (const delay of delays) {
        assert.isAtLeast(delay, 0)
        // A duration has whole nanoseconds.
        assert.isAtMost(delay, Math.min(cap, bound) + 1e-6)
        bound *= factor
      }
    })
  )
})

const safeties: ReadonlyArray<Safety> = ["Idempotent", "Keyed", "Unsafe"]
const fates: ReadonlyArray<Fate> = ["NotSent", "Rejected", "Unknown"]

/**
 * One letter for each worst fate (NotSent, Rejected, Unknown) under Idempotent, Keyed and Unsafe: `y` to repeat, `n`
 * not to.
 */
const passing = "yyy yyy ynn"
const final = "nnn nnn nnn"

const table: Record<Reason["_tag"], ReadonlyArray<readonly [string, Reason, string]>> = {
  Timeout: [
    ["before a connection", new Timeout("Connect", 1_000), passing],
    ["before the answer", new Timeout("Headers", 1_000), passing],
    ["before the end of the answer", new Timeout("Body", 1_000), passing]
  ],
  ConnectFailed: [
    ["for an unknown host", new ConnectFailed("Dns"), passing],
    ["when refused", new ConnectFailed("Refused"), passing],
    ["without a network", new ConnectFailed("Unreachable"), passing],
    ["for a certificate that is not trusted", new ConnectFailed("Tls"), final]
  ],
  ConnectionLost: [["in between", reasons.ConnectionLost, passing]],
  Unavailable: [
    ["for now", new Unavailable(503), passing],
    ["and certainly not acted", new Unavailable(503, { fate: "Rejected" }), passing],
    ["for good", new Unavailable(501, { isRetryable: false }), final]
  ],
  RateLimited: [
    ["for now", new RateLimited(429, { retryAfterMillis: 1_000 }), passing],
    ["for good", new RateLimited(429, { isRetryable: false }), final]
  ],
  Conflict: [
    ["with a call in flight", new Conflict(409), passing],
    ["for good", new Conflict(409, { isRetryable: false }), final]
  ],
  RequestRejected: [
    ["as such", new RequestRejected(422), final],
    ["but declared to pass", new RequestRejected(423, { isRetryable: true }), passing]
  ],
  Unauthorized: [["in any case", reasons.Unauthorized, final]],
  InvalidRequest: [["in any case", reasons.InvalidRequest, final]],
  InvalidResponse: [["in any case", reasons.InvalidResponse, final]],
  ResponseTooLarge: [["in any case", reasons.ResponseTooLarge, final]],
  CredentialUnavailable: [["in any case", reasons.CredentialUnavailable, final]],
  CredentialRevoked: [["during the call", reasons.CredentialRevoked, passing]],
  // Our own gates refused.
  CircuitOpen: [["in any case", reasons.CircuitOpen, final]],
  RateLimitExceeded: [["in any case", reasons.RateLimitExceeded, final]],
  BulkheadFull: [["in any case", reasons.BulkheadFull, final]],
  Throttled: [["in any case", reasons.Throttled, final]],
  DeadlineExceeded: [
    ["before anything was sent", new DeadlineExceeded("NotSent"), final],
    ["when something may have happened", new DeadlineExceeded("Unknown"), final]
  ]
}

describe("isWorthwhile", () => {
  for (const [tag, rows] of Object.entries(table)) {
    for (const [when, reason, expected] of rows) {
      it(`${expected === passing ? "repeats what its safety allows" : "never repeats"} after ${tag} ${when}`, () => {
        const actual = safeties.map((safety) =>
          fates.map((worst) => Retry.isWorthwhile(safety, reason, worst) ? "y" : "n").join("")
        )
        assert.strictEqual(actual.join(" "), expected)
      })
    }
  }
})

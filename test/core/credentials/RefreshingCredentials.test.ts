import * as RefreshingCredentials from "@breakwater/core/credentials/RefreshingCredentials"
import { CredentialUnavailable } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Redacted, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { inspect } from "node:util"
import { intBetween } from "../../drivers/IntBetween.ts"
import * as Effort from "../../setup/Effort.ts"

const request = { vendor: "acme", key: "" }

/** A source with numbered secrets; a test sets their lifetime, its delay, and whether it is down. */
const world = () => {
  const state = {
    fetches: 0,
    extensions: 0,
    running: 0,
    mostRunning: 0,
    takes: 0,
    life: undefined as number | undefined,
    isDown: false,
    has: true,
    /** The number of the secret to return; `undefined` counts up. */
    fixed: undefined as number | undefined,
    refused: [] as Array<string | undefined>,
    extends: false
  }
  const source: RefreshingCredentials.Source = {
    name: "numbered",
    fetch: (_request, refused) =>
      Effect.gen(function*() {
        state.fetches++
        state.refused.push(refused === undefined ? undefined : Redacted.value(refused))
        const number = state.fixed ?? state.fetches
        state.mostRunning = Math.max(state.mostRunning, ++state.running)
        yield* Effect.sleep(state.takes).pipe(Effect.ensuring(Effect.sync(() => state.running--)))
        if (state.isDown) {
          return yield* Effect.fail<RefreshingCredentials.SourceUnavailable>({
            _tag: "SourceUnavailable",
            source: "numbered",
            issue: "it is down"
          })
        }
        if (!state.has) return undefined
        const secret = (now: number): RefreshingCredentials.Secret => ({
          value: Redacted.make(`secret ${number}`),
          expiresAt: state.life === undefined ? undefined : now + state.life,
          extend: state.extends
            ? Effect.map(Clock.currentTimeMillis, (now) => {
              state.extensions++
              return state.extensions < 3 ? secret(now) : undefined
            })
            : undefined
        })
        return secret(yield* Clock.currentTimeMillis)
      })
  }
  return { source, state }
}

const seen = (effect: Effect.Effect<Redacted.Redacted, CredentialUnavailable>) =>
  Effect.match(effect, {
    onSuccess: Redacted.value,
    onFailure: ({ problem, retryAfterMillis }) =>
      retryAfterMillis === undefined ? problem : `${problem}, in ${retryAfterMillis}`
  })

const kept = (options: RefreshingCredentials.RefreshingCredentialsOptions = {}) =>
  Effect.gen(function*() {
    const { source, state } = world()
    const keeper = yield* RefreshingCredentials.make(source, { jitter: 0, ...options })
    return {
      state,
      keeper,
      read: seen(keeper.read(request)),
      renew: (refused: string) => seen(keeper.renew!(request, Redacted.make(refused)))
    }
  })

describe("RefreshingCredentials", () => {
  it.effect("fetches a secret once for concurrent callers, and then serves it without waiting", () =>
    Effect.gen(function*() {
      const { keeper, read, state } = yield* kept()
      state.takes = 100
      const readers = yield* Effect.forkChild(Effect.all(Array.from({ length: 200 }, () => read), { concurrency: 200 }))
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(new Set(yield* Fiber.join(readers)), new Set(["secret 1"]))
      assert.strictEqual(state.fetches, 1)
      assert.isTrue(Exit.isExit(yield* Effect.sync(() => Effect.runSyncExit(keeper.read(request)))))
    }))

  it.effect("keeps the secrets of every vendor and key apart", () =>
    Effect.gen(function*() {
      const { keeper } = yield* kept()
      const names = [request, { vendor: "acme", key: "eu" }, { vendor: "other", key: "" }, { vendor: "acme", key: "" }]
      const secrets = yield* Effect.forEach(names, (name) => seen(keeper.read(name)))
      assert.deepStrictEqual(secrets, ["secret 1", "secret 2", "secret 3", "secret 1"])
    }))

  it.effect("refreshes an old secret without an expiry in the background", () =>
    Effect.gen(function*() {
      const { read, state } = yield* kept({ maxAge: "1 minute" })
      yield* read
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual(yield* read, "secret 1")
      yield* TestClock.adjust("1 millis")
      state.takes = 50
      assert.strictEqual(yield* read, "secret 1")
      assert.strictEqual(yield* read, "secret 1")
      assert.strictEqual(state.fetches, 2)
      yield* TestClock.adjust("50 millis")
      assert.strictEqual(yield* read, "secret 2")
    }))

  it.effect("refreshes a secret ahead of its expiry, or at half of a short lifetime", () =>
    Effect.gen(function*() {
      const { read, state } = yield* kept({ refreshAhead: "1 minute" })
      state.life = 600_000
      yield* read
      yield* TestClock.adjust("539999 millis")
      yield* read
      assert.strictEqual(state.fetches, 1)
      state.life = 60_000
      yield* TestClock.adjust("1 millis")
      yield* read
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* read, "secret 2")
      yield* TestClock.adjust("29999 millis")
      yield* read
      assert.strictEqual(state.fetches, 2)
      yield* TestClock.adjust("1 millis")
      yield* read
      assert.strictEqual(state.fetches, 3)
    }))

  it.effect("knows the expiry of a secret that arrived after all callers were gone", () =>
    Effect.gen(function*() {
      const { read, state } = yield* kept()
      state.life = 30_000
      yield* read
      yield* TestClock.adjust("15 seconds")
      state.takes = 100
      yield* Fiber.join(yield* Effect.forkChild(read))
      yield* TestClock.adjust("30 seconds")
      state.takes = 0
      assert.strictEqual(yield* read, "secret 2")
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* read, "secret 3")
    }))

  it.effect("extends a lease as long as its source allows, and then fetches a new one", () =>
    Effect.gen(function*() {
      const { read, state } = yield* kept({ refreshAhead: "1 minute" })
      state.life = 100_000
      state.extends = true
      for (let half = 0; half < 4; half++) {
        yield* read
        yield* TestClock.adjust("50 seconds")
      }
      assert.deepStrictEqual([state.fetches, state.extensions], [2, 3])
      assert.strictEqual(yield* read, "secret 2")
    }))

  it.effect("waits for a new secret when the cached one has expired", () =>
    Effect.gen(function*() {
      const { read, state } = yield* kept()
      state.life = 1_000
      yield* read
      yield* TestClock.adjust("1 second")
      state.takes = 10
      const reader = yield* Effect.forkChild(read)
      yield* TestClock.adjust("9 millis")
      assert.isUndefined(reader.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(reader), "secret 2")
    }))

  it.effect("reports a missing secret, and drops one that its source no longer has", () =>
    Effect.gen(function*() {
      const { read, state } = yield* kept({ maxAge: "1 minute" })
      state.has = false
      assert.strictEqual(yield* read, "Missing")
      state.has = true
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(yield* read, "Missing")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* read, "secret 2")
      state.has = false
      yield* TestClock.adjust("1 minute")
      yield* read
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* read, "Missing")
    }))

  it.effect("serves cached secrets while the source is down, up to their expiry or largest age, and backs off", () =>
    Effect.gen(function*() {
      const { read, state } = yield* kept({ maxAge: "1 minute", staleFor: "10 minutes", retryPause: "1 second" })
      yield* read
      state.isDown = true
      yield* TestClock.adjust("1 minute")
      for (let second = 0; second < 600; second++) {
        assert.strictEqual(yield* read, "secret 1")
        yield* TestClock.adjust("1 second")
      }
      // After 0, 1, 3, 7, 15, 31, 63 seconds, and then once a minute.
      assert.strictEqual(state.fetches, 1 + 7 + 8)
      assert.match(yield* read, /^Unreachable, in \d+$/)
      state.isDown = false
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* read, `secret ${state.fetches}`)
    }))

  it.effect("fails at once during the pause of a source without a cached secret", () =>
    Effect.gen(function*() {
      const { read, state } = yield* kept({ retryPause: "5 seconds" })
      state.isDown = true
      assert.strictEqual(yield* read, "Unreachable, in 5000")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* read, "Unreachable, in 3000")
      assert.strictEqual(state.fetches, 1)
    }))

  it.effect("bypasses the cache for a replacement of a refused secret, once for concurrent callers", () =>
    Effect.gen(function*() {
      const { read, renew, state } = yield* kept()
      yield* read
      state.takes = 100
      const renewals = yield* Effect.forkChild(
        Effect.all(Array.from({ length: 200 }, () => renew("secret 1")), { concurrency: 200 })
      )
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(new Set(yield* Fiber.join(renewals)), new Set(["secret 2"]))
      assert.deepStrictEqual(state.refused, [undefined, "secret 1"])
      // A caller that was refused with the old secret, and gets the new one only now.
      assert.strictEqual(yield* renew("secret 1"), "secret 2")
      assert.strictEqual(state.fetches, 2)
      assert.strictEqual(yield* read, "secret 2")
    }))

  it.effect("returns the same secret if the source has no other, and does not ask once per refused caller", () =>
    Effect.gen(function*() {
      const { read, renew, state } = yield* kept({ retryPause: "1 second" })
      state.fixed = 7
      yield* read
      assert.strictEqual(yield* renew("secret 7"), "secret 7")
      assert.strictEqual(yield* renew("secret 7"), "secret 7")
      assert.strictEqual(state.fetches, 2)
      yield* TestClock.adjust("1 second")
      yield* renew("secret 7")
      assert.strictEqual(state.fetches, 3)
    }))

  it.effect("does not trust a fetch that began before the refusal", () =>
    Effect.gen(function*() {
      const { read, renew, state } = yield* kept({ maxAge: "1 minute" })
      state.fixed = 1
      yield* read
      yield* TestClock.adjust("1 minute")
      state.takes = 100
      yield* read
      state.fixed = 2
      const renewal = yield* Effect.forkChild(renew("secret 1"))
      yield* TestClock.adjust("100 millis")
      assert.isUndefined(renewal.pollUnsafe())
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(yield* Fiber.join(renewal), "secret 2")
      assert.strictEqual(state.fetches, 3)
    }))

  it.effect("completes a fetch whose caller was interrupted", () =>
    Effect.gen(function*() {
      const { read, state } = yield* kept()
      state.takes = 100
      const reader = yield* Effect.forkChild(read)
      yield* TestClock.adjust("50 millis")
      yield* Fiber.interrupt(reader)
      yield* TestClock.adjust("50 millis")
      assert.strictEqual(yield* read, "secret 1")
      assert.strictEqual(state.fetches, 1)
    }))

  it.effect("ends with its scope, and any fetch in flight with it", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { read, state } = yield* Scope.provide(kept(), scope)
      state.takes = 1_000
      const reader = yield* Effect.forkChild(Effect.exit(read))
      yield* TestClock.adjust("1 millis")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(state.running, 0)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.join(reader)))
    }))

  it.effect.prop(
    "never serves an expired secret, and never fetches twice at a time",
    {
      life: Schema.Union([Schema.Undefined, intBetween(1, 200_000)]),
      ahead: intBetween(0, 100_000),
      maxAge: intBetween(1, 100_000),
      staleFor: intBetween(0, 100_000),
      jitter: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })),
      script: Schema.Array(Schema.Struct({
        after: intBetween(0, 60_000),
        takes: intBetween(0, 30_000),
        isDown: Schema.Boolean,
        has: Schema.Literals([true, true, true, false]),
        isRenewal: Schema.Boolean
      })).check(Schema.isMaxLength(25))
    },
    Effect.fnUntraced(function*({ ahead, jitter, life, maxAge, script, staleFor }) {
      const { keeper, state } = yield* kept({ refreshAhead: ahead, maxAge, staleFor, jitter })
      state.life = life
      /** The time of each secret's arrival, by its number. */
      const born = new Map<string, number>()
      for (const { after, has, isDown, isRenewal, takes } of script) {
        yield* TestClock.adjust(after)
        Object.assign(state, { has, isDown, takes })
        const last = [...born.keys()].at(-1)
        const asked = isRenewal && last !== undefined
          ? keeper.renew!(request, Redacted.make(last))
          : keeper.read(request)
        const reader = yield* Effect.forkChild(
          seen(asked).pipe(
            Effect.flatMap((secret) => Effect.map(Clock.currentTimeMillis, (now) => ({ now, secret })))
          )
        )
        yield* TestClock.adjust(takes * 2)
        const { now, secret } = yield* Fiber.join(reader)
        if (!secret.startsWith("secret")) continue
        if (!born.has(secret)) born.set(secret, now)
        const longest = life ?? maxAge + staleFor
        // It may have been fetched a little before its first use.
        assert.isAtMost(now - born.get(secret)!, longest)
      }
      assert.isAtMost(state.mostRunning, 1)
    }),
    { arbitrary: { runs: Effort.runs(200) } }
  )

  it.effect("shows nothing of its secrets", () =>
    Effect.gen(function*() {
      const { keeper, read } = yield* kept()
      assert.strictEqual(yield* read, "secret 1")
      assert.notInclude(inspect(keeper, { depth: 20, showHidden: true }), "secret 1")
      assert.notInclude(JSON.stringify(keeper), "secret 1")
    }))

  it("refuses options out of their range, and says which", () => {
    const { source } = world()
    const cases: ReadonlyArray<[RefreshingCredentials.RefreshingCredentialsOptions, RegExp]> = [
      [{ maxAge: 0 }, /maxAge must be longer than 0/],
      [{ refreshAhead: -1 }, /refreshAhead must be at least 0/],
      [{ jitter: 2 }, /jitter must be between 0 and 1/],
      [{ staleFor: -1 }, /staleFor must be at least 0/],
      [{ retryPause: Infinity }, /retryPause .* finite/],
      [{ maxKeys: 0 }, /maxKeys must be a whole number/]
    ]
    for (const [options, message] of cases) assert.throws(() => RefreshingCredentials.make(source, options), message)
  })
})

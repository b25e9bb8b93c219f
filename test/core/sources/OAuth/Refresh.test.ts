import type { Secret } from "@breakwater/core/credentials/Source"
import * as OAuth from "@breakwater/core/sources/OAuth"
import { assert, describe, it } from "@effect/vitest"
import { Clock, type Duration, Effect, Fiber, Redacted, Schema } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { inspect } from "node:util"
import { intBetween } from "../../../drivers/IntBetween.ts"
import * as Effort from "../../../setup/Effort.ts"
import { until } from "../../../watches/Until.ts"

const hubspot = { vendor: "hubspot", key: "" }
const valueOf = (secret: Secret | undefined) => Redacted.value(secret!.value)

/** A server, on the test's clock, that accepts each refresh token once; tokens are numbered. */
const world = (saysItsLife = true) => {
  const state = {
    /** The refresh token that it accepts. */
    next: "refresh 0",
    spent: [] as Array<string>,
    /** The delay of a response. */
    takes: 0 as Duration.Input,
    /** The failures of the next requests: the server is down, or does not know the client. */
    trouble: [] as Array<"down" | "stranger" | undefined>,
    rotates: true,
    /** Whether a refresh token was used twice. */
    isAlarmed: false
  }
  const client = HttpClient.make((request) =>
    Effect.gen(function*() {
      const body = (request.body as { readonly body: Uint8Array }).body
      const token = new URLSearchParams(new TextDecoder().decode(body)).get("refresh_token")!
      const fate = state.trouble.shift()
      const answered = (body: unknown, status: number) =>
        HttpClientResponse.fromWeb(request, Response.json(body, { status }))
      yield* Effect.sleep(state.takes)
      if (fate === "down") return answered({}, 503)
      if (fate === "stranger") return answered({ error: "invalid_client" }, 401)
      if (token !== state.next || state.isAlarmed) {
        state.isAlarmed ||= state.spent.includes(token)
        return answered({ error: "invalid_grant" }, 400)
      }
      state.spent.push(token)
      const number = state.spent.length
      if (state.rotates) state.next = `refresh ${number}`
      return answered({
        access_token: `access-${number}`,
        token_type: "bearer",
        expires_in: saysItsLife ? 3_600 : undefined,
        ...(state.rotates ? { refresh_token: state.next } : {})
      }, 200)
    })
  )
  const source = (
    store: OAuth.TokenStore.TokenStore | ((key: string) => OAuth.TokenStore.TokenStore),
    seed?: string
  ) =>
    OAuth.make({
      vendor: "hubspot",
      tokenUrl: "https://auth.example.com/token",
      client: { _tag: "None", clientId: "us" },
      grant: typeof store === "function"
        ? { _tag: "RefreshToken", store }
        : { _tag: "RefreshToken", store, seed: seed === undefined ? undefined : Redacted.make(seed) },
      margin: 0,
      retries: 0
    }).pipe(Effect.provideService(HttpClient.HttpClient, client))
  return { source, state }
}

const begun = () => OAuth.TokenStore.memory(Redacted.make("refresh 0"))

const refreshTokenOf = ({ load }: OAuth.TokenStore.TokenStore) =>
  Effect.map(load, (kept) => Redacted.value(kept!.tokens.refreshToken))

/** A store that fails a number of times, before or after writing. */
const failing = (store: OAuth.TokenStore.TokenStore) => {
  const state = { failures: 0, when: "before" as "before" | "after" }
  const broken = Effect.fail({ _tag: "SourceUnavailable", source: "oauth", issue: "the disk is full" } as const)
  const flaky: OAuth.TokenStore.TokenStore = {
    load: store.load,
    compareAndSet: (revision, tokens) =>
      Effect.suspend(() => {
        if (tokens.claim !== undefined || state.failures === 0) return store.compareAndSet(revision, tokens)
        state.failures--
        return state.when === "before" ? broken : Effect.andThen(store.compareAndSet(revision, tokens), broken)
      })
  }
  return { flaky, state }
}

describe("a refresh token", () => {
  it.effect("is spent again by a request in the second half of its token's lifetime, and never before", () =>
    Effect.gen(function*() {
      const { source, state } = world()
      const made = yield* source(begun())
      const token = yield* made.fetch(hubspot)
      assert.strictEqual(token!.expiresAt, (yield* Clock.currentTimeMillis) + 3_600_000)
      yield* TestClock.adjust("29 minutes")
      assert.strictEqual(valueOf(yield* made.fetch(hubspot)), "access-1")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(valueOf(yield* made.fetch(hubspot)), "access-2")
      assert.deepStrictEqual(state.spent, ["refresh 0", "refresh 1"])
    }))

  it.effect("is reused if the server does not rotate it", () =>
    Effect.gen(function*() {
      const { source, state } = world()
      state.rotates = false
      const store = begun()
      const made = yield* source(store)
      const first = yield* made.fetch(hubspot)
      assert.strictEqual(valueOf(yield* made.fetch(hubspot, first!.value)), "access-2")
      assert.deepStrictEqual(state.spent, ["refresh 0", "refresh 0"])
      assert.strictEqual(yield* refreshTokenOf(store), "refresh 0")
    }))

  it.effect("is left alone while another process spends it, and the valid access token is used meanwhile", () =>
    Effect.gen(function*() {
      const { source, state } = world()
      const store = begun()
      const [one, other] = [yield* source(store), yield* source(store)]
      yield* one.fetch(hubspot)
      yield* TestClock.adjust("40 minutes")
      state.takes = "3 seconds"
      const spending = yield* Effect.forkChild(one.fetch(hubspot), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(valueOf(yield* other.fetch(hubspot)), "access-1")
      const waiting = yield* Effect.forkChild(other.fetch(hubspot, Redacted.make("access-1")), {
        startImmediately: true
      })
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(valueOf(yield* Fiber.join(spending)), "access-2")
      assert.strictEqual(valueOf(yield* Fiber.join(waiting)), "access-2")
      assert.lengthOf(state.spent, 2)
    }))

  it.effect("is taken over from a process that died while spending it, once its claim has expired", () =>
    Effect.gen(function*() {
      const { source, state } = world()
      const store = begun()
      const until = (yield* Clock.currentTimeMillis) + 15_000
      yield* store.compareAndSet(1, { refreshToken: Redacted.make("refresh 0"), claim: { by: "the dead", until } })
      const asking = yield* Effect.forkChild((yield* source(store)).fetch(hubspot), { startImmediately: true })
      yield* TestClock.adjust("14 seconds")
      assert.lengthOf(state.spent, 0)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(valueOf(yield* Fiber.join(asking)), "access-1")
    }))

  it.effect("is not waited for forever", () =>
    Effect.gen(function*() {
      const { source } = world()
      const store = begun()
      yield* store.compareAndSet(1, {
        refreshToken: Redacted.make("r"),
        claim: { by: "a wrong clock", until: Infinity }
      })
      const asking = yield* Effect.forkChild(Effect.flip((yield* source(store)).fetch(hubspot)), {
        startImmediately: true
      })
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual((yield* Fiber.join(asking)).issue, "another process is using the refresh token")
    }))

  it.effect("is not spent again while its token without an expiry is not refused", () =>
    Effect.gen(function*() {
      const { source, state } = world(false)
      const made = yield* source(begun())
      const token = yield* made.fetch(hubspot)
      assert.isUndefined(token!.expiresAt)
      yield* TestClock.adjust("30 days")
      assert.strictEqual(valueOf(yield* made.fetch(hubspot)), "access-1")
      assert.strictEqual(valueOf(yield* made.fetch(hubspot, token!.value)), "access-2")
      assert.lengthOf(state.spent, 2)
    }))

  it.effect("is waited for no longer than the endpoint, even when uninterruptible", () =>
    Effect.gen(function*() {
      const { source, state } = world()
      const store = begun()
      state.takes = "1 hour"
      const made = yield* source(store)
      const asking = yield* Effect.forkChild(Effect.flip(made.fetch(hubspot)), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(asking)).issue, "no response within 5000 ms")
      assert.isUndefined((yield* store.load)!.tokens.claim)
    }))

  it.effect("is waited for if there is no valid access token meanwhile", () =>
    Effect.gen(function*() {
      const { source, state } = world()
      const store = begun()
      const [one, other] = [yield* source(store), yield* source(store)]
      yield* one.fetch(hubspot)
      yield* TestClock.adjust("2 hours")
      state.takes = "3 seconds"
      const spending = yield* Effect.forkChild(one.fetch(hubspot), { startImmediately: true })
      const waiting = yield* Effect.forkChild(other.fetch(hubspot), { startImmediately: true })
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(valueOf(yield* Fiber.join(waiting)), "access-2")
      assert.strictEqual(valueOf(yield* Fiber.join(spending)), "access-2")
    }))

  it.effect.each(["down", "stranger"] as const)(
    "is released after a failure that does not concern it: %s",
    (trouble) =>
      Effect.gen(function*() {
        const { source, state } = world()
        const store = begun()
        const made = yield* source(store)
        state.trouble.push(trouble)
        yield* Effect.flip(made.fetch(hubspot))
        assert.isUndefined((yield* store.load)!.tokens.claim)
        assert.strictEqual(valueOf(yield* made.fetch(hubspot)), "access-1")
      })
  )

  it.effect.each([["before", "one store"], ["after", "one store"], ["before", "a store for each key"]] as const)(
    "yields no access token until both are stored, and stores them later (fails %s writing, %s)",
    ([when, stores]) =>
      Effect.gen(function*() {
        const { source, state } = world()
        const store = begun()
        const broken = failing(store)
        broken.state.failures = when === "before" ? Infinity : 1
        broken.state.when = when
        const made = yield* source(stores === "one store" ? broken.flaky : () => broken.flaky)
        const asking = yield* Effect.forkChild(Effect.exit(made.fetch(hubspot)), { startImmediately: true })
        yield* TestClock.adjust("2 minutes")
        const exit = yield* Fiber.join(asking)
        if (when === "before") {
          assert.include(inspect(exit, { depth: 9 }), "the disk is full")
          assert.notInclude(inspect(exit, { depth: 9 }), "access")
          assert.strictEqual(yield* refreshTokenOf(store), "refresh 0")
        }
        broken.state.failures = 0
        assert.strictEqual(valueOf(yield* made.fetch(hubspot)), "access-1")
        assert.strictEqual(yield* refreshTokenOf(store), "refresh 1")
        assert.lengthOf(state.spent, 1)
      })
  )

  it.effect("is stored by a second attempt if the store fails briefly", () =>
    Effect.gen(function*() {
      const { source, state } = world()
      const broken = failing(begun())
      broken.state.failures = 2
      const made = yield* source(broken.flaky)
      const asking = yield* Effect.forkChild(made.fetch(hubspot), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(valueOf(yield* Fiber.join(asking)), "access-1")
      assert.lengthOf(state.spent, 1)
    }))

  it.effect("that the server refuses is not used again until somebody signs in", () =>
    Effect.gen(function*() {
      const { source, state } = world()
      const store = begun()
      const made = yield* source(store)
      state.next = "another"
      const issue = "the refresh token was refused: somebody must sign in again"
      assert.deepInclude(yield* Effect.flip(made.fetch(hubspot)), { issue, isRefusal: true })
      state.next = "refresh 0"
      assert.deepInclude(yield* Effect.flip(made.fetch(hubspot)), { issue, isRefusal: true })
      assert.lengthOf(state.spent, 0)
      yield* OAuth.TokenStore.put(store, Redacted.make("refresh 0"))
      assert.strictEqual(valueOf(yield* made.fetch(hubspot)), "access-1")
    }))

  it.effect("must exist, or somebody must sign in", () =>
    Effect.gen(function*() {
      const { source } = world()
      assert.deepInclude(yield* Effect.flip((yield* source(OAuth.TokenStore.memory())).fetch(hubspot)), {
        issue: "its store holds no refresh token: somebody must sign in",
        isRefusal: true
      })
    }))

  it.effect("is replaced by a new seed, but not by an older one", () =>
    Effect.gen(function*() {
      const { source, state } = world()
      const store = OAuth.TokenStore.memory()
      const old = yield* source(store, "refresh 0")
      const first = yield* old.fetch(hubspot)
      // A process with another seed continues with the stored token, which is valid.
      const young = yield* source(store, "a new sign-in")
      assert.strictEqual(valueOf(yield* young.fetch(hubspot)), valueOf(first))
      state.next = "a new sign-in"
      const second = yield* young.fetch(hubspot, first!.value)
      assert.strictEqual(valueOf(second), "access-2")
      state.next = "refresh 0"
      yield* Effect.flip(old.fetch(hubspot, second!.value))
      yield* Effect.flip(young.fetch(hubspot, second!.value))
      assert.deepStrictEqual(state.spent, ["refresh 0", "a new sign-in"])
      assert.notInclude(inspect(yield* store.load, { depth: 9 }), "a new sign-in")
    }))

  it.effect("that another process has spent is replaced by the one it has stored", () =>
    Effect.gen(function*() {
      const { source, state } = world()
      const store = begun()
      // Another process takes over during the request, since our claim has expired.
      const slow: OAuth.TokenStore.TokenStore = {
        load: store.load,
        compareAndSet: (revision, tokens) =>
          Effect.gen(function*() {
            const written = yield* store.compareAndSet(revision, tokens)
            if (written && tokens.claim !== undefined) {
              const access = { token: Redacted.make("access-theirs"), issuedAt: 0, expiresAt: 3_600_000 }
              yield* store.compareAndSet(revision + 1, { refreshToken: Redacted.make("theirs"), access })
              state.next = "theirs"
            }
            return written
          })
      }
      assert.strictEqual(valueOf(yield* (yield* source(slow)).fetch(hubspot)), "access-theirs")
      assert.strictEqual(yield* refreshTokenOf(store), "theirs")
    }))

  it.effect("that was spent is not lost if another process claims it before ours is stored", () =>
    Effect.gen(function*() {
      const { source, state } = world()
      const store = begun()
      let isFirst = true
      const contested: OAuth.TokenStore.TokenStore = {
        load: store.load,
        compareAndSet: (revision, tokens) =>
          Effect.gen(function*() {
            if (tokens.access !== undefined && isFirst) {
              isFirst = false
              const kept = (yield* store.load)!
              yield* store.compareAndSet(kept.revision, { ...kept.tokens, claim: { by: "another", until: Infinity } })
            }
            return yield* store.compareAndSet(revision, tokens)
          })
      }
      assert.strictEqual(valueOf(yield* (yield* source(contested)).fetch(hubspot)), "access-1")
      assert.strictEqual(yield* refreshTokenOf(store), "refresh 1")
      assert.lengthOf(state.spent, 1)
    }))

  it.effect("is stored even if a slow write of its predecessor ends in between", () =>
    Effect.gen(function*() {
      const { source, state } = world()
      const store = begun()
      let writes = 0
      const slow: OAuth.TokenStore.TokenStore = {
        load: store.load,
        compareAndSet: (revision, tokens) =>
          Effect.gen(function*() {
            if (tokens.claim === undefined) {
              const write = ++writes
              if (write === 1) yield* Effect.sleep("3 seconds")
              if (write === 3) {
                yield* Effect.sleep("5 seconds")
                return yield* Effect.fail({ _tag: "SourceUnavailable", source: "oauth", issue: "full" } as const)
              }
            }
            return yield* store.compareAndSet(revision, tokens)
          })
      }
      const made = yield* source(slow)
      const first = yield* Effect.forkChild(made.fetch(hubspot), { startImmediately: true })
      yield* until("the first is written", () => writes === 1)
      const second = yield* Effect.forkChild(made.fetch(hubspot, Redacted.make("access-1")), { startImmediately: true })
      yield* until("the second is written", () => writes === 3)
      yield* TestClock.adjust("4 seconds")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(valueOf(yield* Fiber.join(second)), "access-2")
      assert.strictEqual(valueOf(yield* Fiber.join(first)), "access-2")
      assert.deepStrictEqual(state.spent, ["refresh 0", "refresh 1"])
      assert.strictEqual(yield* refreshTokenOf(store), "refresh 2")
    }))

  const Act = Schema.Struct({
    who: Schema.Literals([0, 1, 2]),
    refuses: Schema.Boolean,
    fate: Schema.Literals(["well", "well", "down"]),
    storeFails: intBetween(0, 8),
    waits: intBetween(0, 4_000)
  })

  it.effect.prop(
    "is never spent twice, under any calls and outages, and no new sign-in is needed (law)",
    [Schema.Array(Act).check(Schema.isMaxLength(20))],
    ([acts]) =>
      Effect.gen(function*() {
        const { source, state } = world()
        const store = begun()
        state.takes = "150 millis"
        const broken = failing(store)
        const sources = [yield* source(broken.flaky), yield* source(broken.flaky), yield* source(broken.flaky)]
        let last: Redacted.Redacted | undefined
        const asking: Array<Fiber.Fiber<unknown, unknown>> = []
        for (const { fate, refuses, storeFails, waits, who } of acts) {
          if (fate === "down") state.trouble.push("down")
          // The store is up again before the claim of the failed writer expires.
          broken.state.failures = storeFails
          const ask = Effect.tap(sources[who]!.fetch(hubspot, refuses ? last : undefined), (secret) =>
            Effect.sync(() => {
              last = secret!.value
            }))
          asking.push(yield* Effect.forkChild(Effect.exit(ask), { startImmediately: true }))
          yield* TestClock.adjust(waits)
        }
        broken.state.failures = 0
        state.trouble.length = 0
        yield* TestClock.adjust("1 minute")
        for (const fiber of asking) yield* Fiber.join(fiber)
        assert.isFalse(state.isAlarmed)
        assert.strictEqual(new Set(state.spent).size, state.spent.length)
        for (const source of sources) {
          const asked = yield* Effect.forkChild(source.fetch(hubspot, last), { startImmediately: true })
          yield* TestClock.adjust("1 minute")
          last = (yield* Fiber.join(asked))!.value
        }
        assert.isFalse(state.isAlarmed)
        assert.strictEqual(yield* refreshTokenOf(store), state.next)
      }),
    { arbitrary: { runs: Effort.runs(100) } }
  )
})

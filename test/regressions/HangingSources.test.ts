/** Sources whose fetch hangs once: the flight had no limit, so no reading ever asked the source again. */
import * as RefreshingCredentials from "@breakwater/core/credentials/RefreshingCredentials"
import type { Secret, Source } from "@breakwater/core/credentials/Source"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"

const request = { vendor: "depot", key: "" }

/** A source that hangs in some of its fetches, counted from 0. */
const hangingIn = (hanging: ReadonlyArray<number>, more: Partial<Secret> = {}, takes?: number) => {
  const state = { asked: 0 }
  const source: Source = {
    name: "hanging",
    fetch: () =>
      Effect.suspend(() => {
        const index = state.asked++
        const secret = Effect.succeed({ value: Redacted.make(`secret ${index}`), ...more })
        if (!hanging.includes(index)) return secret
        return takes === undefined ? Effect.never : Effect.delay(secret, takes)
      })
  }
  return { source, state }
}

/** The secret of a reading, or its problem, after this long. */
const after = <A extends Redacted.Redacted, E extends { readonly problem: string }>(
  millis: number,
  read: Effect.Effect<A, E>
) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(
      Effect.match(read, { onSuccess: Redacted.value, onFailure: ({ problem }) => problem })
    )
    yield* TestClock.adjust(millis)
    return yield* Fiber.join(fiber)
  })

describe("a source that hangs once", () => {
  it.effect("is asked again by a later reading", () =>
    Effect.gen(function*() {
      const { source, state } = hangingIn([0])
      const { read } = yield* RefreshingCredentials.make(source)
      assert.strictEqual(yield* after(60_000, read(request)), "Unreachable")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* after(0, read(request)), "secret 1")
      assert.strictEqual(state.asked, 2)
    }))

  it.effect("is asked again when the secret is refreshed, and the secret is served meanwhile", () =>
    Effect.gen(function*() {
      const { source } = hangingIn([1])
      const { read } = yield* RefreshingCredentials.make(source, { fetchTimeout: "10 seconds" })
      assert.strictEqual(yield* after(0, read(request)), "secret 0")
      yield* TestClock.adjust("61 seconds")
      for (let second = 0; second < 10; second++) assert.strictEqual(yield* after(1_000, read(request)), "secret 0")
      yield* TestClock.adjust("2 seconds")
      yield* after(0, read(request))
      assert.strictEqual(yield* after(0, read(request)), "secret 2")
    }))

  it.effect("is heard when it responds late, also while it is asked again", () =>
    Effect.gen(function*() {
      const { source } = hangingIn([0, 1, 2], {}, 500)
      const fetch: Source["fetch"] = (...asked) =>
        Effect.suspend(() => calls++ === 0 ? source.fetch(...asked) : Effect.never)
      let calls = 0
      const { read } = yield* RefreshingCredentials.make({ name: "late", fetch }, {
        fetchTimeout: "300 millis",
        retryPause: "50 millis"
      })
      assert.strictEqual(yield* after(300, read(request)), "Unreachable")
      yield* TestClock.adjust("100 millis")
      const waiting = yield* Effect.forkChild(Effect.exit(read(request)))
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(calls, 2)
      assert.strictEqual(yield* after(0, read(request)), "secret 0")
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(waiting)
      assert.strictEqual(yield* after(0, read(request)), "secret 0")
    }))

  it.effect("is asked again after a refusal", () =>
    Effect.gen(function*() {
      const { source } = hangingIn([1])
      const { read, renew } = yield* RefreshingCredentials.make(source, { fetchTimeout: "10 seconds" })
      const first = yield* read(request)
      yield* after(10_000, renew!(request, first))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* after(0, renew!(request, first)), "secret 2")
    }))

  it.effect("is asked again when it extends a lease", () =>
    Effect.gen(function*() {
      let extended = 0
      const extend = Effect.suspend(() => extended++ === 0 ? Effect.never : Effect.undefined)
      const { source } = hangingIn([], { extend, expiresAt: 100_000 })
      const { read } = yield* RefreshingCredentials.make(source, { fetchTimeout: "5 seconds", jitter: 0 })
      assert.strictEqual(yield* after(0, read(request)), "secret 0")
      yield* TestClock.adjust("70 seconds")
      assert.strictEqual(yield* after(5_000, read(request)), "secret 0")
      yield* TestClock.adjust("2 seconds")
      yield* after(0, read(request))
      assert.strictEqual(yield* after(0, read(request)), "secret 1")
    }))

  it.effect("does not replace a later secret when it responds very late", () =>
    Effect.gen(function*() {
      const { source } = hangingIn([0], {}, 90_000)
      const { read } = yield* RefreshingCredentials.make(source, { maxAge: "1 hour" })
      yield* after(60_000, read(request))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* after(0, read(request)), "secret 1")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* after(0, read(request)), "secret 1")
    }))

  it.effect("is heard when it responds late", () =>
    Effect.gen(function*() {
      const { source, state } = hangingIn([0], {}, 90_000)
      const { read } = yield* RefreshingCredentials.make(source)
      assert.strictEqual(yield* after(60_000, read(request)), "Unreachable")
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* after(0, read(request)), "secret 0")
      assert.strictEqual(state.asked, 1)
    }))
})

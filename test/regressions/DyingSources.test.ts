/** Sources of secrets that die, throw, interrupt themselves or return something else: a failure with a pause and a log line. */
import * as Chain from "@breakwater/core/credentials/Chain"
import * as Credential from "@breakwater/core/credentials/Credential"
import * as RefreshingCredentials from "@breakwater/core/credentials/RefreshingCredentials"
import type { Source } from "@breakwater/core/credentials/Source"
import type { CredentialUnavailable } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Logger, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import { randomUUID } from "node:crypto"
import * as Depot from "../fakes/Depot.ts"

const request = { vendor: "depot", key: "" }
const secret = randomUUID()

type Fetch = Source["fetch"]

/** The ways in which a source can be broken. A message may hold the secret. */
const ways: ReadonlyArray<readonly [string, Fetch, issue: string]> = [
  ["dies", () => Effect.die(new RangeError(secret)), "the source is broken (RangeError)"],
  ["dies later", () => Effect.die(new TypeError(secret)).pipe(Effect.delay(1)), "the source is broken (TypeError)"],
  ["dies of a text", () => Effect.die(secret), "the source is broken (a defect)"],
  ["throws", () => {
    throw new SyntaxError(secret)
  }, "the source is broken (SyntaxError)"],
  ["returns a bare text", () => Effect.succeed(secret as never), "the source is broken (TypeError)"],
  [
    "returns a text as its secret",
    () => Effect.succeed({ value: secret as never }),
    "the source is broken (TypeError)"
  ],
  ["returns null", () => Effect.succeed(null as never), "the source is broken (TypeError)"],
  ["interrupts itself", () => Effect.interrupt, "the source interrupts itself"]
]

/** A source that is broken until it is mended, with the number of times it was asked. */
const breaking = (fetch: Fetch) => {
  const state = { asked: 0, isBroken: true }
  const source: Source = {
    name: "broken",
    fetch: (request, refused) => {
      state.asked++
      return state.isBroken ? fetch(request, refused) : Effect.succeed({ value: Redacted.make(secret) })
    }
  }
  return { source, state }
}

const listening = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${String(message)}`))
  return { lines, layer: Logger.layer([logger]) }
}

/** What a reading comes to; a defect stays one. */
const seen = (read: Effect.Effect<Redacted.Redacted, CredentialUnavailable>) =>
  Depot.soon(Effect.match(read, { onSuccess: Redacted.value, onFailure: ({ problem }) => problem }))

describe("a remote source that", () => {
  it.effect.each(ways)("%s is left alone for a pause, and says so once", ([, fetch, issue]) => {
    const { source, state } = breaking(fetch)
    const { layer, lines } = listening()
    return Effect.gen(function*() {
      const credentials = yield* RefreshingCredentials.make(source, { jitter: 0, retryPause: "1 second" })
      for (let read = 0; read < 20; read++) assert.strictEqual(yield* seen(credentials.read(request)), "Unreachable")
      assert.strictEqual(state.asked, 1)
      assert.deepStrictEqual(lines, [`Warn a secret could not be fetched: ${issue}`])
      yield* TestClock.adjust("1 second")
      yield* seen(credentials.read(request))
      // The next pause is twice as long.
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual(yield* seen(credentials.read(request)), "Unreachable")
      assert.strictEqual(state.asked, 2)
      state.isBroken = false
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* seen(credentials.read(request)), secret)
      assert.strictEqual(lines.at(-1), "Info secrets can be fetched again")
    }).pipe(Effect.provide(layer))
  })

  it.effect.each(ways)("%s does not take the secret away that is still good", ([, fetch]) => {
    const { source, state } = breaking(fetch)
    return Effect.gen(function*() {
      state.isBroken = false
      const credentials = yield* RefreshingCredentials.make(source, { jitter: 0, maxAge: "1 minute" })
      yield* seen(credentials.read(request))
      state.isBroken = true
      yield* TestClock.adjust("1 minute")
      for (let read = 0; read < 20; read++) assert.strictEqual(yield* seen(credentials.read(request)), secret)
      assert.strictEqual(state.asked, 2)
    })
  })

  it.effect("breaks at a lease's extension is not asked by every reading", () => {
    let extensions = 0
    const source: Source = {
      name: "leasing",
      fetch: () =>
        Effect.succeed({
          value: Redacted.make(secret),
          expiresAt: 60_000,
          extend: Effect.suspend(() => {
            extensions++
            return Effect.die(new Error(secret))
          })
        })
    }
    return Effect.gen(function*() {
      const credentials = yield* RefreshingCredentials.make(source, { jitter: 0, retryPause: "1 second" })
      yield* seen(credentials.read(request))
      yield* TestClock.adjust("30 seconds")
      for (let read = 0; read < 20; read++) assert.strictEqual(yield* seen(credentials.read(request)), secret)
      assert.strictEqual(extensions, 1)
    })
  })

  it.effect("is closed with its scope is not broken: nothing is logged", () => {
    const { layer, lines } = listening()
    return Effect.gen(function*() {
      const scope = yield* Scope.make()
      const credentials = yield* Scope.provide(
        RefreshingCredentials.make({ name: "slow", fetch: () => Effect.never }),
        scope
      )
      const reader = yield* Effect.forkChild(Effect.exit(credentials.read(request)))
      yield* TestClock.adjust(1)
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(1)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.join(reader)))
      assert.isEmpty(lines)
    }).pipe(Effect.provide(layer))
  })
})

describe("a local source that", () => {
  it.effect.each(ways.slice(0, -1))("%s is unavailable, and says so once", ([, fetch, issue]) => {
    const { source, state } = breaking(fetch)
    const { layer, lines } = listening()
    return Effect.gen(function*() {
      const credentials = Credential.fromSource(source)
      for (let read = 0; read < 3; read++) assert.strictEqual(yield* seen(credentials.read(request)), "Unreachable")
      assert.deepStrictEqual(lines, [`Warn a secret could not be read: ${issue}`])
      state.isBroken = false
      assert.strictEqual(yield* seen(credentials.read(request)), secret)
    }).pipe(Effect.provide(layer))
  })

  it.effect("dies lets a chain go on, if that is what the chain does when a part is down", () =>
    Effect.gen(function*() {
      const { source } = breaking(() => Effect.die(new Error(secret)))
      const next: Source = { name: "next", fetch: () => Effect.succeed({ value: Redacted.make("next") }) }
      assert.strictEqual(yield* seen(Chain.make([source, next]).read(request)), "Unreachable")
      assert.strictEqual(yield* seen(Chain.make([source, next], { whenDown: "Next" }).read(request)), "next")
    }))
})

describe("credentials that throw", () => {
  it.effect.each(["read", "renew"] as const)(
    "in %s fail their call alone, and release everything",
    (place) =>
      Effect.gen(function*() {
        let isBroken = false
        const depot = Depot.serve((_, index) => place === "renew" && index === 0 ? Depot.refused : Depot.ok)
        const throwing = () => {
          throw new Error("no secret here")
        }
        const credentials: Credential.Credentials = {
          read: () => isBroken && place === "read" ? throwing() : Effect.succeed(Redacted.make(secret)),
          renew: () => isBroken ? throwing() : Effect.succeed(Redacted.make(secret))
        }
        const client = yield* Depot.make({ policy: { retry: false, bulkhead: { limit: 1, queue: 0 } } }).pipe(
          Effect.provide([depot.transport, Layer.succeed(Credential.Credentials, credentials)])
        )
        isBroken = true
        const exit = yield* Depot.soon(Effect.exit(client.report()))
        assert.isTrue(Exit.hasDies(exit))
        isBroken = false
        yield* Depot.soon(client.report())
      })
  )
})

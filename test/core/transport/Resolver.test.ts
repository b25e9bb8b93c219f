import * as AddressGuard from "@breakwater/core/transport/AddressGuard"
import * as Resolver from "@breakwater/core/transport/Resolver"
import { ConnectFailed } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"

const isPublic = AddressGuard.make()
const dns = new ConnectFailed("Dns")
const forbidden = new ConnectFailed("Forbidden")

/** Answers lookups in turn, repeats the last answer, and records the names. */
const answering = (...answers: ReadonlyArray<ReadonlyArray<string> | Error>) => {
  const asked: Array<string> = []
  const lookup: Resolver.Lookup = (name) =>
    Effect.suspend(() => {
      const answer = answers[Math.min(asked.push(name), answers.length) - 1]!
      return answer instanceof Error ? Effect.fail(answer) : Effect.succeed(answer)
    })
  return { asked, lookup }
}

describe("Resolver", () => {
  it.effect("finds the addresses of a name, in the order of the lookup", () =>
    Effect.gen(function*() {
      const { asked, lookup } = answering(["2606:4700::1", "1.1.1.1"])
      const resolver = yield* Resolver.make(isPublic, { lookup })
      assert.deepStrictEqual(yield* resolver.addresses("shop.example"), ["2606:4700::1", "1.1.1.1"])
      assert.deepStrictEqual(asked, ["shop.example"])
    }))

  it.effect.each<readonly [string, ReadonlyArray<string>]>([
    ["that is forbidden", ["10.0.0.1"]],
    ["that is this machine", ["127.0.0.1"]],
    ["that is forbidden among good ones, behind", ["1.1.1.1", "169.254.169.254"]],
    ["that is forbidden among good ones, in front", ["::1", "1.1.1.1"]],
    ["that is forbidden inside another", ["64:ff9b::7f00:1"]],
    ["with a zone", ["fe80::1%2"]],
    ["that is not an address", ["1.1.1.1", "shop.example"]]
  ])("refuses a name for one address %s", ([, addresses]) =>
    Effect.gen(function*() {
      const resolver = yield* Resolver.make(isPublic, answering(addresses))
      assert.deepStrictEqual(yield* Effect.flip(resolver.addresses("shop.example")), forbidden)
    }))

  it.effect.each<readonly [string, ReadonlyArray<string> | Error]>([
    ["that is unknown", new Error("ENOTFOUND")],
    ["without an address", []]
  ])("does not find a name %s", ([, answer]) =>
    Effect.gen(function*() {
      const resolver = yield* Resolver.make(isPublic, answering(answer))
      assert.deepStrictEqual(yield* Effect.flip(resolver.addresses("shop.example")), dns)
    }))

  it.effect("caches the checked addresses, so that a rebound name has no effect", () =>
    Effect.gen(function*() {
      const { asked, lookup } = answering(["1.1.1.1"], ["127.0.0.1"])
      const resolver = yield* Resolver.make(isPublic, { lookup })
      assert.deepStrictEqual(yield* resolver.addresses("shop.example"), ["1.1.1.1"])
      yield* TestClock.adjust("29999 millis")
      assert.deepStrictEqual(yield* resolver.addresses("shop.example"), ["1.1.1.1"])
      assert.strictEqual(asked.length, 1)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Effect.flip(resolver.addresses("shop.example")), forbidden)
      assert.strictEqual(asked.length, 2)
    }))

  it.effect("caches them for the configured time", () =>
    Effect.gen(function*() {
      const { asked, lookup } = answering(["1.1.1.1"])
      const resolver = yield* Resolver.make(isPublic, { lookup, timeToLive: "1 second" })
      yield* resolver.addresses("shop.example")
      yield* TestClock.adjust("999 millis")
      yield* resolver.addresses("shop.example")
      assert.strictEqual(asked.length, 1)
      yield* TestClock.adjust("1 millis")
      yield* resolver.addresses("shop.example")
      assert.strictEqual(asked.length, 2)
    }))

  it.effect("repeats a failed or refused lookup after a second", () =>
    Effect.gen(function*() {
      const { asked, lookup } = answering(new Error("EAI_AGAIN"), ["10.0.0.1"], ["1.1.1.1"])
      const resolver = yield* Resolver.make(isPublic, { lookup })
      for (const reason of [dns, forbidden]) {
        assert.deepStrictEqual(yield* Effect.flip(resolver.addresses("shop.example")), reason)
        yield* TestClock.adjust("999 millis")
        assert.deepStrictEqual(yield* Effect.flip(resolver.addresses("shop.example")), reason)
        yield* TestClock.adjust("1 millis")
      }
      assert.deepStrictEqual(yield* resolver.addresses("shop.example"), ["1.1.1.1"])
      assert.strictEqual(asked.length, 3)
    }))

  it.effect("shares one lookup among concurrent callers, and interrupts only the one that ends", () =>
    Effect.gen(function*() {
      const answer = yield* Deferred.make<ReadonlyArray<string>>()
      let asked = 0
      const lookup: Resolver.Lookup = () => {
        asked++
        return Deferred.await(answer)
      }
      const resolver = yield* Resolver.make(isPublic, { lookup })
      const first = yield* Effect.forkChild(resolver.addresses("shop.example"), { startImmediately: true })
      const others = yield* Effect.forkChild(
        Effect.all([resolver.addresses("shop.example"), resolver.addresses("shop.example")], {
          concurrency: "unbounded"
        }),
        { startImmediately: true }
      )
      yield* Fiber.interrupt(first)
      yield* Deferred.succeed(answer, ["1.1.1.1"])
      assert.deepStrictEqual(yield* Fiber.join(others), [["1.1.1.1"], ["1.1.1.1"]])
      assert.strictEqual(asked, 1)
    }))

  it.effect("waits for a lookup no longer than configured", () =>
    Effect.gen(function*() {
      const resolver = yield* Resolver.make(isPublic, { lookup: () => Effect.never, timeout: "3 seconds" })
      const waiting = yield* Effect.forkChild(Effect.flip(resolver.addresses("shop.example")), {
        startImmediately: true
      })
      yield* TestClock.adjust("2999 millis")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(waiting), dns)
    }))

  it.effect("caches no more names than configured, and evicts the oldest", () =>
    Effect.gen(function*() {
      const { asked, lookup } = answering(["1.1.1.1"])
      const resolver = yield* Resolver.make(isPublic, { lookup, names: 2 })
      for (const name of ["a", "b", "c", "b", "c", "a"]) yield* resolver.addresses(name)
      assert.deepStrictEqual(asked, ["a", "b", "c", "a"])
    }))

  describe("knows the names of this machine", () => {
    const own = AddressGuard.make({ loopback: true })

    it.effect.each(["localhost", "LOCALHOST.", "shop.localhost"])(
      "as loopback, without a lookup: %s",
      (name) =>
        Effect.gen(function*() {
          const resolver = yield* Resolver.make(own)
          assert.deepStrictEqual(yield* resolver.addresses(name), ["127.0.0.1", "::1"])
          assert.deepStrictEqual(
            yield* Effect.flip(Effect.flatMap(Resolver.make(isPublic), (resolver) => resolver.addresses(name))),
            forbidden
          )
        })
    )

    it.effect("and refuses any other address for them", () =>
      Effect.gen(function*() {
        const resolver = yield* Resolver.make(own, answering(["127.0.0.1", "1.1.1.1"]))
        assert.deepStrictEqual(yield* Effect.flip(resolver.addresses("shop.localhost")), forbidden)
      }))
  })

  it.each<readonly [Resolver.ResolverOptions, RegExp]>([
    [{ timeToLive: 0 }, /timeToLive must be longer than 0 and finite/],
    [{ timeToLive: Infinity }, /timeToLive must be longer than 0 and finite/],
    [{ staleFor: -1 }, /staleFor must be at least 0 and finite/],
    [{ timeout: 0 }, /timeout must be longer than 0 and finite/],
    [{ names: 0 }, /names must be a whole number of at least 1, got 0/]
  ])("cannot be made with %j", (options, message) => {
    assert.throws(() => Resolver.make(isPublic, options), message)
  })
})

import * as Chain from "@breakwater/core/credentials/Chain"
import * as Credential from "@breakwater/core/credentials/Credential"
import * as RefreshingCredentials from "@breakwater/core/credentials/RefreshingCredentials"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { TestClock } from "effect/testing"

const stripe = { vendor: "stripe", key: "" }

/** A source that has a secret, has none, or is down, and counts its requests. */
const scripted = (name: string, has: string | undefined) => {
  const state = { has, isDown: false, asked: 0, refused: [] as Array<string> }
  const source: RefreshingCredentials.Source = {
    name,
    fetch: (_, refused) =>
      Effect.suspend(() => {
        state.asked++
        if (refused !== undefined) state.refused.push(Redacted.value(refused))
        return state.isDown
          ? Effect.fail({ _tag: "SourceUnavailable", source: name, issue: "down" } as const)
          : Effect.succeed(state.has === undefined ? undefined : { value: Redacted.make(state.has) })
      })
  }
  return { state, source }
}

const told = (asked: ReturnType<Credential.Credentials["read"]>) =>
  Effect.match(asked, { onSuccess: Redacted.value, onFailure: ({ problem }) => problem })

const Member = Schema.Literals(["has", "has none", "is down"])

describe("Chain", () => {
  it.effect("returns the secret of the first part that has one", () =>
    Effect.gen(function*() {
      const [file, environment, vault] = [
        scripted("file", undefined),
        scripted("environment", "from the environment"),
        scripted("vault", "from the vault")
      ]
      const { read } = Chain.make([file.source, environment.source, vault.source])
      assert.strictEqual(yield* told(read(stripe)), "from the environment")
      assert.strictEqual(vault.state.asked, 0)
    }))

  it.effect("fails when no part has the secret", () =>
    Effect.gen(function*() {
      const { read } = Chain.make([scripted("file", undefined).source, scripted("vault", undefined).source])
      assert.strictEqual(yield* told(read(stripe)), "Missing")
    }))

  it.effect("fails rather than asking the next part, by default", () =>
    Effect.gen(function*() {
      const [first, second] = [scripted("first", "first"), scripted("second", "long replaced")]
      const { read } = Chain.make([first.source, second.source])
      first.state.isDown = true
      assert.strictEqual(yield* told(read(stripe)), "Unreachable")
      assert.strictEqual(second.state.asked, 0)
      first.state.isDown = false
      assert.strictEqual(yield* told(read(stripe)), "first")
    }))

  it.effect("asks a local part for every attempt, and a cached one as its cache does", () =>
    Effect.gen(function*() {
      const [near, far] = [scripted("near", undefined), scripted("far", "far 1")]
      const { read } = Chain.make([
        near.source,
        yield* RefreshingCredentials.make(far.source, { maxAge: "1 minute", jitter: 0 })
      ])
      assert.strictEqual(yield* told(read(stripe)), "far 1")
      far.state.has = "far 2"
      assert.strictEqual(yield* told(read(stripe)), "far 1")
      assert.deepStrictEqual([near.state.asked, far.state.asked], [2, 1])
      near.state.has = "near"
      assert.strictEqual(yield* told(read(stripe)), "near")
      near.state.has = undefined
      yield* TestClock.adjust("1 minute")
      yield* read(stripe)
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* told(read(stripe)), "far 2")
    }).pipe(Effect.scoped))

  it.effect("does not ask a cached part at every attempt for a secret that it does not have", () =>
    Effect.gen(function*() {
      const [far, near] = [scripted("far", undefined), scripted("near", "near")]
      const { read } = Chain.make([
        yield* RefreshingCredentials.make(far.source, { retryPause: "1 second" }),
        near.source
      ])
      for (let call = 0; call < 10; call++) assert.strictEqual(yield* told(read(stripe)), "near")
      assert.strictEqual(far.state.asked, 1)
      far.state.has = "far"
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* told(read(stripe)), "far")
    }).pipe(Effect.scoped))

  it.effect("asks the part that had a refused secret for another, and earlier parts, which may have one now", () =>
    Effect.gen(function*() {
      const [near, far] = [scripted("near", undefined), scripted("far", "refused")]
      const keeper = yield* RefreshingCredentials.make(far.source)
      const { read, renew } = Chain.make([near.source, keeper])
      const refused = yield* read(stripe)
      far.state.has = "renewed"
      assert.strictEqual(yield* told(renew!(stripe, refused)), "renewed")
      assert.deepStrictEqual(far.state.refused, ["refused"])
      near.state.has = "near"
      assert.strictEqual(yield* told(renew!(stripe, Redacted.make("renewed"))), "near")
      assert.lengthOf(far.state.refused, 1)
    }).pipe(Effect.scoped))

  it("needs at least one part", () => {
    assert.throws(() => Chain.make([]), /at least one part/)
  })

  it.effect.prop(
    "returns the secret of the first part that has one, and skips a part that is down only if configured",
    [Schema.NonEmptyArray(Member), Schema.Boolean],
    ([members, isPassedOver]) =>
      Effect.gen(function*() {
        const parts = members.map((member, index) => {
          const part = scripted(`${index}`, member === "has" ? `of ${index}` : undefined)
          part.state.isDown = member === "is down"
          return part
        })
        const chain = Chain.make(parts.map(({ source }) => source), { whenDown: isPassedOver ? "Next" : "Fail" })
        const ends = (member: typeof Member.Type) => member === "has" || (member === "is down" && !isPassedOver)
        const end = members.findIndex(ends)
        const expected = end < 0
          ? members.includes("is down") ? "Unreachable" : "Missing"
          : members[end] === "has"
          ? `of ${end}`
          : "Unreachable"
        assert.strictEqual(yield* told(chain.read(stripe)), expected)
        assert.deepStrictEqual(
          parts.map(({ state }) => state.asked),
          members.map((_, index) => end < 0 || index <= end ? 1 : 0)
        )
      })
  )
})

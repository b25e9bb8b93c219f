import type { Reason } from "@breakwater/core/Reason"
import type { Fate, Safety } from "@breakwater/core/Safety"
import { isVendorError, VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import { inspect } from "node:util"
import { reasons } from "../drivers/Reasons.ts"

const errorOf = (reason: Reason, fields: { readonly fate?: Fate; readonly safety?: Safety } = {}) =>
  new VendorError({ vendor: "acme", operation: "charge", safety: "Keyed", attempts: 2, reason, ...fields })

describe("VendorError", () => {
  for (const reason of Object.values(reasons)) {
    it(`for ${reason._tag} is an Error with a name, a message and a stack, and prints in every way`, () => {
      const error = errorOf(reason)
      assert.instanceOf(error, Error)
      assert.instanceOf(error, VendorError)
      assert.strictEqual(error._tag, "VendorError")
      assert.strictEqual(error.name, "VendorError")
      assert.strictEqual(error.message, `acme charge: ${reason.message}`)
      assert.strictEqual(error.stack, `VendorError: acme charge: ${reason.message}`)
      assert.strictEqual(String(error), `VendorError: acme charge: ${reason.message}`)
      assert.include(Cause.pretty(Cause.fail(error)), error.message)
      assert.include(Cause.pretty(Cause.die(error)), error.message)
      for (const word of ["VendorError", "acme", "charge", reason._tag]) assert.include(inspect(error), word)
      const json = JSON.parse(JSON.stringify(error)) as Record<string, unknown>
      assert.deepStrictEqual(json, {
        _tag: "VendorError",
        vendor: "acme",
        operation: "charge",
        safety: "Keyed",
        reason: JSON.parse(JSON.stringify(reason)),
        fate: reason.fate,
        attempts: 2
      })
    })
  }

  it("is distinguished from any other value", () => {
    assert.isTrue(isVendorError(errorOf(reasons.Timeout)))
    for (const other of [undefined, null, "VendorError", new Error("x"), Object.assign({}, errorOf(reasons.Timeout))]) {
      assert.isFalse(isVendorError(other))
    }
  })

  it("passes on the facts of its reason, and takes its fate from it unless given another", () => {
    for (const reason of Object.values(reasons)) {
      const error = errorOf(reason)
      assert.strictEqual(error.isRetryable, reason.isRetryable)
      assert.deepStrictEqual(error.retryAfter, reason.retryAfter)
      assert.strictEqual(error.fate, reason.fate)
      for (const fate of ["NotSent", "Rejected", "Unknown"] as const) {
        assert.strictEqual(errorOf(reason, { fate }).fate, fate)
      }
    }
    const { attempts } = new VendorError({ vendor: "a", operation: "b", safety: "Unsafe", reason: reasons.CircuitOpen })
    assert.strictEqual(attempts, 0)
  })

  it("says mayHaveHappened for a write of unknown fate, and for nothing else", () => {
    const mayHaveHappened = (["Idempotent", "Keyed", "Unsafe"] as const).flatMap((safety) =>
      (["NotSent", "Rejected", "Unknown"] as const).filter((fate) =>
        errorOf(reasons.Timeout, { safety, fate }).mayHaveHappened
      ).map((fate) => `${safety} ${fate}`)
    )
    assert.deepStrictEqual(mayHaveHappened, ["Keyed Unknown", "Unsafe Unknown"])
  })

  it.effect("can be yielded, and fails the effect with itself", () =>
    Effect.gen(function*() {
      const error = errorOf(reasons.Unavailable)
      const steps: Array<string> = []
      const exit = yield* Effect.exit(Effect.gen(function*() {
        steps.push("before")
        return yield* error
      }))
      assert.deepStrictEqual(steps, ["before"])
      assert.deepStrictEqual(exit, Exit.fail(error))
      assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) === error)
    }))

  it.effect("is caught by its tag", () =>
    Effect.gen(function*() {
      const error = errorOf(reasons.Unavailable)
      const call: Effect.Effect<string, VendorError | Cause.NoSuchElementError> = Effect.fail(error)
      const caught = yield* Effect.catchTag(call, "VendorError", (caught) => Effect.succeed(caught))
      assert.strictEqual(caught, error)
    }))

  it.effect("is caught by its reason, with access to it, and not by other reasons", () =>
    Effect.gen(function*() {
      const call: Effect.Effect<string, VendorError> = Effect.fail(errorOf(reasons.RateLimited))
      const status = Effect.catchReason(
        call,
        "VendorError",
        "RateLimited",
        (reason, error) => Effect.succeed(`${error.vendor} ${reason.status} ${reason.retryAfterMillis}`)
      )
      assert.strictEqual(yield* status, "acme 429 30000")
      const other = Effect.catchReason(call, "VendorError", "Timeout", () => Effect.succeed("timeout"))
      assert.strictEqual((yield* Effect.flip(other)).reason, reasons.RateLimited)
      const oneOfSeveral = Effect.catchReasons(call, "VendorError", {
        Timeout: () => Effect.succeed("timeout"),
        RateLimited: () => Effect.succeed("limited")
      })
      assert.strictEqual(yield* oneOfSeveral, "limited")
    }))

  it("rejects a promise with itself", async () => {
    const error = errorOf(reasons.ConnectionLost)
    const rejection = await Effect.runPromise(Effect.fail(error)).catch((cause: unknown) => cause)
    assert.strictEqual(rejection, error)
  })
})

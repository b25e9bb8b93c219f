import { Provenance, Unavailable, VendorError } from "@breakwater/core"
import * as InOrder from "@breakwater/vendors/InOrder"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"

const reason = new Unavailable(503)
const down = new VendorError({ vendor: "north", operation: "greet", safety: "Idempotent", reason })

/** Reports a part of an answer that was in a cache. */
const part = (age: Duration.Duration) =>
  Effect.map(Provenance.Acceptance, (acceptance) => acceptance?.tell({ _tag: "Cached", age }))

const greeting = (provenance: Provenance.Provenance): { value: string; provenance: Provenance.Provenance } => ({
  value: "hello",
  provenance
})

describe("vendors in order", () => {
  const fallback = { _tag: "Fallback", from: "south", because: "Unavailable" } as const

  it.effect("a fallback has its own age, and none of the vendor that failed after a part from its cache", () =>
    Effect.gen(function*() {
      const ask = yield* InOrder.make("greetings")
      const answer = yield* ask({
        north: Effect.andThen(part(Duration.hours(10)), Effect.fail(down)),
        south: Effect.succeed(greeting(Provenance.fresh))
      }).pipe(Provenance.withProvenance)
      assert.deepStrictEqual(answer.value.provenance, fallback)
      assert.deepStrictEqual(answer.provenance, fallback)
    }))

  it.effect("a fallback from a cache has its age there, also for a report around it", () =>
    Effect.gen(function*() {
      const ask = yield* InOrder.make("greetings")
      const age = Duration.minutes(3)
      const answer = yield* ask({
        north: Effect.fail(down),
        south: Effect.succeed(greeting({ _tag: "Cached", age }))
      }).pipe(Provenance.withProvenance)
      assert.deepStrictEqual(answer.value.provenance, { ...fallback, age })
      assert.deepStrictEqual(answer.provenance, { ...fallback, age })
    }))
})

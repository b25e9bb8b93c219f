import * as Failover from "@breakwater/core/degradation/Failover"
import * as Provenance from "@breakwater/core/Provenance"
import type { Fate, Safety } from "@breakwater/core/Safety"
import { type Reason, Unavailable, VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { reasons } from "../../drivers/Reasons.ts"

const error = (vendor: string, reason: Reason = new Unavailable(503), safety: Safety = "Idempotent", fate?: Fate) =>
  new VendorError({ vendor, operation: "rate", safety, reason, fate })

/** Two vendors that answer with their name, or fail; the called vendors are recorded. */
const world = () => {
  const asked: Array<string> = []
  const failing = new Map<string, VendorError | "declared">()
  const ask = (name: string) =>
    Effect.suspend((): Effect.Effect<string, VendorError | "declared"> => {
      asked.push(name)
      const failure = failing.get(name)
      return failure === undefined ? Effect.succeed(name) : Effect.fail(failure)
    })
  return {
    asked,
    failing,
    vendors: { north: ask("north"), south: ask("south"), west: ask("west") },
    /** The vendors called since this function was last called. */
    whom: () => asked.splice(0).join(" ")
  }
}

describe("Failover", () => {
  it.effect("calls only the first vendor, as long as it answers", () =>
    Effect.gen(function*() {
      const { vendors, whom } = world()
      const { provenance, value } = yield* Provenance.withProvenance(Failover.make().call(vendors))
      assert.deepStrictEqual([value, provenance._tag, whom()], ["north", "Fresh", "north"])
    }))

  it.effect("calls the next vendor when one fails, and says so", () =>
    Effect.gen(function*() {
      const { failing, vendors, whom } = world()
      failing.set("north", error("north", reasons.CircuitOpen)).set("south", error("south"))
      const answer = yield* Provenance.withProvenance(Failover.make().call(vendors))
      assert.deepStrictEqual(answer, {
        value: "west",
        provenance: { _tag: "Fallback", from: "west", because: "CircuitOpen" }
      })
      assert.strictEqual(whom(), "north south west")
    }))

  it.effect("fails with the last error when every vendor fails", () =>
    Effect.gen(function*() {
      const { failing, vendors } = world()
      for (const name of ["north", "south", "west"]) failing.set(name, error(name))
      assert.strictEqual(yield* Effect.flip(Failover.make().call(vendors)), failing.get("west"))
    }))

  it.effect("counts a declared error as an answer", () =>
    Effect.gen(function*() {
      const { failing, vendors, whom } = world()
      failing.set("north", "declared")
      const failover = Failover.make({ failures: 1 })
      assert.strictEqual(yield* Effect.flip(failover.call(vendors)), "declared")
      assert.strictEqual(whom(), "north")
      assert.strictEqual(failover.avoided.size, 0)
    }))

  it.effect("does not move on for a defect or an interruption", () =>
    Effect.gen(function*() {
      const { vendors, whom } = world()
      const failover = Failover.make({ failures: 1 })
      const died = yield* Effect.exit(failover.call({ ...vendors, north: Effect.die("broken") }))
      assert.isTrue(Exit.hasDies(died))
      const left = yield* Effect.exit(failover.call({ ...vendors, north: Effect.interrupt }))
      assert.isTrue(Exit.hasInterrupts(left))
      assert.strictEqual(whom(), "")
      assert.strictEqual(failover.avoided.size, 0)
    }))

  const movesOn: ReadonlyArray<Reason["_tag"]> = [
    "CircuitOpen",
    "RateLimitExceeded",
    "BulkheadFull",
    "Throttled",
    "Timeout",
    "ConnectFailed",
    "ConnectionLost",
    "Unavailable",
    "RateLimited",
    "Unauthorized",
    "InvalidResponse",
    "ResponseTooLarge",
    "CredentialUnavailable",
    "CredentialRevoked"
  ]
  it.each(Object.entries(reasons))("moves on with a read only for a reason about the vendor: %s", (tag, reason) => {
    assert.strictEqual(Failover.mayMoveOn(error("north", reason)), movesOn.includes(tag as Reason["_tag"]))
  })

  it.each<readonly [Safety, Fate, boolean]>([
    ["Keyed", "NotSent", true],
    ["Keyed", "Rejected", true],
    ["Keyed", "Unknown", false],
    ["Unsafe", "NotSent", true],
    ["Unsafe", "Rejected", true],
    ["Unsafe", "Unknown", false],
    ["Idempotent", "Unknown", true]
  ])("moves on with a call that is %s and whose fate is %s: %s", (safety, fate, moves) => {
    assert.strictEqual(Failover.mayMoveOn(error("north", new Unavailable(503), safety, fate)), moves)
  })

  it.effect("avoids a vendor after some failures in a row, and returns after some answers", () =>
    Effect.gen(function*() {
      const { failing, vendors, whom } = world()
      const failover = Failover.make({ failures: 3, stayAway: "30 seconds", answers: 2 })
      const call = failover.call(vendors)
      const times = (n: number) => Effect.repeat(call, { times: n - 1 })
      failing.set("north", error("north"))
      yield* times(2)
      failing.delete("north")
      yield* call
      failing.set("north", error("north"))
      yield* times(5)
      assert.strictEqual(whom(), "north south north south north north south north south north south south south")
      assert.deepStrictEqual([...failover.avoided], [["north", "Unavailable"]])
      assert.deepStrictEqual((yield* Provenance.withProvenance(call)).provenance, {
        _tag: "Fallback",
        from: "south",
        because: "Unavailable"
      })
      yield* TestClock.adjust("29999 millis")
      yield* call
      assert.strictEqual(whom(), "south south")
      yield* TestClock.adjust("1 millis")
      // It is tested and still fails: avoided for the same time again.
      yield* times(2)
      assert.strictEqual(whom(), "north south south")
      failing.delete("north")
      yield* TestClock.adjust("30 seconds")
      yield* times(3)
      assert.strictEqual(whom(), "north north north")
      assert.strictEqual(failover.avoided.size, 0)
    }))

  it.effect("restarts its count with every answer, and with every failure of a returning vendor", () =>
    Effect.gen(function*() {
      const { failing, vendors, whom } = world()
      const failover = Failover.make({ failures: 2, stayAway: "30 seconds", answers: 2 })
      const call = Effect.exit(failover.call(vendors))
      const north = (failure: VendorError | "declared" | undefined) => {
        if (failure === undefined) failing.delete("north")
        else failing.set("north", failure)
        return call
      }
      yield* north(error("north"))
      yield* north("declared")
      yield* north(error("north"))
      assert.strictEqual(failover.avoided.size, 0)
      yield* north(error("north"))
      assert.strictEqual(failover.avoided.size, 1)
      yield* TestClock.adjust("30 seconds")
      yield* north(undefined)
      yield* north(error("north"))
      whom()
      yield* north(undefined)
      assert.strictEqual(whom(), "south")
      yield* TestClock.adjust("30 seconds")
      yield* north("declared")
      assert.strictEqual(failover.avoided.size, 1)
      yield* north(undefined)
      assert.strictEqual(failover.avoided.size, 0)
    }))

  it.effect("tests only an avoided vendor that it prefers to the answering one, once its time is over", () =>
    Effect.gen(function*() {
      const { failing, vendors, whom } = world()
      let order = ["south", "north"]
      const failover = Failover.make({ failures: 1, stayAway: "30 seconds", order: () => order })
      failing.set("south", error("south"))
      yield* failover.call(vendors)
      order = ["north", "south"]
      yield* TestClock.adjust("30 seconds")
      whom()
      yield* failover.call(vendors)
      assert.strictEqual(whom(), "north")
      failing.set("north", error("north"))
      yield* TestClock.adjust("20 seconds")
      yield* Effect.exit(failover.call(vendors))
      yield* TestClock.adjust("29 seconds")
      yield* Effect.exit(failover.call({ ...vendors, south: vendors.west }))
      yield* TestClock.adjust("1 seconds")
      whom()
      failing.clear()
      yield* failover.call(vendors)
      assert.strictEqual(whom(), "south")
    }))

  it.effect("tests a returning vendor with one call at a time, also when that call is interrupted", () =>
    Effect.gen(function*() {
      const { failing, vendors, whom } = world()
      const failover = Failover.make({ failures: 1, stayAway: "1 second", answers: 1 })
      failing.set("north", error("north"))
      yield* failover.call(vendors)
      yield* TestClock.adjust("1 second")
      whom()
      const gate = yield* Deferred.make<void>()
      const slow = { ...vendors, north: Effect.andThen(Deferred.await(gate), vendors.north) }
      const probe = yield* Effect.forkChild(failover.call(slow))
      yield* TestClock.adjust(0)
      for (let i = 0; i < 3; i++) yield* failover.call(slow)
      assert.strictEqual(whom(), "south south south")
      yield* Fiber.interrupt(probe)
      failing.delete("north")
      yield* Deferred.succeed(gate, undefined)
      yield* failover.call(slow)
      assert.strictEqual(whom(), "north")
      assert.strictEqual(failover.avoided.size, 0)
    }))

  it.effect("calls avoided vendors when no other is left", () =>
    Effect.gen(function*() {
      const { failing, vendors, whom } = world()
      const failover = Failover.make({ failures: 1 })
      for (const name of ["north", "south", "west"]) failing.set(name, error(name))
      yield* Effect.exit(failover.call(vendors))
      whom()
      failing.delete("south")
      assert.strictEqual(yield* failover.call(vendors), "south")
      assert.strictEqual(whom(), "north south")
    }))

  it.effect("calls in the order given for each call, and ignores unknown names", () =>
    Effect.gen(function*() {
      const { vendors, whom } = world()
      let cheapest = "west"
      const failover = Failover.make({ order: () => [cheapest, "nobody", "north"] })
      const first = yield* Provenance.withProvenance(failover.call(vendors))
      assert.strictEqual(first.provenance._tag, "Fresh")
      cheapest = "south"
      yield* failover.call(vendors)
      assert.strictEqual(whom(), "west south")
      const exit = yield* Effect.exit(failover.call<never, never, never>({}))
      assert.include(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "", "there is no vendor to call")
    }))

  it("rejects options out of their range, and names them", () => {
    assert.throws(() => Failover.make({ failures: 0 }), /failures must be a whole number of at least 1/)
    assert.throws(() => Failover.make({ answers: 0 }), /answers must be a whole number of at least 1/)
    assert.throws(() => Failover.make({ stayAway: -1 }), /stayAway must be at least 0/)
  })
})

import * as Deadline from "@breakwater/core/Deadline"
import * as Parts from "@breakwater/core/degradation/Parts"
import { isVendorError, type Reason, VendorError } from "@breakwater/core/VendorError"
import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Option, Schema } from "effect"
import { TestClock } from "effect/testing"
import { intBetween } from "../../drivers/IntBetween.ts"
import { reasons } from "../../drivers/Reasons.ts"

const failing = (reason: Reason, vendor = "acme") =>
  Effect.fail(new VendorError({ vendor, operation: "quote", safety: "Idempotent", reason }))

class NoService extends Schema.TaggedError<NoService>()("NoService", { country: Schema.String }) {}

const Plan = Schema.Struct({
  after: intBetween(0, 40),
  ends: Schema.Literals(["answers", "fails", "declines", "never"])
})

describe("Partial", () => {
  it.effect("returns every part that answers, and a gap for one that fails", () =>
    Effect.gen(function*() {
      const page = yield* Parts.all({ country: Effect.succeed("Switzerland"), rate: failing(reasons.Unavailable) })
      assert.deepStrictEqual(page.country, { _tag: "Present", value: "Switzerland" })
      assert.include(page.rate, { _tag: "Gap", vendor: "acme", reason: "Unavailable" })
    }))

  it.effect("returns a gap for a part that does not answer in time", () =>
    Effect.gen(function*() {
      const page = yield* Effect.forkChild(
        Parts.all({ country: Effect.succeed("Switzerland"), rate: Effect.never }, { within: "2 seconds" })
      )
      yield* TestClock.adjust("2 seconds")
      const { country, rate } = yield* Fiber.join(page)
      assert.strictEqual(country._tag, "Present")
      assert.include(rate, { _tag: "Gap", vendor: "rate", reason: "DeadlineExceeded" })
    }))

  it.effect("takes no longer than its limit, for any operations, nor longer than a deadline already set", () =>
    Effect.gen(function*() {
      const took = (effect: Effect.Effect<unknown>) =>
        Effect.gen(function*() {
          const from = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
          const fiber = yield* Effect.forkChild(
            Effect.andThen(effect, Effect.clockWith((clock) => clock.currentTimeMillis))
          )
          for (let i = 0; i < 100; i++) yield* TestClock.adjust(100)
          return (yield* Fiber.join(fiber)) - from
        })
      const page = Parts.all({ slow: Effect.never, quick: Effect.succeed(1) }, { within: "2 seconds" })
      assert.strictEqual(yield* took(page), 2_000)
      assert.strictEqual(yield* took(page.pipe(Deadline.within("500 millis"))), 500)
      assert.strictEqual(yield* took(Parts.all({ slow: Effect.never }).pipe(Deadline.within("700 millis"))), 700)
    }))

  it.effect("passes its deadline on to guarded calls inside", () =>
    Effect.gen(function*() {
      const { left } = yield* Parts.all({ left: Deadline.remaining }, { within: "2 seconds" })
      assert.strictEqual(left._tag === "Present" && left.value.toString(), "2000 millis")
    }))

  it.effect("fails at once when a required part fails, and interrupts the others", () =>
    Effect.gen(function*() {
      let isInterrupted = false
      const other = Effect.onInterrupt(Effect.never, () =>
        Effect.sync(() => {
          isInterrupted = true
        }))
      const country = Effect.andThen(Effect.sleep("1 second"), failing(reasons.CircuitOpen))
      const fiber = yield* Effect.forkChild(
        Effect.exit(Parts.all({ country, other }, { within: "1 minute", require: ["country"] }))
      )
      yield* TestClock.adjust("1 second")
      const exit = yield* Fiber.join(fiber)
      const error = Exit.findErrorOption(exit)
      assert.strictEqual(Option.isSome(error) && error.value.reason._tag, "CircuitOpen")
      assert.isTrue(isInterrupted)
    }))

  it.effect("fails with a typed error when a required part is cut off", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(
        Effect.flip(Parts.all({ country: Effect.never }, { within: "1 second", require: ["country"] }))
      )
      yield* TestClock.adjust("1 second")
      const error = yield* Fiber.join(fiber)
      assert.isTrue(isVendorError(error))
      assert.deepStrictEqual([error.vendor, error.reason._tag, error.fate], ["country", "DeadlineExceeded", "Unknown"])
    }))

  it.effect("interrupts every operation when it is interrupted, and waits until they have cleaned up", () =>
    Effect.gen(function*() {
      const cleaned: Array<string> = []
      const part = (name: string) =>
        Effect.onInterrupt(Effect.never, () =>
          Effect.andThen(
            Effect.sleep(10),
            Effect.sync(() => {
              cleaned.push(name)
            })
          ))
      const fiber = yield* Effect.forkChild(Parts.all({ a: part("a"), b: part("b") }, { within: "1 minute" }))
      yield* TestClock.adjust(1)
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* TestClock.adjust(10)
      yield* Fiber.join(interrupting)
      assert.deepStrictEqual(cleaned.toSorted(), ["a", "b"])
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
    }))

  it.effect("treats a defect as a defect of the whole, and reports no gap for an operation that interrupts itself", () =>
    Effect.gen(function*() {
      const died = yield* Effect.exit(Parts.all({ a: Effect.die("a bug"), b: Effect.succeed(1) }))
      assert.isTrue(Exit.hasDies(died))
      const gone = yield* Effect.exit(Parts.all({ a: Effect.interrupt, b: Effect.succeed(1) }))
      assert.isTrue(Exit.hasInterrupts(gone))
      const both = yield* Effect.exit(
        Parts.all({ a: Effect.failCause(Cause.combine(Cause.fail("no"), Cause.die("a bug"))) })
      )
      assert.isTrue(Exit.hasDies(both))
    }))

  it("has the type of its operations", () => {
    const page = Parts.all({
      country: Effect.succeed("Switzerland") as Effect.Effect<string, VendorError>,
      rate: Effect.succeed(1) as Effect.Effect<number, VendorError>,
      shipping: Effect.succeed(true) as Effect.Effect<boolean, VendorError | NoService>
    }, { require: ["country"] })
    type Page = Effect.Success<typeof page>
    expectTypeOf<Page["country"]>().toEqualTypeOf<Parts.Present<string>>()
    expectTypeOf<Page["rate"]>().toEqualTypeOf<Parts.Present<number> | Parts.Gap>()
    expectTypeOf<Page["shipping"]>().toEqualTypeOf<
      Parts.Present<boolean> | Parts.Gap | Parts.Declined<NoService>
    >()
    expectTypeOf<Effect.Error<typeof page>>().toEqualTypeOf<VendorError>()
    const free = Parts.all({ a: Effect.succeed(1) as Effect.Effect<number, VendorError> })
    expectTypeOf<Effect.Error<typeof free>>().toEqualTypeOf<never>()
    // @ts-expect-error there is no such part
    assert.isDefined(Parts.all({ a: Effect.succeed(1) }, { require: ["b"] }))
  })

  it("rejects a time out of its range", () => {
    assert.throws(() => Parts.all({}, { within: 0 }), /within must be longer than 0/)
  })

  it.effect.prop(
    "returns the results that arrived in time, and a reason for each of the others",
    { plans: Schema.Array(Plan).check(Schema.isBetweenLength(1, 6)), within: intBetween(1, 40) },
    ({ plans, within }) =>
      Effect.gen(function*() {
        let running = 0
        const operations = Object.fromEntries(plans.map(({ after, ends }, i) => {
          const end: Effect.Effect<string, VendorError | NoService> = ends === "answers"
            ? Effect.succeed(`answer ${i}`)
            : ends === "fails"
            ? failing(reasons.Unavailable)
            : ends === "declines"
            ? Effect.fail(new NoService({ country: "XX" }))
            : Effect.never
          const operation = Effect.suspend(() => {
            running++
            return Effect.andThen(Effect.sleep(after), end)
          })
          return [`part ${i}`, Effect.ensuring(operation, Effect.sync(() => running--))] as const
        }))
        const began = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        const fiber = yield* Effect.forkChild(Effect.timed(Parts.all(operations, { within })))
        yield* TestClock.adjust(100)
        const [, parts] = yield* Fiber.join(fiber)
        assert.strictEqual(running, 0)
        assert.strictEqual(began, 0)
        plans.forEach(({ after, ends }, i) => {
          const part = parts[`part ${i}`]!
          // An operation that ends at that exact moment may count either way.
          if (after === within && ends !== "never") return
          if (ends === "never" || after > within) {
            assert.include(part, { _tag: "Gap", reason: "DeadlineExceeded", vendor: `part ${i}` })
          } else if (ends === "answers") assert.deepStrictEqual(part, { _tag: "Present", value: `answer ${i}` })
          else if (ends === "declines") {
            assert.deepStrictEqual(part, { _tag: "Declined", error: new NoService({ country: "XX" }) })
          } else {
            assert.deepStrictEqual(part, {
              _tag: "Gap",
              reason: "Unavailable",
              message: reasons.Unavailable.message,
              vendor: "acme",
              retryAfter: reasons.Unavailable.retryAfter
            })
          }
        })
      })
  )
})

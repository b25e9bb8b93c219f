import * as Deadline from "@breakwater/core/Deadline"
import { type Gate, type Permit, refuse } from "@breakwater/core/Gate"
import * as IdempotencyKey from "@breakwater/core/IdempotencyKey"
import type { Outcome } from "@breakwater/core/Outcome"
import * as Breaker from "@breakwater/core/policies/Breaker"
import * as Bulkhead from "@breakwater/core/policies/Bulkhead"
import { mayRepeat, type Safety } from "@breakwater/core/Safety"
import type { Leaf } from "@breakwater/core/stack/Leaf"
import type * as Policy from "@breakwater/core/stack/Policy"
import * as Stack from "@breakwater/core/stack/Stack"
import {
  ConnectFailed,
  ConnectionLost,
  InvalidResponse,
  RateLimited,
  type Reason,
  Unavailable,
  type VendorError
} from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Data, Duration, Effect, Exit, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as MemoryTracer from "../../watches/MemoryTracer.ts"

const stack = (policy: Policy.Policy = {}, safety: Safety = "Idempotent") =>
  Stack.make({ vendor: "acme", operation: "charge", safety, policy })

const answer = <A>(value: A): Leaf<A, never> => (attempt) => {
  attempt.answer(Exit.succeed(value))
  return () => {}
}

const failing = (reason: Reason, seen: { attempts: number } = { attempts: 0 }): Leaf<never, never> => (attempt) => {
  seen.attempts++
  attempt.fail(reason)
  return () => {}
}

/** Starts and never ends; counts how often it was cancelled. */
const hanging = (seen: { started: number; cancelled: number }): Leaf<never, never> => (attempt) => {
  seen.started++
  attempt.phase("Headers")
  return () => {
    seen.cancelled++
  }
}

/** A gate that admits everything and records how each permit ended. */
class Witness implements Gate, Permit {
  readonly name = "witness"
  readonly _tag = "Permit"
  readonly heard: Array<string> = []
  admit() {
    return this
  }
  settle(_: unknown, outcome: Outcome) {
    this.heard.push(outcome._tag)
  }
  cancel() {
    this.heard.push("cancelled")
  }
}

class Oops extends Data.TaggedError("Oops")<{ readonly transient: boolean }> {}

describe("Stack", () => {
  it.effect("succeeds with the leaf's answer, and fails with its declared error", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* stack().call(answer(7)), 7)
      const declared = stack().call<never, string>((attempt) => {
        attempt.answer(Exit.fail("declined"))
        return () => {}
      })
      assert.strictEqual(yield* Effect.flip(declared), "declined")
    }))

  it.effect("uses only the first end of an attempt", () =>
    Effect.gen(function*() {
      const twice = stack().call<number, never>((attempt) => {
        attempt.answer(Exit.succeed(1))
        attempt.answer(Exit.succeed(2))
        attempt.fail(new Unavailable(503))
        return () => {}
      })
      assert.strictEqual(yield* twice, 1)
    }))

  it.effect("says which vendor and operation failed, why, after how many attempts, and what may have happened", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(Effect.flip(stack({}, "Keyed").call(failing(new Unavailable(503)))))
      yield* TestClock.adjust("1 minute")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.message, "acme charge: the vendor is unavailable (status 503)")
      assert.strictEqual(error.attempts, 4)
      assert.strictEqual(error.fate, "Unknown")
      assert.isTrue(error.mayHaveHappened)
    }))

  it.effect("keeps the fate unknown when the first attempt may have acted, for any later failure", () =>
    Effect.gen(function*() {
      let attempts = 0
      const call = stack({ retry: { retries: 1 } }, "Keyed").call<never, never>((attempt) => {
        attempt.fail(attempts++ === 0 ? new ConnectionLost("Body") : new ConnectFailed("Refused"))
        return () => {}
      })
      const fiber = yield* Effect.forkChild(Effect.flip(call))
      yield* TestClock.adjust("1 minute")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.reason._tag, "ConnectFailed")
      assert.strictEqual(error.reason.fate, "NotSent")
      assert.strictEqual(error.fate, "Unknown")
    }))

  it.effect.prop(
    "never repeats a call whose safety and fate forbid it",
    {
      safety: Schema.Literals(["Idempotent", "Keyed", "Unsafe"]),
      met: Schema.NonEmptyArray(Schema.Literals(["refused", "lost", "unavailable", "limited", "garbage"]))
    },
    ({ met, safety }) =>
      Effect.gen(function*() {
        const reasons: Record<string, Reason> = {
          refused: new ConnectFailed("Refused"),
          lost: new ConnectionLost("Headers"),
          unavailable: new Unavailable(503),
          limited: new RateLimited(429),
          garbage: new InvalidResponse(200, "not JSON")
        }
        const seen: Array<Reason> = []
        const call = stack({ retry: { retries: 5 }, breaker: false }, safety).call<never, never>((attempt) => {
          const reason = reasons[met[seen.length % met.length]!]!
          seen.push(reason)
          attempt.fail(reason)
          return () => {}
        })
        const fiber = yield* Effect.forkChild(Effect.exit(call))
        yield* TestClock.adjust("5 minutes")
        yield* Fiber.join(fiber)
        for (const reason of seen.slice(0, -1)) {
          assert.isTrue(reason.isRetryable)
          assert.isTrue(mayRepeat(safety, reason.fate))
        }
      }).pipe(Effect.provide(TestClock.layer()))
  )

  it.effect.prop(
    "never retries before the vendor's retry-after, nor after the deadline",
    {
      retryAfter: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12_000 })),
      base: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5_000 })),
      deadline: Schema.Int.check(Schema.isBetween({ minimum: 3_001, maximum: 30_000 }))
    },
    ({ base, deadline, retryAfter }) =>
      Effect.gen(function*() {
        const clock = yield* Effect.clockWith(Effect.succeed)
        const began = clock.currentTimeMillisUnsafe()
        const at: Array<number> = []
        const call = stack({
          deadline: Duration.millis(deadline),
          retry: { base: Duration.millis(base), retries: 3 },
          breaker: false
        }).call<never, never>((attempt) => {
          at.push(clock.currentTimeMillisUnsafe())
          attempt.fail(new Unavailable(503, { retryAfterMillis: retryAfter }))
          return () => {}
        })
        const fiber = yield* Effect.forkChild(Effect.flip(call))
        yield* TestClock.adjust("5 minutes")
        const error = yield* Fiber.join(fiber)
        for (let i = 1; i < at.length; i++) assert.isAtLeast(at[i]! - at[i - 1]!, retryAfter)
        for (const time of at) assert.isBelow(time - began, deadline)
        // A call without enough time to wait fails at once with the retry-after.
        if (retryAfter >= deadline) assert.strictEqual(at.length, 1)
        assert.strictEqual(error.reason.retryAfterMillis, retryAfter)
      }).pipe(Effect.provide(TestClock.layer()))
  )

  it.live("is never early on the live clock either", () =>
    Effect.gen(function*() {
      const starts: Array<number> = []
      yield* Effect.flip(
        stack({ retry: { base: 0, retries: 6 }, breaker: false }).call<never, never>((attempt) => {
          starts.push(performance.now())
          attempt.fail(new Unavailable(503, { retryAfterMillis: 7.5 }))
          return () => {}
        })
      )
      assert.strictEqual(starts.length, 7)
      for (let i = 1; i < starts.length; i++) assert.isAtLeast(starts[i]! - starts[i - 1]!, 7.5)
    }))

  it.effect("cancels an attempt that timed out, and says what it was waiting for", () =>
    Effect.gen(function*() {
      const seen = { started: 0, cancelled: 0 }
      const fiber = yield* Effect.forkChild(Effect.flip(stack({ retry: false }).call(hanging(seen))))
      yield* TestClock.adjust("3 seconds")
      const error = yield* Fiber.join(fiber)
      assert.deepStrictEqual(seen, { started: 1, cancelled: 1 })
      assert.strictEqual(error.reason.message, "timed out after 3s while waiting for a response")
    }))

  it.effect("inherits the deadline of the operation around it, and can only shorten it", () =>
    Effect.gen(function*() {
      const hang = Effect.flip(
        stack({ deadline: "8 seconds", attemptTimeout: "8 seconds" }).call(hanging({
          started: 0,
          cancelled: 0
        }))
      )
      const timed = Effect.gen(function*() {
        const clock = yield* Effect.clockWith(Effect.succeed)
        const began = clock.currentTimeMillisUnsafe()
        const error = yield* hang
        return [error.reason._tag, clock.currentTimeMillisUnsafe() - began] as const
      })
      const short = yield* Effect.forkChild(Deadline.within("2 seconds")(timed))
      const nested = yield* Effect.forkChild(Deadline.within("1 second")(Deadline.within("1 hour")(timed)))
      const long = yield* Effect.forkChild(Deadline.within("1 hour")(timed))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* Fiber.join(short), ["DeadlineExceeded", 2_000])
      assert.deepStrictEqual(yield* Fiber.join(nested), ["DeadlineExceeded", 1_000])
      assert.deepStrictEqual(yield* Fiber.join(long), ["DeadlineExceeded", 8_000])
      assert.strictEqual(Duration.toMillis(yield* Deadline.within("3 seconds")(Deadline.remaining)), 3_000)
    }))

  it.effect("starts nothing when the deadline has already passed", () =>
    Effect.gen(function*() {
      const seen = { attempts: 0 }
      const error = yield* Effect.flip(
        Deadline.within("0 seconds")(stack().call(failing(new Unavailable(503), seen)))
      )
      assert.strictEqual(error.reason._tag, "DeadlineExceeded")
      assert.strictEqual(error.fate, "NotSent")
      assert.deepStrictEqual(seen, { attempts: 0 })
    }))

  it.effect("settles every permit once, innermost first, for any end of the call", () =>
    Effect.gen(function*() {
      const witness = new Witness()
      const guarded = stack({ retry: false, gates: { operation: [witness], attempt: [witness] } })
      yield* guarded.call(answer(1))
      yield* Effect.exit(guarded.call(failing(new Unavailable(503))))
      const interrupted = yield* Effect.forkChild(guarded.call(hanging({ started: 0, cancelled: 0 })))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(interrupted)
      const defect = yield* Effect.exit(guarded.call<never, never>(() => {
        throw new Error("broken leaf")
      }))
      assert.isTrue(Exit.isFailure(defect) && Cause.hasDies(defect.cause))
      assert.deepStrictEqual(witness.heard, [
        "Success",
        "Success",
        "Failure",
        "Failure",
        "Ignored",
        "Ignored",
        "Ignored",
        "Ignored"
      ])
    }))

  it.effect("cancels the outer permits when an inner gate refuses", () =>
    Effect.gen(function*() {
      const witness = new Witness()
      const breaker = Breaker.make()
      breaker.setMode("ForcedOpen")
      const error = yield* Effect.flip(
        stack({ breaker: false, gates: { attempt: [witness, breaker] } }).call(answer(1))
      )
      assert.strictEqual(error.reason._tag, "CircuitOpen")
      assert.strictEqual(error.attempts, 0)
      assert.deepStrictEqual(witness.heard, ["cancelled"])
    }))

  it.effect("gives its bulkhead place back when a waiting call is interrupted", () =>
    Effect.gen(function*() {
      const bulkhead = Bulkhead.make({ limit: 1, queue: 1 })
      const guarded = stack({ bulkhead })
      const first = yield* Effect.forkChild(guarded.call(hanging({ started: 0, cancelled: 0 })))
      yield* Effect.yieldNow
      const second = yield* Effect.forkChild(guarded.call(answer(2)))
      yield* Effect.yieldNow
      assert.strictEqual(bulkhead.waiting("acme"), 1)
      yield* Fiber.interrupt(second)
      assert.strictEqual(bulkhead.waiting("acme"), 0)
      yield* Fiber.interrupt(first)
      assert.strictEqual(bulkhead.running("acme"), 0)
      assert.strictEqual(yield* guarded.call(answer(3)), 3)
    }))

  it.live("hands a place down a queue of ten thousand without growing the stack", () =>
    Effect.gen(function*() {
      const bulkhead = Bulkhead.make({ limit: 1, queue: 10_000, maxWait: "1 minute" })
      const guarded = stack({ bulkhead, deadline: "1 minute", breaker: false })
      const results = yield* Effect.forEach(
        Array.from({ length: 10_000 }, (_, i) => i),
        (i) => guarded.call(answer(i)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(results.length, 10_000)
      assert.strictEqual(bulkhead.running("acme"), 0)
    }))

  it.effect("stops retrying when the breaker opens", () =>
    Effect.gen(function*() {
      const seen = { attempts: 0 }
      const guarded = stack({
        retry: { retries: 9 },
        retryBudget: false,
        breaker: { trip: { _tag: "Consecutive", failures: 3 } },
        deadline: "10 minutes"
      })
      const fiber = yield* Effect.forkChild(Effect.flip(guarded.call(failing(new Unavailable(503), seen))))
      yield* TestClock.adjust("10 minutes")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.reason._tag, "CircuitOpen")
      assert.strictEqual(seen.attempts, 3)
      assert.strictEqual(error.attempts, 3)
      assert.strictEqual(error.fate, "Unknown")
    }))

  it.effect("does not retry after a gate's refusal, for any reason", () =>
    Effect.gen(function*() {
      let asked = 0
      const closed: Gate = { name: "closed", admit: () => (asked++, refuse(new Unavailable(503))) }
      const guarded = stack({ gates: { attempt: [closed] }, retry: { retries: 3, base: 0 } })
      const error = yield* Effect.flip(guarded.call(answer("never asked")))
      assert.deepStrictEqual([error.reason, error.attempts, asked], [new Unavailable(503), 0, 1])
    }))

  it("rejects an invalid cost", () => {
    const leaf = Effect.succeed("answer")
    for (const cost of [-1, Number.NaN, Infinity]) {
      assert.throws(
        () => stack({}).guard(leaf, () => undefined, { cost }),
        `cost must be at least 0 and finite, got ${cost}`
      )
    }
  })

  it("rejects a policy that contradicts itself, and says how", () => {
    assert.throws(
      () => stack({ attemptTimeout: "5 seconds", deadline: "4 seconds" }),
      /attemptTimeout \(5000 ms\) is longer than deadline \(4000 ms\)/
    )
    assert.throws(
      () => stack({ attemptTimeout: "1 second", connectTimeout: "2 seconds" }),
      /connectTimeout \(2000 ms\) is longer than attemptTimeout \(1000 ms\)/
    )
    assert.throws(() => stack({ deadline: 0 }), /deadline must be longer than 0/)
    assert.throws(() => stack({ deadline: Infinity }), /deadline .* finite, got Infinity ms/)
    assert.throws(() => stack({ headersTimeout: -1 }), /headersTimeout must be longer than 0 and finite, got -1 ms/)
    assert.throws(() => stack({ maxResponseSize: 0 }), /maxResponseSize must be a whole number of at least 1, got 0/)
  })
})

describe("Stack.guard", () => {
  const classify = (error: Oops) => error.transient ? new Unavailable(503) : undefined

  it.effect("retries an effect's retryable errors, and passes on the last of them unchanged", () =>
    Effect.gen(function*() {
      let attempts = 0
      const call = stack({ retry: { retries: 2 } }).guard(
        Effect.suspend(() => {
          attempts++
          return new Oops({ transient: true })
        }),
        classify
      )
      const fiber = yield* Effect.forkChild(Effect.flip(call))
      yield* TestClock.adjust("1 minute")
      assert.instanceOf(yield* Fiber.join(fiber), Oops)
      assert.strictEqual(attempts, 3)
    }))

  it.effect("gives all attempts of a keyed call one key, the caller's or a new one, and a new one to each call", () =>
    Effect.gen(function*() {
      const keys: Array<string | undefined> = []
      const pay = stack({ retry: { retries: 2 } }, "Keyed").guard(
        Effect.flatMap(IdempotencyKey.IdempotencyKey, (key) => {
          keys.push(key)
          return new Oops({ transient: true })
        }),
        classify
      )
      for (const call of [pay, pay, IdempotencyKey.withKey("order-7")(pay)]) {
        const fiber = yield* Effect.forkChild(Effect.flip(call))
        yield* TestClock.adjust("1 minute")
        yield* Fiber.join(fiber)
      }
      assert.strictEqual(keys.length, 9)
      const [first, second, third] = [0, 3, 6].map((at) => new Set(keys.slice(at, at + 3)))
      assert.deepStrictEqual([first!.size, second!.size], [1, 1])
      assert.isTrue(IdempotencyKey.isKey(keys[0] ?? ""))
      assert.notStrictEqual(keys[0], keys[3])
      assert.deepStrictEqual([...third!], ["order-7"])
    }))

  it.effect("shows the effect's own error in the span of each attempt", () =>
    Effect.gen(function*() {
      const tracer = MemoryTracer.make()
      const call = stack({ retry: { retries: 1 } }).guard(new Oops({ transient: true }), classify)
      const fiber = yield* Effect.forkChild(Effect.flip(Effect.provide(call, tracer.layer)))
      yield* TestClock.adjust("1 minute")
      assert.instanceOf(yield* Fiber.join(fiber), Oops)
      const attempts = tracer.spans.filter(({ kind }) => kind === "client")
      assert.strictEqual(attempts.length, 2)
      for (const { status } of attempts) {
        // Only its name: its fields may hold secrets.
        assert.strictEqual(String(status._tag === "Ended" && (yield* Effect.flip(status.exit))), "DeclaredError: Oops")
      }
    }))

  it.effect("counts every other error as an answer", () =>
    Effect.gen(function*() {
      let attempts = 0
      const error: Oops | VendorError = yield* Effect.flip(
        stack().guard(
          Effect.suspend(() => {
            attempts++
            return new Oops({ transient: false })
          }),
          classify
        )
      )
      assert.instanceOf(error, Oops)
      assert.strictEqual(attempts, 1)
    }))

  it.effect("interrupts an effect that timed out, and one whose caller left", () =>
    Effect.gen(function*() {
      let interrupted = 0
      const forever = Effect.onInterrupt(Effect.never, () =>
        Effect.sync(() => {
          interrupted++
        }))
      const guarded = stack({ retry: false }).guard(forever, () => undefined)
      const slow = yield* Effect.forkChild(Effect.flip(guarded))
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* Fiber.join(slow)).reason._tag, "Timeout")
      const left = yield* Effect.forkChild(guarded)
      yield* Effect.yieldNow
      yield* Fiber.interrupt(left)
      assert.strictEqual(interrupted, 2)
    }))

  it.effect("passes on defects, and gives everything back", () =>
    Effect.gen(function*() {
      const bulkhead = Bulkhead.make({ limit: 1, queue: 0 })
      const exit = yield* Effect.exit(stack({ bulkhead }).guard(Effect.die("broken"), () => undefined))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.strictEqual(bulkhead.running("acme"), 0)
    }))

  it.effect("passes its deadline on to the calls inside", () =>
    Effect.gen(function*() {
      const inner = stack({ deadline: "1 hour", attemptTimeout: "1 hour", retry: false })
      const outer = stack({ deadline: "2 seconds", attemptTimeout: "2 seconds", retry: false })
      const left = yield* outer.guard(Deadline.remaining, () => undefined)
      assert.strictEqual(Duration.toMillis(left), 2_000)
      const fiber = yield* Effect.forkChild(
        Effect.flip(outer.guard(inner.call(hanging({ started: 0, cancelled: 0 })), () => undefined))
      )
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "DeadlineExceeded")
    }))

  it.effect("keeps the services of its caller", () =>
    Effect.gen(function*() {
      const seen = yield* Deadline.within("1 hour")(
        stack({ deadline: "2 hours" }).guard(Deadline.remaining, () => undefined)
      )
      assert.strictEqual(Duration.toMillis(seen), 3_600_000)
    }))
})

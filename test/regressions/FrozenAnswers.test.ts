/**
 * Answers that a caller changes: the next caller gets them as the vendor gave them. Inputs: objects, lists and what is
 * inside them; errors that the contract declares; dates, maps, sets, bytes and instances of classes; callers of the same
 * call, of a later one, and of another process; data that comes with a package.
 */
import * as ResponseCache from "@breakwater/core/caching/ResponseCache"
import { CacheStore } from "@breakwater/core/fleet/Store"
import * as Provenance from "@breakwater/core/Provenance"
import * as Bundled from "@breakwater/vendors/countries/bundled"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Fiber, Option, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as AnswerStore from "../fakes/AnswerStore.ts"

class Money extends Schema.Class<Money>("Money")({ amount: Schema.Finite, at: Schema.Date }) {}
class Declined
  extends Schema.TaggedError<Declined>()("Declined", { codes: Schema.mutable(Schema.Array(Schema.String)) })
{}
/** A class of somebody else, which may write to its own fields at any time. */
class Lazy {
  computed: number | undefined = undefined
  get value(): number {
    return this.computed ??= 7
  }
}

/** Does something to an answer. A frozen one may refuse it. */
const attempt = (change: () => void) => {
  try {
    change()
  } catch (error) {
    assert.instanceOf(error, TypeError)
  }
}

const rows: ReadonlyArray<readonly [string, () => unknown, (answer: never) => void]> = [
  ["an object", () => ({ rate: 1 }), (answer: { rate: number }) => answer.rate = 2],
  ["a field that is new", () => ({ rate: 1 }), (answer: Record<string, number>) => answer["other"] = 2],
  ["an object in a list in an object", () => ({ items: [{ n: 1 }] }), (answer: { items: [{ n: number }] }) => {
    answer.items[0].n = 2
  }],
  ["a list", () => [3, 1, 2], (answer: Array<number>) => answer.push(4)],
  [
    "an object without a prototype",
    () => Object.assign(Object.create(null) as object, { n: 1 }),
    (answer: { n: number }) => {
      answer.n = 2
    }
  ],
  ["an optional value", () => Option.some({ n: 1 }), (answer: Option.Some<{ n: number }>) => answer.value.n = 2],
  ["an instance of a schema's class", () => new Money({ amount: 1, at: new Date(0) }), (answer: { amount: number }) => {
    answer.amount = 2
  }],
  ["a date in one", () => new Money({ amount: 1, at: new Date(0) }), (answer: Money) => answer.at.setTime(5)],
  ["a date", () => new Date(0), (answer: Date) => answer.setFullYear(1999)],
  ["a date in a list", () => ({ days: [new Date(0)] }), (answer: { days: [Date] }) => answer.days[0].setTime(5)],
  ["a map", () => new Map([["EUR", { rate: 1 }]]), (answer: Map<string, unknown>) => answer.clear()],
  ["an object in a map", () => new Map([["EUR", { rate: 1 }]]), (answer: Map<string, { rate: number }>) => {
    answer.get("EUR")!.rate = 2
  }],
  ["a set", () => ({ codes: new Set(["EUR"]) }), (answer: { codes: Set<string> }) => answer.codes.add("GBP")],
  ["bytes", () => new Uint8Array([1, 2, 3]), (answer: Uint8Array) => answer.fill(9)],
  ["a buffer", () => Buffer.from("abc"), (answer: Buffer) => answer.write("xyz")],
  ["numbers in an object", () => ({ samples: new Float64Array([1, 2]) }), (answer: { samples: Float64Array }) => {
    answer.samples[0] = 9
  }]
]

const make = <A, E = never>() =>
  ResponseCache.make<A, E>({ vendor: "acme", operation: "rate", fresh: "1 hour", jitter: 0, negative: "1 hour" })

describe("an answer from a cache that its caller changes", () => {
  it.effect.each(rows)("%s", ([, answer, change]) =>
    Effect.gen(function*() {
      const cache = yield* make()
      const lookup = cache.lookup("EUR", () => Effect.delay(Effect.sync(() => ({ value: answer() })), 5))
      const together = yield* Effect.forkChild(Effect.all([lookup, lookup], { concurrency: "unbounded" }))
      yield* TestClock.adjust("1 second")
      const [first, second] = yield* Fiber.join(together)
      attempt(() => change(first as never))
      assert.deepStrictEqual(second, answer())
      attempt(() => change(second as never))
      const third = yield* lookup
      assert.deepStrictEqual(third, answer())
      attempt(() => change(third as never))
      assert.deepStrictEqual(
        yield* lookup.pipe(Provenance.acceptStale("1 hour"), Effect.map(({ value }) => value)),
        answer()
      )
    }))

  it.effect("came from another process", () =>
    Effect.gen(function*() {
      const { store } = AnswerStore.make()
      const process = ResponseCache.make<{ rate: number }, never>(
        { vendor: "acme", operation: "rate", fresh: "1 hour", jitter: 0 },
        { name: "acme/rate/1", codec: { encode: JSON.stringify, decode: JSON.parse } }
      ).pipe(Effect.provideService(CacheStore, store))
      const load = () => Effect.succeed({ value: { rate: 1 } })
      yield* (yield* process).lookup("EUR", load)
      yield* TestClock.adjust(0)
      const other = yield* process
      const answer = yield* other.lookup("EUR", load)
      assert.strictEqual(other.statistics.shared, 1)
      attempt(() => void (answer.rate = 2))
      assert.deepStrictEqual(yield* other.lookup("EUR", load), { rate: 1 })
    }))

  it.effect("is an error that the contract declares", () =>
    Effect.gen(function*() {
      const cache = yield* make<never, Declined | { unknown: string }>()
      const declined = cache.lookup("EUR", () => Effect.fail(new Declined({ codes: ["05"] })))
      const unknown = cache.lookup("XXX", () => Effect.fail({ unknown: "pair" }))
      for (let call = 0; call < 3; call++) {
        const [one, other] = [yield* Effect.flip(declined), yield* Effect.flip(unknown)]
        assert.deepStrictEqual([(one as Declined).codes, other], [["05"], { unknown: "pair" }])
        attempt(() => void (one as Declined).codes.push("99"))
        attempt(() => void ((other as { unknown: string }).unknown = "changed"))
      }
    }))

  it.effect("works, if it is of a class that writes to itself, or refers to itself", () =>
    Effect.gen(function*() {
      const cache = yield* make()
      const day = DateTime.makeUnsafe("2026-11-30T12:00:00Z")
      const circle: Record<string, unknown> = { day, when: new Date(0) }
      circle["self"] = circle
      const lookup = cache.lookup("EUR", () => Effect.succeed({ value: { circle, lazy: new Lazy() } }))
      for (let call = 0; call < 2; call++) {
        const { circle, lazy } = (yield* lookup) as { circle: { day: DateTime.Utc }; lazy: Lazy }
        assert.strictEqual(lazy.value, 7)
        assert.strictEqual(DateTime.toPartsUtc(circle.day).year, 2026)
      }
    }))

  it.effect("is frozen once: a hit gives the very same object", () =>
    Effect.gen(function*() {
      const cache = yield* make()
      const lookup = cache.lookup("EUR", () => Effect.succeed({ value: { items: [{ n: 1 }] } }))
      assert.strictEqual(yield* lookup, yield* lookup)
    }))
})

describe("countries from the package", () => {
  it.effect("stay as they are", () =>
    Effect.gen(function*() {
      const countries = yield* Bundled.make
      const list = () => Effect.map(countries.list(), ({ value }) => value)
      const before = structuredClone(yield* list())
      const changed = (yield* list()) as unknown as Array<{ name: string; currencies: Array<unknown> }>
      attempt(() => void changed.reverse())
      attempt(() => void (changed[0]!.name = "changed"))
      attempt(() => void changed[0]!.currencies.push("XXX"))
      const { value: swiss } = yield* countries.byCode("CH")
      attempt(() => void ((swiss as { name: string }).name = "changed"))
      assert.deepStrictEqual(yield* list(), before)
      assert.strictEqual((yield* countries.byCode("CH")).value.name, "Switzerland")
    }))
})

import { isVendorError, Telemetry } from "@breakwater/core"
import { Provenance } from "@breakwater/core"
import { UndiciTransport } from "@breakwater/core/transport"
import type { TransportRequest } from "@breakwater/core/transport/Transport"
import { type ExchangeRate, ExchangeRates } from "@breakwater/vendors/exchange-rates/ExchangeRates"
import * as FrankfurterSimulator from "@breakwater/vendors/exchange-rates/frankfurter/Simulator"
import * as ExchangeRatesLayers from "@breakwater/vendors/exchange-rates/Layers"
import * as OpenExchangeRatesSimulator from "@breakwater/vendors/exchange-rates/open-exchange-rates/Simulator"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Exit, Fiber, Layer, Metric } from "effect"
import { TestClock } from "effect/testing"
import { randomUUID } from "node:crypto"
import * as FakeTransport from "../../fakes/Transport.ts"
import * as MemoryTracer from "../../watches/MemoryTracer.ts"
import { suite } from "./ExchangeRatesSuite.ts"

const appId = randomUUID().replaceAll("-", "")

suite(
  "all its vendors",
  Layer.unwrap(Effect.gen(function*() {
    const first = yield* FrankfurterSimulator.serve()
    const second = yield* OpenExchangeRatesSimulator.serve()
    return ExchangeRatesLayers.failover().pipe(
      Layer.provide(UndiciTransport.layer({ loopback: true })),
      Layer.provideMerge(ConfigProvider.layer(ConfigProvider.fromUnknown({
        FRANKFURTER_BASE_URL: first.baseUrl,
        OPEN_EXCHANGE_RATES_BASE_URL: second.baseUrl,
        OPEN_EXCHANGE_RATES_API_KEY: appId
      })))
    )
  }))
)

type Health = "well" | "down" | "slow" | "limited"

interface World {
  first: Health
  second: Health
  /** The vendors called, in order. */
  readonly asked: Array<"first" | "second">
}

/** Rates on virtual time from two vendors whose health a test sets. The third digit of a rate tells its vendor. */
const scenario = (
  options: ExchangeRatesLayers.FailoverOptions,
  test: (
    world: World,
    /** Makes the call, and lets as much time pass as it takes. */
    ask: (use?: { readonly maxAge?: Duration.Input }, pair?: readonly [string, string]) => Effect.Effect<
      Exit.Exit<ExchangeRate, unknown>
    >
  ) => Effect.Effect<void, unknown>
) => {
  const world: World = { first: "well", second: "well", asked: [] }
  const play = ({ origin, path }: TransportRequest): FakeTransport.Play | undefined => {
    const who = origin.includes("frankfurter") ? "first" : "second"
    world.asked.push(who)
    switch (world[who]) {
      case "down":
        return { status: 503 }
      case "slow":
        return undefined
      case "limited":
        return { status: 429 }
      case "well": {
        const [base, quote] = path.split("/").slice(-2)
        return who === "second"
          ? { status: 200, json: { timestamp: 1_795_392_000, base: "USD", rates: { USD: 1, EUR: 0.5, GBP: 0.25 } } }
          : base === "XXX"
          ? { status: 404, json: { message: "not found" } }
          : { status: 200, json: { date: "2026-11-20", base, quote, rate: 3 } }
      }
    }
  }
  return Effect.gen(function*() {
    const rates = yield* ExchangeRates
    yield* test(world, (use, [base, quote] = ["EUR", "USD"]) =>
      Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(Effect.exit(Effect.suspend(() => rates.latest(base, quote, use))))
        for (let tick = 0; tick < 400 && fiber.pollUnsafe() === undefined; tick++) yield* TestClock.adjust("50 millis")
        return yield* Fiber.join(fiber)
      }))
  }).pipe(
    Effect.provide(
      ExchangeRatesLayers.failover(options).pipe(
        Layer.provide(FakeTransport.layer(play)),
        Layer.provideMerge(ConfigProvider.layer(ConfigProvider.fromUnknown({ OPEN_EXCHANGE_RATES_API_KEY: appId })))
      )
    ),
    Effect.provideService(Metric.MetricRegistry, new Map())
  )
}

/** The vendor of a rate, and its provenance. */
const told = (exit: Exit.Exit<ExchangeRate, unknown>) =>
  Exit.isFailure(exit)
    ? ["nothing", reasonOf(exit)]
    : [exit.value.rate === 3 ? "first" : "second", exit.value.provenance._tag]

const reasonOf = (exit: Exit.Exit<unknown, unknown>): string => {
  const [reason] = Exit.isFailure(exit) ? exit.cause.reasons : []
  const error = reason?._tag === "Fail" ? reason.error : undefined
  return isVendorError(error) ? error.reason._tag : (error as { readonly _tag: string })._tag
}

const defectOf = (exit: Exit.Exit<unknown, unknown>): string => {
  const [reason] = Exit.isFailure(exit) ? exit.cause.reasons : []
  return String(reason?._tag === "Die" ? reason.defect : reason)
}

const display = { maxAge: "1 day" } as const

describe("ExchangeRates by all its vendors", () => {
  it.effect("goes down the ladder and up again: fresh, cached, stale, fallback, none", () =>
    scenario({}, (world, ask) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(told(yield* ask(display)), ["first", "Fresh"])
        yield* TestClock.adjust("4 minutes")
        assert.deepStrictEqual(told(yield* ask(display)), ["first", "Cached"])
        world.first = "down"
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(told(yield* ask(display)), ["first", "Stale"])
        yield* TestClock.adjust("23 hours")
        assert.deepStrictEqual(told(yield* ask(display)), ["first", "Stale"])
        assert.notInclude(world.asked, "second")
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(told(yield* ask(display)), ["second", "Fallback"])
        world.second = "down"
        // The second one has a cache as well.
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(told(yield* ask(display)), ["second", "Fallback"])
        yield* TestClock.adjust("24 hours")
        assert.deepStrictEqual(told(yield* ask(display)), ["nothing", "Unavailable"])
        world.first = world.second = "well"
        yield* TestClock.adjust("2 minutes")
        assert.deepStrictEqual(told(yield* ask(display)), ["first", "Fresh"])
      })))

  it.effect("gives a stale rate to a display but not to a price, which gets the second vendor's rate or none", () =>
    scenario({}, (world, ask) =>
      Effect.gen(function*() {
        yield* ask()
        world.first = "down"
        yield* TestClock.adjust("6 minutes")
        assert.deepStrictEqual(told(yield* ask(display)), ["first", "Stale"])
        assert.deepStrictEqual(told(yield* ask()), ["second", "Fallback"])
        assert.deepStrictEqual(told(yield* ask({ maxAge: "5 minutes" })), ["second", "Fallback"])
        world.second = "down"
        yield* TestClock.adjust("6 minutes")
        assert.deepStrictEqual(told(yield* ask()), ["nothing", "Unavailable"])
      })))

  it.effect("does not price with a stale rate, even inside a page that accepts stale ones", () =>
    scenario({}, (world, ask) =>
      Effect.gen(function*() {
        yield* ask()
        world.first = world.second = "down"
        yield* TestClock.adjust("6 minutes")
        const page = yield* ask().pipe(Provenance.acceptStale("1 day"))
        assert.deepStrictEqual(told(page.value), ["nothing", "Unavailable"])
      })))

  it.effect("refreshes sooner for a call that accepts less than the cache's freshness", () =>
    scenario({}, (world, ask) =>
      Effect.gen(function*() {
        yield* ask()
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(told(yield* ask({ maxAge: "30 seconds" })), ["first", "Fresh"])
        assert.deepStrictEqual(told(yield* ask({ maxAge: "30 seconds" })), ["first", "Cached"])
        assert.strictEqual(world.asked.length, 2)
      })))

  it.effect("reports the provenance to an enclosing withProvenance too", () =>
    scenario({}, (world, ask) =>
      Effect.gen(function*() {
        const both = Effect.map(Provenance.withProvenance(ask(display)), ({ provenance, value }) => {
          assert.deepStrictEqual(provenance, (value as Exit.Success<ExchangeRate>).value.provenance)
          return provenance._tag
        })
        assert.strictEqual(yield* both, "Fresh")
        assert.strictEqual(yield* both, "Cached")
        world.first = "down"
        yield* TestClock.adjust("6 minutes")
        assert.strictEqual(yield* both, "Stale")
        yield* TestClock.adjust("1 day")
        assert.strictEqual(yield* both, "Fallback")
        assert.strictEqual(yield* both, "Fallback")
      })))

  it.effect("states the age and the reason", () =>
    scenario({ fresh: "1 minute", stale: "10 minutes" }, (world, ask) =>
      Effect.gen(function*() {
        const provenanceNow = Effect.map(ask(display), (exit) => (exit as Exit.Success<ExchangeRate>).value.provenance)
        yield* provenanceNow
        world.first = "down"
        yield* TestClock.adjust("2 minutes")
        const stale = yield* provenanceNow
        assert.deepInclude(stale, { _tag: "Stale", because: "Unavailable" })
        assert.closeTo(Duration.toSeconds(Provenance.age(stale)), 121, 2)
        yield* TestClock.adjust("10 minutes")
        assert.deepStrictEqual(yield* provenanceNow, {
          _tag: "Fallback",
          from: "open-exchange-rates",
          because: "Unavailable"
        })
        yield* TestClock.adjust("30 seconds")
        const fallback = yield* provenanceNow
        assert.deepInclude(fallback, { _tag: "Fallback", from: "open-exchange-rates" })
        assert.closeTo(Duration.toSeconds(Provenance.age(fallback)), 31, 2)
      })))

  it.effect("calls the second vendor also when the first one hangs, within the deadline of a request", () =>
    scenario({}, (world, ask) =>
      Effect.gen(function*() {
        world.first = "slow"
        assert.deepStrictEqual(told(yield* ask()), ["second", "Fallback"])
        assert.deepStrictEqual(world.asked, ["first", "first", "second"])
      })))

  it.effect("gives a display its stale rate within a second of a vendor that hangs", () =>
    scenario({}, (world, ask) =>
      Effect.gen(function*() {
        yield* ask()
        world.first = "slow"
        yield* TestClock.adjust("6 minutes")
        const began = yield* Effect.clockWith(({ currentTimeMillis }) => currentTimeMillis)
        const exit = yield* ask(display)
        const took = (yield* Effect.clockWith(({ currentTimeMillis }) => currentTimeMillis)) - began
        assert.deepStrictEqual(told(exit), ["first", "Stale"])
        assert.closeTo(took, 1_000, 100)
      })))

  it.effect("moves on when the first vendor rate-limits us, but not when it has no such pair", () =>
    scenario({}, (world, ask) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(told(yield* ask(display, ["XXX", "USD"])), ["nothing", "UnknownPair"])
        assert.deepStrictEqual(world.asked, ["first"])
        // It is cached for a minute.
        yield* ask(display, ["XXX", "USD"])
        assert.deepStrictEqual(world.asked, ["first"])
        world.first = "limited"
        assert.deepStrictEqual(told(yield* ask(display, ["EUR", "GBP"])), ["second", "Fallback"])
      })))

  it.effect("rejects invalid durations, and names them", () =>
    scenario({}, (_world, ask) =>
      Effect.gen(function*() {
        const layer = ExchangeRatesLayers.failover({ fresh: 0 }).pipe(
          Layer.provide(FakeTransport.layer(() => undefined))
        )
        const built = yield* Effect.exit(Effect.provide(ExchangeRates, layer))
        assert.include(defectOf(built), "ResponseCache: fresh must be longer than 0")
        assert.throws(() => ExchangeRatesLayers.failover({ failover: { failures: 0 } }), /Failover: failures/)
        assert.include(defectOf(yield* ask({ maxAge: -1 })), "Provenance: maxAge must be at least 0")
      })))

  it.effect("shows each step in the metrics and in the trace", () => {
    const tracer = MemoryTracer.make()
    return scenario({}, (world, ask) =>
      Effect.gen(function*() {
        const counted = Effect.map(Metric.snapshot, (metrics) =>
          metrics.flatMap(({ attributes, id, state }) =>
            id === Telemetry.capabilityAnswers ? [[attributes, (state as { readonly count: number }).count]] : []
          ))
        const each = (count: number) =>
          ["Fresh", "Cached", "Stale", "Fallback"].map((provenance) => [
            { capability: "exchange-rates", provenance },
            count
          ])
        assert.sameDeepMembers(yield* counted, each(0))
        yield* ask(display)
        yield* ask(display)
        world.first = "down"
        yield* TestClock.adjust("6 minutes")
        yield* ask(display)
        yield* TestClock.adjust("1 day")
        yield* ask(display)
        assert.sameDeepMembers(yield* counted, each(1))
        const spans = tracer.spans.filter(({ name }) =>
          name === "ExchangeRates.latest"
        )
        const shown = ["breakwater.provenance", "breakwater.because", "breakwater.from"]
        assert.deepStrictEqual(spans.map(({ attributes }) => shown.map((name) => attributes.get(name))), [
          ["Fresh", undefined, undefined],
          ["Cached", undefined, undefined],
          ["Stale", "Unavailable", undefined],
          ["Fallback", "Unavailable", "open-exchange-rates"]
        ])
      })).pipe(Effect.provide(tracer.layer))
  })
})
